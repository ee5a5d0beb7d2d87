"""Layers on a page: the hidden states of all texts, and of one text token by token; nothing drawn here runs the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from ui import address, blocks, questions
from ui.frame import Page, at_once
from ui.pictures import Point

if TYPE_CHECKING:
    from bertlens.judge.layers import Layers
    from bertlens.judge.token_layers import TokenLayers
    from bertlens.read.course import Course

MEASURES = {
    "change": "Step to this state",
    "norm": "Norm",
    "to_previous": "Cosine to the previous state",
    "to_last": "Cosine to the last state",
}
MAP, COURSE, ALIKE = "bertlens-tokens", "bertlens-course", "bertlens-alike"
DRAWN = 500
"""Texts up to which the matrix of all pairs is drawn."""


def _measured() -> str:
    words = "Step: how far a vector moves from one state to the next, over its length before. Norm: its L2 length."
    return address.one_of("Measure", "measure", list(MEASURES), format_func=MEASURES.get, help=words)


@at_once
def travel(found: Layers) -> str:
    """How far all tokens move from state to state; the measure, which every picture of the page shows."""
    from bertlens.read import travel as words
    from bertlens.show import layer_tables, layers

    measure = _measured()
    said = f"Of all tokens and of [CLS], in every hidden state: {words.MEASURES[measure]}."
    st.caption(said + " Lines are means, bands reach from the smallest to the largest token.")
    frame = layer_tables.travel(found, measure)
    blocks.figure(layers.travel(found, measure), "bertlens-travel", frame, words=said, document=found)
    return measure


def named(found: Layers) -> None:
    """What each state is, and how it is read."""
    with st.expander("What each state is, and how it is read", icon=":material/list:"):
        blocks.table(found.to_frame(), "bertlens-states")


@at_once
def narrow(found: Layers) -> None:
    """How alike unrelated tokens are, through which units, and how alike the states are."""
    from bertlens.show import layer_tables, layers

    st.subheader("Why are all my cosines high?", anchor="cosines")
    st.caption(
        "The mean cosine of tokens that have nothing to do with each other. Independent directions would have 0; a model "
        "of the same shape with fresh weights shows what is there before any training."
    )
    frame = layer_tables.unrelated(found)
    blocks.figure(layers.anisotropy(found), "bertlens-cosines", frame, words=found.sentence)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Which units make it**")
        units = "What the largest units add to the mean cosine of each state; the sum of all bars is that mean."
        blocks.figure(layers.outliers(found), "bertlens-units", found.top_units(), words=units)
    with right:
        st.markdown("**How alike the states are**")
        debiased = st.toggle("Debiased", value=True, key="cka_debiased", help="The plain form is too high for few tokens.")
        values = found.cka_debiased if debiased else found.cka
        alike = "Linear CKA between all pairs of states: 1 is the same cloud up to rotation and scale."
        table = layer_tables.square(values, found.labels)
        blocks.figure(layers.cka(found, debiased=debiased), "bertlens-cka", table, words=alike)


def texts(found: Layers, given: Texts, measure: str) -> tuple[str, int]:
    """The texts' vectors through the states, and how alike they are; the pooling and the state that were chosen."""
    pooling = _courses(found, given, measure)
    return pooling, _pairs(found, found.course(pooling), given)


@at_once
def _courses(found: Layers, given: Texts, measure: str) -> str:
    from bertlens.show import course as pictures

    st.subheader("Your texts through the layers", anchor="texts")
    words = "Every pooling was read in the same pass. Those that count padding are on the page Pooling."
    pooling = address.one_of("One vector per text by", "pooling", list(found.pooled.values), help=words)
    course = found.course(pooling)
    st.caption("Click a line to take its text and its state into the pictures below." + pictures.told(given))
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**{MEASURES[measure]}, text by text**")
        words = f"{MEASURES[measure]} of every text's {pooling} vector in every hidden state."
        picture = pictures.measure(course, found.labels, measure, given)
        blocks.figure(picture, COURSE, course.per_text(), words=words, on_click=_pick_text)
    with right:
        st.markdown("**How alike the texts are**")
        _alike(found, course)
    return pooling


def _alike(found: Layers, course: Course) -> None:
    from bertlens.show import course as pictures

    if course.vectors.shape[1] < 2:
        st.info("One text has no other to be like. Give two or more.", icon=":material/info:")
        return
    words = f"Cosine between different texts in every hidden state, read by {course.readout}."
    frame = course.to_frame()
    blocks.figure(pictures.similarity(course, found.labels), ALIKE, frame, words=words, on_click=_pick_state)


@at_once
def _pairs(found: Layers, course: Course, given: Texts) -> int:
    """All pairs of texts in one state, which is returned, and the way of the texts through a plane."""
    from bertlens.show import course as pictures
    from bertlens.show import layer_tables

    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**All pairs in one state**")
        state = layer(found)
        count = course.vectors.shape[1]
        if count > DRAWN:
            st.info(f"{count:,} texts have too many pairs to draw; up to {DRAWN} are drawn.", icon=":material/info:")
        elif count > 1:
            frame = layer_tables.square(course.similarity(state), pictures.labels_of(given[:count]))
            words = f"Cosine between every two texts in {found.names[state]}, read by {course.readout}."
            picture = pictures.similarity_matrix(course, state, given)
            blocks.figure(picture, "bertlens-pairs", frame, words=words)
    with right:
        st.markdown("**The way through the layers**")
        shares = " and ".join(f"{100 * share:.0f} %" for share in course.trail().explained)
        words = (
            f"Principal components fitted on all texts in all states; the two axes hold {shares} of the variance. "
            "A text starts at the open circle (embeddings) and ends at the star."
        )
        st.caption(words)
        picture = pictures.trail(course, found.labels, given)
        blocks.figure(picture, "bertlens-trail", layer_tables.trail(course), words=words)
    return state


def layer(found: Layers) -> int:
    """The hidden state that pictures of a single one show."""
    last = len(found.states) - 1
    shown = address.number("layer", last, last)
    options = list(range(len(found.states)))
    label = "hidden_states[…]"
    return int(address.widget(st.selectbox, label, "layer", shown=shown, options=options, format_func=found.labels.__getitem__))


def text_number(count: int) -> int:
    """The text that is looked at token by token."""
    shown = address.number("text", count - 1, 0)
    if count == 1:
        return 0
    return int(
        address.widget(st.number_input, "Text number", "text", shown=shown, min_value=0, max_value=count - 1, step=1, width=200)
    )


def one_text(given: Page, measure: str) -> tuple[int, int]:
    """One text token by token, in every state: a map, and the units and the way of one of its tokens; which they are."""
    st.subheader("One text, token by token", anchor="tokens")
    text = text_number(len(given.texts))
    whole = given.texts[text]
    st.caption(blocks.plain((whole if isinstance(whole, str) else " ||| ".join(whole))[:300]))
    found = questions.token_path(given, text, Condition())
    st.markdown(blocks.plain(found.sentence))
    return text, _tokens(found, measure)


@at_once
def _tokens(found: TokenLayers, measure: str) -> int:
    from bertlens.show import token_layers as pictures

    st.caption("Click a token in the map to see its hidden units below, and its state in the pictures above.")
    words = f"{MEASURES[measure]} of every token in every hidden state. {found.sentence}"
    blocks.figure(pictures.token_map(found, measure), MAP, found.to_frame(), words=words, on_click=_pick_token)
    return _token(found, measure)


def _pick_token(point: Point) -> None:
    address.change(token=str(int(point["x"])), layer=str(int(point["y"])))


def _pick_text(point: Point) -> None:
    address.change(text=str(int(point["curve"])), layer=str(int(point["index"])))


def _pick_state(point: Point) -> None:
    address.change(layer=str(int(point["index"])))


def _token(found: TokenLayers, measure: str) -> int:
    from bertlens.show import layer_tables
    from bertlens.show import token_layers as pictures

    shown = address.number("token", len(found.tokens) - 1, 0)
    names = [f"{at} {token}" for at, token in enumerate(found.tokens)]
    options = list(range(len(names)))
    token = int(
        address.widget(st.selectbox, "Token", "token", shown=shown, options=options, format_func=names.__getitem__, width=300)
    )
    left, right = st.columns([3, 2], gap="medium")
    with left:
        words = f"Every hidden unit of token {names[token]} in every hidden state."
        frame = layer_tables.units(found, token)
        blocks.figure(pictures.unit_map(found, token), "bertlens-unit-map", frame, words=words)
    with right:
        words = f"{MEASURES[measure]} of token {names[token]} through the states."
        frame = found.to_frame()
        line = frame[frame["position"] == token]
        blocks.figure(pictures.token_lines(found, measure, (token,)), "bertlens-token", line, words=words)
    return token
