"""Head steps: what a head computes for one text, step by step, each held against the same by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bertlens.judge.measures import BOUND, EPS, plain
from bertlens.read.by_hand import FORMULAS, RULES
from bertlens.read.head import Trace
from bertlens.read.head_calls import Call

SATURATED = 0.99
"""A tanh above this in absolute value hardly moves any more and passes hardly any gradient."""

LARGEST_REPEAT = 4_000_000
"""Numbers of an output up to which the head is repeated in float64."""

WORDS = {"__getitem__": "take", "layer_norm": "LayerNorm", "relu": "ReLU", "gelu": "GELU", "sum": "sum", "truediv": "divide"}
"""Names of functions as people write them; the others are called as in PyTorch."""


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a head.

    Attributes
    ----------
    name : the module, or the expression: "bert.pooler.dense", "x[:, 0]".
    kind : what it does: "take", "linear", "tanh", "GELU", "dropout" …
    formula : how it is recomputed by hand; "" where it is only called again.
    shape : of its output in the pass of this text alone, (1, hidden) or (1, tokens, …).
    values : its output, of the shown position where it has tokens; float32.
    gap : largest absolute difference of the whole chain by hand up to here to the model's own numbers.
    gap_float64 : the same with both sides in float64; None where that was not repeated.
    bound_float64 : what rounding can explain there.
    module : name of the module that does this and nothing else, "" for a bare function; `drawn` where its weights are newly
        initialised.
    """

    name: str
    kind: str
    formula: str
    shape: tuple[int, ...]
    values: np.ndarray
    gap: float
    gap_float64: float | None
    bound_float64: float
    module: str
    drawn: bool

    @property
    def norm(self) -> float:
        """L2 length of the values."""
        return float(np.linalg.norm(self.values.astype(np.float64)))

    @property
    def saturation(self) -> float | None:
        """Share of the values above `SATURATED` in absolute value after a tanh; None after anything else."""
        return float((np.abs(self.values) > SATURATED).mean()) if self.kind == "tanh" else None

    @property
    def verdict(self) -> str:
        """By hand against the model: "identical", "rounding", "different", or "undecided" where float64 was not asked."""
        if self.gap == 0:
            return "identical"
        if self.gap_float64 is None:
            return "undecided"
        return "rounding" if self.gap_float64 <= self.bound_float64 else "different"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "shape": list(self.shape),
            "norm": plain(self.norm),
            "mean": plain(float(self.values.mean())),
            "smallest": plain(float(self.values.min())),
            "largest": plain(float(self.values.max())),
            "saturation": self.saturation,
            "by_hand": self.formula,
            "max_abs": self.gap,
            "max_abs_float64": self.gap_float64,
            "verdict": self.verdict,
            "newly_initialised": self.drawn,
        }


def steps_of(trace: Trace, drawn: tuple[str, ...], position: int) -> tuple[Step, ...]:
    """The steps of the head of one text, each recomputed by hand from the last hidden state on.

    Parameters
    ----------
    trace : of a pass with one text.
    drawn : newly initialised weights, by name.
    position : token whose values are kept where a step has tokens.
    """
    start = {id(trace.last): trace.last}
    twice = trace.logits.numel() <= LARGEST_REPEAT
    hand = trace.replay(start, by_hand=True)
    hand64 = trace.replay(start, by_hand=True, double=True) if twice else {}
    own64 = trace.replay(start, double=True) if twice else {}
    found = [_step("last_hidden_state", "encoder", trace.last, (hand, hand64, own64), ("", False), position, "")]
    for call in trace.calls:
        out = call.outputs[0]
        module = call.module if call.alone else ""
        fresh = any(name.rpartition(".")[0] == module for name in drawn) if module else False
        formula = FORMULAS.get(call.name, "") if call.name in RULES else ""
        found.append(_step(_name(call), _kind(call), out, (hand, hand64, own64), (module, fresh), position, formula))
    return tuple(found)


def _step(
    name: str,
    kind: str,
    out: torch.Tensor,
    chains: tuple[dict[int, torch.Tensor], ...],
    of: tuple[str, bool],
    position: int,
    formula: str,
) -> Step:
    hand, hand64, own64 = chains
    repeated = id(out) in own64
    gap64 = float((hand64[id(out)] - own64[id(out)]).abs().max()) if repeated else None
    scale = float(own64[id(out)].abs().max()) if repeated else 0.0
    return Step(
        name=name,
        kind=kind,
        formula=formula,
        shape=tuple(out.shape),
        values=of_position(out, position),
        gap=float((hand[id(out)] - out).abs().max()),
        gap_float64=gap64,
        bound_float64=BOUND * EPS["float64"] * scale,
        module=of[0],
        drawn=of[1],
    )


def of_position(out: torch.Tensor, position: int) -> np.ndarray:
    """The values of the only text: of one token where there is an axis of tokens (3 axes), else all of them."""
    row = out[0] if out.ndim > 1 else out
    return np.atleast_1d((row[position] if row.ndim > 1 else row).detach().float().cpu().numpy())


def _kind(call: Call) -> str:
    return WORDS.get(call.name, call.name.strip("_"))


def _name(call: Call) -> str:
    """The module that does it alone, else the function, a slice as it is written."""
    if call.name == "__getitem__":
        return f"x[{_key(call.args[1])}]"
    if call.alone:
        return call.module
    return f"{call.module}: {call.name}" if call.module else call.name


def _key(key: Any) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    return ", ".join(":" if part == slice(None) else "…" if part is Ellipsis else str(part) for part in parts)
