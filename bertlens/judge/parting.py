"""Parting: the layer and the token at which two runs of a text first differ."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.display import notebook
from bertlens.judge.measures import BOUND, EPS, plain
from bertlens.read.states import States

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Parting:
    """Difference per layer and token between two runs of one text.

    Attributes
    ----------
    text : index of the text.
    tokens : the tokens that both runs have, in order; padding is left out on both sides.
    layers : "embeddings", "layer 1", …
    max_abs : (layers, tokens), largest absolute difference over the hidden units; NaN where one run alone is NaN.
    bound : (layers,), what rounding explains in each layer; 0 where the runs were compared as they were run.
    padding : padding tokens of the row in the reference and in the candidate.
    left_out : real tokens without a partner in the other run.
    float64 : whether both runs were repeated in float64.
    """

    text: int
    tokens: tuple[str, ...]
    layers: tuple[str, ...]
    max_abs: np.ndarray
    bound: np.ndarray
    padding: tuple[int, int]
    left_out: int
    float64: bool

    @property
    def first(self) -> tuple[int, int] | None:
        """(layer, token) of the first difference beyond the bound, the largest of that layer; None if there is none."""
        beyond = ~(self.max_abs <= self.bound[:, None])  # NaN is beyond every bound
        if not self.tokens or not beyond.any():
            return None
        layer = int(beyond.any(1).argmax())
        return layer, int(np.nan_to_num(self.max_abs[layer], nan=np.inf).argmax())

    @property
    def sentence(self) -> str:
        """Where the runs part, in words."""
        if not self.tokens:
            return "The two runs have no token in common."
        if self.first is None:
            same = "agree up to float64 rounding" if self.float64 else "are bit-equal"
            return f"The two runs {same} in every layer."
        layer, token = self.first
        where = "in the embeddings" if layer == 0 else f"in {self.layers[layer]}"
        return f"The two runs first part {where}, most at token {token} “{self.tokens[token]}”."

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "text": self.text,
            "tokens": list(self.tokens),
            "layers": list(self.layers),
            "max_abs": [[plain(float(value)) for value in layer] for layer in self.max_abs],
            "first": list(self.first) if self.first else None,
            "padding": list(self.padding),
            "left_out": self.left_out,
            "float64": self.float64,
            "sentence": self.sentence,
        }

    def _repr_html_(self) -> str:
        return notebook(self)

    def to_frame(self) -> pd.DataFrame:
        """One line per layer and token."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"layer": layer, "position": at, "token": token, "max_abs": float(self.max_abs[depth, at])}
                for depth, layer in enumerate(self.layers)
                for at, token in enumerate(self.tokens)
            ]
        )

    def by_layer(self) -> pd.DataFrame:
        """One line per layer: the largest difference over the tokens, and what rounding explains."""
        import pandas as pd

        largest = self.max_abs.max(1, initial=0.0)
        return pd.DataFrame({"layer": self.layers, "max_abs": largest, "bound": self.bound})


def part(text: int, reference: States, candidate: States, tokenizer: Any, *, float64: bool) -> Parting:
    """Align the real tokens of two runs by what they are (never by position) and measure every layer."""
    pairs = _aligned(reference.ids, candidate.ids)
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    a, b = reference.values[:, left].astype(np.float64), candidate.values[:, right].astype(np.float64)
    depth = min(len(a), len(b))
    with np.errstate(invalid="ignore"):
        alike = (a[:depth] == b[:depth]) | (np.isnan(a[:depth]) & np.isnan(b[:depth]))
        gap = np.where(alike, 0.0, np.abs(a[:depth] - b[:depth])).max(2) if pairs else np.zeros((depth, 0))
    finite = [values[np.isfinite(values)] for values in reference.values[:depth]]
    scale = np.array([np.abs(values).max(initial=0.0) for values in finite])
    bound = BOUND * EPS["float64"] * scale if float64 else np.zeros(depth)
    tokens = tokenizer.convert_ids_to_tokens([reference.ids[at] for at in left])
    left_out = len(reference.ids) + len(candidate.ids) - 2 * len(pairs)
    padding = (reference.padding, candidate.padding)
    return Parting(text, tuple(map(str, tokens)), reference.names[:depth], gap, bound, padding, left_out, float64)


def _aligned(a: tuple[int, ...], b: tuple[int, ...]) -> list[tuple[int, int]]:
    if a == b:
        return [(at, at) for at in range(len(a))]
    blocks = difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
