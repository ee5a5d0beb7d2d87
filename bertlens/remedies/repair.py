"""Repair: a finding is mended in a copy of the checkpoint, and the check is asked again whether it is gone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertlens.diagnose import check
from bertlens.errors import BertlensError
from bertlens.judge.checkpoint.checkup import Checkup
from bertlens.judge.findings import Finding, catalogue
from bertlens.remedies.registry import BY_HAND, REMEDIES, Remedy
from bertlens.remedies.script import script
from bertlens.remedies.work import Work
from bertlens.run import rewrite
from bertlens.run.checkpoint import PACKAGED
from bertlens.run.dossier import Dossier, compile_
from bertlens.run.progress import Progress, silent

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

GRAVITY = ("note", "caution", "problem")


@dataclass(frozen=True)
class Repair:
    """What `bertlens repair` did.

    Attributes
    ----------
    finding : the id that was to be mended.
    out : the new folder.
    done : what was done, in sentences.
    files : names of the files in the new folder; `left`: those of the checkpoint that were not taken over.
    before, after : the check of the checkpoint and of the new folder.
    code : Python that does the same with torch, safetensors and json alone.
    """

    finding: str
    out: str
    done: tuple[str, ...]
    files: tuple[str, ...]
    left: tuple[str, ...]
    before: Checkup
    after: Checkup
    code: str

    @property
    def fixed(self) -> bool:
        """Whether the finding is gone, or no more than a note is left of a problem or caution."""
        old, new = _severity(self.before, self.finding), _severity(self.after, self.finding)
        return new is None or (new == "note" and old != "note")

    @property
    def added(self) -> tuple[str, ...]:
        """Problems and cautions that only the new folder has, or that are graver there."""
        grave = (f for f in self.after.findings if f.severity != "note" and f.id != self.finding)
        return tuple(f.id for f in grave if GRAVITY.index(f.severity) > _rank(self.before, f.id))

    @property
    def sentence(self) -> str:
        """What came of it, as the second check has it."""
        what = f"{self.finding} is gone" if self.fixed else f"{self.finding} is still reported"
        if self.fixed and _severity(self.after, self.finding):
            what = f"{self.finding} is no more than a note"
        new = f"; now reported and not before: {', '.join(self.added)}" if self.added else ""
        others = [f.id for f in self.after.findings if f.severity != "note" and f.id not in (self.finding, *self.added)]
        rest = f"; {', '.join(others)} {'is' if len(others) == 1 else 'are'} left as before" if others else ""
        return f"Checked again: {what}{new}{rest}."

    def to_dict(self) -> dict[str, Any]:
        """The document `bertlens.repair/1`."""
        return {
            "schema": "bertlens.repair/1",
            "finding": self.finding,
            "fixed": self.fixed,
            "sentence": self.sentence,
            "out": self.out,
            "done": list(self.done),
            "files": list(self.files),
            "left": list(self.left),
            "added": list(self.added),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "code": self.code,
        }


def repairable(finding: str) -> Remedy | None:
    """The remedy that carries out what a finding asks for, None where there is none."""
    return REMEDIES.get(finding)


def repair(
    checkpoint: str | Checkpoint,
    finding: str,
    out: str | Path,
    base: str | None = None,
    *,
    max_length: int | None = None,
    texts: Sequence[Any] | str | None = None,
    revision: str | None = None,
    offline: bool = False,
    progress: Progress = silent,
) -> Repair:
    """Mend one finding of a checkpoint in a new folder, and check that folder.

    Parameters
    ----------
    checkpoint : "minilm", a folder, or a Hub id; it is only read.
    finding : an id that the check reports for it.
    out : the folder to write; new or empty, and outside of the checkpoint.
    base : another checkpoint, from which tensors, settings or the tokenizer are taken where the remedy asks for it.
    max_length : for conflicting-length-limits, the tokens to let through.
    texts : handed to both checks, for findings that only texts bring out.

    Raises
    ------
    BertlensError
        For a finding that is not reported or cannot be carried out here, and for a folder that is not free. Nothing is left
        of the new folder then.
    """
    name = checkpoint if isinstance(checkpoint, str) else checkpoint.name
    remedy = _remedy(finding, name)
    source = compile_(name, revision=revision, offline=offline, progress=progress)
    origin = compile_(base, offline=offline, progress=progress) if base else None
    folders = [dossier.documents.root for dossier in (source, origin) if dossier]
    place = rewrite.refuse(Path(out), *folders)
    before = check(name, texts, revision=revision, offline=offline, progress=progress)
    work = _planned(remedy, source, before, _reported(before, finding, name), origin, max_length)
    told = place if "~" in str(out) or str(out) == PACKAGED else Path(out)
    code = script(work, told)
    left = rewrite.left_behind(work.draft)
    files = rewrite.write(work.draft, place, tuple(work.proofs))
    try:
        after = check(str(told), texts, progress=progress)
    except BaseException:
        shutil.rmtree(place)
        raise
    return Repair(finding, str(out), tuple(work.done), files, left, before, after, code)


@dataclass(frozen=True)
class Plan:
    """What a repair would do: in sentences, and as Python that does it with torch, safetensors and json alone."""

    done: tuple[str, ...]
    code: str


def plan(checkpoint: str, finding: str, checkup: Checkup, out: str = "mended") -> Plan:
    """What `repair` would do for a finding of a checkup, without writing anything.

    Raises
    ------
    BertlensError
        Where it cannot be carried out, or needs a base.
    """
    work = _planned(_remedy(finding, checkpoint), compile_(checkpoint), checkup, _reported(checkup, finding, checkpoint))
    return Plan(tuple(work.done), script(work, Path(out)))


def _planned(
    remedy: Remedy,
    source: Dossier,
    before: Checkup,
    finding: Finding,
    base: Dossier | None = None,
    max_length: int | None = None,
) -> Work:
    """The work of a remedy, noted and not yet written."""
    work = Work(source, before, finding, base, max_length, rewrite.draft(source))
    remedy.function(work)
    if not work.done:
        raise work.refuse("nothing that this remedy would change", do=f"by hand: {catalogue()[finding.id]['fix']}")
    return work


def _remedy(finding: str, name: str) -> Remedy:
    if finding not in catalogue():
        near = [known for known in catalogue() if finding and known.startswith(finding[:4])]
        raise BertlensError(
            f"cannot repair '{finding[:60]}'",
            got="no finding of that name",
            expected=f"one that the check reports{f', such as {near[0]}' if near else ''}",
            do=f"see bertlens check {name}",
        )
    if finding not in REMEDIES:
        raise BertlensError(
            f"cannot repair {finding}",
            got="a finding that bertlens explains but cannot carry out",
            do=f"by hand: {BY_HAND.get(finding, catalogue()[finding]['fix'])}",
        )
    return REMEDIES[finding]


def _reported(before: Checkup, finding: str, name: str) -> Finding:
    """The finding as it is reported; refused where it is not."""
    for one in before.findings:
        if one.id == finding:
            return one
    listed = [f"{one.id}{'' if one.id in REMEDIES else ' (by hand)'}" for one in before.findings]
    raise BertlensError(
        f"cannot repair {finding} of {name}",
        got="a checkpoint for which the check does not report it",
        expected=f"one of {', '.join(listed)}" if listed else "a checkpoint with findings; this one has none",
    )


def _severity(checkup: Checkup, finding: str) -> str | None:
    return next((one.severity for one in checkup.findings if one.id == finding), None)


def _rank(checkup: Checkup, finding: str) -> int:
    severity = _severity(checkup, finding)
    return -1 if severity is None else GRAVITY.index(severity)
