"""What a comparison and a padding sweep cost above the bare forward passes that they cannot avoid.

    python -m benchmarks.cost [--rounds 7]

Every figure is a ratio within one run: bare passes and the whole function take turns, and the median ratio is printed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bertlens import diagnose
from bertlens.judge.pair import Pair
from bertlens.judge.sweep import lengths_between
from bertlens.run.checkpoint import Checkpoint, load
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.variants import running

WORD = "embedding "
SIDES = ("batch=alone", "batch=16")


def texts_of(lengths: list[int]) -> list[str]:
    """Texts of about so many tokens."""
    return [WORD * length for length in lengths]


def base_size(folder: Path) -> Checkpoint:
    """A random bert-base: what real users run, without its download."""
    import shutil

    import transformers

    from bertlens.run.checkpoint import locate

    for file in locate("minilm").iterdir():
        if file.suffix in (".json", ".txt") and file.name != "config.json":
            shutil.copy(file, folder)
    transformers.BertModel(transformers.BertConfig()).save_pretrained(folder)
    return load(str(folder))


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bare(checkpoint: Checkpoint, condition: Condition, texts: list[str], dtype: str | None = None) -> float:
    """Seconds of the forward passes alone: tensors are built before, nothing is read after."""
    inputs = prepare(checkpoint, tuple(texts), condition)
    batches = list(inputs)
    model = checkpoint.instance(dtype or condition.dtype, condition.attention, False)
    with running(dtype or condition.dtype, None):
        return seconds(lambda: [model(**batch.tensors) for batch in batches])


def compare_cost(checkpoint: Checkpoint, texts: list[str], rounds: int) -> dict[str, float]:
    """Median ratio of a comparison to its bare passes, the float64 repeat apart."""
    sides = [Condition.parse(side) for side in SIDES]
    repeat: list[float] = []
    original = Pair.in_float64

    def timed(self: Any, *arguments: Any) -> Any:
        start = time.perf_counter()
        found = original(self, *arguments)
        repeat.append(time.perf_counter() - start)
        return found

    Pair.in_float64 = timed  # type: ignore
    ratios, shares = [], []
    try:
        for round_ in range(rounds + 1):
            floor = sum(bare(checkpoint, side, texts) for side in sides)
            checkpoint.kept.clear()
            checkpoint.tokens_kept.clear()
            whole = seconds(lambda: diagnose.compare(checkpoint, texts, reference=SIDES[0], candidate=SIDES[1]))
            if round_:  # the first round warms caches and kernels
                ratios.append((whole - repeat[-1]) / floor)
                shares.append(repeat[-1] / floor)
    finally:
        Pair.in_float64 = original  # type: ignore
    return {"ratio": statistics.median(ratios), "float64": statistics.median(shares)}


def sweep_cost(checkpoint: Checkpoint, texts: list[str], rounds: int, count: int = 12) -> float:
    """Median ratio of a padding sweep to its bare passes."""
    longest = max(len(row.ids) for row in prepare(checkpoint, tuple(texts), Condition()).tokens)
    lengths = lengths_between(longest, checkpoint.max_length, count)

    def floor() -> float:
        total = 0.0
        for dtype in ("float32", "float64"):
            total += bare(checkpoint, Condition(batch="alone"), texts, dtype)
            for mask in ("on", "off"):
                conditions = (Condition(padding=length, mask=mask) for length in lengths)
                total += sum(bare(checkpoint, condition, texts, dtype) for condition in conditions)
        return total

    ratios = []
    for round_ in range(rounds + 1):
        least = floor()
        checkpoint.tokens_kept.clear()
        whole = seconds(lambda: diagnose.padding_sweep(checkpoint, texts, count=count))
        if round_:
            ratios.append(whole / least)
    return statistics.median(ratios)


def sweep_memory(count: int) -> int:
    """Peak memory in MiB of a process that sweeps so many lengths."""
    code = f"from benchmarks.cost import sweep_peak; sweep_peak({count})"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def sweep_peak(count: int) -> None:
    diagnose.padding_sweep(load(), texts_of([8, 20]), count=count)
    status = Path("/proc/self/status").read_text()  # getrusage would tell the peak of the process that started this one
    print(int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    lengths = [4 + 124 * at // 63 for at in range(64)]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {rounds} rounds\n")
    print("| what | checkpoint | over the bare passes | bound | float64 repeat, over the same |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, checkpoint in (("minilm", load()), ("bert-base", base_size(Path(folder)))):
            found = compare_cost(checkpoint, texts_of(lengths[:: 1 if name == "minilm" else 4]), rounds)
            print(f"| compare, alone against batches of 16 | {name} | {found['ratio']:.2f} | 1.10 | {found['float64']:.2f} |")
        print(f"| padding sweep, 12 lengths | minilm | {sweep_cost(load(), texts_of([8, 20]), rounds):.2f} | 1.15 | included |")
    few, many = sweep_memory(4), sweep_memory(24)
    print(f"\npeak memory of a sweep over 4 lengths {few} MiB, over 24 lengths {many} MiB: {many / few:.2f}")


if __name__ == "__main__":
    main()
