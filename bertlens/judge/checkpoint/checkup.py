"""Checkup: everything that is known about a checkpoint, with the findings and what may be trusted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding
from bertlens.judge.weights.load_report import Group
from bertlens.judge.weights.modules import STATES, Module

if TYPE_CHECKING:
    import pandas as pd

    from bertlens.judge.checkpoint.facts import Fact
    from bertlens.judge.weights.reload import Reload


@dataclass(frozen=True)
class Asked:
    """One question to a checkpoint's files, with the findings that answer it; without any, all is well."""

    question: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Checkup(Shown):
    """What `bertlens.check` found.

    Attributes
    ----------
    checkpoint : name, model_type, class, sizes, files, SHA-256.
    findings : the most serious first, and among those the root cause first.
    modules : every module with the state of its weights.
    load_report : the tensors that are not loaded as they stand, by module, with the outputs they spoil and leave intact.
    outputs : {output: ids of the findings that make it meaningless}; empty where it may be trusted.
    facts : what the files say, for a table.
    reload : two loads side by side, where texts were given and something is drawn at random.
    asked : the questions that were put to the files, each with its findings.
    """

    checkpoint: dict[str, Any]
    findings: tuple[Finding, ...]
    modules: tuple[Module, ...]
    load_report: tuple[Group, ...]
    outputs: dict[str, tuple[str, ...]]
    facts: tuple[Fact, ...] = ()
    reload: Reload | None = None
    notes: tuple[str, ...] = field(default=())
    asked: tuple[Asked, ...] = ()

    @property
    def verdict(self) -> str:
        """ "problem", "caution" or "sound": that of the most serious finding."""
        severities = {finding.severity for finding in self.findings}
        return next((word for word in ("problem", "caution") if word in severities), "sound")

    @property
    def states(self) -> dict[str, int]:
        """How many modules are in each state, from sound to lost."""
        counted = Counter(module.state for module in self.modules)
        return {state: counted[state] for state in STATES if counted[state]}

    @property
    def sentence(self) -> str:
        """The verdict in one sentence with its number."""
        counted = Counter(finding.severity for finding in self.findings)
        read = f"{len(self.modules)} modules read"
        if self.verdict == "sound":
            return f"Sound: nothing in the files speaks against this checkpoint ({read}, {counted['note']} notes)."
        first = next(finding for finding in self.findings if finding.severity == self.verdict)
        others = counted["problem"] + counted["caution"] - 1
        more = f" ({others} more below)" if others else ""
        word = "Faulty" if self.verdict == "problem" else "Usable with care"
        return f"{word}: {first.title}{more}."

    def to_dict(self) -> dict[str, Any]:
        """The document of the contract `bertlens.check/1`."""
        return {
            "schema": "bertlens.check/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "checkpoint": self.checkpoint,
            "findings": [finding.to_dict() for finding in self.findings],
            "outputs": {output: list(ids) for output, ids in self.outputs.items()},
            "load_report": [group.to_dict() for group in self.load_report],
            "weights": [module.to_dict() for module in self.modules],
            "facts": [fact.to_dict() for fact in self.facts],
            "reload": self.reload.to_dict() if self.reload else None,
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per finding."""
        import pandas as pd

        columns = ["severity", "id", "title", "affects", "remedy"]
        lines = [[f.severity, f.id, f.title, ", ".join(f.affects), f.remedy] for f in self.findings]
        return pd.DataFrame(lines, columns=columns)
