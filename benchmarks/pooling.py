"""Vectors of many texts: `diagnose.pool` against sentence-transformers' `encode(batch_size=32)`, in turns, the same numbers.

python -m benchmarks.pooling [--texts 256 1000] [--mixes even short scripts] [--rounds 3]
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from benchmarks.cost import seconds
from bertlens import diagnose
from bertlens.run.checkpoint import Checkpoint, load, locate
from bertlens.run.condition import Condition
from bertlens.run.inputs import Batch, prepare
from bertlens.run.packing import packed
from bertlens.run.side_by_side import cores, in_order
from bertlens.run.texts import as_texts


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


def passes_of(checkpoint: Checkpoint, texts: list[str]) -> Callable[[], None]:
    """The forward passes that `pool` makes of these texts, on the same cores, with nothing before and after them."""
    model = checkpoint.instance("float32", "sdpa", False, "cpu")
    batches = list(packed(prepare(checkpoint, as_texts(texts), Condition())))

    def one(batch: Batch) -> None:
        with torch.inference_mode():
            model(**batch.tensors)

    def every() -> None:
        for _ in in_order(one, batches, cores()):
            pass

    return every


def measured(checkpoint: Checkpoint, other: SentenceTransformer, texts: list[str], rounds: int) -> tuple[float, float, float]:
    """Median ratios to their time of ours and of the bare passes, and the largest difference between the vectors.

    Tokenising is in both times, and not in that of the bare passes.
    """
    found: dict[str, np.ndarray] = {}

    def ours(some: list[str] = texts) -> None:
        checkpoint.tokens_kept.clear()
        found["ours"] = diagnose.pool(checkpoint, some, ["mean|l2"]).vectors["mean|l2"]

    def theirs(some: list[str] = texts) -> None:
        found["theirs"] = other.encode(some, batch_size=32)

    ours(texts[:64])  # what both sides do only once
    theirs(texts[:64])
    ratios, passes, apart = [], [], 0.0
    model_alone = passes_of(checkpoint, texts)
    for _ in range(rounds):
        least = seconds(theirs)
        ratios.append(seconds(ours) / least)
        passes.append(seconds(model_alone) / least)
        apart = max(apart, float(np.abs(found["ours"] - found["theirs"]).max()))
    return statistics.median(ratios), statistics.median(passes), apart


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
    print("| texts | of | time over encode(batch_size=32) | bound | the bare passes, over the same | largest difference |")
    print("| --- | --- | --- | --- | --- | --- |")
    for mix in options.mixes:
        for count in options.texts:
            ratio, passes, apart = measured(checkpoint, other, texts_of(count, 256, mix), options.rounds)
            print(f"| {count:,} | {MIXES[mix]} | {ratio:.2f} | 0.70 | {passes:.2f} | {apart:.1e} |", flush=True)


if __name__ == "__main__":
    main()
