"""Poolings: every readout of the same forward passes side by side, and which of them may be used here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding
from bertlens.judge.fresh import Fresh, drawn
from bertlens.judge.measures import cosine, plain
from bertlens.judge.wording import number
from bertlens.read import neighbours
from bertlens.read.pooled import Pooled
from bertlens.read.readout import Readout

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Option:
    """One readout of the texts.

    Attributes
    ----------
    readout : in its own notation.
    texts, dimensions : the shape of its vectors.
    norm_mean, norm_min, norm_max : lengths of the vectors; NaN where one is no number.
    declared : whether it is what the checkpoint declares.
    meaningless : id of the finding that makes it meaningless here, "" where there is none.
    by_padding : how far padding moves it on these texts, largest absolute difference; None where padding is not read.
    """

    readout: str
    texts: int
    dimensions: int
    norm_mean: float
    norm_min: float
    norm_max: float
    declared: bool
    meaningless: str
    by_padding: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {key: plain(value) for key, value in self.__dict__.items()}


@dataclass(frozen=True)
class Poolings(Shown):
    """Readouts of one set of texts, all from the same forward passes; nothing here runs the model.

    Attributes
    ----------
    checkpoint : what was run, as `Checkpoint.to_dict` gives it.
    condition : how, in its own notation.
    options : one per readout.
    declared : the readout that the checkpoint declares, "" where it declares none that a readout carries out.
    recipe : what it declares in words, "" where it declares nothing.
    findings : the most serious first.
    notes : what a reader must know about how it was computed.
    environment : versions, threads, device, digest of the texts.
    compared : the texts whose similarities are compared, all of them or some from all over.
    width : tokens of the longest row, padding included.
    pooled : the vectors of every pooling in every hidden state.
    """

    checkpoint: dict[str, Any]
    condition: str
    options: tuple[Option, ...]
    declared: str
    recipe: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    environment: dict[str, Any]
    compared: tuple[int, ...]
    width: int
    pooled: Pooled = field(repr=False, compare=False)

    @property
    def readouts(self) -> tuple[str, ...]:
        """The readouts in the order of the options."""
        return tuple(option.readout for option in self.options)

    @property
    def usual_k(self) -> int:
        """How many neighbours are looked at unless told: 5, or half of the other texts where there are few."""
        return max(1, min(5, (len(self.compared) - 1) // 2))

    @property
    def verdict(self) -> str:
        """ "problem" where no readout may be used, "caution" where some may not or move with padding, else "sound"."""
        if all(option.meaningless for option in self.options):
            return "problem"
        return "caution" if any(option.meaningless or option.by_padding for option in self.options) else "sound"

    @property
    def sentence(self) -> str:
        """Which of the readouts may be used, with its numbers."""
        word = {"problem": "Faulty", "caution": "Usable with care", "sound": "Sound"}[self.verdict]
        return f"{word}: {_declaration(self)}; {_trouble(self)}."

    def vectors(self, readout: str | Readout) -> np.ndarray:
        """(texts, dimensions) of any readout, also of one that is not among the options.

        Raises
        ------
        BertlensError
            For a pooler that the model does not have, or layers beyond its depth.
        """
        return self.pooled.vectors(readout)

    def similarity(self, readout: str | Readout) -> np.ndarray:
        """Cosine similarity of the compared texts with each other: (compared, compared), float64."""
        return neighbours.similarity(self.vectors(readout)[list(self.compared)])

    def shared_range(self, readouts: Sequence[str] | None = None) -> tuple[float, float]:
        """Smallest and largest similarity of two different texts under all these readouts; (0, 1) where there is none."""
        found = [neighbours.pairs(self.similarity(readout)) for readout in readouts or self.readouts]
        every = np.concatenate([values[np.isfinite(values)] for values in found])
        return (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)

    def neighbours(self, readout: str | Readout, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest texts of each compared text and their similarities, each (compared, k); texts by their number."""
        similarities = self.similarity(readout)
        near = neighbours.nearest(similarities, k or self.usual_k)
        return np.array(self.compared)[near], np.take_along_axis(similarities, near, 1)

    @cached_property
    def rank_agreement(self) -> np.ndarray:
        """Spearman's correlation of two readouts over all pairs of texts: (readouts, readouts), see `read.neighbours`."""
        return neighbours.rank_agreement([self.similarity(readout) for readout in self.readouts])

    def overlap(self, k: int | None = None) -> np.ndarray:
        """The share of the k nearest texts that two readouts have in common: (readouts, readouts)."""
        near = [neighbours.nearest(self.similarity(readout), k or self.usual_k) for readout in self.readouts]
        return np.array([[neighbours.overlap(one, other) for other in near] for one in near])

    def pairs(self, k: int | None = None) -> pd.DataFrame:
        """One line per two readouts: mean cosine and max abs where their dimensions are equal, and how far they agree."""
        import pandas as pd

        agreement, overlap, lines = self.rank_agreement, self.overlap(k), []
        vectors = [self.vectors(readout) for readout in self.readouts]
        for one in range(len(vectors)):
            for other in range(one + 1, len(vectors)):
                left, right = vectors[one], vectors[other]
                same = left.shape == right.shape
                lines.append(
                    {
                        "one": self.readouts[one],
                        "other": self.readouts[other],
                        "cosine_mean": float(cosine(left, right).mean()) if same else float("nan"),
                        "max_abs": float(np.abs(left - right).max()) if same else float("nan"),
                        "rank_agreement": float(agreement[one, other]),
                        "overlap": float(overlap[one, other]),
                    }
                )
        return pd.DataFrame(lines, columns=["one", "other", "cosine_mean", "max_abs", "rank_agreement", "overlap"])

    def fresh(self, readout: str | Readout, classes: int = 5, seeds: Sequence[int] = (0, 1, 2, 3, 4)) -> Fresh:
        """The readout through linear layers that were just drawn, one per seed.

        Raises
        ------
        BertlensError
            For no class, no seed, or a readout that cannot be had.
        """
        chosen = Readout.parse(readout)
        layers = len(chosen.indices(self.pooled.depth))
        states = (layers, self.options[0].texts, self.width, self.pooled.hidden)
        return drawn(self.vectors(chosen), chosen, states, classes, tuple(seeds))

    def to_dict(self) -> dict[str, Any]:
        """The document of the contract `bertlens.pooling/1`."""
        pairs = [{key: plain(value) for key, value in line.items()} for line in self.pairs().to_dict("records")]
        return {
            "schema": "bertlens.pooling/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "checkpoint": self.checkpoint,
            "condition": self.condition,
            "declared": {"readout": self.declared, "words": self.recipe},
            "readouts": [option.to_dict() for option in self.options],
            "pairs": pairs,
            "neighbours": self.usual_k,
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
            "environment": self.environment,
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per readout."""
        import pandas as pd

        return pd.DataFrame([option.__dict__ for option in self.options])


def _declaration(found: Poolings) -> str:
    if not found.recipe:
        return "the checkpoint declares no readout"
    if not found.declared:
        return f"the checkpoint declares {found.recipe}, which no readout carries out"
    return f"the checkpoint declares {found.declared}"


def _trouble(found: Poolings) -> str:
    total = len(found.options)
    lost = [option for option in found.options if option.meaningless]
    moved = [option for option in found.options if option.by_padding]
    titles = {finding.id: finding.title for finding in found.findings}
    parts = []
    if lost:
        reason = titles[lost[0].meaningless]
        names = ", ".join(option.readout for option in lost[:3]) + (" …" if len(lost) > 3 else "")
        verb = "is" if len(lost) == 1 else "are"
        parts.append(f"{len(lost)} of {total} readouts {verb} meaningless here ({names}: {reason[0].lower()}{reason[1:]})")
    if moved:
        sizes = ", ".join(f"{option.readout} by {number(option.by_padding)}" for option in moved[:3])
        more = " …" if len(moved) > 3 else ""
        verb = "changes" if len(moved) == 1 else "change"
        parts.append(
            f"{len(moved)}{'' if lost else f' of {total} readouts'} {verb} with the padding ({sizes}{more} on these texts)"
        )
    return " and ".join(parts) or f"nothing speaks against any of the {total} readouts on these texts"
