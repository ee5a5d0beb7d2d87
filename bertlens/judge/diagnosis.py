"""Diagnosis: what was asked of a checkpoint and some texts, with what speaks against them, the most serious first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding, most_serious_first
from bertlens.judge.redaction import redacted

if TYPE_CHECKING:
    import pandas as pd

STATES = ("problem", "undecided", "caution", "not asked", "passed")
"""How a check ended, from the most serious."""


@dataclass(frozen=True)
class Check:
    """One question that was asked, and its answer.

    Attributes
    ----------
    question : as a person would ask it.
    sentence : the answer, with its number.
    state : one of `STATES`.
    findings : what speaks against the checkpoint or the texts, and what is worth knowing.
    page : the page that holds the evidence, "Batch_and_padding".
    view : what a link to it carries, so that the evidence is open there.
    """

    question: str
    sentence: str
    state: str
    findings: tuple[Finding, ...] = ()
    page: str = ""
    view: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; findings by their ids."""
        return {
            "question": self.question,
            "sentence": self.sentence,
            "state": self.state,
            "findings": [finding.id for finding in self.findings],
            "page": self.page,
            "view": self.view,
        }


@dataclass(frozen=True)
class Change:
    """What an everyday situation would do to these vectors.

    Attributes
    ----------
    name, why : as `bertlens.run.presets` calls it.
    reference, candidate, readout : in their own notation.
    verdict : of the comparison, "not possible" where the model cannot run it.
    max_abs : the largest difference, None where it is not a number.
    max_abs_float64 : that of the same text with both sides in float64, None where they were not repeated.
    said : the verdict in a sentence, or why it is not possible.
    """

    name: str
    why: str
    reference: str
    candidate: str
    readout: str
    verdict: str
    max_abs: float | None
    max_abs_float64: float | None
    said: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Diagnosis(Shown):
    """What `bertlens.diagnosis` found.

    Attributes
    ----------
    checkpoint : what identifies it.
    readout : how vectors are read: what the checkpoint declares, [CLS] where it declares nothing; "" where nothing was run.
    checks : every question, in the order in which they were asked.
    changes : what everyday situations would do to these vectors.
    texts : the texts, for the report; none where it is redacted.
    environment : versions, device, threads, seed, digest of the texts.
    """

    checkpoint: dict[str, Any]
    readout: str
    checks: tuple[Check, ...]
    changes: tuple[Change, ...]
    texts: tuple[Any, ...]
    environment: dict[str, Any]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, the most serious first; what several checks found is told once."""
        return most_serious_first([finding for check in self.checks for finding in check.findings])

    @property
    def passed(self) -> tuple[Check, ...]:
        """What is healthy."""
        return tuple(check for check in self.checks if check.state == "passed")

    @property
    def verdict(self) -> str:
        """ "problem", "caution" or "sound": that of the most serious check."""
        states = {check.state for check in self.checks}
        return "problem" if "problem" in states else "caution" if states & {"caution", "undecided"} else "sound"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence with its numbers."""
        counted = Counter(check.state for check in self.checks)
        asked = len(self.checks) - counted["not asked"]
        passed = f"{counted['passed']} of {asked} checks passed"
        if self.verdict == "sound":
            return f"Sound: nothing speaks against these vectors ({passed})."
        first = next((finding for finding in self.findings if finding.severity == self.verdict), None)
        told = first.title if first else min(self.checks, key=lambda check: STATES.index(check.state)).sentence
        return f"{'Faulty' if self.verdict == 'problem' else 'Usable with care'}: {told.rstrip('.')} ({passed})."

    def check_of(self, finding: Finding) -> Check:
        """The check that found something, which knows where the evidence is."""
        return next(check for check in self.checks if any(one.id == finding.id for one in check.findings))

    def redacted(self) -> Diagnosis:
        """The same for strangers: without the texts, what is quoted of them, and the folder of the checkpoint."""
        return redacted(self)

    def to_dict(self) -> dict[str, Any]:
        """The document `bertlens.report/1`; `texts` is None where it is redacted."""
        return {
            "schema": "bertlens.report/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "checkpoint": self.checkpoint,
            "readout": self.readout,
            "findings": [finding.to_dict() for finding in self.findings],
            "checks": [check.to_dict() for check in self.checks],
            "changes": [change.to_dict() for change in self.changes],
            "texts": list(self.texts) or None,
            "environment": self.environment,
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per check."""
        import pandas as pd

        columns = ["state", "question", "sentence", "findings"]
        return pd.DataFrame(
            [[one.state, one.question, one.sentence, ", ".join(f.id for f in one.findings)] for one in self.checks],
            columns=columns,
        )
