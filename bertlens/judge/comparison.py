"""Comparison: everything that is known about one reference and one candidate, with the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertlens.judge.causes import Explanation
from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding
from bertlens.judge.measures import BOUND, Row
from bertlens.judge.verdict import CEILING, FOLLOWS, PLAUSIBLE, counts, overall, worst
from bertlens.judge.wording import sentence

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison(Shown):
    """Reference against candidate on the same texts.

    Attributes
    ----------
    checkpoint : what was run, as `Checkpoint.to_dict` gives it; `against` likewise where the candidate was another one.
    reference, candidate, readout : in their own notation.
    rows : one per text, in the order of the texts.
    explanation : the factors that make the difference.
    findings : the most serious first.
    notes : what a reader must know about how it was computed.
    environment : versions, threads, device, seeds, digest of the texts.
    """

    checkpoint: dict[str, Any]
    reference: str
    candidate: str
    readout: str
    rows: tuple[Row, ...]
    explanation: Explanation
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    environment: dict[str, Any]
    against: dict[str, Any] | None = None

    @property
    def verdict(self) -> str:
        """That of the most serious text: "identical", "rounding", "undecided" or "different"."""
        return overall(list(self.rows))

    @property
    def worst(self) -> Row:
        """The text to look at first."""
        return worst(list(self.rows))

    @property
    def sentence(self) -> str:
        """The verdict in one sentence with its number."""
        return sentence(self)

    def to_dict(self) -> dict[str, Any]:
        """The document of the contract `bertlens.compare/1`."""
        shown = {
            "schema": "bertlens.compare/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "checkpoint": self.checkpoint,
            "reference": self.reference,
            "candidate": self.candidate,
            "readout": self.readout,
            "counts": counts(list(self.rows)),
            "rows": [row.to_dict() for row in self.rows],
            "causes": [cause.to_dict() for cause in self.explanation.causes],
            "innocent": [cause.to_dict() for cause in self.explanation.innocent],
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
            "rule": {
                "bound_eps_float64": BOUND,
                "ceiling_eps_float64": CEILING,
                "follows": FOLLOWS,
                "plausible_eps": PLAUSIBLE,
            },
            "environment": self.environment,
        }
        return {**shown, "against": self.against} if self.against else shown

    def to_frame(self) -> pd.DataFrame:
        """One line per text."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.rows])
