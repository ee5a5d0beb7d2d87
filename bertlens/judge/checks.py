"""Checks: the answers to a diagnosis' questions, made of what the single questions' own results say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bertlens.judge.comparison import Comparison
from bertlens.judge.diagnosis import Change, Check
from bertlens.judge.findings import Finding, named
from bertlens.judge.measures import plain
from bertlens.read.readout import Readout
from bertlens.run.presets import Preset
from bertlens.run.tokens import Tokens

if TYPE_CHECKING:
    from bertlens.judge.checkpoint.checkup import Checkup
    from bertlens.judge.identification import Identification

NARROW = 0.75
"""Cosine of the two least similar texts above which all of them lie in one narrow cone."""

UNLOADED = "weights-not-loaded"
"""What loading reports; the files tell it with its cause, so a comparison need not tell it again."""


def of_checkup(found: Checkup) -> list[Check]:
    """The questions that were put to the files."""
    checks = []
    for asked in found.asked:
        grave = next((one for one in asked.findings if one.severity != "note"), None)
        notes = "; ".join(one.title for one in asked.findings)
        said = grave.title if grave else f"Yes. Worth knowing: {notes}" if notes else "Yes."
        module = str(grave.evidence.get("module", "")) if grave else ""
        view = {"module": module} if module else {}
        checks.append(Check(asked.question, said, _gravest(asked.findings), asked.findings, "Checkpoint", view))
    return checks


def of_comparison(question: str, found: Comparison) -> Check:
    """One thing that must not matter, tried; another computation is a problem, whatever its cause is called."""
    # what was not loaded the files have told already, with its cause
    kept = tuple(one for one in found.findings if one.id == "rounding-only" or (one.severity != "note" and one.id != UNLOADED))
    state = {"different": "problem", "undecided": "undecided"}.get(found.verdict, _gravest(kept))
    view = {"reference": found.reference, "candidate": found.candidate, "readout": found.readout}
    return Check(question, found.sentence, state, kept, "Batch_and_padding", view)


def of_likeness(question: str, vectors: np.ndarray, tokens: Sequence[Tokens], readout: str) -> Check:
    """Whether texts can be told apart by their vectors, (texts, dimensions)."""
    whole = np.isfinite(vectors).all(1) & vectors.any(1)
    view = {"readouts": readout}
    if not whole.all():
        said = f"Text {int(np.flatnonzero(~whole)[0])} has no vector: NaN, Inf or only zeros."
        return Check(question, said, "problem", (), "Pooling", view)
    distinct = list({row.ids: at for at, row in reversed(list(enumerate(tokens)))}.values())
    if len(distinct) < 2:
        return Check(question, "There is only one text, or one that is repeated.", "not asked", (), "Pooling", view)
    units = vectors[distinct] / np.linalg.norm(vectors[distinct], axis=1, keepdims=True)
    cosines = (units @ units.T)[~np.eye(len(distinct), dtype=bool)]
    low, high = float(cosines.min()), float(cosines.max())
    if low <= NARROW:
        return Check(question, f"Yes: cosines between {low:.2f} and {high:.2f}.", "passed", (), "Pooling", view)
    title = f"Even the two least similar of {len(distinct)} texts have the cosine {low:.2f}: compare ranks, not values"
    evidence = {"least": low, "largest": high, "mean": float(cosines.mean()), "texts": len(distinct)}
    finding = named("anisotropy", "caution", evidence, (readout,), title)
    return Check(question, f"{title}.", "caution", (finding,), "Layers", {"measure": "anisotropy"})


def of_identification(question: str, found: Identification) -> Check:
    """Vectors from elsewhere: explained, open, or not of this checkpoint."""
    states = {"found": "passed", "ambiguous": "undecided", "none": "problem"}
    order = ("passed", "caution", "undecided", "problem")
    state = max(states[found.verdict], _gravest(found.findings), key=order.index)
    return Check(question, found.sentence, state, found.findings, "Identify")


def of_situation(preset: Preset, conditions: tuple[str, str], readout: Readout, found: Comparison | str) -> Change:
    """What an everyday situation did to the vectors; words where it is not possible."""
    said = (preset.name, preset.why, *conditions, str(readout))
    if isinstance(found, str):
        return Change(*said, "not possible", None, None, found)
    return Change(*said, found.verdict, plain(found.worst.max_abs), plain(found.worst.max_abs_float64), found.sentence)


def _gravest(findings: Sequence[Finding]) -> str:
    severities = {finding.severity for finding in findings}
    return next((word for word in ("problem", "caution") if word in severities), "passed")
