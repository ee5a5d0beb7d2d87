"""Gallery on a page: reported faults, found by what a person sees, each made here on purpose and mended."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from ui import address, blocks, questions
from ui.frame import Page, section

if TYPE_CHECKING:
    from bertlens.cases.entry import Entry
    from bertlens.judge.reproduction import Side

SHOWN = 12
"""Faults that are listed at once; a button brings the rest."""


def gallery(given: Page) -> None:
    """The fault that was opened, else the search and what it finds."""
    from bertlens.cases.entry import reproducible
    from bertlens.judge.findings import catalogue

    if fault := address.value("fault"):
        st.button("All faults", on_click=address.change, kwargs={"fault": "", "made": ""}, icon=":material/arrow_back:")
        with section():
            _opened(given, fault)
        return
    st.caption(
        f"{len(reproducible())} of {len(catalogue())} reported faults can be reproduced here, with your checkpoint and texts."
    )
    _search()


def _search() -> None:
    from bertlens.cases.symptoms import matching
    from bertlens.judge.findings import catalogue

    address.widget(
        st.text_input,
        "What do you see?",
        "symptom",
        placeholder="the same text gives two vectors · everything is [UNK] · cosines are all 0.9",
        icon=":material/search:",
    )
    query = address.value("symptom").strip()
    whole = bool(st.session_state.get("gallery_whole"))
    found = matching(query, most=len(catalogue()) if whole or not query else SHOWN)
    if not found:
        st.info("Nothing in the catalogue sounds like that. Try other words for what you see.", icon=":material/search_off:")
        return
    shown = found if whole else found[:SHOWN]
    for left in range(0, len(shown), 2):
        for column, fault in zip(st.columns(2), shown[left : left + 2], strict=False):
            with column:
                _card(fault)
    if len(shown) < len(catalogue()) and (not query or len(found) >= SHOWN):
        label = f"Show all {len(catalogue())}" if not query else "Show more"
        st.button(label, on_click=partial(st.session_state.update, gallery_whole=True), icon=":material/expand_more:")


def _card(fault: str) -> None:
    from bertlens.cases.entry import entry

    one = entry(fault)
    with st.container(border=True, key=f"card_{fault}"):
        st.markdown(blocks.plain(one.symptom))
        st.caption(f"**{blocks.plain(one.name)}** · `{one.id}` · {blocks.plain(one.kind)} · {blocks.plain(one.stage)}")
        st.button(
            "Open",
            key=f"open_{fault}",
            on_click=address.change,
            kwargs={"fault": fault, "made": ""},
            icon=":material/open_in_full:",
        )


def _opened(given: Page, fault: str) -> None:
    from bertlens.cases.entry import entry

    one = entry(fault)
    st.subheader(blocks.plain(one.name), anchor="fault")
    st.caption(f"`{one.id}` · {blocks.plain(one.kind)} · {blocks.plain(one.stage)}")
    st.markdown(f"> {blocks.plain(one.symptom)}")
    for label, words in (
        ("Cause", one.cause),
        ("Decisive test", one.test),
        ("Do not confuse with", one.look_alikes),
        ("Remedy", one.fix),
        ("Size", one.effect),
    ):
        if words:
            st.markdown(f"**{label}.** {blocks.plain(words)}")
    _threads(one)
    _here(given, one)


def _threads(one: Entry) -> None:
    """How many reported it, and those that are kept by name."""
    names = [
        f"[{blocks.plain(each.name)}]({each.address})" if each.address else blocks.plain(each.name) for each in one.threads
    ]
    many = f"{one.seen:,} thread{'s' * (one.seen != 1)} reported it"
    with st.expander(f"{many}; {len(names)} of them by name", icon=":material/forum:"):
        st.markdown(", ".join(names) or "None is kept.")


def _here(given: Page, one: Entry) -> None:
    if one.refusal:
        st.info(f"It cannot be made on purpose here: {blocks.plain(one.refusal)}", icon=":material/block:")
        return
    st.markdown(f"**Made here.** {blocks.plain(one.made)}")
    if address.value("made") != "on":
        st.button(
            "Reproduce it here",
            type="primary",
            icon=":material/science:",
            on_click=address.change,
            kwargs={"made": "on"},
            help="With the checkpoint and the first texts of the sidebar; nothing of them is changed.",
        )
        return
    _made(given, one)


def _made(given: Page, one: Entry) -> None:
    from bertlens.cases.script import reproduction_script
    from bertlens.show import differences

    found = questions.reproduction(given, one.id)
    blocks.sentence(found)
    for column, (name, side) in zip(st.columns(2), (("Mistake", found.mistake), ("Mended", found.mended)), strict=True):
        with column:
            _side(name, side)
    count = f"{found.texts} text{'s' * (found.texts != 1)}"
    st.caption(
        f"Each against the vectors as they ought to be, made in a way in which the fault cannot occur: {count}, "
        f"{found.seconds:.1f} s."
    )
    if (picture := differences.reproduction(found)) is not None:
        words = f"Largest difference of every text, with the mistake and mended. {found.sentence}"
        blocks.figure(picture, f"bertlens-{one.id}-differences", found.to_frame(), words=words, tabled=False)
    numbers = ("max_abs", "l2", "max_abs_float64", "bound_float64", "error")
    blocks.table(found.to_frame(), f"bertlens-{one.id}", numbers=numbers, document=found)
    code = reproduction_script(one.id, given.name, given.texts, max_length=given.checkpoint().max_length)
    st.markdown("**The same in Python**")
    st.caption("Needs only torch and transformers, and prints the same numbers.")
    blocks.script(code, f"reproduce_{one.id.replace('-', '_')}")


def _side(name: str, side: Side) -> None:
    word, colour, icon = blocks.SIGNS[side.verdict]
    with st.container(border=True):
        st.markdown(f"**{name}** :{colour}-badge[{icon} {word}]")
        st.markdown(blocks.plain(side.words[:1].upper() + side.words[1:]))
