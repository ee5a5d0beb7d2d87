"""bertlens: `streamlit run app.py`."""

import streamlit as st

from ui import blocks, diagnosis, questions
from ui.frame import Page, show


def content(page: Page) -> None:
    given, foreign = diagnosis.given(page)
    checkpoint = given.checkpoint()

    from bertlens.diagnose import diagnosing

    readout, fixed = diagnosis.readout(checkpoint), diagnosing.fixed_length(checkpoint, given.texts)
    verdict, cards = st.empty(), st.empty()
    answers, asked = questions.Kept(given, foreign), []
    for step in diagnosing.steps(readout, given.texts, fixed, foreign=foreign is not None):
        verdict.info(f"Diagnosing: {len(asked)} questions answered so far", icon=":material/hourglass_top:")
        asked += step(answers)
        with cards.container():
            diagnosis.cards(given, asked)
    found = diagnosing.told(checkpoint, given.texts, readout, asked, [])
    with verdict.container():
        blocks.sentence(found)
    diagnosis.notes(found)
    diagnosis.passed(found)
    changes = situations(given, answers, readout, fixed)
    diagnosis.python(given, foreign, readout)
    diagnosis.report(diagnosing.told(checkpoint, given.texts, readout, asked, changes), given)


def situations(given: Page, answers, readout, fixed: int) -> list:
    from bertlens.diagnose import diagnosing

    st.subheader("What would change these vectors?", anchor="changes")
    count = diagnosing.TRIED_ON
    some = f"the first {count} texts" if len(given.texts) > count else "your texts"
    st.caption(f"Everyday mistakes, made on purpose with {some}. Open one for its cause, its evidence and its remedy.")
    changes = []
    for preset in diagnosing.situations():
        changes.append(diagnosing.situation(answers, preset, readout, given.texts, fixed))
        diagnosis.change(changes[-1])
    diagnosis.changes_picture(changes)
    return changes


show("Why do my BERT vectors disagree?", "What is wrong with this checkpoint or these texts, and what mends it?", content)
