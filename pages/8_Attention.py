import streamlit as st

from bertlens.run.condition import Condition
from ui import attention, blocks, questions
from ui.frame import Page, section, show


def python(given: Page, layer: int, head: int | str, **shown: int | None) -> None:
    from bertlens.show.attention_script import attention_script

    checkpoint = given.checkpoint()
    facts = {"architecture": checkpoint.architecture, "max_length": questions.longest(given)}
    code = attention_script(given.name, given.texts, layer=layer, head=head, **shown, **facts)
    st.subheader("The same in Python", anchor="python")
    st.caption("Needs only torch and transformers, and prints the same numbers.")
    blocks.script(code, "bertlens_attention")


def content(given: Page) -> None:
    text = attention.chosen_text(given)
    condition = Condition()
    (found,) = questions.attentions(given, (text, condition))
    blocks.sentence(found)
    blocks.graded(found.findings)
    st.caption(
        "A weight says where a head takes its values from, not why the model decides as it does: see "
        "[Jain and Wallace 2019](https://arxiv.org/abs/1902.10186) and "
        "[Wiegreffe and Pinter 2019](https://arxiv.org/abs/1908.04626)."
    )
    measure, layer, head, token = attention.heads(given, found, condition)
    width = None
    with section():
        width = attention.padding(given, found)
    with section():
        attention.beside(given, found, condition, measure, layer, head)
    if len(given.texts) > 1:
        with section():
            attention.texts(given)
    with section():
        attention.eager(given, text)
    python(given, layer, head, text=text, token=token, padding=width)


show("Attention", "Which token looks at which, and does anybody look at padding?", content)
