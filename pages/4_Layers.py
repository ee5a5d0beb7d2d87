import streamlit as st

from bertlens.run.condition import Condition
from ui import address, blocks, layers, questions
from ui.conditions import presets
from ui.frame import Page, section, show
from ui.parting import parting


def states(found) -> None:
    st.subheader("Every hidden state", anchor="states")
    tied = "is bit-equal to" if found.tied else "is not"
    st.caption(
        f"`hidden_states` has {found.depth + 1} entries: the embeddings and {found.depth} layers. "
        f"`hidden_states[-1]` {tied} `last_hidden_state` in this architecture; checked in this run."
    )
    layers.travel(found)


def two_conditions(given: Page, text: int) -> None:
    st.subheader("The same text under two conditions", anchor="conditions")
    presets(given.checkpoint().max_length)
    reference, candidate = (Condition.parse(address.value(side)) for side in ("reference", "candidate"))
    st.caption(f"Reference: {blocks.plain(reference.words)}. Candidate: {blocks.plain(candidate.words)}.")
    parting(given, text, reference, candidate)


def python(given: Page, pooling: str) -> None:
    from bertlens.show.layers_script import layers_script

    checkpoint = given.checkpoint()
    facts = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    code = layers_script(given.name, given.texts, pooling=pooling, **facts)
    words = ["bertlens", "layers", given.name, "--texts", "texts.txt", "--readout", pooling]
    blocks.same_in_python(code, words, "bertlens_layers")


def content(given: Page) -> None:
    found = questions.layers(given)
    blocks.sentence(found)
    for note in found.notes:
        st.caption(f":material/info: {blocks.plain(note)}")
    blocks.findings(found.findings)
    with section():
        states(found)
    with section():
        layers.narrow(found)
    with section():
        pooling = layers.texts(found, given.texts)
    with section():
        text = layers.one_text(given)
        two_conditions(given, text)
    python(given, pooling)


show("Layers", "What does each layer do to your texts, and which one should you read?", content)
