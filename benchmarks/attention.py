"""What reading the attention of a text costs above the bare forward pass with eager attention, in time and in memory.

    python -m benchmarks.attention [--rounds 5]

Every time is a ratio within one run, both sides taking turns; memory is the peak of a process of its own, counted from the
loaded model on. The model is a random bert-base (12 layers, 12 heads), the text 512 tokens long.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.cost import base_size
from benchmarks.layers import memory, ratio, texts_of
from bertlens import diagnose
from bertlens.run.checkpoint import Checkpoint, load
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.variants import running

WAYS = {
    "bare": "one forward pass with eager attention, nothing kept",
    "all": "the same with output_attentions=True",
    "measures": "every measure of every head, no map kept",
    "maps": "the same, with the maps of all heads kept",
}


def way(name: str, checkpoint: Checkpoint, texts: tuple[str, ...]) -> Callable[[], Any]:
    """A function that reads the attention of one text in one of the ways."""
    if name in ("measures", "maps"):
        return lambda: diagnose.attention(checkpoint, texts, maps=name == "maps")
    batch = next(iter(prepare(checkpoint, texts, Condition())))
    model = checkpoint.instance("float32", "eager", False)

    def run() -> Any:
        with running("float32", None):
            return model(**batch.tensors, output_attentions=name == "all")

    return run


def peak(name: str, tokens: int, folder: str) -> int:
    """Peak memory in MiB above the loaded model, of a process of its own."""
    code = f"from benchmarks.attention import grow; grow({name!r}, {tokens}, {folder!r})"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def grow(name: str, tokens: int, folder: str) -> None:
    """Print how far memory grew."""
    checkpoint = load(folder)
    way(name, checkpoint, texts_of([8]))()  # what the libraries allocate once
    run = way(name, checkpoint, texts_of([tokens]))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    held = run()
    print(memory("VmHWM") - before)
    del held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {rounds} rounds, random bert-base\n")
    print("| what | tokens | time over the bare pass | peak memory, MiB |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = base_size(Path(folder))
        for tokens in (128, 512):
            texts = texts_of([tokens])
            for name, words in WAYS.items():
                bare, whole = (way(one, checkpoint, texts) for one in ("bare", name))
                found = "1" if name == "bare" else f"{ratio(bare, whole, rounds):.2f}"
                print(f"| {words} | {tokens} | {found} | {peak(name, tokens, folder)} |", flush=True)


if __name__ == "__main__":
    main()
