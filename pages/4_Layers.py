import shlex

import streamlit as st

from bertlens.run.condition import Condition
from ui import address, blocks, layers, questions
from ui.conditions import SIDES, presets
from ui.frame import Page, section, show
from ui.parting import parting


def states(found) -> str:
    tied = "is bit-equal to" if found.tied else "is not"
    st.subheader("Every hidden state", anchor="states")
    st.caption(
        f"`hidden_states` has {found.depth + 1} entries: the embeddings, then {found.depth} layers. `hidden_states[-1]` {tied} "
        "`last_hidden_state` in this architecture; checked in this run."
    )
    measure = layers.travel(found)
    layers.named(found)
    return measure


def two_conditions(given: Page, text: int) -> None:
    st.subheader("The same text under two conditions", anchor="conditions")
    presets(given.checkpoint().max_length)
    reference, candidate = (Condition.parse(address.value(side)) for side in SIDES)
    st.caption(f"Reference: {blocks.plain(reference.words)}. Candidate: {blocks.plain(candidate.words)}.")
    parting(given, text, reference, candidate)


def python(given: Page, pooling: str, **shown: int) -> None:
    from bertlens.show.layers_script import layers_script

    checkpoint = given.checkpoint()
    facts = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    code = layers_script(given.name, given.texts, pooling=pooling, **shown, **facts)
    words = ["bertlens", "layers", given.name, "--texts", "texts.txt", "--readout", pooling]
    blocks.same_in_python(code, shlex.join(words), "bertlens_layers")


def content(given: Page) -> None:
    found = questions.layers(given)
    blocks.sentence(found)
    blocks.notes(found.notes)
    blocks.graded(found.findings)
    measure = states(found)
    with section():
        layers.narrow(found)
    pooling, state = layers.texts(found, given.texts, measure)
    text = token = 0
    with section():
        text, token = layers.one_text(given, measure)
    with section():
        two_conditions(given, text)
    python(given, pooling, state=state, text=text, token=token)


show("Layers", "What does each layer do to your texts, and which one should you read?", content)
