"""Lookup edits on a page: changes of looked-up vectors, what they do, and the nearest entries of the vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from bertlens.errors import BertlensError
from bertlens.run.edits import KINDS, check, parse, written
from bertlens.run.vectorfile import FORMATS, vector_of
from ui import address, blocks, questions
from ui.frame import Page, at_once
from ui.lookup import pooling
from ui.pictures import Point

if TYPE_CHECKING:
    from bertlens.judge.edits import Effect
    from bertlens.judge.lookup import Lookup

MEASURES = {"change": "Change", "max_abs": "Largest difference", "cosine": "Cosine"}
NEAR = {"cosine": "Cosine", "dot": "Dot product"}
MAP, FILES = "bertlens-edit-map", "lookup_files"


def uploaded(found: Lookup) -> dict[str, np.ndarray]:
    """The vectors of the files that the edits name; a file that holds none is said, and left out."""
    width = found.embedding.parts[0].values.shape[1]
    named = {edit.value for edit in _readable() if edit.kind == "vector"}
    vectors = {}
    for name, (file, content) in st.session_state.get(FILES, {}).items():
        if name in named:
            try:
                vectors[name] = vector_of(file, content, width)
            except BertlensError as error:
                st.error(blocks.plain(error.sentence), icon=":material/error:")
    return vectors


def _readable() -> tuple:  # type: ignore[type-arg]
    try:
        return parse(address.value("edits"))
    except BertlensError:
        return ()


def effect(given: Page, found: Lookup, vectors: dict[str, np.ndarray]) -> Effect | None:
    """The edits, and what becomes of every state, of [CLS], of the logits and of the neighbours; None without an edit."""
    st.subheader("Edit the lookup", anchor="edits")
    _written(found)
    edits = parse(address.value("edits"))
    if not edits:
        st.info("No edit. Write one, or put one together.", icon=":material/info:")
        return None
    check(edits, len(found.tokens))
    chosen = pooling()
    shown = questions.edit(given, found.text, written(edits), vectors).of_pooling(chosen)
    blocks.sentence(shown)
    _states(shown)
    if shown.logits is not None:
        _logits(shown)
    _neighbours(given, shown)
    return shown


def _written(found: Lookup) -> None:
    """The edits as a line, and a form that adds one to it."""
    kinds = "; ".join(f"{kind}{'=' + example if example else ''}: {words}" for kind, (example, words) in KINDS.items())
    left, right = st.columns([4, 1], gap="small", vertical_alignment="bottom")
    with left:
        address.widget(
            st.text_input,
            "Edits",
            "edits",
            placeholder="3:scale=2;5:zero",
            help=f"tokens:kind=value, several with semicolons; tokens are a position, a range 2-4 or all. {kinds}.",
        )
    with right:
        st.button("Clear", on_click=address.change, kwargs={"edits": ""}, icon=":material/backspace:")
    with st.expander("Put an edit together", icon=":material/edit:"):
        _form(found)


def _form(found: Lookup) -> None:
    names = [f"{at} {token}" for at, token in enumerate(found.tokens)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        token = st.selectbox("Token", range(len(names)), format_func=names.__getitem__, key="edit_form_token", width=220)
        kind = st.selectbox("What", list(KINDS), key="edit_form_kind", width=160, help="; ".join(w for _, w in KINDS.values()))
        example, words = KINDS[kind]
        value = ""
        if kind == "average":
            value = st.selectbox("Neighbour", ["left", "right"], key="edit_form_side", width=160)
        elif kind == "vector":
            value = _file()
        elif example:
            value = st.text_input("Value", example, key=f"edit_form_{kind}", width=200, help=words)
        kept = address.value("edits").strip().strip(";")
        added = f"{token}:{kind}" + (f"={value}" if value else "")
        joined = f"{kept};{added}" if kept else added
        ready = bool(value) or not example
        st.button("Add", on_click=address.change, kwargs={"edits": joined}, icon=":material/add:", disabled=not ready)
    st.caption(f"{blocks.plain(added)}: {blocks.plain(words)}.")


def _file() -> str:
    """Upload a vector; the name under which edits call it."""
    taken = st.file_uploader("Vector", type=[suffix[1:] for suffix in FORMATS], key="edit_form_file")
    if taken is None:
        return ""
    name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in taken.name)
    st.session_state.setdefault(FILES, {})[name] = (taken.name, taken.getvalue())
    return name


@at_once
def _states(shown: Effect) -> None:
    from bertlens.judge.edits import MEASURES as MEANING
    from bertlens.show import edits as pictures

    words = "; ".join(f"{MEASURES[name]}: {said}" for name, said in MEANING.items())
    measure = address.one_of("Measure", "moved", list(MEASURES), format_func=MEASURES.get, help=words)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.markdown("**Every token in every state**")
        st.caption("Click a token to take it into the pictures of a single one.")
        said = f"{MEASURES[measure]} of every token in every hidden state. {shown.sentence}"
        picture = pictures.effect_map(shown, measure)
        blocks.figure(picture, MAP, shown.to_frame(), words=said, document=shown, on_click=_pick_token)
    with right:
        st.markdown("**[CLS] and the others**")
        said = f"{MEASURES[measure]} of the first token and of the means of edited and other tokens, in every hidden state."
        blocks.figure(pictures.effect_lines(shown, measure), "bertlens-edit-cls", shown.of_cls(), words=said)


def _pick_token(point: Point) -> None:
    address.change(token=str(int(point["x"])))


def _logits(shown: Effect) -> None:
    import pandas as pd

    from bertlens.show import edits as pictures

    assert shown.logits is not None
    st.markdown("**The logits**")
    frame = pd.DataFrame({"class": shown.logits.labels, "before": shown.logits.before, "after": shown.logits.after})
    blocks.figure(pictures.logits(shown.logits), "bertlens-edit-logits", frame, words="Logits before and after the edits.")


def _neighbours(given: Page, shown: Effect) -> None:
    from bertlens.show import edits as pictures

    st.markdown("**The text among the others**")
    if shown.neighbours is None:
        st.info("One text has no neighbours. Give two or more.", icon=":material/info:")
        return
    words = f"Cosine and rank of the other texts, nearest first, before and after the edits, read by {shown.pooling}."
    st.caption(words)
    picture = pictures.neighbours(shown.neighbours, given.texts)
    blocks.figure(picture, "bertlens-edit-neighbours", shown.neighbours.to_frame(), words=words)


@at_once
def nearest(given: Page, found: Lookup, shown: Effect | None, token: int) -> None:
    """The entries of the vocabulary that lie nearest to a token's lookup, to its sum, and to both after the edits."""
    from bertlens.show import edits as pictures

    st.subheader("Nearest entries of the vocabulary", anchor="vocabulary")
    measure = address.one_of("By", "near", list(NEAR), format_func=NEAR.get)
    total = found.vectors["sum"][token]
    vectors = {"lookup": found.embedding.parts[0].values[token], "sum": total}
    if shown is not None and token in shown.changed:
        vectors["lookup, edited"] = shown.after[token]
        vectors["sum, edited"] = total + (shown.after[token] - shown.before[token])
    if len(found.embedding.parts) == 1:  # the lookup is the sum
        vectors = {name: vector for name, vector in vectors.items() if name.startswith("lookup")}
    near = questions.nearest_entries(given, {name: np.ascontiguousarray(vector) for name, vector in vectors.items()}, measure)
    words = (
        f"Entries of the token table nearest to the vectors of token {token} {found.tokens[token]}, by {NEAR[measure].lower()}."
    )
    st.caption(f"{blocks.plain(words)} The sum is what stands before the norm.")
    for name in (name for name, entries in near.entries.items() if not entries):
        st.info(f"The vector “{name}” is all zeros: it has no direction, and nothing is near to it.", icon=":material/info:")
    if any(near.entries.values()):
        blocks.figure(pictures.nearest(near), "bertlens-nearest", near.to_frame(), words=words)
