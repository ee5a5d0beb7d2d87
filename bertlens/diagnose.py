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
from bertlens.judge.parting import Parting, part
from bertlens.judge.sweep import Sweep, lengths_between, sweep
from bertlens.judge.verdict import judge, overall, worst
from bertlens.read.readout import Readout, read
from bertlens.read.slicing import Access, Tensor, accesses, tensors_of
from bertlens.read.states import states_of
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
    explanation = _explained(pair, inputs, rows, notes) if overall(rows) in ("rounding", "different") else Explanation()
    notes += pair.notes(inputs)
    last = worst(rows)
    findings = [
        *found.of_checkpoint(checkpoint, pair.readout),
        *found.of_truncation(inputs[0].tokens, inputs[1].tokens),
        *found.of_causes(overall(rows), explanation.causes, pair.conditions[1], pair.readout, last.text, last.max_abs),
    ]
    return Comparison(
        checkpoint=checkpoint.to_dict(),
        reference=str(pair.conditions[0]),
        candidate=str(pair.conditions[1]),
        readout=str(pair.readout),
        rows=tuple(rows),
        explanation=explanation,
        findings=found.most_serious_first(findings),
        notes=tuple(dict.fromkeys(notes)),
        environment=environment(pair.texts, checkpoint.device, seed),
        against=against.to_dict() if against else None,
    )


def padding_sweep(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    *,
    condition: str | Condition = "",
    readout: str | Readout = "cls",
    count: int = 12,
    progress: Progress = silent,
) -> Sweep:
    """Pad texts from the longest one's length to the model's limit, with and without mask, in float32 and float64.

    Parameters
    ----------
    condition : what is kept besides padding, mask and dtype (side, positions, special tokens …).
    count : how many lengths, in equal ratios.
    """
    base, chosen, whole = Condition.parse(condition), Readout.parse(readout), as_texts(texts)
    base = base.replace(rows="slice", dropout="off", dtype="float32", padding="longest")
    longest = max(len(row.ids) for row in prepare(checkpoint, whole, base).tokens)

    def run(one: Condition, dtype: str) -> np.ndarray:
        device = "cpu" if dtype == "float64" else None
        return read(prepare(checkpoint, whole, one), chosen, dtype=dtype, device=device)

    lengths = lengths_between(longest, checkpoint.max_length, count)
    return sweep(run, base, lengths, str(chosen), tuple(range(len(whole))), progress)


def where_they_part(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    text: int,
    *,
    reference: str | Condition = "batch=alone",
    candidate: str | Condition = "batch=whole",
    float64: bool = True,
    seed: int = 0,
) -> Parting:
    """The difference of one text under two conditions, per layer and token.

    Parameters
    ----------
    float64 : repeat both sides in float64, so that only another computation shows; else compare them as they run.
    """
    whole = as_texts(texts)
    _check_text(text, whole)
    sides = (prepare(checkpoint, whole, Condition.parse(one)) for one in (reference, candidate))
    left, right = (
        states_of(side, text, dtype="float64" if float64 else None, seed=seed + offset) for offset, side in enumerate(sides)
    )
    return part(text, left, right, checkpoint.tokenizer, float64=float64)


def shapes(checkpoint: Checkpoint, texts: Sequence[Any] | str, *, condition: str | Condition = "") -> tuple[Tensor, ...]:
    """Every tensor of the first forward pass with named axes, going in and coming out."""
    return tensors_of(prepare(checkpoint, as_texts(texts), Condition.parse(condition)))


def index_or_slice(
    checkpoint: Checkpoint, texts: Sequence[Any] | str, text: int = 0, *, padding: str | int = "longest"
) -> tuple[tuple[Access, ...], Comparison, Comparison]:
    """Index, slice and batch of one array: what each returns, and [CLS] by slice and by index against the batch.

    Returns
    -------
    accesses : shapes and refusals for one text; then the comparisons of `batch` with slices and with indices, all texts.
    """
    batch = Condition(padding=padding)
    whole = as_texts(texts)
    _check_text(text, whole)
    found = accesses(prepare(checkpoint, whole, batch), text)
    # slices of one padded array keep its length, so every row is padded to the longest of all
    width = max(len(row.ids) for row in prepare(checkpoint, whole, batch).tokens) if padding == "longest" else padding
    alone = Condition(batch="alone", padding=width)
    by_slice = compare(checkpoint, whole, reference=batch, candidate=alone)
    by_index = compare(checkpoint, whole, reference=batch, candidate=batch.replace(rows="index"))
    return found, by_slice, by_index


def _check_text(text: int, texts: Sequence[Any]) -> None:
    if not 0 <= text < len(texts):
        raise BertlensError("cannot show a text", got=f"number {text}", expected=f"0 … {len(texts) - 1}")


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
    """The causes of a difference: in float64 where something else is computed; as run where it is rounding or no number."""
    checkpoint, (reference, candidate) = pair.checkpoints[0], pair.conditions
    last = worst(rows)
    rounding, broken = overall(rows) == "rounding", not np.isfinite(last.max_abs)
    measured = last.max_abs if rounding or broken or last.max_abs_float64 is None else last.max_abs_float64
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
        where: dict[str, Any] = {} if rounding or broken else {"dtype": "float64", "device": "cpu"}
        return read(selected, pair.readout, seed=pair.seed + 1, **where)[chosen]

    bound = 0.1 * last.max_abs if rounding else max((row.bound_float64 or 0.0) for row in rows)
    if broken:
        bound = np.finfo(np.float64).max  # what makes NaN or Inf is looked for, however much else differs
    explanation = explain(run, reference, candidate, bound, measured, rounding=rounding)
    return explanation if rounding or broken else _with_rounding(pair, explanation)


def _with_rounding(pair: _Pair, explanation: Explanation) -> Explanation:
    """Factors that float64 levels out get the size of the rounding that they make in the run itself."""
    reference, candidate = pair.conditions

    def size(key: str) -> float:
        sides = (prepare(pair.checkpoints[0], pair.texts, one) for one in (reference, mixed(key)))
        left, right = (read(side, pair.readout, seed=pair.seed).astype(np.float64) for side in sides)
        return float(np.abs(left - right).max())

    def mixed(key: str) -> Condition:
        return reference.replace(**{key: getattr(candidate, key)})

    innocent = (
        dataclasses.replace(cause, max_abs=size(cause.factor)) if cause.factor == "dtype" else cause
        for cause in explanation.innocent
    )
    return dataclasses.replace(explanation, innocent=tuple(innocent))
