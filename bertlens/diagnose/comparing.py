"""Comparing: the same texts under two conditions, at growing padding, layer by layer, and taken by index or by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge import findings as found
from bertlens.judge.causes import Explanation
from bertlens.judge.comparison import Comparison
from bertlens.judge.drift import between
from bertlens.judge.measures import measure
from bertlens.judge.pair import Pair
from bertlens.judge.parting import Parting, part
from bertlens.judge.rows import Rows, Taken, equalities
from bertlens.judge.sweep import Sweep, lengths_between, sweep
from bertlens.judge.usable import of_checkpoint
from bertlens.judge.verdict import judge, overall, worst
from bertlens.read.access import accesses
from bertlens.read.readout import Readout
from bertlens.read.states import states_of
from bertlens.read.vectors import read
from bertlens.run.condition import Condition
from bertlens.run.environment import environment
from bertlens.run.inputs import prepare
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import as_texts, check_index

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint


Vectors = tuple[np.ndarray, np.ndarray]
"""Reference and candidate, each (texts, dimensions)."""


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
    conditions = (Condition.parse(reference), Condition.parse(candidate))
    checkpoints = (checkpoint, against or checkpoint)
    found, *_ = _compared(Pair(checkpoints, conditions, Readout.parse(readout), as_texts(texts), seed, progress))
    return replace(found, against=against.to_dict()) if against else found


def _compared(pair: Pair) -> tuple[Comparison, Vectors, Vectors | None]:
    """A comparison, with the vectors of both sides as run and, where something differed, in float64."""
    checkpoint = pair.checkpoints[0]
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
    explanation = pair.explained(inputs, rows, notes) if overall(rows) in ("rounding", "different") else Explanation()
    notes += pair.notes(inputs)
    last = worst(rows)
    findings = [
        *of_checkpoint(checkpoint, pair.readout),
        *found.of_truncation(inputs[0].tokens, inputs[1].tokens),
        *(between(*pair.checkpoints, cause) for cause in explanation.causes if cause.factor == "checkpoint"),
        *found.of_causes(overall(rows), explanation.causes, pair.conditions[1], pair.readout, last.text, last.max_abs),
    ]
    comparison = Comparison(
        checkpoint=checkpoint.to_dict(),
        reference=str(pair.conditions[0]),
        candidate=str(pair.conditions[1]),
        readout=str(pair.readout),
        rows=tuple(rows),
        explanation=explanation,
        findings=found.most_serious_first(findings),
        notes=tuple(dict.fromkeys(notes)),
        environment=environment(pair.texts, checkpoint.device, pair.seed),
    )
    return comparison, as_run, in_float64


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
    sublayers: bool = True,
    seed: int = 0,
) -> Parting:
    """The difference of one text under two conditions, per layer and token, with the whole row of both sides.

    Parameters
    ----------
    float64 : repeat both sides in float64, so that only another computation shows; else compare them as they run.
    sublayers : resolve every layer into its attention and its MLP, as far as the model shows them.
    """
    whole = as_texts(texts)
    check_index(whole, text)
    conditions = (Condition.parse(reference), Condition.parse(candidate))
    dtype = "float64" if float64 else None
    left, right = (
        states_of(prepare(checkpoint, whole, one), text, dtype=dtype, seed=seed + offset, sublayers=sublayers)
        for offset, one in enumerate(conditions)
    )
    named = (str(conditions[0]), str(conditions[1]))
    return part(text, left, right, checkpoint.tokenizer, float64=float64, conditions=named)


def index_or_slice(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    text: int = 0,
    *,
    padding: str | int = "longest",
    progress: Progress = silent,
) -> Rows:
    """Index, slice and batch of one array: what each returns, and [CLS] by slice and by index against the batch.

    Parameters
    ----------
    text : the one whose access is shown; the comparisons hold all texts.
    padding : the length of the rows of the array.
    """
    whole = as_texts(texts)
    check_index(whole, text)
    inputs = prepare(checkpoint, whole, Condition(padding=padding))
    found = accesses(inputs, text)
    # slices of one padded array keep its length, so every row is padded to the longest of all
    width = max(len(row.ids) for row in inputs.tokens) if padding == "longest" else int(padding)
    batch = Condition(padding=width)
    ways = {"slice": batch.replace(batch="alone"), "index": batch.replace(rows="index")}
    taken, compared = Taken(checkpoint, whole, progress), {}
    for way, condition in ways.items():
        pair = Pair((checkpoint, checkpoint), (batch, condition), Readout(), whole, 0, progress)
        compared[way], *runs = _compared(pair)
        for vectors, double in zip(runs, (False, True), strict=True):
            if vectors is not None:
                taken.know("batch", width, vectors[0], double=double)
                taken.know(way, width, vectors[1], double=double)
    by_index, by_slice = (len({row.tobytes() for row in taken.vectors(way, width, len(whole))}) for way in ("index", "slice"))
    return Rows(found, compared["slice"], compared["index"], by_index, by_slice, equalities(checkpoint, taken))
