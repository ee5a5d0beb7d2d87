import shlex

import streamlit as st

from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from ui import blocks, pooling, questions
from ui.frame import Page, section, show


def python(given: Page, found, head: Readout, classes: int, trapped) -> None:
    from bertlens.show.pooling_script import pooling_script

    checkpoint = given.checkpoint()
    facts = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    readouts = [Readout.parse(readout) for readout in found.readouts]
    shown = {"head": head, "classes": classes, "seeds": pooling.SEEDS, "compared": found.compared}
    if trapped:
        shown |= {"trap": trapped[0], "trap_texts": trapped[1]}
    code = pooling_script(given.name, given.texts, readouts, Condition.parse(found.condition), **shown, **facts)
    words = ["bertlens", "pool", given.name, "--texts", "texts.txt", "--readout", str(head), "--out", "vectors.parquet"]
    blocks.same_in_python(code, shlex.join(words), "bertlens_pooling")


def content(given: Page) -> None:
    condition = Condition()
    usual = questions.pooling(given, condition).readouts
    verdict = st.container()
    readouts = pooling.chosen(usual)
    found = questions.other_readouts(given, condition, readouts)
    with verdict:
        blocks.sentence(found)
        blocks.notes(found.notes)
    pooling.options(found)
    blocks.graded(found.findings)
    pooling.agreement(found)
    pooling.alike(found, given.texts)
    trapped, head, classes = None, Readout.parse(found.readouts[0]), 5
    with section():
        trapped = pooling.trap(given)
    with section():
        head, classes = pooling.linear(given.texts, found)
        pooling.costs(given, found, condition)
    python(given, found, head, classes, trapped)


show("Pooling", "Which way of making one vector of a text should you use, and how far do they differ?", content)
