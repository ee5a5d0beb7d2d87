import shlex

import pandas as pd
import streamlit as st

from bertlens.run.condition import Condition
from ui import address, blocks, lens, questions
from ui.frame import Page, section, show
from ui.rows import rows


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
    from bertlens.judge.usable import of_checkpoint
    from bertlens.read.readout import Readout

    blocks.findings(of_checkpoint(given.checkpoint(), Readout("pooler")))


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
    rows(given, condition)
    python(given, condition, expression)


show("Shapes", "What does your expression pick out of the model's outputs, and is it what you meant?", content)
