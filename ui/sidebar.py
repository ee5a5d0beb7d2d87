"""Sidebar: checkpoint, texts and the way to the other pages; the same on every page."""

from __future__ import annotations

import streamlit as st

from bertlens.run.hub import PRESETS
from bertlens.run.texts import PAIR_MARK, Texts, from_lines
from ui import address, upload

PAGES = (
    ("app.py", "Home", ":material/home:"),
    ("pages/1_Batch_and_padding.py", "Batch and padding", ":material/compare_arrows:"),
    ("pages/2_Shapes.py", "Shapes", ":material/deployed_code:"),
    ("pages/3_Checkpoint.py", "Checkpoint", ":material/inventory_2:"),
    ("pages/4_Layers.py", "Layers", ":material/layers:"),
    ("pages/5_Pooling.py", "Pooling", ":material/merge:"),
    ("pages/6_Embedding_lookup.py", "Embedding lookup", ":material/table_rows:"),
    ("pages/7_Classification_head.py", "Classification head", ":material/label:"),
    ("pages/8_Attention.py", "Attention", ":material/visibility:"),
    ("pages/9_Identify.py", "Identify", ":material/fingerprint:"),
    ("pages/10_Cases.py", "Cases", ":material/school:"),
)
"""Every page with its label and icon, in reading order."""


def sidebar() -> tuple[str, Texts]:
    """Draw the sidebar; the name of the checkpoint and the texts to run.

    Raises
    ------
    BertlensError
        Where the texts cannot be used; what was typed stays in the box.
    """
    upload.follow()
    with st.sidebar:
        st.markdown("### :material/lens_blur: bertlens")
        for file, label, icon in PAGES:
            st.page_link(file, label=label, icon=icon, query_params=address.link())
        _checkpoint()
        pairs = _texts()
        upload.draw()
    texts = upload.texts()
    return address.value("checkpoint").strip(), from_lines(address.value("texts"), pairs=pairs) if texts is None else texts


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
        disabled=upload.texts() is not None,
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
