"""What the check of a bert-large costs against loading it, and how much memory it takes.

    python -m benchmarks.check [--rounds 3]

Both start from the page cache, in turn, in one process; the median of the ratios of neighbours is printed. Weights are a fresh
draw, once as it is (nothing rules a matrix out early: the worst case) and once with the directions and scales that training
leaves (the usual case).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from bertlens import diagnose
from bertlens.run import loading
from bertlens.run.checkpoint import locate

LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}


def write(folder: Path, *, trained: bool) -> None:
    """A bert-large with the tokenizer of the packaged checkpoint."""
    import shutil

    for file in locate("minilm").iterdir():
        if file.suffix in (".json", ".txt") and file.name not in ("config.json", "modules.json"):
            shutil.copy(file, folder)
    torch.manual_seed(0)
    model = transformers.BertModel(transformers.BertConfig(**LARGE))
    if trained:
        with torch.no_grad():
            for parameter in model.parameters():
                as_trained(parameter)
    model.save_pretrained(folder)


def as_trained(parameter: torch.Tensor) -> None:
    """Rows of unequal length and eight strong directions in a matrix; small noise on a vector."""
    if parameter.dim() < 2:
        parameter.add_(torch.randn_like(parameter) * 0.02)
        return
    rows, columns = parameter.shape
    parameter.mul_(torch.exp(0.15 * torch.randn(rows, 1)))
    parameter.add_(0.02 * torch.randn(rows, 8) @ torch.randn(8, columns))


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def load(folder: Path) -> None:
    """The model as a user loads it, in float32."""
    config = loading.config(folder, "large")
    loading.model(folder, "large", config)


def measure(folder: Path, rounds: int) -> tuple[float, float, float]:
    """Median seconds of a load and of a check, and the median of their ratios."""
    diagnose.check(str(folder))  # imports and the page cache
    pairs = [(seconds(lambda: load(folder)), seconds(lambda: diagnose.check(str(folder)))) for _ in range(rounds)]
    ratio = statistics.median(check / loaded for loaded, check in pairs)
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs), ratio


def peak(folder: Path) -> float:
    """Peak memory in MiB of a process that only checks."""
    code = f"import sys; from benchmarks.check import memory; memory({str(folder)!r})"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()[-1])


def memory(folder: str) -> None:
    """Check, and print the peak of what belongs to the process alone: mapped file pages are the system's cache."""
    before = anonymous()
    highest = before

    def watch(done: int, total: int, what: str) -> None:
        nonlocal highest
        highest = max(highest, anonymous())

    diagnose.check(folder, progress=watch)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)
    print(max(highest, anonymous()) - before)


def anonymous() -> float:
    """MiB of memory that is no mapped file."""
    status = Path("/proc/self/status").read_text("utf-8")
    return float(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| weights | loading, s | check, s | check over loading | bound | memory above start, MiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, trained in (("as trained", True), ("a fresh draw", False)):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), trained=trained)
            loaded, checked, ratio = measure(Path(folder), options.rounds)
            print(f"| {name} | {loaded:.2f} | {checked:.2f} | {ratio:.2f} | 1.5 | {peak(Path(folder)):.0f} |", flush=True)


if __name__ == "__main__":
    main()
