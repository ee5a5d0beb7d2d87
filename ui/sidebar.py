"""Sidebar: checkpoint, texts and the way to the other pages; the same on every page."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from bertlens.errors import BertlensError
from bertlens.run.hub import PRESETS
from bertlens.run.texts import FORMATS, PAIR_MARK, Texts, from_lines, read_texts
from ui import address
from ui.blocks import plain

PAGES = (
    ("app.py", "Home", ":material/home:"),
    ("pages/1_Batch_and_padding.py", "Batch and padding", ":material/compare_arrows:"),
    ("pages/2_Shapes.py", "Shapes", ":material/deployed_code:"),
    ("pages/3_Checkpoint.py", "Checkpoint", ":material/inventory_2:"),
)
"""Every page with its label and icon, in reading order."""


def sidebar() -> tuple[str, Texts]:
    """Draw the sidebar; the name of the checkpoint and the texts to run.

    Raises
    ------
    BertlensError
        Where the texts cannot be used; what was typed stays in the box.
    """
    with st.sidebar:
        st.markdown("### :material/lens_blur: bertlens")
        for file, label, icon in PAGES:
            st.page_link(file, label=label, icon=icon, query_params=address.link())
        _checkpoint()
        pairs = _texts()
        _file(pairs)
    if "file_texts" in st.session_state:
        return address.value("checkpoint").strip(), st.session_state["file_texts"]
    return address.value("checkpoint").strip(), from_lines(address.value("texts"), pairs=pairs)


def _checkpoint() -> None:
    names = ["minilm", *PRESETS]
    labels = {"minilm": "all-MiniLM-L6-v2 (packaged)", **{name: name for name in PRESETS}}
    if (chosen := address.value("checkpoint")) not in names:
        names.append(chosen)
    address.widget(
        st.selectbox,
        "Checkpoint",
        "checkpoint",
        options=names,
        format_func=lambda name: labels.get(name, name),
        to_text=lambda name: str(name or "minilm"),
        accept_new_options=True,
        help="A preset, any Hub id, or a folder that `save_pretrained` wrote: type it and press Enter. "
        "Hub ids are downloaded once. No code from a checkpoint is run.",
    )


def _texts() -> bool:
    address.widget(
        st.text_area,
        "Texts, one per line",
        "texts",
        height=170,
        placeholder="Paste the texts whose vectors disagree",
        help="Press Ctrl+Enter or click elsewhere to run. Blank lines are left out.",
        disabled="file_texts" in st.session_state,
    )
    pairs = address.widget(
        st.checkbox,
        "Each line is a pair of sentences",
        "pairs",
        shown=address.value("pairs") == "on",
        to_text=lambda on: "on" if on else "",
        help=f"Two sentences with `{PAIR_MARK}` or a tab between them.",
    )
    return bool(pairs)


def _file(pairs: bool) -> None:
    """Texts from a file; kept for the visit, since an uploaded file is lost when the page changes."""
    if "file_texts" in st.session_state:
        count, name = len(st.session_state["file_texts"]), st.session_state["file_name"]
        st.info(f"{count:,} texts from the file `{name}`", icon=":material/description:")
        st.button("Back to the box", on_click=_forget_file, icon=":material/undo:")
        return
    with st.expander("Texts from a file", icon=":material/upload_file:"):
        column = st.text_input("Column", key="file_column", placeholder="text", help="Not needed for .txt")
        second = st.text_input("Column of the second sentence", key="file_second") if pairs else ""
        uploaded = st.file_uploader("File", type=[suffix[1:] for suffix in FORMATS], key="file_upload")
        if uploaded is None:
            return
        try:
            texts = _read(uploaded.name, uploaded.getvalue(), column or None, second or None)
        except BertlensError as error:
            st.error(plain(error.sentence), icon=":material/error:")
            return
        st.session_state["file_texts"], st.session_state["file_name"] = texts, uploaded.name
        st.rerun()


def _read(name: str, content: bytes, column: str | None, second: str | None) -> Texts:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{Path(name).suffix.lower()}"
        path.write_bytes(content)
        try:
            return read_texts(path, column=column, pair_column=second)
        except BertlensError as error:
            raise BertlensError(
                error.what.replace(str(path), name), got=error.got, expected=error.expected, do=error.do
            ) from None


def _forget_file() -> None:
    for key in ("file_texts", "file_name"):
        st.session_state.pop(key, None)
