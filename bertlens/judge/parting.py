"""Parting: the layer and the token at which two runs of a text first differ."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.display import Shown
from bertlens.judge.measures import BOUND, EPS, plain
from bertlens.read.states import States

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Side:
    """The whole row of one run as it stood in the forward pass.

    Attributes
    ----------
    tokens : (positions,) the token strings, padding included.
    padding : (positions,), True on padding.
    norms : (states, positions), L2 norm of every state at every position, padding included.
    aligned : (positions,), index of the token among those that both runs have, -1 for padding and where there is no partner.
    condition : what it was run under, "" where nobody said.
    """

    tokens: tuple[str, ...]
    padding: np.ndarray
    norms: np.ndarray
    aligned: np.ndarray
    condition: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "condition": self.condition,
            "tokens": list(self.tokens),
            "padding": self.padding.tolist(),
            "aligned": self.aligned.tolist(),
            "norms": [[plain(float(norm)) for norm in state] for state in self.norms],
        }


@dataclass(frozen=True)
class Parting(Shown):
    """Difference per layer and token between two runs of one text.

    Attributes
    ----------
    text : index of the text.
    tokens : the tokens that both runs have, in order; padding is left out on both sides.
    layers : the states: "embeddings", "layer 1", …; where the sublayers are resolved, "layer 1 attention" before "layer 1".
    max_abs : (layers, tokens), largest absolute difference over the hidden units; NaN where one run alone is NaN.
    bound : (layers,), what rounding explains in each layer; 0 where the runs were compared as they were run.
    padding : padding tokens of the row in the reference and in the candidate.
    left_out : real tokens without a partner in the other run.
    float64 : whether both runs were repeated in float64.
    sides : the whole rows of the reference and of the candidate.
    """

    text: int
    tokens: tuple[str, ...]
    layers: tuple[str, ...]
    max_abs: np.ndarray
    bound: np.ndarray
    padding: tuple[int, int]
    left_out: int
    float64: bool
    sides: tuple[Side, Side]

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
            "sides": [side.to_dict() for side in self.sides],
        }

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

    def sides_to_frame(self) -> pd.DataFrame:
        """One line per side, state and position, padding included: what stands there and its norm."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"side": name, "layer": layer, "position": at, "token": token, "padding": bool(padding), "norm": float(norm)}
                for name, side in zip(("reference", "candidate"), self.sides, strict=True)
                for layer, norms in zip(self.layers, side.norms, strict=True)
                for at, (token, padding, norm) in enumerate(zip(side.tokens, side.padding, norms, strict=True))
            ]
        )


def part(
    text: int,
    reference: States,
    candidate: States,
    tokenizer: Any,
    *,
    float64: bool,
    conditions: tuple[str, str] = ("", ""),
) -> Parting:
    """Align the real tokens of two runs by what they are (never by position) and measure every state that both have.

    Parameters
    ----------
    conditions : what the two were run under.
    """
    pairs = _aligned(reference.ids, candidate.ids)
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    names = tuple(name for name in reference.names if name in candidate.names)
    gap, scale = np.zeros((len(names), len(pairs))), np.zeros(len(names))
    for at, name in enumerate(names):  # one state at a time: of long rows all of them would be needed several times over
        a, b = reference.values[reference.names.index(name)], candidate.values[candidate.names.index(name)]
        gap[at] = _gap(a[left].astype(np.float64), b[right].astype(np.float64)) if pairs else 0.0
        scale[at] = np.abs(a[np.isfinite(a)]).max(initial=0.0)
    bound = BOUND * EPS["float64"] * scale if float64 else np.zeros(len(names))
    tokens = tokenizer.convert_ids_to_tokens([reference.ids[at] for at in left])
    left_out = len(reference.ids) + len(candidate.ids) - 2 * len(pairs)
    padding = (reference.padding, candidate.padding)
    sides = (
        _side(reference, names, left, tokenizer, conditions[0]),
        _side(candidate, names, right, tokenizer, conditions[1]),
    )
    return Parting(text, tuple(map(str, tokens)), names, gap, bound, padding, left_out, float64, sides)


def _gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Largest absolute difference over the hidden units per token; NaN where one run alone is NaN."""
    with np.errstate(invalid="ignore"):
        alike = (a == b) | (np.isnan(a) & np.isnan(b))
        gap: np.ndarray = np.where(alike, 0.0, np.abs(a - b)).max(1)
    return gap


def _side(states: States, names: tuple[str, ...], paired: list[int], tokenizer: Any, condition: str) -> Side:
    aligned = np.full(len(states.row), -1)
    aligned[np.flatnonzero(states.real)[paired]] = np.arange(len(paired))
    tokens = tuple(map(str, tokenizer.convert_ids_to_tokens(list(states.row))))
    norms = states.norms[[states.names.index(name) for name in names]]
    return Side(tokens, ~states.real, norms, aligned, condition)


def _aligned(a: tuple[int, ...], b: tuple[int, ...]) -> list[tuple[int, int]]:
    if a == b:
        return [(at, at) for at in range(len(a))]
    blocks = difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
