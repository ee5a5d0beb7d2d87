"""Rows: one row of a tokenised array gives another [CLS] than the batch, because an index loses the batch axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from bertlens.cases.worked.case import MOST, Answer, Case, Choice, Control, Drawing, Step, Table, of_texts
from bertlens.diagnose import capture, explain, index_or_slice
from bertlens.judge.rows import Rows, paddings
from bertlens.judge.wording import number
from bertlens.read.access import KERAS, access_frame, stage_frame
from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.show import cells, cube, held, tables
from bertlens.show.script import comparison_script, shapes_script

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.progress import Progress
    from bertlens.run.texts import Texts
    from bertlens.show.held import Held

SIZES = ("max_abs", "max_abs_float64", "l2")
PICKED = ("outputs[0][0]", "outputs.last_hidden_state[:, 0, :]")
"""What is written on a single call and then on the batch, and what is meant."""


@dataclass(frozen=True, eq=False)
class Taken:
    """Rows of an array taken by index, by slice and as a batch.

    Attributes
    ----------
    padding : what the rows are padded to, as a condition says it.
    rows : all of it.
    cells : expression -> what is said of it, and the cells of the batch's output that it picks.
    """

    padding: str
    rows: Rows
    cells: dict[str, tuple[str, Held]]


def padded_rows(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Taken:
    """The rows as the choice says; by default row 0 of all, padded to 256 tokens or what the model takes."""
    some = texts[: int(choice.get("rows", MOST))]
    padding = choice.get("padding") or _fixed(checkpoint, some)
    row = min(int(choice.get("row", 0)), len(some) - 1)
    rows = index_or_slice(checkpoint, some, row, padding=padding, progress=progress)
    outputs = capture(checkpoint, some)
    cells = {}
    for expression in PICKED:
        explained = explain(expression, outputs)
        cells[expression] = (explained.result.words if explained.result else "", held.of_result(explained.trace, outputs))
    return Taken(padding, rows, cells)


def _fixed(checkpoint: Checkpoint, texts: Texts) -> str:
    return paddings(checkpoint, _longest(checkpoint, texts))[0]


def _longest(checkpoint: Checkpoint, texts: Texts) -> int:
    return max(len(row.ids) for row in prepare(checkpoint, texts[:MOST], Condition()).tokens)


def mistake(found: Taken, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """By index, against the batch."""
    rows = found.rows
    index, *_ = rows.accesses
    many = len(rows.by_index.rows)
    same = "the same vector" if rows.distinct_by_index == 1 else f"{rows.distinct_by_index} different vectors"
    says = f" PyTorch refuses {index.code} ({index.refusal}); Keras, or an axis at the wrong end, does not."
    refused = says if index.refusal else ""
    chosen = [one for one in rows.accesses if one.way in (KERAS, "slice")] + [rows.accesses[-1]]
    return Answer(
        verdict=rows.by_index.verdict,
        sentence=rows.by_index.sentence,
        reason=f"Taken by index, {many} texts get {same}, bit for bit.{refused}",
        lines="output = model.predict(ids[0], mask[0])   # ids[0] has shape (tokens,): the batch axis is lost\n"
        "vector = output[0][0]                      # looks like one [CLS] vector, and is that of a lone [CLS]",
        tables=(
            Table("case-1-index", "By index, text by text", tables.rows(rows.by_index, texts[:many]), SIZES),
            Table("case-1-stages", "The shape at every stage", stage_frame(tuple(chosen))),
        ),
    )


def right(found: Taken, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """By slice, against the batch."""
    rows = found.rows
    piece = next(one for one in rows.accesses if one.way == "slice")
    many = len(rows.by_slice.rows)
    return Answer(
        verdict=rows.by_slice.verdict,
        sentence=rows.by_slice.sentence,
        reason=f"{piece.code} keeps the batch axis: ids {piece.ids} go in, last_hidden_state {piece.output} comes out, and "
        f"[:, 0, :] of it is every [CLS]. By slice, {many} texts get {rows.distinct_by_slice} vectors.",
        lines="outputs = model(input_ids=ids[i:i+1], attention_mask=mask[i:i+1])\nvectors = outputs.last_hidden_state[:, 0, :]",
        tables=(Table("case-1-slice", "By slice, text by text", tables.rows(rows.by_slice, texts[:many]), SIZES),),
    )


def reason(found: Taken, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """What a 1-D array is read as, and the cells that each expression picks."""
    rows = found.rows
    keras = next(one for one in rows.accesses if one.way == KERAS)
    tokens = keras.ids[0]
    words = f"A 1-D array of {tokens} ids is read as {tokens} sequences of length 1. The first of them is {keras.words}."
    drawings = []
    for at, (expression, (said, lit)) in enumerate(found.cells.items(), start=1):
        title = f"{expression} on the whole batch, padded to its longest"
        drawings.append(Drawing(f"case-1-cells-{at}", title, cube.cube(lit), cells.cells_frame(lit), f"{title}: {said}."))
    return Answer(
        reason=f"{words} On the batch the same expression picks other cells, so the two never were the same thing.",
        tables=(
            Table("case-1-equal", "Which vectors are equal (==, or their largest difference)", tables.equalities(rows)),
            Table(
                "case-1-measures", "The same in numbers: max abs, cosine, ULPs, float64", rows.to_frame(), SIZES, folded=True
            ),
            Table("case-1-cells", "The cells that each expression picks", access_frame(rows.accesses)),
        ),
        drawings=tuple(drawings),
    )


def what_if(found: Taken, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """Another row, another padded length, another number of rows."""
    rows = found.rows
    lines = []
    for name, comparison in (("slice", rows.by_slice), ("index", rows.by_index)):
        lines += [{"taken by": name, **row.to_dict()} for row in comparison.rows]
    shown = next(one for one in rows.accesses if one.way == "slice").code
    size = number(rows.by_slice.worst.max_abs)
    return Answer(
        verdict=rows.verdict,
        sentence=rows.sentence,
        reason=f"Padded to {found.padding}, {len(rows.by_index.rows)} rows; taken out is {shown}. By slice the "
        f"worst difference is {size} ({rows.by_slice.verdict}).",
        tables=(
            Table("case-1-if", "Every row against the same row of the batch", pd.DataFrame(lines), (*SIZES, "bound_float64")),
            Table("case-1-if-stages", "The shape at every stage", stage_frame(rows.accesses), folded=True),
        ),
    )


def code(found: Taken, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """Both comparisons and every shape."""
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    some = texts[:MOST]
    # a slice of a padded array keeps its length
    tokens = _longest(checkpoint, some) if found.padding == "longest" else found.padding
    width = Condition.parse(f"padding={tokens}")
    both = {"mistake": width.replace(rows="index"), "right_way": width.replace(batch="alone")}
    scripts = {
        f"case_1_{name}": comparison_script(checkpoint.name, some, width, candidate, Readout(), **facts)
        for name, candidate in both.items()
    }
    scripts["case_1_shapes"] = shapes_script(checkpoint.name, some, Condition(padding=found.padding), **facts)
    return Answer(
        reason="The index, the slice, and the shapes at every stage, with every number above.",
        scripts=scripts,
    )


def _lengths(checkpoint: Checkpoint, texts: Texts) -> dict[str, str]:
    longest = _longest(checkpoint, texts)
    fixed = {_fixed(checkpoint, texts), "32", "128", str(checkpoint.max_length)} - {"longest"}
    kept = sorted((int(one) for one in fixed if longest <= int(one) <= checkpoint.max_length), reverse=True)
    if checkpoint.tokenizer.pad_token_id is None:
        kept = []
    return {"longest": "the longest row", **{str(one): f"{one} tokens" for one in kept}}


def _counts(checkpoint: Checkpoint, texts: Texts) -> dict[str, str]:
    many = min(len(texts), MOST)
    return {str(count): f"{count} row{'s' * (count > 1)}" for count in range(many, 0, -1)}


CASE = Case(
    number=1,
    title="One row, another [CLS]",
    question="One row gives me another [CLS] vector than the same row in the batch. Why?",
    steps=(
        Step("mistake", padded_rows, mistake),
        Step("right", padded_rows, right),
        Step("reason", padded_rows, reason),
        Step("if", padded_rows, what_if),
        Step("code", padded_rows, code),
    ),
    controls=(
        Control("padding", "the rows were padded to", _lengths),
        Control("rows", "the batch had", _counts),
        Control("row", "row taken out", lambda checkpoint, texts: of_texts(texts)),
    ),
)
