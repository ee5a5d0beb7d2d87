"""Labelled texts on a page: uploaded with the choice of two columns, or the example; kept for the visit, no part of a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from bertlens.errors import BertlensError
from bertlens.run.labels import Labelled, example_labelled, label_candidates, labels_of
from bertlens.run.texts import FORMATS, candidates, texts_of
from ui import blocks
from ui.upload import MOST_TEXTS, uploaded_columns

SUFFIXES = [suffix[1:] for suffix in FORMATS if suffix != ".txt"]


@dataclass(frozen=True)
class File:
    """What was read from a file, cut at `MOST_TEXTS` rows, and how many rows it has; `error` says why nothing was."""

    name: str
    columns: dict[str, list[Any]]
    rows: int = 0
    error: BertlensError | None = None


def given() -> Labelled:
    """Draw where labelled texts come from; those of the file, or the example's where there is no file.

    Raises
    ------
    BertlensError
        For a file or columns that cannot be used; the choice stays.
    """
    with st.expander("Labelled texts of your own", icon=":material/upload_file:", expanded=_file() is not None):
        st.file_uploader("File with a column of texts and one of labels", type=SUFFIXES, key="labelled_upload", on_change=_read)
        file = _file()
        if file is not None and file.error is None:
            column, label = _choose(file)
    if file is None:
        example = example_labelled()
        st.caption(
            f":material/science: Example: {len(example.texts)} short sentences, positive and negative, written for this page. "
            "It is no data set: what decides for you is a file of your own."
        )
        blocks.download("Example (CSV)", "example-labelled.csv", _example_csv, "text/csv")
        return example
    if file.error is not None:
        raise file.error
    texts = texts_of(file.columns, column, where=file.name)
    return Labelled(texts, labels_of(file.columns, label, texts, where=file.name), file.name)


def _choose(file: File) -> tuple[str, str]:
    """The column of the texts and that of the labels."""
    cut = f"; the first {MOST_TEXTS:,} are used" if file.rows > MOST_TEXTS else ""
    st.caption(f"**{blocks.plain(file.name)}**: {file.rows:,} rows{cut}.")
    with st.container(horizontal=True):
        column = st.selectbox("Column with the texts", candidates(file.columns), key="labelled_column", width=260)
        found = label_candidates(file.columns, column)
        label = st.selectbox("Column with the labels", found, key="labelled_label", width=260)
    if label is None:
        raise BertlensError(f"cannot find the labels in {file.name}", got="no second column", expected="a column of classes")
    return column, label


def _example_csv() -> str:
    import pandas as pd

    example = example_labelled()
    return str(pd.DataFrame({"text": example.texts, "label": example.labels}).to_csv(index=False))


def _file() -> File | None:
    file: File | None = st.session_state.get("labelled_file")
    return file


def _read() -> None:
    """Read what was just uploaded; taking the file away brings the example back."""
    for key in ("labelled_file", "labelled_column", "labelled_label"):
        st.session_state.pop(key, None)
    uploaded = st.session_state["labelled_upload"]
    if uploaded is None:
        return
    try:
        table = uploaded_columns(uploaded.name, uploaded.getvalue())
        if not candidates(table):
            raise BertlensError(f"cannot find texts in {uploaded.name}", expected="a column of strings")
        rows = max(map(len, table.values()), default=0)
        cut = {name: values[:MOST_TEXTS] for name, values in table.items()}
        st.session_state["labelled_file"] = File(uploaded.name, cut, rows)
    except BertlensError as error:
        st.session_state["labelled_file"] = File(uploaded.name, {}, error=error)
