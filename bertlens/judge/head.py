"""Head: how a model gets from its last hidden state to its answer about one text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding
from bertlens.judge.head_steps import Step
from bertlens.judge.measures import plain
from bertlens.judge.wording import number
from bertlens.read.special_rows import Row
from bertlens.run.headed import KINDS

if TYPE_CHECKING:
    import pandas as pd

    from bertlens.judge.token_answers import TokenAnswers

READOUTS = {"cls": "[CLS]", "mean": "the mean of all tokens", "other": "a vector of its own", "": "every token"}
"""What a head may take from the last hidden state."""


MOST, AT_ONCE = 256, 8
"""Texts of which the predictions are listed, and texts in a forward pass for it, in their order."""


@dataclass(frozen=True)
class Field:
    """One output of the model: its name, axes, shape and number format."""

    name: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a sequence classifier says about several texts, taking one vector or another.

    Attributes
    ----------
    logits : readout -> (texts, classes), float32; "own" is the model as it is, "cls" and "mean" put that vector in its place.
    of : how many texts there are; the first `MOST` are run.
    """

    logits: dict[str, np.ndarray]
    of: int

    @property
    def changed(self) -> np.ndarray:
        """(texts,), whether [CLS] and the mean give different classes."""
        return np.asarray(self.logits["cls"].argmax(1) != self.logits["mean"].argmax(1))


@dataclass(frozen=True, eq=False)
class Head(Shown):
    """The head of a model on one text.

    Attributes
    ----------
    kind, cls, declared : kind of head, the class that was loaded, the class that the config declares.
    drawn : newly initialised weights on the way to the logits, drawn with `seed`.
    text : number of the text; `tokens`, `ids`, `segments`, `special` are those of its row.
    steps : from the last hidden state to the logits; `position` is the token they are shown of where they have tokens.
    rows : the special tokens in the embedding matrix; `is_row` whether the first token's lookup is exactly its row.
    fields : every output of the model.
    labels : names of the classes; () for a head over the vocabulary.
    activation : what makes probabilities of logits: "softmax", "sigmoid", or "" for a score.
    contributions : (classes, hidden), x_i * W[c, i] of the last step; None where that is no linear layer of one vector.
    bias : (classes,), its bias.
    taken : what the head takes: "cls", "mean", "other", or "" for every token.
    replaced : "cls" and "mean" -> the values of every step with that vector in the head's place; {} where it reads every token.
    predictions : all texts, for a sequence classifier.
    answers : the best answers of the other kinds.
    """

    checkpoint: dict[str, Any]
    kind: str
    cls: str
    declared: str
    drawn: tuple[str, ...]
    seed: int
    text: int
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    segments: tuple[int, ...]
    special: tuple[int, ...]
    position: int
    steps: tuple[Step, ...]
    rows: tuple[Row, ...]
    is_row: bool
    fields: tuple[Field, ...]
    labels: tuple[str, ...]
    activation: str
    contributions: np.ndarray | None
    bias: np.ndarray | None
    taken: str
    replaced: dict[str, tuple[np.ndarray, ...]]
    predictions: Predictions | None
    answers: TokenAnswers | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def logits(self) -> np.ndarray:
        """Of a sequence classifier: (classes,); of another head those of the shown position."""
        return self.steps[-1].values

    @property
    def probabilities(self) -> np.ndarray:
        """(classes,), what `activation` makes of the logits; the logits themselves where they are a score."""
        return probabilities(self.logits, self.activation)

    @property
    def predicted(self) -> int:
        """The class with the largest logit."""
        return int(self.logits.argmax())

    @property
    def by_hand(self) -> Step:
        """The last step, in which the logits by hand are held against the model's."""
        return self.steps[-1]

    @property
    def verdict(self) -> str:
        """The gravest finding; a chain by hand that gives other logits is a problem whatever else is found."""
        if self.by_hand.verdict == "different":
            return "problem"
        severities = {finding.severity for finding in self.findings}
        return "problem" if "problem" in severities else "caution" if "caution" in severities else "sound"

    @property
    def sentence(self) -> str:
        """The verdict, the answer and how well it was recomputed, in one sentence."""
        by_hand = f"by hand from the weights: max abs {number(self.by_hand.gap)}"
        if self.by_hand.verdict == "different":
            return f"Faulty: the logits are not what the weights give; {by_hand}, and it stays in float64."
        way = f"{READOUTS[self.taken]} goes through {len(self.steps) - 1} steps to {self._answer} ({by_hand})."
        worst = next((one for one in self.findings if one.severity in ("problem", "caution")), None)
        if worst is None:
            return f"Sound: {way}"
        return f"{'Faulty' if self.verdict == 'problem' else 'Usable with care'}: {worst.title}. {way[0].upper()}{way[1:]}"

    @property
    def _answer(self) -> str:
        if self.answers is not None:
            return self.answers.sentence
        if not self.activation:
            return f"the score {self.logits[0]:.4f}"
        return f"“{self.labels[self.predicted]}” with probability {self.probabilities[self.predicted]:.3f}"

    def contribution(self, label: int) -> pd.DataFrame:
        """x_i * W[c, i] of every unit in the logit of a class, the largest in absolute value first."""
        import pandas as pd

        assert self.contributions is not None
        values = self.contributions[label]
        frame = pd.DataFrame({"unit": np.arange(len(values)), "contribution": values})
        return frame.iloc[np.argsort(-np.abs(values), kind="stable")].reset_index(drop=True)

    def contribution_gap(self, label: int) -> float:
        """How far all contributions and the bias, added up in float64, lie from the logit."""
        assert self.contributions is not None and self.bias is not None
        total = self.contributions[label].astype(np.float64).sum() + float(self.bias[label])
        return float(abs(total - float(self.logits[label])))

    def to_frame(self) -> pd.DataFrame:
        """One line per step."""
        import pandas as pd

        frame = pd.DataFrame([step.to_dict() for step in self.steps])
        frame["shape"] = ["(" + ", ".join(map(str, step.shape)) + ")" for step in self.steps]
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the hidden units."""
        few = self.answers is None
        return {
            "schema": "bertlens.head/1",
            "checkpoint": self.checkpoint,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "kind": KINDS[self.kind].words,
            "class": self.cls,
            "declared": self.declared,
            "newly_initialised": list(self.drawn),
            "seed": self.seed,
            "text": self.text,
            "tokens": list(self.tokens),
            "segments": list(self.segments),
            "special_tokens": [vars(row) | {"roles": list(row.roles)} for row in self.rows],
            "takes": self.taken,
            "steps": [step.to_dict() for step in self.steps],
            "fields": [{"name": f.name, "axes": list(f.axes), "shape": list(f.shape), "dtype": f.dtype} for f in self.fields],
            "labels": list(self.labels),
            "activation": self.activation,
            "logits": _list(self.logits) if few else [],
            "probabilities": _list(self.probabilities) if few else [],
            "logits_of": {name: _list(values[-1]) for name, values in self.replaced.items()},
            "predictions": {}
            if self.predictions is None
            else {name: [_list(row) for row in rows] for name, rows in self.predictions.logits.items()},
            "answers": [] if self.answers is None else self.answers.to_frame().to_dict("records"),
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
        }


def probabilities(logits: np.ndarray, activation: str) -> np.ndarray:
    """Logits (…, classes) through "softmax" or "sigmoid", in float64; as they are for ""."""
    values = logits.astype(np.float64)
    if activation == "softmax":
        grown = np.exp(values - values.max(-1, keepdims=True))
        return np.asarray(grown / grown.sum(-1, keepdims=True))
    return np.asarray(1 / (1 + np.exp(-values))) if activation == "sigmoid" else values


def _list(values: np.ndarray) -> list[Any]:
    return [plain(float(value)) for value in values]
