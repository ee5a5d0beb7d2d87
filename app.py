"""bertlens: `streamlit run app.py`."""

import streamlit as st

from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from bertlens.run.presets import PRESETS, Preset
from ui import address, blocks, questions
from ui.frame import Page, show

TRIED_ON = 8
"""Texts that the list of everyday mistakes is tried on."""


def first_answer(given: Page) -> None:
    comparison = questions.compare(given, Condition(batch="alone"), Condition(), Readout())
    blocks.verdict(comparison)
    blocks.findings([finding for finding in comparison.findings if finding.severity != "note"])
    st.page_link(
        "pages/1_Batch_and_padding.py",
        label="See the evidence, text by text",
        icon=":material/compare_arrows:",
        query_params=address.link(reference="batch=alone", candidate="", readout="cls"),
    )


def what_if(given: Page) -> None:
    st.subheader("And what would change your vectors?", anchor="changes")
    texts = given.texts[:TRIED_ON]
    count = f"the first {TRIED_ON} texts" if len(given.texts) > TRIED_ON else "your texts"
    st.caption(
        f"Everyday situations, tried on {count} with this checkpoint. Open one for its cause, its evidence and its remedy."
    )
    limit = given.checkpoint().max_length
    for preset in PRESETS[1:]:
        situation(given, preset, limit, texts)


def situation(given: Page, preset: Preset, limit: int, texts) -> None:
    from bertlens.errors import BertlensError
    from bertlens.judge.wording import number

    reference, candidate = preset.fitted(limit)
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    try:
        found = questions.compare(
            given, Condition.parse(reference), Condition.parse(candidate), Readout.parse(preset.readout), texts
        )
        word, colour, icon = blocks.SIGNS[found.verdict]
        row.markdown(f":{colour}-badge[{icon} {word}]", width=110)
        row.markdown(f"`{number(found.worst.max_abs)}`", width=75)
    except BertlensError as error:
        row.markdown(":gray-badge[:material/block: Not possible]", width=193, help=error.sentence)
    row.page_link(
        "pages/1_Batch_and_padding.py",
        label=preset.name.capitalize(),
        query_params=address.link(reference=reference, candidate=candidate, readout=preset.readout),
        width="content",
    )
    row.caption(preset.why, width="content")


def content(given: Page) -> None:
    first_answer(given)
    what_if(given)


show("Why do my BERT vectors disagree?", "Paste your texts on the left: is each vector the same alone and in a batch?", content)
