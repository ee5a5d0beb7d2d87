"""What the check of a bert-large costs against loading it, and how much memory it takes.

    python -m benchmarks.check [--rounds 3]

Everything starts from the page cache and takes turns; the median of the ratios of neighbours is printed. Loading is
`bertlens.load`: the model in float32, and one short pass. Two processes are compared as a person waits for them, imports
included, and two calls in one process, where a loader of today maps the file and reads next to nothing: there every reader of
1.3 GB looks slow, so the time of reading each weight once stands beside it.

Weights are a fresh draw, once as it is (nothing rules a matrix out early: the worst case) and once with the directions and
scales that training leaves, and words that are those of the packaged checkpoint (the usual case).
"""

from __future__ import annotations

import argparse
import shutil
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
from safetensors.torch import load_file

from bertlens import diagnose
from bertlens.run.checkpoint import load, locate

LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}


def write(folder: Path, *, trained: bool) -> None:
    """A bert-large with the tokenizer of the packaged checkpoint."""
    packaged = locate("minilm")
    for file in packaged.iterdir():
        if file.suffix in (".json", ".txt") and file.name not in ("config.json", "modules.json"):
            shutil.copy(file, folder)
    torch.manual_seed(0)
    model = transformers.BertModel(transformers.BertConfig(**LARGE))
    if trained:
        words = load_file(packaged / "model.safetensors")["embeddings.word_embeddings.weight"]
        with torch.no_grad():
            for parameter in model.parameters():
                as_trained(parameter)
            model.get_input_embeddings().weight.copy_(words.repeat(1, 3)[:, : LARGE["hidden_size"]])
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


def touched(folder: Path) -> None:
    """Load, and read every weight once."""
    for parameter in load(str(folder)).model.parameters():
        parameter.aminmax()


def process(code: str) -> float:
    """Seconds of a whole process."""
    return seconds(lambda: subprocess.run([sys.executable, "-c", code], capture_output=True, check=True))


def turns(rounds: int, *works: Callable[[], float]) -> list[list[float]]:
    """Seconds of each work, taken in turn."""
    return [list(column) for column in zip(*([work() for work in works] for _ in range(rounds)), strict=True)]


def ratio(over: list[float], under: list[float]) -> float:
    """Median of the ratios of neighbours."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


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
    print(max(highest, anonymous()) - before)


def anonymous() -> float:
    """MiB of memory that is no mapped file."""
    status = Path("/proc/self/status").read_text("utf-8")
    return float(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| weights | what | loading, s | check, s | check over loading | bound |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, trained in (("as trained", True), ("a fresh draw", False)):
        with tempfile.TemporaryDirectory() as written:
            folder = Path(written)
            write(folder, trained=trained)
            diagnose.check(written)  # imports and the page cache
            row(name, "two processes", "1.5", *whole(written, options.rounds))
            calls = turns(
                options.rounds,
                lambda folder=folder: seconds(lambda: load(str(folder))),  # type: ignore[misc]
                lambda folder=folder: seconds(lambda: touched(folder)),  # type: ignore[misc]
                lambda folder=folder: seconds(lambda: diagnose.check(str(folder))),  # type: ignore[misc]
            )
            row(name, "two calls, against loading and reading each weight once", "", calls[1], calls[2])
            row(name, "two calls, against a file that is mapped and not read", "", calls[0], calls[2])
            print(f"\nMemory of a check above its start: {peak(folder):.0f} MiB (largest tensor 119 MiB)\n", flush=True)


def whole(folder: str, rounds: int) -> list[list[float]]:
    """Whole processes that load, and that check."""
    check = f"import sys; from bertlens.cli import main; sys.exit(main(['check', {folder!r}]) == 2)"
    codes = (f"import bertlens; bertlens.load({folder!r})", check)
    return turns(rounds, *((lambda code=code: process(code)) for code in codes))  # type: ignore[misc]


def row(name: str, what: str, bound: str, loading: list[float], checking: list[float]) -> None:
    """One line of the table."""
    times = f"{statistics.median(loading):.2f} | {statistics.median(checking):.2f}"
    print(f"| {name} | {what} | {times} | {ratio(checking, loading):.2f} | {bound} |", flush=True)


if __name__ == "__main__":
    main()
