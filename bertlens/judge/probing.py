"""Probing: which readout a linear layer learns most from, on labels, by cross-validation; and whether it is more than luck."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from statistics import stdev
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding
from bertlens.judge.measures import plain
from bertlens.judge.told_apart import LEVEL, holm, of_guessing, of_two
from bertlens.judge.wording import number
from bertlens.read.folds import Splits, layer_of

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "majority class"
"""How the classifier is called that always says the label which is commonest in its training folds."""


@dataclass(frozen=True, eq=False)
class Scores:
    """How well one classifier did on texts that it had not seen.

    Attributes
    ----------
    name : the readout that it reads, or `BASELINE`.
    accuracies, macro_f1s : one per fold and repeat, 0 … 1; macro-F1 is the mean of the classes' F1, each counting alike.
    right : (repeats, texts) whether a text's held-out label was right.
    """

    name: str
    accuracies: tuple[float, ...]
    macro_f1s: tuple[float, ...]
    right: np.ndarray

    @property
    def accuracy(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.accuracies))

    @property
    def spread(self) -> float:
        """Standard deviation of the accuracy over the folds, of a sample."""
        return stdev(self.accuracies)

    @property
    def macro_f1(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.macro_f1s))

    @property
    def macro_f1_spread(self) -> float:
        """Standard deviation of the macro-F1 over the folds, of a sample."""
        return stdev(self.macro_f1s)

    def to_dict(self) -> dict[str, Any]:
        """Name, means and spreads."""
        return {
            "readout": self.name,
            "accuracy": self.accuracy,
            "accuracy_spread": self.spread,
            "macro_f1": self.macro_f1,
            "macro_f1_spread": self.macro_f1_spread,
        }

    @property
    def words(self) -> str:
        """Name and accuracy."""
        return f"{self.name} {self.accuracy:.2f}"


def scores(name: str, labels: np.ndarray, said: np.ndarray, dealt: Splits) -> Scores:
    """What held-out predictions, (repeats, texts), are worth against the labels, (texts,), test by test."""
    from sklearn.metrics import f1_score

    folds = len(dealt) // len(said)
    pairs = [(labels[test], said[at // folds, test]) for at, (_, test) in enumerate(dealt)]
    f1s = tuple(float(f1_score(*pair, average="macro", zero_division=0.0)) for pair in pairs)
    return Scores(name, tuple(float((true == guess).mean()) for true, guess in pairs), f1s, said == labels)


@dataclass(frozen=True)
class Probe(Shown):
    """Readouts of the same texts, each through a linear layer, cross-validated on labels; nothing here runs the model.

    Attributes
    ----------
    checkpoint : what was run, as `Checkpoint.to_dict` gives it.
    condition : how, in its own notation.
    readouts : one entry each, in the order asked for.
    baseline : always the commonest label of the training folds.
    labels : of the texts, in their order.
    dealt : texts learnt from and tested on, fold after fold, repeat after repeat.
    seed : of the shuffling before the texts were dealt to the folds.
    meaningless : readout -> id of the finding that makes it meaningless, such as pooler-untrained.
    findings : the most serious first.
    notes : what a reader must know about how it was computed.
    environment : versions, threads, device, digest of the texts.
    vectors : readout -> (texts, dimensions).
    """

    checkpoint: dict[str, Any]
    condition: str
    readouts: tuple[Scores, ...]
    baseline: Scores
    labels: tuple[str, ...]
    dealt: Splits = field(repr=False, compare=False)
    seed: int
    meaningless: dict[str, str]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    environment: dict[str, Any]
    vectors: dict[str, np.ndarray] = field(repr=False, compare=False)

    @property
    def folds(self) -> int:
        """Into how many the texts were dealt, each time."""
        return len(self.dealt) // self.repeats

    @property
    def repeats(self) -> int:
        """How often they were dealt anew."""
        return len(self.baseline.right)

    @property
    def classes(self) -> dict[str, int]:
        """Label -> how many texts have it, the commonest first."""
        return dict(Counter(self.labels).most_common())

    @cached_property
    def best(self) -> Scores:
        """The readout with the highest mean accuracy; of equals the one with the higher macro-F1, then the first."""
        return max(self.readouts, key=lambda one: (one.accuracy, one.macro_f1))

    @cached_property
    def against_best(self) -> dict[str, float]:
        """Readout -> probability of its distance to the best if there were none, corrected for all of them (Holm)."""
        others = [one for one in self.readouts if one is not self.best]
        found = holm([of_two(self.best.right, one.right, self.dealt) for one in others])
        return {one.name: value for one, value in zip(others, found, strict=True)}

    @cached_property
    def against_baseline(self) -> dict[str, float]:
        """Readout -> probability of its distance to the majority class if there were none, corrected for all (Holm)."""
        found = holm([of_guessing(one.right, self.baseline.right, self.dealt) for one in self.readouts])
        return {one.name: value for one, value in zip(self.readouts, found, strict=True)}

    @property
    def alike(self) -> tuple[str, ...]:
        """Readouts that cannot be told apart from the best."""
        return tuple(name for name, value in self.against_best.items() if value >= LEVEL)

    @property
    def learns(self) -> bool:
        """Whether the best readout does better than the majority class, by more than chance."""
        better = self.best.accuracy > self.baseline.accuracy
        return better and self.against_baseline[self.best.name] < LEVEL

    @property
    def verdict(self) -> str:
        """ "found" where one readout is the best, "ambiguous" where others do as well, "none" where none beats guessing."""
        return "none" if not self.learns else "ambiguous" if self.alike else "found"

    @property
    def sentence(self) -> str:
        """Which readout is the best on these labels, or that it cannot be said, with the numbers."""
        best, many = self.best, f"{len(self.labels):,} texts"
        guess = f"always saying the commonest label gives {self.baseline.accuracy:.2f}"
        how = f"mean accuracy over {self.folds} folds{self._again}"
        if self.verdict == "none":
            chance = number(self.against_baseline[best.name])
            return (
                f"None: no readout does better on {many} than chance allows; the highest {how} is {best.accuracy:.2f} "
                f"({best.name}), {guess} (p = {chance})."
            )
        told = f"{self._marked(best)} (± {best.spread:.2f} between folds)"
        if self.verdict == "found":
            others = [f"{self._marked(one)} (p = {number(value)})" for one, value in self._others]
            worse = f"the best of {len(self.readouts)} on {many}, better than {_listed(others)}" if others else f"on {many}"
            return f"Found: {told}, {worse}; {how}, {guess} (p = {number(self.against_baseline[best.name])})."
        same = [best, *(one for one, value in self._others if value >= LEVEL)]
        rest = [one.name for one, value in self._others if value < LEVEL]
        worse = f"; {_listed(rest)} {'is' if len(rest) == 1 else 'are'} worse than {best.name}" if rest else ""
        sizes = ", ".join(self._marked(one) for one in same)
        least = number(min(value for _, value in self._others if value >= LEVEL))
        return (
            f"Ambiguous: {_listed([one.name for one in same])} cannot be told apart with {many}: {sizes} ({how}, "
            f"p ≥ {least}){worse}; {guess}."
        )

    @property
    def _others(self) -> list[tuple[Scores, float]]:
        """Every readout but the best, with its probability against the best."""
        return [(one, self.against_best[one.name]) for one in self.readouts if one is not self.best]

    @property
    def _again(self) -> str:
        return f", dealt {self.repeats} times" if self.repeats > 1 else ""

    def _marked(self, one: Scores) -> str:
        found = self.meaningless.get(one.name)
        return f"{one.words} [{found}]" if found else one.words

    def layer(self, readout: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """The linear layer for a readout, trained on all texts: weight (classes, dimensions), bias (classes,), the classes.

        It takes the vectors as they are: `classes[(vectors @ weight.T + bias).argmax(1)]`.

        Raises
        ------
        BertlensError
            For a readout that was not asked for.
        """
        if readout not in self.vectors:
            raise BertlensError(f"cannot train a layer on {readout}", expected=" / ".join(self.vectors))
        return layer_of(self.vectors[readout], self.labels)

    def to_dict(self) -> dict[str, Any]:
        """The document of the contract `bertlens.probe/1`."""
        return {
            "schema": "bertlens.probe/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "checkpoint": self.checkpoint,
            "condition": self.condition,
            "texts": len(self.labels),
            "classes": self.classes,
            "folds": self.folds,
            "repeats": self.repeats,
            "seed": self.seed,
            "best": self.best.name,
            "alike": list(self.alike),
            "readouts": [
                {key: plain(value) for key, value in line.items()} | {"accuracies": list(one.accuracies)}
                for line, one in zip(self.to_frame().to_dict("records"), (*self.readouts, self.baseline), strict=True)
            ],
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
            "environment": self.environment,
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per readout, and a last one of the majority class."""
        import pandas as pd

        lines = [
            {
                **one.to_dict(),
                "dimensions": self.vectors[one.name].shape[1] if one.name in self.vectors else 0,
                "p_against_best": self.against_best.get(one.name, float("nan")),
                "p_against_majority": self.against_baseline.get(one.name, float("nan")),
                "meaningless": self.meaningless.get(one.name, ""),
            }
            for one in (*self.readouts, self.baseline)
        ]
        return pd.DataFrame(lines)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
