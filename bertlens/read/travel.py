"""Travel: how far every token moves from one hidden state to the next, summed up over all texts as the states appear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bertlens.read.survey import Pass

MEASURES: dict[str, str] = {
    "norm": "length of the vector (L2)",
    "change": "length of the step from the previous state, over the length of that state",
    "to_previous": "cosine to the same token in the previous state",
    "to_last": "cosine to the same token in last_hidden_state",
}
"""What is measured of every token in every hidden state; `change` and `to_previous` begin with layer 1."""

GROUPS: dict[str, str] = {
    "real": "every token that is not padding",
    "cls": "the first token of every text",
    "content": "tokens that are not special",
}
"""Tokens that are summed up together."""


def measures(states: torch.Tensor | tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    """Every measure of `MEASURES`, each (states, …): `states` is (states, …, hidden), or a tuple of (…, hidden).

    The first entry of `change` and `to_previous` is NaN. A vector of zeros has the cosine 0 to every other, one that
    is no number has none.
    """
    last, before = states[-1], None
    last_norm = torch.linalg.vector_norm(last, dim=-1)
    norm_before = torch.full_like(last_norm, torch.nan)
    found: dict[str, list[torch.Tensor]] = {name: [] for name in MEASURES}
    for state in states:
        norm = torch.linalg.vector_norm(state, dim=-1)
        found["norm"].append(norm)
        if before is None:
            found["change"].append(norm_before)
            found["to_previous"].append(norm_before)
        else:
            found["change"].append(torch.linalg.vector_norm(state - before, dim=-1) / norm_before)
            found["to_previous"].append(_cosine(state, before, norm * norm_before))
        found["to_last"].append(_cosine(state, last, norm * last_norm))
        before, norm_before = state, norm
    return {name: torch.stack(values) for name, values in found.items()}


def _cosine(a: torch.Tensor, b: torch.Tensor, norms: torch.Tensor) -> torch.Tensor:
    product = (a * b).sum(-1)
    return torch.where(norms == 0, torch.zeros_like(product), product / norms).clamp(-1, 1)


@dataclass(frozen=True)
class Travel:
    """Moments of every measure over the tokens of a group, in every hidden state.

    Attributes
    ----------
    tokens : group -> how many tokens.
    mean, std, smallest, largest : (measure, group) -> (states,), float64; NaN where there is no token or no previous state.
    """

    tokens: dict[str, int]
    mean: dict[tuple[str, str], np.ndarray]
    std: dict[tuple[str, str], np.ndarray]
    smallest: dict[tuple[str, str], np.ndarray]
    largest: dict[tuple[str, str], np.ndarray]


class TravelReader:
    """Gathers `Travel` from the passes of a survey; it keeps four numbers per measure, group and state."""

    def __init__(self) -> None:
        self._tokens = dict.fromkeys(GROUPS, 0)
        self._sums: dict[tuple[str, str], np.ndarray] = {}

    def take(self, one: Pass) -> None:
        """Measure the tokens of one pass."""
        first = torch.zeros_like(one.real).scatter_(1, one.real.argmax(1, keepdim=True), 1) * one.real
        groups = {"real": one.real, "cls": first, "content": one.real * (1 - one.special)}
        kept = one.real.bool()
        # only real tokens are measured: (tokens of the pass, hidden) per state
        found = measures(tuple(state[kept] for state in one.states) if not bool(kept.all()) else _flat(one.states))
        inside = {name: members[kept].bool().cpu() for name, members in groups.items()}
        for name, members in inside.items():
            self._tokens[name] += int(members.sum())
        for measure, values in found.items():
            values = values.double().cpu()
            for group, members in inside.items():
                self._add((measure, group), values[:, members].numpy())

    def _add(self, key: tuple[str, str], values: np.ndarray) -> None:
        if not values.shape[1]:
            return
        # shifted by a first value, so that the sum of squares loses no digits where the spread is small
        if key not in self._sums:
            start = np.zeros((5, len(values)))
            start[0], start[3], start[4] = values[:, 0], np.inf, -np.inf
            self._sums[key] = start
        sums = self._sums[key]
        apart = values - sums[0][:, None]
        sums[1] += apart.sum(1)
        sums[2] += (apart**2).sum(1)
        sums[3] = np.minimum(sums[3], values.min(1))
        sums[4] = np.maximum(sums[4], values.max(1))

    def travel(self) -> Travel:
        """What was gathered."""
        mean, std, smallest, largest = {}, {}, {}, {}
        for (measure, group), (shift, total, squares, low, high) in self._sums.items():
            count, key = self._tokens[group], (measure, group)
            mean[key] = shift + total / count
            std[key] = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))
            smallest[key], largest[key] = low, high
        return Travel(dict(self._tokens), mean, std, smallest, largest)


def _flat(states: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(state.flatten(0, 1) for state in states)
