"""The lookup and the embedding module alone against a full pass, and what an edit costs over its four passes.

python -m benchmarks.lookup [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics

import torch

from benchmarks.cost import seconds
from bertlens import diagnose
from bertlens.diagnose.alone import row_of
from bertlens.run import embedded
from bertlens.run.checkpoint import Checkpoint, load

SIZES = ((1, 16), (1, 128), (1, 512), (32, 32))


def text_of(tokens: int) -> str:
    """A text of so many tokens, special ones included."""
    return " ".join(["word"] * (tokens - 2))


def edited(checkpoint: Checkpoint, tokens: int) -> float:
    """Time of an edit over that of the passes it needs: both sides in float32, and both again in float64."""
    texts = [text_of(tokens)]
    batch = row_of(checkpoint, tuple(texts), 0)

    def bare() -> None:
        for dtype in ("float32", "float32", "float64", "float64"):
            embedded.every_state(checkpoint, batch, dtype=dtype)

    def whole() -> None:
        diagnose.edit(checkpoint, texts, edits="3:scale=2")

    bare()
    whole()
    return seconds(whole) / seconds(bare)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    checkpoint = load()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {options.rounds} rounds, minilm\n")
    print(
        "| rows × tokens | lookup, share of a full pass | embedding module, share of a full pass | edit, over its four passes |"
    )
    print("| --- | --- | --- | --- |")
    for rows, tokens in SIZES:
        costs = [diagnose.lookup_cost(checkpoint, [text_of(tokens)] * rows) for _ in range(options.rounds)]
        shares = [statistics.median(cost.lookup / cost.whole for cost in costs)]
        shares += [statistics.median((cost.module or 0.0) / cost.whole for cost in costs)]
        over = statistics.median(edited(checkpoint, tokens) for _ in range(options.rounds)) if rows == 1 else None
        told = "" if over is None else f"{over:.2f}"
        print(f"| {rows} × {tokens} | {100 * shares[0]:.2f} % | {100 * shares[1]:.2f} % | {told} |", flush=True)


if __name__ == "__main__":
    main()
