"""Vectors on a page: uploaded with the choice of a column, pasted, or an example; kept for the visit, over all pages.

Vectors are no part of a link: it carries only where they come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from bertlens.errors import BertlensError
from bertlens.run.foreign import FORMATS, choices, vectors_from, vectors_from_text
from ui import address
from ui.blocks import plain

if TYPE_CHECKING:
    from bertlens.run.foreign import Foreign

WAYS = {"file": "From a file", "pasted": "Pasted", "example": "Example"}


@dataclass(frozen=True)
class File:
    """A file that was uploaded, what in it may be vectors, and what was read; `error` says why nothing was."""

    name: str
    content: bytes
    choices: tuple[str, ...] = ()
    column: str | None = None
    vectors: Foreign | None = None
    error: str = ""


def way() -> str:
    """Draw the choice of where vectors come from: a key of `WAYS`."""
    return address.one_of("Vectors", "vectors", list(WAYS), format_func=WAYS.get)


def uploaded() -> Foreign | None:
    """Draw the uploader; the vectors of the file, None where there is none or nobody has said which column it is."""
    st.file_uploader(
        "File with one vector per text",
        type=[suffix[1:] for suffix in FORMATS],
        key="vectors_upload",
        on_change=_take,
        help="An array, a table with a column of lists or a column per component, JSON lines, or tensors. If the texts stand "
        "beside the vectors, they can be used. Pickled objects are not read.",
    )
    file: File | None = st.session_state.get("vectors_file")
    if file is None:
        return None
    if len(file.choices) > 1:
        at = file.choices.index(file.column) if file.column in file.choices else None
        st.selectbox("Vectors stand in", file.choices, index=at, key="vectors_column", on_change=_choose, width=320)
    if file.error:
        st.error(plain(file.error), icon=":material/error:")
    elif file.vectors is not None:
        _told(file.name, file.vectors)
    return file.vectors


def pasted() -> Foreign | None:
    """Draw the box; the vectors in it, None while it is empty.

    Raises
    ------
    BertlensError
        For what cannot be read; it stays in the box.
    """
    st.session_state["vectors_box"] = st.session_state.get("vectors_text", "")
    st.text_area(
        "One vector per line, JSON, or what numpy or PyTorch prints",
        key="vectors_box",
        height=170,
        placeholder="[[0.0123, -0.0456, …], …]",
        on_change=lambda: st.session_state.update(vectors_text=st.session_state["vectors_box"]),
    )
    text = st.session_state["vectors_box"]
    if not text.strip():
        return None
    found = vectors_from_text(text)
    _told("", found)
    return found


def _told(name: str, found: Foreign) -> None:
    """What was read, and how."""
    count, width = found.values.shape
    read = f"{count:,} vector{'s' * (count != 1)} of {width:,} numbers{f' from {name}' if name else ''}, {found.dtype}."
    st.caption(f":material/data_array: {plain(read)}")
    for note in found.notes:
        st.caption(f":material/info: {plain(note)}")


def _take() -> None:
    """Read what was just uploaded; what cannot be read leaves one sentence."""
    taken = st.session_state["vectors_upload"]
    st.session_state.pop("vectors_column", None)
    if taken is None:
        st.session_state.pop("vectors_file", None)
        return
    name, content = taken.name, taken.getvalue()
    try:
        found = choices(name, content)
    except BertlensError as error:
        st.session_state["vectors_file"] = File(name, b"", error=error.sentence)
        return
    st.session_state["vectors_file"] = _read(name, content, found, None)


def _choose() -> None:
    file: File = st.session_state["vectors_file"]
    st.session_state["vectors_file"] = _read(file.name, file.content, file.choices, st.session_state["vectors_column"])


def _read(name: str, content: bytes, found: tuple[str, ...], column: str | None) -> File:
    kept = content if len(found) > 1 else b""  # asked for again where another column is chosen
    try:
        return File(name, kept, found, column, vectors_from(name, content, column))
    except BertlensError as error:
        return File(name, kept, found, column, error=error.sentence)
