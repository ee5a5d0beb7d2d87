"""Diagnose: one function per question, composed of the four rooms. Pages, command line and notebooks call these."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge import findings as found
from bertlens.judge.causes import Cause, Explanation, explain
from bertlens.judge.comparison import Comparison
from bertlens.judge.measures import measure
from bertlens.judge.verdict import judge, overall, worst
from bertlens.read.readout import Readout, read
from bertlens.run.condition import Condition
from bertlens.run.environment import environment
from bertlens.run.inputs import Inputs, prepare
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import as_texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

CELLS_FOR_CAUSES = 16_384
"""Causes are measured on all texts up to this many padded tokens, and on the worst texts beyond."""


def compare(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    *,
    reference: str | Condition = "batch=alone",
    candidate: str | Condition = "batch=whole",
    readout: str | Readout = "cls",
    against: Checkpoint | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Comparison:
    """Run texts under two conditions and decide whether the difference is rounding or a fault.

    Parameters
    ----------
    texts : strings, or pairs of strings.
    reference, candidate : conditions, `key=value,…`.
    readout : `pooling[@layers][|l2]`.
    against : another checkpoint for the candidate, where two checkpoints are compared.
    seed : of dropout; the candidate draws with seed + 1, as a second run would.

    Raises
    ------
    BertlensError
        For texts, conditions or readouts that cannot be run.
    """
    pair = _Pair(
        (checkpoint, against or checkpoint),
        (Condition.parse(reference), Condition.parse(candidate)),
        Readout.parse(readout),
        as_texts(texts),
        seed,
        progress,
    )
    inputs = pair.inputs()
    as_run = pair.vectors(inputs)
    if as_run[0].shape != as_run[1].shape:
        raise BertlensError(
            "cannot compare the two checkpoints", got=f"{as_run[0].shape[1]} and {as_run[1].shape[1]} dimensions"
        )
    dtypes = (pair.conditions[0].dtype, pair.conditions[1].dtype)
    rows = measure(*as_run, dtypes)
    unequal = [row.text for row in rows if not row.equal]
    in_float64, notes = pair.in_float64(inputs, unequal) if unequal else (None, [])
    rows = judge(rows, as_run, in_float64, dtypes)
    explanation = Explanation() if overall(rows) == "identical" else _explained(pair, inputs, rows, notes)
    notes += pair.notes(inputs)
    last = worst(rows)
    findings = [
        *found.of_causes(overall(rows), explanation.causes, pair.conditions[1], pair.readout, last.text, last.max_abs),
        *found.of_checkpoint(checkpoint, pair.readout),
        *found.of_truncation(inputs[0].tokens, inputs[1].tokens),
    ]
    return Comparison(
        checkpoint=checkpoint.to_dict(),
        reference=str(pair.conditions[0]),
        candidate=str(pair.conditions[1]),
        readout=str(pair.readout),
        rows=tuple(rows),
        explanation=explanation,
        findings=tuple(sorted(findings, key=lambda one: ("problem", "caution", "note").index(one.severity))),
        notes=tuple(dict.fromkeys(notes)),
        environment=environment(pair.texts, checkpoint.device, seed),
        against=against.to_dict() if against else None,
    )


@dataclasses.dataclass(frozen=True)
class _Pair:
    """Reference and candidate of one comparison, and how to run them."""

    checkpoints: tuple[Checkpoint, Checkpoint]
    conditions: tuple[Condition, Condition]
    readout: Readout
    texts: tuple[Any, ...]
    seed: int
    progress: Progress

    def inputs(self) -> tuple[Inputs, Inputs]:
        left, right = (
            prepare(checkpoint, self.texts, condition)
            for checkpoint, condition in zip(self.checkpoints, self.conditions, strict=True)
        )
        return left, right

    def vectors(self, inputs: tuple[Inputs, Inputs], **where: Any) -> tuple[np.ndarray, np.ndarray]:
        """Reference and candidate, each (texts, dimensions)."""
        left, right = (
            read(side, self.readout, seed=self.seed + offset, progress=self.progress, **where)
            for offset, side in enumerate(inputs)
        )
        return left, right

    def in_float64(
        self, inputs: tuple[Inputs, Inputs], texts: list[int]
    ) -> tuple[tuple[np.ndarray, np.ndarray] | None, list[str]]:
        """Both sides in float64 on the CPU, for the passes in which these texts stand; a note where that fails."""
        try:
            needed = (inputs[0].containing(texts), inputs[1].containing(texts))
            return self.vectors(needed, dtype="float64", device="cpu"), []
        except (BertlensError, MemoryError) as error:
            return None, [f"The float64 repeat could not be made: {error}"]

    def notes(self, inputs: tuple[Inputs, Inputs]) -> list[str]:
        notes = []
        for name, side in zip(("reference", "candidate"), inputs, strict=True):
            if side.sliced:
                notes.append(
                    f"The {name}'s batches are too large for one forward pass; they ran in {len(side)} passes at the "
                    "padded length of the whole batch."
                )
            wanted, ran = side.condition.attention, side.checkpoint.attention(side.condition.attention)
            if wanted != ran:
                notes.append(f"{side.checkpoint.architecture.kind} has no {wanted} attention; the {name} ran with {ran}.")
        return notes


def _explained(pair: _Pair, inputs: tuple[Inputs, Inputs], rows: list[Any], notes: list[str]) -> Explanation:
    """The causes of a difference: in float64 where something else is computed, as run where it is rounding."""
    checkpoint, (reference, candidate) = pair.checkpoints[0], pair.conditions
    last = worst(rows)
    rounding = overall(rows) == "rounding"
    measured = last.max_abs if rounding or last.max_abs_float64 is None else last.max_abs_float64
    if pair.checkpoints[1] is not checkpoint:
        return Explanation((Cause("checkpoint", checkpoint.name, pair.checkpoints[1].name, measured),))
    if reference.dropout == candidate.dropout == "on":
        # two draws differ whatever else does; a factor beside them cannot be told apart from chance
        return Explanation((Cause("dropout", "on", "on", measured),))
    chosen = [row.text for row in sorted(rows, key=lambda row: -np.nan_to_num(row.max_abs, nan=np.inf))]
    if max(side.cells for side in inputs) > CELLS_FOR_CAUSES and len(chosen) > 8:
        chosen = chosen[:8]
        notes.append("The causes were measured on the 8 texts with the largest differences.")

    def run(condition: Condition) -> np.ndarray:
        selected = prepare(checkpoint, pair.texts, condition).select(chosen)
        where: dict[str, Any] = {} if rounding else {"dtype": "float64", "device": "cpu"}
        return read(selected, pair.readout, seed=pair.seed + 1, **where)[chosen]

    bound = 0.1 * last.max_abs if rounding else max((row.bound_float64 or 0.0) for row in rows)
    return explain(run, reference, candidate, bound, measured)
