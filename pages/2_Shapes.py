import shlex

import pandas as pd
import streamlit as st

from bertlens.run.condition import Condition
from ui import address, blocks, lens, questions
from ui.frame import Page, section, show

MOST_ROWS = 64
"""Texts that are taken row by row; each is a forward pass of its own."""


def padding_choice(limit: int) -> Condition:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        options = list(dict.fromkeys(["longest", str(min(256, limit)), str(limit), address.value("padding")]))
        padding = address.widget(
            st.selectbox,
            "Pad to",
            "padding",
            options=options,
            accept_new_options=True,
            to_text=lambda value: str(value or "longest"),
            help="The longest text of the batch, or a fixed number of tokens",
            width=180,
        )
        side = address.widget(
            st.segmented_control,
            "on the",
            "side",
            shown="left" if address.value("side") == "left" else "right",
            options=["right", "left"],
            to_text=lambda value: str(value or "right"),
            required=True,
        )
    return Condition(padding=str(padding or "longest"), side=str(side or "right"))


def tensors(given: Page, condition: Condition) -> None:
    found = questions.shapes(given, condition)
    frame = pd.DataFrame(
        {
            "": [tensor.direction for tensor in found],
            "tensor": [tensor.name for tensor in found],
            "axes": [" × ".join(tensor.axes) for tensor in found],
            "shape": [" × ".join(map(str, tensor.shape)) for tensor in found],
            "dtype": [tensor.dtype for tensor in found],
            "memory, bytes": [tensor.bytes for tensor in found],
            "what it is": [tensor.meaning for tensor in found],
        }
    )
    st.subheader("Every tensor, in and out", anchor="tensors")
    last = next(tensor for tensor in found if tensor.name == "last_hidden_state")
    batch, tokens, hidden = last.shape
    st.info(
        f"**{batch} texts × {tokens} tokens × {hidden} hidden units.** Every [CLS] vector of the batch is "
        f"`last_hidden_state[:, 0, :]`, of shape ({batch}, {hidden}); `last_hidden_state[0]` is all {tokens} tokens of text 0.",
        icon=":material/deployed_code:",
    )
    blocks.table(frame, "bertlens-shapes")
    flag_pooler(given)


def flag_pooler(given: Page) -> None:
    from bertlens.judge.findings import of_checkpoint
    from bertlens.read.readout import Readout

    blocks.findings(of_checkpoint(given.checkpoint(), Readout("pooler")))


def one_row(given: Page, condition: Condition) -> None:
    from bertlens.read.slicing import access_frame
    from bertlens.show import tables

    st.subheader("One row: by index, by slice, or the whole batch?", anchor="rows")
    texts = given.texts[:MOST_ROWS]
    count = len(texts)
    if count < len(given.texts):
        st.caption(f"Tried on the first {count} of {len(given.texts):,} texts.")
    asked = address.value("text")
    shown = int(asked) if asked.isdigit() and int(asked) < count else 0
    text = shown
    if count > 1:
        options = {"min_value": 0, "max_value": count - 1, "step": 1, "width": 200}
        text = int(address.widget(st.number_input, "Text number", "text", shown=shown, **options))
    found, by_slice, by_index, distinct = questions.index_or_slice(given, texts, text, condition.padding)
    blocks.table(access_frame(found), "bertlens-access")
    for title, name, comparison in (
        ("[CLS] of each row by slice, against the whole batch", "bertlens-slice", by_slice),
        ("[CLS] of each row by index, as Keras reads it, against the whole batch", "bertlens-index", by_index),
    ):
        st.markdown(f"**{blocks.plain(title)}**")
        blocks.sentence(comparison)
        frame = tables.rows(comparison, texts)
        blocks.table(frame, name, numbers=("max_abs", "max_abs_float64", "l2"), document=comparison)
    given_texts = f"{len(set(texts))} different texts get" if len(set(texts)) > 1 else "The text gets"
    st.markdown(
        f"By index, **{given_texts} {distinct} vector{'s' * (distinct != 1)}**, compared bit for bit: sequence 0 is the lone "
        "first token, the same for every text. By slice, each text keeps its own."
    )
    blocks.findings(by_index.findings)


def python(given: Page, condition: Condition, expression: str) -> None:
    from bertlens.show.lens import lens_script

    checkpoint = given.checkpoint()
    facts = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    code = lens_script(given.name, given.texts, condition, expression, **facts)
    words = ["bertlens", "shapes", given.name, "--texts", "texts.txt"]
    words += [*(["--condition", str(condition)] if str(condition) else []), *(["--expr", expression] if expression else [])]
    blocks.same_in_python(code, shlex.join(words), "bertlens_shapes")


def content(given: Page) -> None:
    expression = lens.box()
    condition = padding_choice(given.checkpoint().max_length)
    with section():
        found = lens.answer(given, expression, condition)
        expression = expression if found is not None else ""
    tensors(given, condition)
    one_row(given, condition)
    python(given, condition, expression)


show("Shapes", "What does your expression pick out of the model's outputs, and is it what you meant?", content)
