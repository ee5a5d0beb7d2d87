"""Upload: texts from a file, with the choice of a column; kept for the visit, over all pages.

Streamlit forgets an uploaded file when the page changes, so what was read from it is kept in the session.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from bertlens.errors import BertlensError
from bertlens.run.texts import FORMATS, Texts, candidates, columns, sides, split_pairs, texts_of
from ui import address
from ui.blocks import plain

MOST_TEXTS = 5_000
"""Texts of a file that a page runs; a command line has no such limit."""

SHOWN, LONGEST = 3, 120
"""Texts of the preview, and letters of each."""


@dataclass(frozen=True)
class File:
    """What was read from a file: its columns, cut at `MOST_TEXTS` rows, and how many rows it has."""

    name: str
    columns: dict[str, list[Any]]
    rows: int


@dataclass(frozen=True)
class Taken:
    """Texts in use, and the choice that gave them."""

    texts: Texts
    column: str
    second: str | None
    pairs: bool

    @property
    def named(self) -> str:
        """How many there are of what: "3 texts"."""
        return f"{len(self.texts):,} {'pair' if self.pairs else 'text'}{'s' * (len(self.texts) != 1)}"


def texts() -> Texts | None:
    """The texts of the file in use; None where those of the box are."""
    taken: Taken | None = st.session_state.get("file_taken")
    return None if taken is None else taken.texts


def follow() -> None:
    """First of all in a run: where single texts became pairs or pairs single texts, the file is read so, or asked about."""
    taken: Taken | None = st.session_state.get("file_taken")
    if taken is not None and taken.pairs != _pairs():
        del st.session_state["file_taken"]
        _take_what_is_obvious(st.session_state["file_read"])


def draw() -> None:
    """Draw the texts in use, or the file and the choice of its column."""
    if texts() is not None:
        _in_use()
        return
    file: File | None = st.session_state.get("file_read")
    with st.expander("Texts from a file", icon=":material/upload_file:", expanded=file is not None):
        st.file_uploader("File", type=[suffix[1:] for suffix in FORMATS], key="file_upload", on_change=_read)
        if error := st.session_state.get("file_error"):
            st.error(plain(error), icon=":material/error:")
        if file is not None:
            _choose(file)


def _pairs() -> bool:
    return address.value("pairs") == "on"


def _in_use() -> None:
    taken: Taken = st.session_state["file_taken"]
    file: File = st.session_state["file_read"]
    several = len(candidates(file.columns)) > 1
    where = f"{taken.named} from the file {file.name}"
    where += f", column “{taken.column}”" if several else ""
    where += f" with “{taken.second}”" if taken.second else ""
    st.info(plain(f"{where}. {_cut(file)}"), icon=":material/description:")
    with st.container(horizontal=True):
        if several:
            st.button("Choose another column", on_click=_choose_again, icon=":material/view_column:")
        st.button("Back to the box", on_click=_forget, icon=":material/undo:")


def _choose(file: File) -> None:
    found, last = candidates(file.columns), st.session_state.get("file_last")
    st.caption(f"**{plain(file.name)}**: {_cut(file) or f'{file.rows:,} rows.'}")
    start = found.index(last.column) if last is not None and last.column in found else 0
    column = st.selectbox("Column with the texts", found, index=start, key="file_column")
    second = None
    if _pairs() and len(found) > 1:
        others = [name for name in found if name != column]
        start = others.index(last.second) if last is not None and last.second in others else 0
        second = st.selectbox("Column with the second sentences", others, index=start, key="file_second")
    try:
        taken = _taken(file, column, second)
    except BertlensError as error:
        st.error(plain(error.sentence), icon=":material/error:")
        return
    for at, text in enumerate(taken.texts[:SHOWN]):
        whole = " ||| ".join(sides(text))
        st.caption(f"{at}: {plain(whole if len(whole) <= LONGEST else whole[: LONGEST - 1] + '…')}")
    st.button(f"Use these {taken.named}", on_click=_take, args=(taken,), type="primary", icon=":material/check:")


def _taken(file: File, column: str, second: str | None) -> Taken:
    found = texts_of(file.columns, column, second, where=file.name)
    if _pairs() and second is None:
        found = split_pairs([str(text) for text in found])
    return Taken(found, column, second, _pairs())


def _cut(file: File) -> str:
    return f"The file holds {file.rows:,} texts; the first {MOST_TEXTS:,} are used." if file.rows > MOST_TEXTS else ""


def _read() -> None:
    """Read what was just uploaded; what cannot be read leaves one sentence."""
    for key in ("file_read", "file_error", "file_last", "file_column", "file_second"):
        st.session_state.pop(key, None)
    uploaded = st.session_state["file_upload"]
    if uploaded is None:
        return
    try:
        file = _file(uploaded.name, uploaded.getvalue())
    except BertlensError as error:
        st.session_state["file_error"] = error.sentence
        return
    st.session_state["file_read"] = file
    _take_what_is_obvious(file)


def _file(name: str, content: bytes) -> File:
    table = uploaded_columns(name, content)
    file = File(
        name, {column: values[:MOST_TEXTS] for column, values in table.items()}, max(map(len, table.values()), default=0)
    )
    if not candidates(file.columns):
        got = f"no string in the columns {', '.join(table)}" if table else "no columns"
        raise BertlensError(f"cannot find texts in {name}", got=got, expected="a column of strings")
    return file


def uploaded_columns(name: str, content: bytes) -> dict[str, list[Any]]:
    """The columns of a file that was uploaded, as `columns` reads them; errors name the file as its owner does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{Path(name).suffix.lower()}"
        path.write_bytes(content)
        try:
            return columns(path)
        except BertlensError as error:
            what, got = (said.replace(str(path), name) for said in (error.what, error.got))
            raise BertlensError(what, got=got, expected=error.expected, do=error.do) from None


def _take_what_is_obvious(file: File) -> None:
    """Where one column alone can hold the texts there is nothing to ask; what is wrong with it is said beside the choice."""
    found = candidates(file.columns)
    if len(found) == 1:
        with suppress(BertlensError):
            _take(_taken(file, found[0], None))


def _take(taken: Taken) -> None:
    st.session_state["file_taken"] = st.session_state["file_last"] = taken


def _choose_again() -> None:
    del st.session_state["file_taken"]


def _forget() -> None:
    for key in ("file_taken", "file_read", "file_last", "file_error"):
        st.session_state.pop(key, None)
