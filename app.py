"""bertlens: `streamlit run app.py`."""

import streamlit as st

from bertlens.errors import BertlensError, Unloadable
from ui import blocks, diagnosis, questions
from ui.frame import Page, show


def content(page: Page) -> None:
    given, foreign = diagnosis.given(page)
    try:
        checkpoint = given.checkpoint()
    except Unloadable as refused:
        unloaded(given, foreign, refused)
        return

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
    diagnosis.python(given, foreign, str(readout))
    diagnosis.report(diagnosing.told(checkpoint, given.texts, readout, asked, changes), given)


def unloaded(given: Page, foreign, refused: Unloadable) -> None:
    """What the files alone betray, where nothing can be run."""
    from bertlens.diagnose import diagnosing
    from bertlens.diagnose.unloaded import of_files

    try:
        checkup = questions.check(given)
    except BertlensError:
        raise refused from None
    found = of_files(checkup, given.texts, refused, unasked=diagnosing.needing_the_model(foreign=foreign is not None))
    blocks.sentence(found)
    diagnosis.cards(given, found.checks)
    diagnosis.notes(found)
    diagnosis.passed(found)
    diagnosis.python(given, foreign, "")
    diagnosis.report(found, given)


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
