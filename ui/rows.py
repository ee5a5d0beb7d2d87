"""Rows: the part of a page on one row of the array taken by index, by slice, or with the whole batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from ui import address, blocks, questions
from ui.frame import Page

if TYPE_CHECKING:
    from bertlens.judge.rows import Rows

MOST_ROWS = 64
"""Texts that are taken row by row; each is a forward pass of its own."""


def rows(given: Page, condition: Condition) -> None:
    """Draw it for the page's texts, padded as the condition says."""
    st.subheader("One row: by index, by slice, or the whole batch?", anchor="rows")
    texts = given.texts[:MOST_ROWS]
    if len(texts) < len(given.texts):
        st.caption(f"Tried on the first {len(texts)} of {len(given.texts):,} texts.")
    text = _text(len(texts))
    found = questions.index_or_slice(given, texts, text, condition.padding)
    blocks.sentence(found)
    _refusal(found)
    _shapes(found)
    _equal(found, texts)
    blocks.findings(found.findings)


def _text(count: int) -> int:
    """The text that is taken out; a link may name one that is not there."""
    shown = address.number("text", count - 1, 0)
    if count == 1:
        return 0
    options: dict[str, Any] = {"min_value": 0, "max_value": count - 1, "step": 1, "width": 200}
    return int(address.widget(st.number_input, "Text number", "text", shown=shown, **options))


def _refusal(found: Rows) -> None:
    """PyTorch's own error beside what Keras does with the same array."""
    index, bare, keras, _, piece, *_ = found.accesses
    left, right = st.columns(2)
    with left:
        st.markdown(f"**PyTorch** on `{index.code}`, of shape {index.ids}:")
        st.code(index.refusal or f"no error: {index.words}", language=None, wrap_lines=True)
        if bare.refusal == index.refusal:
            st.markdown(f"The same for `{bare.code}` alone, a list of ids made a 1-D tensor.")
        else:
            st.markdown(f"And `{bare.code}` alone, a list of ids made a 1-D tensor:")
            st.code(bare.refusal or f"no error: {bare.words}", language=None, wrap_lines=True)
    with right:
        st.markdown(f"**Keras** on the same array, `{keras.code}`:")
        st.code(_keras(found), language=None, wrap_lines=True)
        st.markdown(_repair(found))
    st.caption(
        "Keras itself is not run here: the same PyTorch model gets what Keras makes of the array. The axis belongs in front: "
        f"`{piece.code}`, or `{index.code}[None]`."
    )


def _keras(found: Rows) -> str:
    from bertlens.read.access import KERAS, shown

    keras = next(one for one in found.accesses if one.way == KERAS)
    if keras.refusal:
        return keras.refusal
    many = len(keras.runs)
    batches = f"{many} mini-batches, {shown(keras, 'forward passes')}" if many > 1 else f"one mini-batch, {keras.runs[0]}"
    return (
        f"no error: reads {keras.ids} as {(*keras.ids, 1)}, {keras.ids[0]} sequences of length 1; runs {batches}; "
        f"returns last_hidden_state {keras.output}"
    )


def _repair(found: Rows) -> str:
    from bertlens.judge.wording import number
    from bertlens.read.access import REPAIR

    code, row = next(one.code for one in found.accesses if one.way == REPAIR), found.repair
    if row is None:
        return f"The axis added at the wrong end, `{code}`, is refused as well."
    same = "the same vector to the last bit" if row.equal else f"the same vector up to {number(row.max_abs)}"
    return f"In PyTorch, the axis added at the wrong end lands at the same place: `{code}` gives {same}."


def _shapes(found: Rows) -> None:
    from bertlens.read.access import access_frame, stage_frame

    st.markdown("**The shape at every stage**")
    index, bare, *others = found.accesses
    blocks.table(stage_frame((index, *others) if bare.refusal == index.refusal else found.accesses), "bertlens-stages")
    st.markdown("**The cells that each expression picks**")
    blocks.table(access_frame(found.accesses), "bertlens-access")


def _equal(found: Rows, texts: Texts) -> None:
    from bertlens.show import tables

    st.markdown("**Which vectors of the first token are equal?**")
    st.markdown(_same_though_other(found))
    blocks.table(tables.equalities(found), "bertlens-equal")
    numbers = ("max_abs", "max_abs_float64", "l2", "bound_float64")
    with st.expander("Every row of this table: ==, max abs, cosine, ULPs, float64", icon=":material/table:"):
        blocks.table(found.to_frame(), "bertlens-rows", numbers=numbers, document=found)
    with st.expander("Every text by slice and by index, against the whole batch", icon=":material/table_rows:"):
        for title, name, comparison in (
            ("[CLS] of each row by slice, against the whole batch", "bertlens-slice", found.by_slice),
            ("[CLS] of each row by index, as Keras reads it, against the whole batch", "bertlens-index", found.by_index),
        ):
            st.markdown(f"**{blocks.plain(title)}**")
            blocks.sentence(comparison)
            blocks.table(tables.rows(comparison, texts), name, numbers=numbers, document=comparison)


def _same_though_other(found: Rows) -> str:
    """What the rows by index say of texts that differ, and what the same rows say in the batch."""
    from bertlens.judge.wording import number

    apart = [one for one in found.equalities if one.against == "row 0" and not one.same_text]
    index, batch = ([one.row for one in apart if one.way == way] for way in ("index", "batch"))
    if not index:
        return "With two different texts or more, their rows by index are compared with each other here."
    same = sum(row.equal for row in index)
    said = "are the same to the last bit although the texts differ" if same else "differ"
    which = f"{same} of {len(index)} pairs of rows" if 0 < same < len(index) else "rows"
    least = number(min(row.max_abs for row in batch))
    return f"By index, **{which} {said}**; in the batch the same rows lie at least {least} apart."
