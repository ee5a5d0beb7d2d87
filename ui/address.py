"""Address: what a link carries, kept for the whole visit and written into the address bar.

Streamlit's own binding of widgets to the address loses values when the browser goes back and cannot switch pages, so the
values live in the session under names of their own; widgets only edit them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from bertlens.run.presets import EXAMPLE_TEXTS

DEFAULTS: dict[str, str] = {
    "checkpoint": "minilm",
    "texts": "\n".join(EXAMPLE_TEXTS),
    "pairs": "",
    "read": "",
    "reference": "batch=alone",
    "candidate": "",
    "readout": "cls",
    "text": "",
    "padding": "longest",
    "side": "right",
    "expr": "outputs.last_hidden_state[:, 0, :]",
    "module": "",
    "measure": "change",
    "pooling": "cls",
    "layer": "",
    "token": "0",
    "readouts": "",
    "l2": "",
    "agree": "rank agreement",
    "shown": "",
    "trap": "case",
    "classes": "5",
    "edits": "1:zero",
    "moved": "change",
    "near": "cosine",
    "head": "",
    "padded": "",
    "beside": "",
    "other": "",
    "kind": "",
    "label": "",
    "baseline": "pad",
    "steps": "50",
    "vectors": "file",
    "prompts": "",
    "view": "worked",
    "case": "1",
    "step": "1",
    "teach": "",
    "whatif": "",
    "symptom": "",
    "fault": "",
    "made": "",
}
"""Every name in a link with its value when it is left out."""

LONGEST_LINK = 12_000
"""Characters of a link that every browser and server takes; longer texts stay out of it."""


def restore() -> None:
    """First line of every page: take over what the address says, then write what the session knows."""
    state, query = st.session_state, st.query_params.to_dict()
    for name, default in DEFAULTS.items():
        if _kept(name) not in state:
            state[_kept(name)] = query.get(name, default)
    if "address_written" in state and query and query != state["address_written"]:  # the browser went back or forward
        for name, default in DEFAULTS.items():
            if name in query or name not in state.get("address_left_out", ()):
                state[_kept(name)] = query.get(name, default)
    publish()


def publish() -> None:
    """Write what differs from the defaults into the address bar."""
    shown = link()
    if st.query_params.to_dict() != shown:
        st.query_params.from_dict(shown)
    st.session_state["address_written"] = shown


def link(**changes: str) -> dict[str, str]:
    """What a link to this view carries; texts that are too long for a link are left out."""
    values = {name: changes.get(name, value(name)) for name in DEFAULTS}
    shown = {name: text for name, text in values.items() if text != DEFAULTS[name]}
    too_long = len(urlencode(shown)) > LONGEST_LINK
    st.session_state["address_left_out"] = ("texts",) if too_long else ()
    return {name: text for name, text in shown.items() if not (too_long and name == "texts")}


def texts_left_out() -> bool:
    """Whether the texts were too long for the link."""
    return bool(st.session_state.get("address_left_out"))


def value(name: str) -> str:
    """The present value of a name."""
    return str(st.session_state[_kept(name)])


def number(name: str, last: int, default: int, *, first: int = 0) -> int:
    """The whole number of a name, `first` … `last`; the default where a link holds anything else."""
    text = value(name)
    found = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None  # int refuses thousands of digits
    return found if found is not None and first <= found <= last else default


def change(**values: str) -> None:
    """Set values, for example from a button's callback."""
    for name, text in values.items():
        st.session_state[_kept(name)] = text


def widget(kind: Callable[..., Any], label: str, name: str, *, to_text: Callable[[Any], str] = str, **options: Any) -> Any:
    """A widget that edits one name: `widget(st.text_area, "Texts", "texts", height=200)`.

    The value may be given as `shown`; else it is the text itself.
    """
    key = f"edit_{name}"
    st.session_state[key] = options.pop("shown", value(name))

    def keep() -> None:
        change(**{name: to_text(st.session_state[key])})

    return kind(label, key=key, on_change=keep, **options)


def one_of(label: str, name: str, options: list[str], default: str = "", **more: Any) -> str:
    """A segmented control that edits one name; what a link names wrongly is the default, or the first option."""
    shown = value(name) if value(name) in options else default or options[0]
    widget(st.segmented_control, label, name, shown=shown, options=options, required=True, **more)
    return value(name) if value(name) in options else default or options[0]


def _kept(name: str) -> str:
    return f"address_{name}"
