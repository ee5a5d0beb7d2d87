"""Pair: the two sides of a comparison, and how they are run: as they are, in float64, and with single factors exchanged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge.causes import Cause, Explanation, explain
from bertlens.judge.measures import Row
from bertlens.judge.verdict import overall, worst
from bertlens.read.readout import Readout
from bertlens.read.vectors import read
from bertlens.run.condition import Condition
from bertlens.run.inputs import Inputs, prepare
from bertlens.run.progress import Progress
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

CELLS_FOR_CAUSES = 16_384
"""Causes are measured on all texts up to this many padded tokens, and on the worst texts beyond."""

FLOAT64: dict[str, Any] = {"dtype": "float64", "device": "cpu"}


@dataclass(frozen=True)
class Pair:
    """Reference and candidate of one comparison.

    Attributes
    ----------
    checkpoints, conditions : of the reference and of the candidate.
    seed : of dropout in the reference; the candidate draws with seed + 1.
    """

    checkpoints: tuple[Checkpoint, Checkpoint]
    conditions: tuple[Condition, Condition]
    readout: Readout
    texts: Texts
    seed: int
    progress: Progress

    def inputs(self) -> tuple[Inputs, Inputs]:
        """What goes into the model on both sides."""
        left, right = (
            prepare(checkpoint, self.texts, condition)
            for checkpoint, condition in zip(self.checkpoints, self.conditions, strict=True)
        )
        return left, right

    def vectors(self, inputs: tuple[Inputs, Inputs], **where: Any) -> tuple[np.ndarray, np.ndarray]:
        """Reference and candidate, each (texts, dimensions)."""
        left, right = (self._read(one, side, **where) for side, one in enumerate(inputs))
        return left, right

    def _read(self, inputs: Inputs, side: int, **where: Any) -> np.ndarray:
        """Vectors of one side. Kept per side, so that equal conditions on both sides still run twice."""
        key = (side, self.seed, self.readout, inputs.condition, inputs.tokens, inputs.groups, tuple(where.items()))
        name = ("reference", "candidate")[side]

        def tell(done: int, total: int, what: str) -> None:
            self.progress(done, total, f"{name}, {what}")

        options = {"seed": self.seed + side, "progress": tell, **where}
        return inputs.checkpoint.kept.get(key, lambda: read(inputs, self.readout, **options))

    def in_float64(
        self, inputs: tuple[Inputs, Inputs], texts: list[int]
    ) -> tuple[tuple[np.ndarray, np.ndarray] | None, list[str]]:
        """Both sides in float64 on the CPU, for the passes in which these texts stand; a note where that fails."""
        try:
            needed = (inputs[0].containing(texts), inputs[1].containing(texts))
            return self.vectors(needed, **FLOAT64), []
        except (BertlensError, MemoryError) as error:
            return None, [f"The float64 repeat could not be made: {error}"]

    def notes(self, inputs: tuple[Inputs, Inputs]) -> list[str]:
        """What was run otherwise than the conditions say."""
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

    def factors(self) -> dict[str, tuple[str, str]]:
        """What differs between the sides, name -> (reference, candidate)."""
        reference, candidate = self.conditions
        found = {}
        if self.checkpoints[0] is not self.checkpoints[1]:
            found["checkpoint"] = (self.checkpoints[0].name, self.checkpoints[1].name)
        for key in reference.differing(candidate):
            found[key] = (str(getattr(reference, key)), str(getattr(candidate, key)))
        return found

    def explained(self, inputs: tuple[Inputs, Inputs], rows: Sequence[Row], notes: list[str]) -> Explanation:
        """The causes: in float64 where something else is computed, as run where it is rounding or no number at all."""
        last, verdict = worst(list(rows)), overall(list(rows))
        as_run = verdict == "rounding" or not np.isfinite(last.max_abs)
        measured = last.max_abs if as_run or last.max_abs_float64 is None else last.max_abs_float64
        if all(condition.dropout == "on" for condition in self.conditions):
            # two draws differ whatever else does; a factor beside them cannot be told apart from chance
            return Explanation((Cause("dropout", "on", "on", measured),))
        chosen = [row.text for row in sorted(rows, key=lambda row: -np.nan_to_num(row.max_abs, nan=np.inf))]
        if max(side.cells for side in inputs) > CELLS_FOR_CAUSES and len(chosen) > 8:
            chosen = chosen[:8]
            notes.append("The causes were measured on the 8 texts with the largest differences.")
        bound = 0.1 * last.max_abs if as_run else max((row.bound_float64 or 0.0) for row in rows)
        if not np.isfinite(last.max_abs):
            bound = np.finfo(np.float64).max  # what makes NaN or Inf is looked for, however much else differs

        def run(changed: frozenset[str]) -> np.ndarray:
            return self._mixed(changed, chosen, **({} if as_run else FLOAT64))

        found = explain(run, self.factors(), bound, measured, rounding=verdict == "rounding")
        return found if as_run else self._with_rounding(found, chosen)

    def _mixed(self, changed: frozenset[str], texts: list[int], **where: Any) -> np.ndarray:
        """Vectors of some texts with the reference's factors, except for those that are as in the candidate."""
        reference, candidate = self.conditions
        condition = reference.replace(**{key: getattr(candidate, key) for key in changed - {"checkpoint"}})
        checkpoint = self.checkpoints["checkpoint" in changed]
        selected = prepare(checkpoint, self.texts, condition).select(texts)
        return self._read(selected, int(condition.dropout == "on"), **where)[texts]

    def _with_rounding(self, found: Explanation, texts: list[int]) -> Explanation:
        """A number format, which float64 levels out, gets the size of the rounding that it makes in the run itself."""
        innocent = []
        for cause in found.innocent:
            if cause.factor == "dtype":
                left, right = (self._mixed(frozenset(keys), texts).astype(np.float64) for keys in ((), ("dtype",)))
                innocent.append(dataclasses.replace(cause, max_abs=float(np.abs(left - right).max())))
            else:
                innocent.append(cause)
        return dataclasses.replace(found, innocent=tuple(innocent))
