"""Layers: what every hidden state of a model is, how the tokens move through them, and how far their cosines can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge import narrow
from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding
from bertlens.judge.measures import plain
from bertlens.read.course import Course, course
from bertlens.read.geometry import QUANTILES, Anisotropy, Outliers
from bertlens.read.pooled import Pooled
from bertlens.read.readout import Readout
from bertlens.read.travel import Travel

if TYPE_CHECKING:
    import pandas as pd

    from bertlens.run.texts import Texts

MOST_UNITS = 5
"""Outlier units that are listed per state."""


@dataclass(frozen=True)
class State:
    """One hidden state: its place, the expression that reads it, and what it is.

    Attributes
    ----------
    index : place among the states, from 0.
    name : "embeddings", "layer 1", …, or "last_hidden_state" where that is none of them.
    expression : how it is read from a model's outputs.
    label : for an axis: "0 embeddings", "1", "6 = last_hidden_state".
    note : what it is, in one sentence.
    """

    index: int
    name: str
    expression: str
    label: str
    note: str


def states_of(names: tuple[str, ...], depth: int) -> tuple[State, ...]:
    """The states of a model of so many layers, from their names as a run gave them."""
    tied = len(names) == depth + 1
    found = []
    for at, name in enumerate(names):
        expression, label, note = f"hidden_states[{at}]", str(at), f"The output of layer {at}."
        if at == 0:
            label = "0 embeddings"
            note = "The output of the embedding layer, before any layer: not layer 1, and more than the lookup alone."
        elif at == depth:
            also = (
                "and the same numbers as last_hidden_state" if tied else "but not last_hidden_state: a last norm comes after it"
            )
            label = f"{at} = last_hidden_state" if tied else label
            note = f"The output of the last layer, hidden_states[-1], {also}."
        elif at > depth:
            expression, label, note = name, name, "The last layer after a last norm; hidden_states does not hold it."
        found.append(State(at, name, expression, label, note))
    return tuple(found)


class OverStates:
    """What is known of every hidden state, in their order."""

    states: tuple[State, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the states."""
        return tuple(state.name for state in self.states)

    @property
    def labels(self) -> tuple[str, ...]:
        """The states as they stand on an axis."""
        return tuple(state.label for state in self.states)


@dataclass(frozen=True, eq=False)
class Layers(OverStates, Shown):
    """The hidden states of a model on some texts, from one pass over them; every method works without running the model.

    Attributes
    ----------
    checkpoint, condition : what was run, and how.
    texts : all texts; `pooled` holds the first of them.
    states : every hidden state with its index.
    depth : layers of the model; hidden_states has one entry more.
    tokens : real tokens of all texts, special tokens included.
    travel : how far the tokens of groups move, in every state.
    anisotropy : how alike the directions of unrelated tokens are (a sample of the texts).
    control : the same for sentences that have nothing to do with each other.
    baseline : the same for the texts' beginnings in this architecture with freshly drawn weights; None where not asked for.
    outliers : the units that make it.
    cka, cka_debiased : (states, states), how alike the states are.
    pooled : the vectors of the first texts under every pooling.
    findings : the most serious first.
    notes : what was left out.
    """

    checkpoint: dict[str, Any]
    condition: str
    texts: Texts
    states: tuple[State, ...]
    depth: int
    tokens: int
    travel: Travel
    anisotropy: Anisotropy
    control: Anisotropy
    baseline: Anisotropy | None
    outliers: Outliers
    cka: np.ndarray
    cka_debiased: np.ndarray
    pooled: Pooled
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    environment: dict[str, Any]

    @property
    def tied(self) -> bool:
        """Whether `hidden_states[-1]` held the numbers of `last_hidden_state` in this run."""
        return self.pooled.tied

    @property
    def verdict(self) -> str:
        """ "problem", "caution" or "sound": that of the most serious finding."""
        severities = {finding.severity for finding in self.findings}
        return next((word for word in ("problem", "caution") if word in severities), "sound")

    @property
    def sentence(self) -> str:
        """How far cosines between the states' vectors can be read, and whether training made them so, with the number."""
        word = {"problem": "Faulty", "caution": "Usable with care", "sound": "Sound"}[self.verdict]
        first = next((finding for finding in self.findings if finding.severity == self.verdict), None)
        if first is None:
            return f"{word}: {self._measured}."
        if first.id == narrow.ID:
            return f"{word}: {first.title}."
        return f"{word}: {first.title}. {self._measured[0].upper()}{self._measured[1:]}."

    @property
    def _measured(self) -> str:
        """How alike unrelated tokens are, where that is no finding."""
        found = self.anisotropy
        if not narrow.judged(found):
            return (
                f"the tuple hidden_states has {self.depth + 1} entries for {self.depth} layers; how alike unrelated tokens are "
                f"needs two different texts and {narrow.LEAST} tokens (here {found.texts} and {found.tokens})"
            )
        state = int(np.nanargmax(found.mean))
        told = narrow.told(self.names, found, self.baseline, state)
        return f"{told}; no other state has more" if found.mean[state] < narrow.HIGH else f"{told}{self._why(state)}"

    def _why(self, state: int) -> str:
        """What a high mean cosine comes from where nothing is wrong."""
        if self.control.mean[state] < narrow.HIGH:
            apart = f"sentences that have nothing in common have {self.control.mean[state]:.2f}"
            return f"; {apart}, so it is these texts that are alike"
        return ": the shape of the model makes that, not its training"

    def course(self, readout: str | Readout) -> Course:
        """The vectors of a pooling in every state: norms, cosines, path and similarity of texts. Nothing is run."""
        return course(self.pooled, readout)

    def of_readout(self, readout: str | Readout) -> pd.DataFrame:
        """One line per state for a pooling: mean norm, change, cosine to the previous and last state, and between texts."""
        return self.course(readout).to_frame()

    def vectors(self, readout: str | Readout) -> np.ndarray:
        """The vectors of any readout, layers and combinations included: (texts, dimensions). Nothing is run."""
        return self.pooled.vectors(readout)

    def top_units(self, count: int = MOST_UNITS) -> pd.DataFrame:
        """The units that contribute most to the mean cosine of every state, with their shares and magnitudes."""
        import pandas as pd

        return pd.DataFrame(list(self._top(count)), columns=["state", "unit", "contribution", "share", "magnitude", "z"])

    def _top(self, count: int) -> list[dict[str, Any]]:
        z = self.outliers.z
        return [
            {
                "state": self.names[at],
                "unit": unit,
                "contribution": float(self.outliers.contributions[at, unit]),
                "share": float(self.outliers.shares(at)[unit]),
                "magnitude": float(self.outliers.magnitude[at, unit]),
                "z": float(z[at, unit]),
            }
            for at in range(len(self.states))
            for unit in self.outliers.top(at, count)
        ]

    def to_frame(self) -> pd.DataFrame:
        """One line per state: how it is read, how far the real tokens moved, and how alike unrelated ones are."""
        import pandas as pd

        nothing = np.full(len(self.states), np.nan)
        moved = {name: self.travel.mean.get((name, "real"), nothing) for name in ("norm", "change", "to_previous", "to_last")}
        return pd.DataFrame(
            {
                "index": [state.index for state in self.states],
                "state": self.names,
                "expression": [state.expression for state in self.states],
                **moved,
                "unrelated": self.anisotropy.mean,
                "unrelated, freshly initialised": nothing if self.baseline is None else self.baseline.mean,
                "unrelated, centred": self.anisotropy.centred,
                "note": [state.note for state in self.states],
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The document of the contract `bertlens.layers/1`; the texts themselves are not in it."""
        return {
            "schema": "bertlens.layers/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "checkpoint": self.checkpoint,
            "condition": self.condition,
            "texts": len(self.texts),
            "texts_pooled": self.pooled.texts,
            "tokens": self.tokens,
            "tied": self.tied,
            "states": [self._state(state) for state in self.states],
            "anisotropy": _anisotropy(self.anisotropy),
            "control": _anisotropy(self.control),
            "baseline": None if self.baseline is None else _anisotropy(self.baseline),
            "outliers": [{key: plain(value) for key, value in line.items()} for line in self._top(MOST_UNITS)],
            "cka": _plain(self.cka),
            "cka_debiased": _plain(self.cka_debiased),
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
            "environment": self.environment,
        }

    def _state(self, state: State) -> dict[str, Any]:
        moments = {
            "mean": self.travel.mean,
            "std": self.travel.std,
            "smallest": self.travel.smallest,
            "largest": self.travel.largest,
        }
        moved: dict[str, Any] = {}
        for group, count in self.travel.tokens.items():
            moved[group] = {"tokens": count}
            for measure, of in [key for key in self.travel.mean if key[1] == group]:
                moved[group][measure] = {name: plain(float(all_[measure, of][state.index])) for name, all_ in moments.items()}
        facts = {"index": state.index, "name": state.name, "expression": state.expression, "note": state.note}
        return {**facts, "travel": moved}


def _anisotropy(found: Anisotropy) -> dict[str, Any]:
    return {
        "tokens": found.tokens,
        "texts": found.texts,
        "pairs": found.pairs,
        "mean": _plain(found.mean),
        "quantiles": {f"{level:g}": _plain(values) for level, values in zip(QUANTILES, found.quantiles.T, strict=True)},
        "centred": _plain(found.centred),
        "common": _plain(found.common),
        "isotropic_std": found.isotropic,
    }


def _plain(values: np.ndarray) -> Any:
    """Nested lists, with None in the place of NaN."""
    return [_plain(value) if isinstance(value, np.ndarray) else plain(float(value)) for value in values]
