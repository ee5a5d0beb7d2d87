"""Vectors of many texts: `diagnose.pool` against sentence-transformers' `encode(batch_size=32)`, in turns, the same numbers.

python -m benchmarks.pooling [--texts 256 1000] [--mixes even short scripts] [--rounds 3]
"""

from __future__ import annotations

import argparse
import random
import statistics

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from benchmarks.cost import seconds
from bertlens import diagnose
from bertlens.run.checkpoint import Checkpoint, load, locate


def texts_of(count: int, most: int, mix: str = "even", seed: int = 0) -> list[str]:
    """Texts of 4 to `most` tokens in mixed order, of words that are one token each: a key of `MIXES`."""
    draw = random.Random(seed)
    vocabulary = (locate("minilm") / "vocab.txt").read_text("utf-8").split("\n")
    words = [word for word in vocabulary if word.isascii() and word.isalpha()]
    signs = [word for word in vocabulary if len(word) == 1 and "\u3040" <= word <= "\u9fff"]
    found = []
    for number in range(count):
        length = round(4 * (most / 4) ** draw.random()) if mix == "short" else draw.randint(4, most)
        chosen = signs if mix == "scripts" and number % 2 else words
        found.append(
            " ".join(draw.choices(words, k=length - 2)) if chosen is words else "".join(draw.choices(signs, k=length - 2))
        )
    return found


MIXES = {
    "even": "4 to 256 tokens, every length as often",
    "short": "4 to 256 tokens, mostly short (lengths log-uniform)",
    "scripts": "4 to 256 tokens, half English words, half Chinese and Japanese characters",
}


def measured(checkpoint: Checkpoint, other: SentenceTransformer, texts: list[str], rounds: int) -> tuple[float, float]:
    """Median ratio of our time to theirs, and the largest difference between the vectors; tokenising is in both times."""
    found: dict[str, np.ndarray] = {}

    def ours(some: list[str] = texts) -> None:
        checkpoint.tokens_kept.clear()
        found["ours"] = diagnose.pool(checkpoint, some, ["mean|l2"]).vectors["mean|l2"]

    def theirs(some: list[str] = texts) -> None:
        found["theirs"] = other.encode(some, batch_size=32)

    ours(texts[:64])  # what both sides do only once
    theirs(texts[:64])
    ratios, apart = [], 0.0
    for _ in range(rounds):
        least = seconds(theirs)
        ratios.append(seconds(ours) / least)
        apart = max(apart, float(np.abs(found["ours"] - found["theirs"]).max()))
    return statistics.median(ratios), apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, nargs="*", default=[256, 1000])
    parser.add_argument("--mixes", nargs="*", default=list(MIXES), choices=list(MIXES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    checkpoint = load()
    other = SentenceTransformer(str(locate("minilm")), device="cpu")
    other.max_seq_length = checkpoint.max_length
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {options.rounds} rounds, minilm\n")
    print("| texts | of | time over encode(batch_size=32) | bound | largest difference |")
    print("| --- | --- | --- | --- | --- |")
    for mix in options.mixes:
        for count in options.texts:
            ratio, apart = measured(checkpoint, other, texts_of(count, 256, mix), options.rounds)
            print(f"| {count:,} | {MIXES[mix]} | {ratio:.2f} | 0.70 | {apart:.1e} |", flush=True)


if __name__ == "__main__":
    main()
