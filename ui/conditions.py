"""Conditions on a page: presets by their everyday names, the two conditions, and what is read."""

from __future__ import annotations

from functools import partial

import streamlit as st

from bertlens.errors import BertlensError
from bertlens.read.readout import COMMON, POOLINGS
from bertlens.run.condition import CHOICES, COUNTS, MEANING, Condition
from bertlens.run.presets import PRESETS, Preset
from ui import address

SIDES = ("reference", "candidate")


def choose(limit: int) -> tuple[Condition, Condition, str]:
    """Draw the choices; reference, candidate and readout as they stand now.

    Raises
    ------
    BertlensError
        Where a condition that was typed, or came with a link, cannot be read; it stays in its field.
    """
    presets(limit)
    columns = st.columns([3, 3, 2])
    for side, column in zip(SIDES, columns, strict=False):
        with column:
            help_text = "key=value, key=value; what is not named has its default. Empty is: " + ", ".join(
                f"{key}={words[0]}" for key, words in CHOICES.items()
            )
            address.widget(st.text_input, side.capitalize(), side, placeholder="everything at its default", help=help_text)
    with columns[2]:
        _readout()
    reference, candidate = (Condition.parse(address.value(side)) for side in SIDES)
    with st.expander("Set every key of the two conditions", icon=":material/tune:"):
        for key in CHOICES:
            _row(key, reference, candidate)
    return reference, candidate, address.value("readout").strip() or "cls"


def presets(limit: int) -> None:
    """Pairs of conditions by their everyday names; choosing one sets both conditions and the readout."""
    names = [preset.name for preset in PRESETS]
    st.session_state["edit_preset"] = next((preset.name for preset in PRESETS if _is_set(preset, limit)), None)

    def take() -> None:
        name = st.session_state["edit_preset"]
        preset = next((preset for preset in PRESETS if preset.name == name), None)
        if preset is not None:
            reference, candidate = preset.fitted(limit)
            address.change(reference=reference, candidate=candidate, readout=preset.readout)

    st.pills("What happened to your texts?", names, key="edit_preset", on_change=take)
    chosen = next((preset for preset in PRESETS if preset.name == st.session_state["edit_preset"]), None)
    if chosen is not None:
        st.caption(f"{chosen.name.capitalize()}: {chosen.why}.")


def _is_set(preset: Preset, limit: int) -> bool:
    try:
        now = tuple(Condition.parse(address.value(side)) for side in SIDES)
    except BertlensError:
        return False
    wanted = tuple(Condition.parse(condition) for condition in preset.fitted(limit))
    return now == wanted and address.value("readout") == preset.readout


def _readout() -> None:
    options = list(dict.fromkeys([*COMMON, address.value("readout")]))
    address.widget(
        st.selectbox,
        "Readout",
        "readout",
        options=options,
        to_text=lambda chosen: str(chosen or "cls"),
        accept_new_options=True,
        help="pooling[@layers][|l2], for example mean@last4:concat|l2. Pooling: "
        + "; ".join(f"{name}: {words}" for name, words in POOLINGS.items()),
    )


def _row(key: str, reference: Condition, candidate: Condition) -> None:
    """One key of both conditions; a change is written into the condition's own notation."""
    label, *columns = st.columns([2, 3, 3], vertical_alignment="center")
    label.markdown(f"`{key}`", help=MEANING[key])
    for side, condition, column in zip(SIDES, (reference, candidate), columns, strict=True):
        value = str(getattr(condition, key))
        options = list(dict.fromkeys([*CHOICES[key], *(("128", "256") if key in COUNTS else ()), value]))
        field = f"key_{side}_{key}"
        st.session_state[field] = value
        column.selectbox(
            f"{side} {key}",
            options,
            key=field,
            label_visibility="collapsed",
            accept_new_options=key in COUNTS,
            on_change=partial(_set, side, key, condition),
        )


def _set(side: str, key: str, condition: Condition) -> None:
    value = st.session_state[f"key_{side}_{key}"]
    try:
        changed = str(condition.replace(**{key: value}))
    except BertlensError:
        changed = ",".join(filter(None, [str(condition), f"{key}={value}"]))  # shown as an error, with what was typed
    address.change(**{side: changed})
