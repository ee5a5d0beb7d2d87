"""Layer tables: the numbers behind the pictures of the hidden states, one data frame for each picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bertlens.read.travel import GROUPS

if TYPE_CHECKING:
    from bertlens.judge.layers import Layers
    from bertlens.judge.token_layers import TokenLayers
    from bertlens.read.course import Course


def travel(found: Layers, measure: str) -> pd.DataFrame:
    """One line per state and group of tokens: mean, standard deviation, smallest and largest value of a measure."""
    moved = found.travel
    moments = {"mean": moved.mean, "std": moved.std, "smallest": moved.smallest, "largest": moved.largest}
    lines = [
        {"state": state.name, "tokens": words, "count": moved.tokens[group]}
        | {name: float(values[measure, group][state.index]) for name, values in moments.items()}
        for group, words in GROUPS.items()
        if (measure, group) in moved.mean
        for state in found.states
    ]
    return pd.DataFrame(lines, columns=["state", "tokens", "count", *moments])


def unrelated(found: Layers) -> pd.DataFrame:
    """One line per state: the mean cosine of unrelated tokens, and everything that it is held against."""
    nothing = np.full(len(found.states), np.nan)
    return pd.DataFrame(
        {
            "state": found.names,
            "mean cosine": found.anisotropy.mean,
            "5 % of pairs below": found.anisotropy.quantiles[:, 0],
            "5 % of pairs above": found.anisotropy.quantiles[:, -1],
            "mean vector taken off": found.anisotropy.centred,
            "share of the mean vector": found.anisotropy.common,
            "sentences with nothing in common": found.control.mean,
            "freshly initialised": nothing if found.baseline is None else found.baseline.mean,
        }
    )


def square(values: np.ndarray, names: list[str] | tuple[str, ...]) -> pd.DataFrame:
    """A square of numbers, (names, names), with its names before every row and above every column."""
    frame = pd.DataFrame(values, columns=[str(name) for name in names])
    frame.insert(0, "", list(names))
    return frame


def trail(course: Course) -> pd.DataFrame:
    """One line per text and state: its place in the plane."""
    ways = course.trail().coordinates
    states, texts = ways.shape[:2]
    return pd.DataFrame(
        {
            "text": np.tile(np.arange(texts), states),
            "state": np.repeat(course.states, texts),
            "component 1": ways[..., 0].ravel(),
            "component 2": ways[..., 1].ravel(),
        }
    )


def units(found: TokenLayers, token: int) -> pd.DataFrame:
    """One line per hidden unit of a token, one column per state."""
    frame = pd.DataFrame(found.values[:, token].T, columns=list(found.names))
    frame.insert(0, "unit", np.arange(len(frame)))
    return frame
