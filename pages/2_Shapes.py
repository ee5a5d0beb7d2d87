import pandas as pd
import streamlit as st

from bertlens.run.condition import Condition
from ui import address, blocks, questions
from ui.frame import Page, show
from ui.rows import rows


def padding_choice(limit: int) -> Condition:
    options = list(dict.fromkeys(["longest", str(min(256, limit)), str(limit), address.value("padding")]))
    chosen = address.widget(
        st.selectbox,
        "Pad to",
        "padding",
        options=options,
        accept_new_options=True,
        to_text=lambda value: str(value or "longest"),
        help="The longest text of the batch, or a fixed number of tokens",
    )
    return Condition(padding=str(chosen or "longest"))


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
    last = next(tensor for tensor in found if tensor.name == "last_hidden_state")
    batch, tokens, hidden = last.shape
    st.info(
        f"**{batch} texts × {tokens} tokens × {hidden} hidden units.** Every [CLS] vector of the batch is "
        f"`last_hidden_state[:, 0, :]`, of shape ({batch}, {hidden}); `last_hidden_state[0]` is all {tokens} tokens of text 0.",
        icon=":material/deployed_code:",
    )
    st.subheader("Every tensor, in and out", anchor="tensors")
    blocks.table(frame, "bertlens-shapes")
    flag_pooler(given)


def flag_pooler(given: Page) -> None:
    from bertlens.judge.findings import of_checkpoint
    from bertlens.read.readout import Readout

    blocks.findings(of_checkpoint(given.checkpoint(), Readout("pooler")))


def python(given: Page, condition: Condition) -> None:
    from bertlens.show import script

    checkpoint = given.checkpoint()
    facts = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    code = script.shapes_script(given.name, given.texts, condition, **facts)
    command = blocks.command(given.name, condition, condition.replace(rows="index"), "cls")
    blocks.same_in_python(code, command, "bertlens_shapes")


def content(given: Page) -> None:
    condition = padding_choice(given.checkpoint().max_length)
    tensors(given, condition)
    rows(given, condition)
    python(given, condition)


show("Shapes", "What shape has every tensor, and what does an index or a slice pick out of it?", content)
