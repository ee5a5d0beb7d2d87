import shlex

import streamlit as st

from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from ui import blocks, pooling, questions
from ui.frame import Page, section, show


def python(given: Page, found, condition: Condition, head: Readout) -> None:
    from bertlens.show.pooling_script import pooling_script

    checkpoint = given.checkpoint()
    facts = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    readouts = [Readout.parse(readout) for readout in found.readouts]
    ran = Condition.parse(found.condition)
    code = pooling_script(given.name, given.texts, readouts, ran, head=head, **facts)
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
    with section():
        pooling.trap(given)
    head = Readout.parse(found.readouts[0])
    with section():
        head = pooling.linear(given, found, condition)
    python(given, found, condition, head)


show("Pooling", "Which way of making one vector of a text should you use, and how far do they differ?", content)
