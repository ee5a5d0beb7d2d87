"""Sample: a few hundred tokens of many texts in every hidden state, to compare tokens and layers with each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bertlens.read.survey import Pass, wide
from bertlens.run.inputs import Inputs

TOKENS = 256
"""Tokens in a sample: 32,640 pairs, and 10 MB of a bert-base."""


@dataclass(frozen=True)
class Sample:
    """Tokens of the texts, without special tokens, drawn evenly at random with a fixed seed where there are too many.

    Attributes
    ----------
    texts, positions, ids : (tokens,) the text each comes from, its place among that text's real tokens, its token id.
    values : (states, tokens, hidden).
    of : how many there are to draw from.
    """

    texts: np.ndarray
    positions: np.ndarray
    ids: np.ndarray
    values: np.ndarray
    of: int

    @property
    def unrelated(self) -> np.ndarray:
        """(tokens, tokens) bool: pairs of another token, from another text where there are several."""
        other_token: np.ndarray = self.ids[:, None] != self.ids[None]
        if len(np.unique(self.texts)) > 1:
            other_token &= self.texts[:, None] != self.texts[None]
        return other_token


class SampleReader:
    """Gathers a `Sample` from the passes of a survey."""

    def __init__(self, inputs: Inputs, tokens: int = TOKENS) -> None:
        places = np.array(
            [
                (text, at, row.ids[at])
                for text, row in enumerate(inputs.tokens)
                for at, special in enumerate(row.special)
                if not special
            ],
            dtype=np.int64,
        ).reshape(-1, 3)
        self._of = len(places)
        if len(places) > tokens:
            drawn = torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:tokens]
            places = places[np.sort(drawn.numpy())]
        self._places = places
        self._values: np.ndarray | None = None

    def take(self, one: Pass) -> None:
        """Take the tokens of the sample that stand in one pass."""
        rows = {text: row for row, text in enumerate(one.batch.texts)}
        wanted = [number for number, (text, _, _) in enumerate(self._places) if text in rows]
        if self._values is None:
            empty = wide(one.states[0][:0, 0])
            self._values = np.full((len(one.states), len(self._places), empty.shape[1]), np.nan, empty.numpy().dtype)
        if not wanted:
            return
        row = torch.tensor([rows[int(self._places[number, 0])] for number in wanted])
        place = torch.tensor([int(self._places[number, 1]) for number in wanted])
        # padding may stand in front: the n-th real token of the row
        real = one.real.cpu()
        place = place + real.argmax(1)[row]
        inside = place < real.shape[1]  # with the batch axis lost a row holds its first token alone
        row, place, numbers = row[inside], place[inside], np.array(wanted)[inside.numpy()]
        for at, state in enumerate(one.states):
            self._values[at, numbers] = wide(state[row.to(state.device), place.to(state.device)]).numpy()

    def sample(self) -> Sample:
        """What was gathered."""
        assert self._values is not None, "inputs always hold at least one text"
        there = np.isfinite(self._values).all(axis=(0, 2)) if self._values.size else np.zeros(len(self._places), bool)
        texts, positions, ids = self._places[there].T
        return Sample(texts, positions, ids, self._values[:, there], self._of)
