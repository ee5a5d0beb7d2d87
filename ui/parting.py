"""Parting on a page: where two runs of one text part, layer by layer and token by token, and both rows as they stood."""

from __future__ import annotations

import streamlit as st

from bertlens.run.condition import Condition
from ui import blocks, questions
from ui.frame import Page


def parting(given: Page, text: int, reference: Condition, candidate: Condition, *, as_run: bool = False) -> None:
    """The first state that differs, the differences of all, and the two rows side by side.

    Parameters
    ----------
    as_run : begin with the runs as they are, where rounding shows as well, instead of in float64.
    """
    from bertlens.show import parting as pictures
    from bertlens.show.parting_script import parting_script

    float64 = st.segmented_control(
        "Compare the layers",
        ["in float64", "as they run"],
        default="as they run" if as_run else "in float64",
        key=f"layers_{as_run}",
        help="In float64 only another computation shows; as they run, rounding shows as well.",
    )
    double = float64 != "as they run"
    found = questions.parting(given, text, reference, candidate, float64=double)
    st.markdown(blocks.plain(found.sentence))
    sublayers = any(name.endswith("attention") for name in found.layers)
    st.caption(
        f"Real tokens of both runs, aligned by what they are; padding is not compared ({found.padding[0]} in the reference, "
        f"{found.padding[1]} in the candidate)"
        + (f"; {found.left_out} tokens have no partner." if found.left_out else ".")
        + (" “layer 1 attention” is what the MLP of layer 1 reads, “layer 1” what it returns." if sublayers else "")
    )
    if not found.tokens:
        return
    blocks.figure(pictures.parting(found), "bertlens-layers", found.to_frame(), words=found.sentence, numbers=("max_abs",))
    rows = (
        "The two rows as they stood in the forward pass: the length of every token's vector after every attention and "
        "every layer, on one scale. A token of both rows has one column, and where a row has no such token it is empty; "
        "hatched is padding."
    )
    st.caption(rows)
    blocks.figure(pictures.sides(found), "bertlens-sides", found.sides_to_frame(), words=rows)
    checkpoint = given.checkpoint()
    facts = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    code = parting_script(given.name, given.texts, text, reference, candidate, float64=double, **facts)  # type: ignore[arg-type]
    blocks.script(code, "bertlens_parting")
