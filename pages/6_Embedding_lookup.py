import streamlit as st

from ui import blocks, lookup, lookup_edits, questions
from ui.frame import Page, section, show
from ui.layers import text_number


def content(given: Page) -> None:
    text = text_number(len(given.texts))
    whole = given.texts[text]
    st.caption(blocks.plain((whole if isinstance(whole, str) else " ||| ".join(whole))[:300]))
    found = questions.lookup(given, text)
    blocks.sentence(found)
    blocks.notes(found.notes)
    blocks.graded(found.findings)
    token = 0
    with section():
        lookup.parts(found)
        token = lookup.one_token(found)
    with section():
        lookup.fed_back(found)
    with section():
        lookup.padding(given, text)
    with section():
        lookup.cost(given)
    vectors, shown = lookup_edits.uploaded(found), None
    with section():
        shown = lookup_edits.effect(given, found, vectors)
    with section():
        lookup_edits.nearest(given, found, shown, token)
    with section():
        lookup.segments(given)
    with section():
        lookup.own_positions(given)
    with section():
        lookup.python(given, found, "" if shown is None else shown.edits, vectors, token)


show("Embedding lookup", "Where do the vectors before the first layer come from, and what does an edit of them do?", content)
