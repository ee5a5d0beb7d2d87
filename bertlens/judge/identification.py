"""Identification: which recipe made given vectors, with what speaks for it and what else was tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding
from bertlens.judge.measures import plain
from bertlens.read.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

VERDICTS = ("found", "ambiguous", "none")


@dataclass(frozen=True)
class Candidate:
    """One recipe held against the vectors.

    Attributes
    ----------
    recipe : what was tried.
    max_abs : largest absolute difference over the texts that it was tried on.
    cosine : mean cosine with the given vectors over those texts.
    floor : the largest difference that the precision stated explains, in the units of `max_abs`.
    explained : whether the difference is within the floor, text by text.
    texts : on how many texts it was tried.
    note : what tells it from the best recipe, or that nothing does.
    """

    recipe: Recipe
    max_abs: float
    cosine: float
    floor: float
    explained: bool
    texts: int
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The contract's names."""
        return {
            "recipe": self.recipe.to_dict(),
            "words": self.recipe.words,
            "max_abs": plain(self.max_abs),
            "cosine": plain(self.cosine),
            "floor": plain(self.floor),
            "explained": self.explained,
            "texts": self.texts,
            "note": self.note,
        }


@dataclass(frozen=True)
class Held:
    """One text and the row that holds it.

    Attributes
    ----------
    text : number of the text.
    row : number of the row, None where the vectors have none for it.
    max_abs, cosine : the best recipe's vector against the row; NaN where there is none.
    floor : the largest difference that the precision stated explains.
    explained : whether every component lies within what the precision stated explains.
    note : what is strange about the row (NaN, zeros, another text's), or "".
    """

    text: int
    row: int | None
    max_abs: float
    cosine: float
    floor: float
    explained: bool
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Every attribute; NaN is None."""
        return {key: plain(value) for key, value in vars(self).items()}


@dataclass(frozen=True)
class Identification(Shown):
    """Which recipe made the vectors.

    Attributes
    ----------
    checkpoint : what was run, as `Checkpoint.to_dict` gives it.
    verdict : "found", "ambiguous" or "none".
    sentence : the verdict in one sentence with its number.
    best : the recipe that explains the vectors, or the nearest one; None where nothing could be tried.
    alternatives : other recipes, the nearest first; with verdict "ambiguous" those that explain the vectors as well come first.
    order : "same" or "permuted"; `order_words` says how, such as "rows 3 and 7 are swapped".
    row_of_text : the row that holds each text, None where there is none.
    rows : one per text.
    undetermined : what these texts cannot tell, one sentence each, such as a truncation beyond the longest text.
    suggestions : texts that would tell the remaining recipes apart.
    findings : the faults of the recipe and of the vectors, the most serious first.
    vectors : what the vectors are: rows, dimensions, number format, storage, norms.
    notes : what a reader must know about how it was computed.
    tried, passes, seconds : recipes compared, rows run through the model, and time.
    linear : a linear map from the nearest recipe where one was fitted: kind, texts, share of the variance left out, words.
    """

    checkpoint: dict[str, Any]
    verdict: str
    sentence: str
    best: Candidate | None
    alternatives: tuple[Candidate, ...]
    order: str
    order_words: str
    row_of_text: tuple[int | None, ...]
    rows: tuple[Held, ...]
    undetermined: tuple[str, ...]
    suggestions: tuple[str, ...]
    findings: tuple[Finding, ...]
    vectors: dict[str, Any]
    notes: tuple[str, ...]
    environment: dict[str, Any]
    tried: int = 0
    passes: int = 0
    seconds: float = 0.0
    linear: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The document of the contract `bertlens.identify/1`."""
        return {
            "schema": "bertlens.identify/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "checkpoint": self.checkpoint,
            "recipe": self.best.recipe.to_dict() if self.best else None,
            "words": self.best.recipe.words if self.best else "",
            "max_abs": plain(self.best.max_abs) if self.best else None,
            "cosine": plain(self.best.cosine) if self.best else None,
            "floor": plain(self.best.floor) if self.best else None,
            "order": self.order,
            "order_words": self.order_words,
            "row_of_text": list(self.row_of_text),
            "rows": [row.to_dict() for row in self.rows],
            "findings": [finding.to_dict() for finding in self.findings],
            "alternatives": [candidate.to_dict() for candidate in self.alternatives],
            "undetermined": list(self.undetermined),
            "suggestions": list(self.suggestions),
            "vectors": self.vectors,
            "linear": {key: plain(value) for key, value in self.linear.items()},
            "notes": list(self.notes),
            "tried": self.tried,
            "passes": self.passes,
            "seconds": self.seconds,
            "environment": self.environment,
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per text: its row, how far it is from the recipe, and what the precision explains."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.rows])

    def candidates(self) -> pd.DataFrame:
        """One line per recipe, the best first."""
        import pandas as pd

        listed = [*([self.best] if self.best else []), *self.alternatives]
        kept = ("words", "max_abs", "cosine", "floor", "explained", "texts", "note")
        return pd.DataFrame([{key: one.to_dict()[key] for key in kept} for one in listed], columns=list(kept))
