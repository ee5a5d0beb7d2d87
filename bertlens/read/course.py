"""Course: the vectors of one pooling in every hidden state: how long, how far they move, how alike the texts are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.read.geometry import Trail, pairs_of, trail
from bertlens.read.neighbours import similarity
from bertlens.read.pooled import Pooled
from bertlens.read.readout import Readout
from bertlens.read.travel import MEASURES, measures

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Course:
    """One vector per text in every hidden state, as a pooling reads it.

    Attributes
    ----------
    readout : the pooling, with `|l2` where the vectors are normalised.
    states : names of the hidden states.
    vectors : (states, texts, hidden).
    """

    readout: str
    states: tuple[str, ...]
    vectors: np.ndarray

    @cached_property
    def measures(self) -> dict[str, np.ndarray]:
        """Every measure of `bertlens.read.travel.MEASURES` of these vectors, each (states, texts); NaN before layer 1."""
        found = measures(torch.from_numpy(self.vectors))
        return {name: values.double().numpy() for name, values in found.items()}

    def similarity(self, state: int) -> np.ndarray:
        """Cosine between every two texts in one state: (texts, texts). Those of all states are too much for many texts."""
        return similarity(self.vectors[state])

    @cached_property
    def pairs(self) -> dict[str, np.ndarray]:
        """Mean, smallest and largest cosine over pairs of different texts, each (states,); NaN for a single text."""
        return pairs_of(self.similarity(state) for state in range(len(self.states)))

    def trail(self) -> Trail:
        """The way of the texts through the states in the plane in which all vectors together vary most."""
        return trail(self.vectors)

    def to_frame(self) -> pd.DataFrame:
        """One line per state: the mean of every measure over the texts, and the cosine between different texts."""
        import pandas as pd

        columns: dict[str, object] = {"state": self.states}
        for name, values in self.measures.items():
            there = values[:, np.isfinite(self.vectors).all((0, 2))]
            columns[name] = there.mean(1) if there.shape[1] else np.full(len(values), np.nan)
        columns |= {f"{name} cosine of two texts": values for name, values in self.pairs.items()}
        return pd.DataFrame(columns)

    def per_text(self) -> pd.DataFrame:
        """One line per state and text, with every measure."""
        import pandas as pd

        states, texts = self.vectors.shape[:2]
        where = {"state": np.repeat(self.states, texts), "text": np.tile(np.arange(texts), states)}
        return pd.DataFrame(where | {name: self.measures[name].ravel() for name in MEASURES})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the line of each state."""
        frame = self.to_frame()
        lines = [
            {str(key): None if value != value else value for key, value in line.items()} for line in frame.to_dict("records")
        ]
        return {"readout": self.readout, "texts": self.vectors.shape[1], "states": lines}


def course(pooled: Pooled, readout: str | Readout) -> Course:
    """The course of a pooling through the states; nothing is run.

    Raises
    ------
    BertlensError
        For a readout that names layers, for the pooler (it reads one state), or for a pooling that was not gathered.
    """
    chosen = Readout.parse(readout).in_every_layer()
    pooled.vectors(Readout(chosen.pooling))  # says which poolings there are
    vectors = pooled.values[chosen.pooling]
    if chosen.l2:
        vectors = torch.nn.functional.normalize(torch.from_numpy(vectors), dim=-1).numpy()
    return Course(str(chosen), pooled.states, vectors)
