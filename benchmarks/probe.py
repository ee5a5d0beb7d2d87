"""How often probing tells apart what is alike, and takes noise for learning: `python -m benchmarks.probe`.

Two sets of vectors of the same law, in which one class lies further along one axis, are drawn again and again; whichever is
called better, it is by chance. Printed are the shares of draws in which that happens: with both tests, as `bertlens.probe`
asks for, with the t-test alone, and, where the classes do not differ, that a readout is said to learn.
"""

from __future__ import annotations

import numpy as np

from bertlens.judge.probing import scores
from bertlens.judge.told_apart import LEVEL, corrected_t, of_guessing, of_two
from bertlens.read.folds import held_out, splits

DRAWS, DIMENSIONS = 200, 10
SETTINGS = ((40, 5, 5, 0.0), (40, 5, 5, 1.5), (40, 2, 1, 1.5))
"""Texts, folds, repeats, and how far the classes lie apart."""


def one(texts: int, folds: int, repeats: int, apart: float, draw: int) -> tuple[float, float, float, float]:
    """The probabilities of both tests, of the t-test alone, of having learnt nothing, and the accuracy."""
    random = np.random.default_rng(draw)
    labels = [("a", "b")[at % 2] for at in range(texts)]
    classes, dealt, found = np.array(labels), splits(labels, folds, repeats, draw), []
    for _ in range(2):
        vectors = random.normal(size=(texts, DIMENSIONS))
        vectors[classes == "a", 0] += apart
        found.append(scores("", classes, held_out(vectors, labels, dealt).labels, dealt))
    guess = scores("", classes, np.full((repeats, texts), "a"), dealt)
    left, right = found
    differences = np.subtract(left.accuracies, right.accuracies)
    alone = corrected_t(differences, folds)
    return of_two(left.right, right.right, dealt), alone, of_guessing(left.right, guess.right, dealt), left.accuracy


if __name__ == "__main__":
    for setting in SETTINGS:
        every = np.array([one(*setting, draw) for draw in range(DRAWS)])
        both, alone, learnt = (every[:, :3] < LEVEL).mean(0)
        texts, folds, repeats, apart = setting
        print(f"{texts} texts, {folds} folds, {repeats} times, {apart} apart: accuracy {every[:, 3].mean():.2f}", end="  ")
        print(f"told apart {both:.3f}, by the t-test alone {alone:.3f}, learns {learnt:.3f}", flush=True)
