"""What a profile of all layers and all readouts together cost above a forward pass that keeps nothing, in time and in memory.

    python -m benchmarks.layers [--rounds 5]

Every time is a ratio within one run, both sides taking turns; memory is the peak of a process of its own, counted from the
loaded model on. The model is a random bert-base.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.cost import base_size, seconds
from bertlens import diagnose
from bertlens.read.pooled import pool_all
from bertlens.run.checkpoint import Checkpoint, load
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.packing import cut
from bertlens.run.variants import running

LONG = [512] * 32
EVEN = [4 + 252 * at // 31 for at in range(32)]
MIXED = [round(4 * 64 ** (at / 31)) for at in range(32)]
MIDDLE = [128] * 32
WAYS = ("forward", "profile", "profile with baseline")


def texts_of(lengths: list[int]) -> tuple[str, ...]:
    """Texts of exactly so many tokens, special tokens included."""
    return tuple("word " * (length - 2) for length in lengths)


def forward(checkpoint: Checkpoint, texts: tuple[str, ...]) -> Callable[[], Any]:
    """One padded pass over all texts that keeps no hidden state."""
    inputs = prepare(checkpoint, texts, Condition())
    width = max(len(row.ids) for row in inputs.tokens)
    batch = inputs._batch(tuple(range(len(texts))), width)  # in one pass, however large
    model = checkpoint.instance("float32", "sdpa", False)

    def run() -> None:
        with running("float32", None):
            model(**batch.tensors)

    return run


def profile(checkpoint: Checkpoint, texts: tuple[str, ...], *, baseline: bool) -> Callable[[], Any]:
    """What the page Layers shows; tokenising included."""

    def run() -> None:
        checkpoint.tokens_kept.clear()
        diagnose.layers(checkpoint, texts, baseline=baseline)

    return run


def way(name: str, checkpoint: Checkpoint, texts: tuple[str, ...]) -> Callable[[], Any]:
    if name == "forward":
        return forward(checkpoint, texts)
    return profile(checkpoint, texts, baseline="baseline" in name)


def ratio(floor: Callable[[], Any], whole: Callable[[], Any], rounds: int) -> float:
    """Median of the ratios of so many rounds; one more warms up."""
    ratios = [seconds(whole) / least for least in (seconds(floor) for _ in range(rounds + 1))]
    return statistics.median(ratios[1:])


def readouts(checkpoint: Checkpoint, rounds: int) -> float:
    """All poolings of all states of one pass, over one that keeps nothing."""
    texts = texts_of(MIDDLE)
    inputs = prepare(checkpoint, texts, Condition())
    return ratio(forward(checkpoint, texts), lambda: pool_all(cut(inputs)), rounds)


def peak(name: str, lengths: str, folder: str) -> int:
    """Peak memory in MiB above the loaded model, of a process of its own."""
    code = f"from benchmarks.layers import grow; grow({name!r}, {lengths!r}, {folder!r})"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def grow(name: str, lengths: str, folder: str) -> None:
    """Print how far memory grew."""
    checkpoint = load(folder)
    way(name, checkpoint, texts_of([8]))()  # what the libraries allocate once
    run = way(name, checkpoint, texts_of({"long": LONG, "mixed": MIXED, "even": EVEN}[lengths]))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    run()
    print(memory("VmHWM") - before)


def memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {rounds} rounds, random bert-base\n")
    print("| what | time over one padded forward | bound | peak memory over it, MiB | bound |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = base_size(Path(folder))
        for words, key, lengths, bounds in (
            ("32 texts × 512 tokens", "long", LONG, (1.10, 1.2)),
            ("32 texts of 4 to 256 tokens, in equal ratios", "mixed", MIXED, (0.35, 0.35)),
            ("32 texts of 4 to 256 tokens, in equal steps", "even", EVEN, (sum(EVEN) / 8192, 0.35)),
        ):
            texts = texts_of(lengths)
            least = peak("forward", key, folder)
            for name in WAYS[1:]:
                found = ratio(forward(checkpoint, texts), way(name, checkpoint, texts), rounds)
                most = peak(name, key, folder)
                share = f"{most / least:.2f} ({most} of {least})"
                print(f"| {name}, {words} | {found:.2f} | {bounds[0]:.2f} | {share} | {bounds[1]} |", flush=True)
        print(f"| all readouts, 32 texts × 128 tokens | {readouts(checkpoint, rounds):.3f} | 1.05 | | |")
    print(f"| all readouts, 32 texts × 128 tokens, minilm | {readouts(load(), rounds):.3f} | 1.05 | | |")


if __name__ == "__main__":
    main()
