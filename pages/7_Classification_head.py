import json
import shlex

import streamlit as st

from ui import blocks, head, questions, shares
from ui.frame import Page, section, show

LONGEST = 300
"""Characters of a text that a command has in it; a longer one is read from a file."""


def python(given: Page, found, text: int, **shown) -> None:
    from bertlens.show.head_script import head_script

    checkpoint = given.checkpoint()
    facts = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    code = head_script(given.name, given.texts, found, **shown, **facts)
    name, texts, kind = (json.dumps(one, ensure_ascii=False) for one in (given.name, [given.texts[text]], found.kind))
    given_texts = texts if len(texts) <= LONGEST else f'bertlens.read_texts("texts.txt"), {text}'
    call = f"bertlens.head(bertlens.load({name}), {given_texts}, kind={kind})"
    blocks.same_in_python(code, shlex.join(["python", "-c", f"import bertlens; print({call}.sentence)"]), "bertlens_head")


def content(given: Page) -> None:
    text, kind, token = head.chosen(given)
    found = questions.head(given, text, kind, token)
    blocks.sentence(found)
    blocks.notes(found.notes)
    blocks.graded(found.findings)
    label, baseline, steps = 0, "pad", 50
    with section():
        head.cls(found)
    with section():
        head.way(found)
    if found.answers is not None:
        head.outputs(found)
        st.info(
            "Contributions, dropout and the shares of tokens are shown for sequence classification.", icon=":material/info:"
        )
    else:
        with section():
            label = head.answer(found)
        with section():
            shares.reach(given, text)
        with section():
            baseline, steps = shares.parts(given, found, text, label)
        with section():
            head.mean(found, given)
        with section():
            shares.dropout(given, found, text)
    with section():
        python(given, found, text, label=label, baseline=baseline, steps=steps)


show("Classification head", "How does the classifier get from the sentence to its answer?", content)
