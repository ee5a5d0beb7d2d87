"""Cases on a page: the five worked cases, all steps below each other, or one at a time for teaching."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from ui import address, blocks, labelled, questions
from ui.frame import Page, section

if TYPE_CHECKING:
    from bertlens.cases.worked.case import Answer, Case, Control

LESSON = """<style>
[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"] { display: none; }
.st-key-lesson :is([data-testid="stMarkdown"], [data-testid="stAlert"]) :is(p, li) { font-size: 1.4rem; line-height: 1.5; }
.st-key-lesson h3 { font-size: 2.2rem; }
.st-key-lesson pre code { font-size: 1.2rem; }
.st-key-lesson [data-testid="stTable"] { overflow-x: auto; }
.st-key-lesson [data-testid="stTable"] :is(th, td, th p, td p) { font-size: 1.2rem; }
</style>"""
"""Bigger type, and nothing beside the lesson."""

Link = tuple[str, str, dict[str, str]]

PADDING, SHAPES = "pages/1_Batch_and_padding.py", "pages/2_Shapes.py"
CHECKPOINT, POOLING, LOOKUP = "pages/3_Checkpoint.py", "pages/5_Pooling.py", "pages/6_Embedding_lookup.py"
HEAD, ATTENTION = "pages/7_Classification_head.py", "pages/8_Attention.py"

FOUR = "torch.cat(hidden_states[-4:], dim=-1).mean(dim=1)"
LINKS: dict[tuple[int, str], tuple[Link, ...]] = {
    (1, "mistake"): (
        (
            PADDING,
            "What causes it",
            {"reference": "padding={limit}", "candidate": "padding={limit},rows=index", "readout": "cls"},
        ),
    ),
    (1, "right"): (
        (
            PADDING,
            "The same by slice",
            {"reference": "padding={limit}", "candidate": "padding={limit},batch=alone", "readout": "cls"},
        ),
    ),
    (1, "reason"): ((SHAPES, "Type other expressions", {"expr": "outputs[0][0]", "padding": "{limit}"}),),
    (1, "if"): ((SHAPES, "Index, slice and batch in full", {"padding": "{padding}", "text": "{row}"}),),
    (2, "mistake"): ((CHECKPOINT, "The weights of this checkpoint", {"module": ""}),),
    (2, "reason"): ((POOLING, "pooler, cls and mean in full", {"readouts": "pooler,cls,mean"}),),
    (3, "mistake"): (
        (PADDING, "What causes it", {"reference": "batch=alone", "candidate": "", "readout": "mean_all@last4:concat"}),
    ),
    (3, "reason"): (
        (SHAPES, "The expression, step by step", {"expr": FOUR, "padding": "longest"}),
        (POOLING, "Two sentences of 7 and 10 tokens in the padding trap", {"trap": "case"}),
    ),
    (3, "if"): ((POOLING, "All readouts, and what a linear layer makes of them", {"readout": "{readout}", "trap": "own"}),),
    (4, "reason"): ((LOOKUP, "Every part, token by token", {"text": "0"}),),
    (4, "if"): ((LOOKUP, "Other edits, several at once", {"text": "{text}", "edits": "{edit}"}),),
    (5, "mistake"): ((SHAPES, "What last_hidden_state[0] holds", {"expr": "outputs.last_hidden_state[0]"}),),
    (5, "reason"): (
        (HEAD, "The head in full", {"text": "0", "kind": "sequence"}),
        (ATTENTION, "Every attention head", {"text": "0"}),
    ),
    (5, "if"): ((HEAD, "The mean and dropout in full", {"text": "{text}", "kind": "sequence"}),),
}
"""Case and step -> pages on which it goes on: their file, what is there, and the state in which they open."""


def teaching() -> bool:
    """Whether one step is shown at a time; draws the switch."""
    on = address.widget(
        st.toggle,
        "Teaching: bigger type, one step at a time",
        "teach",
        shown=address.value("teach") == "on",
        to_text=lambda on: "on" if on else "",
    )
    if on:
        st.html(LESSON)
    return bool(on)


def worked(given: Page, *, lesson: bool) -> None:
    """The case that was chosen."""
    from bertlens.cases.worked import CASES

    number = address.number("case", len(CASES), 1, first=1)
    if not lesson:
        titles = {str(case.number): f"{case.number} · {case.title}" for case in CASES}
        number = int(address.one_of("Case", "case", list(titles), format_func=titles.get, wrap=True))
    case = CASES[number - 1]
    with st.container(key="lesson" if lesson else "case"):
        st.markdown(f"> {blocks.plain(case.question)}")
        if refusal := case.refusal(given.checkpoint(), given.texts):
            st.info(blocks.plain(refusal), icon=":material/info:")
        elif lesson:
            _one_step(given, case)
        else:
            _all_steps(given, case)


def _all_steps(given: Page, case: Case) -> None:
    from bertlens.cases.worked.case import MOST

    if len(given.texts) > MOST:
        st.caption(f"Shown on the first {MOST} of {len(given.texts):,} texts.")
    with section():
        for step in case.steps:
            with section() if step.name == "if" else st.container():
                _step(given, case, step.name)


def _one_step(given: Page, case: Case) -> None:
    last = len(case.steps)
    at = address.number("step", last, 1, first=1)
    with st.container(horizontal=True, vertical_alignment="center"):  # above the step, where they stay from step to step
        _to_step("Back", "B", at - 1, last, icon=":material/arrow_back:")
        _to_step("Next", "N", at + 1, last, icon=":material/arrow_forward:", type="primary")
        st.caption(f"Step {at} of {last}", width="content")
    with section():
        _step(given, case, case.steps[at - 1].name, lesson=True)


def _to_step(label: str, key: str, to: int, last: int, **look: Any) -> None:
    go = partial(address.change, step=str(to))
    st.button(label, shortcut=key, disabled=not 1 <= to <= last, on_click=go, **look)


def _step(given: Page, case: Case, name: str, *, lesson: bool = False) -> None:
    step = case.step(name)
    st.subheader(step.title, anchor=name)
    choice = _controls(given, case) if name == "if" else {}
    if name == "if" and case.on_labels is not None and case.on_labels.asked(choice):
        _answer(questions.case_on_labels(given, case, labelled.given()), lesson=lesson)
    else:
        _answer(questions.step_of_case(given, case, name, choice), lesson=lesson)
    limit = str(min(256, given.checkpoint().max_length))
    known = {"limit": limit, **choice}
    with st.container(horizontal=True):
        for page, label, values in LINKS.get((case.number, name), ()):
            state = {key: value.format(**known) for key, value in values.items()}
            st.page_link(
                page, label=label, icon=":material/arrow_outward:", query_params=address.link(**state), width="content"
            )


def _controls(given: Page, case: Case) -> dict[str, str]:
    """A select box for every control; all of them stand in one value of the address."""
    checkpoint = given.checkpoint()
    choice = case.choice(checkpoint, given.texts, _asked())
    measured = case.on_labels is not None and case.on_labels.asked(choice)
    with st.container(horizontal=True):
        for control in case.controls:
            if measured and case.on_labels is not None and control.name != case.on_labels.control:
                continue  # of no account on labels
            options = control.options(checkpoint, given.texts)
            _control(case, control, dict(options), choice)
    return choice


def _asked() -> dict[str, str]:
    pairs = (part.partition("=") for part in address.value("whatif").split(",") if "=" in part)
    return {name: value for name, _, value in pairs}


def _control(case: Case, control: Control, options: dict[str, str], choice: Mapping[str, str]) -> None:
    key = f"whatif_{case.number}_{control.name}"
    st.session_state[key] = choice[control.name]

    def keep() -> None:
        chosen = {**choice, control.name: st.session_state[key]}
        address.change(whatif=",".join(f"{name}={value}" for name, value in chosen.items()))

    st.selectbox(f"… {control.label}", options, format_func=options.__getitem__, key=key, on_change=keep, width=400)


def _answer(found: Answer, *, lesson: bool = False) -> None:
    """Verdict, reason, lines, pictures, tables and scripts of a step; in a lesson small tables grow with the type."""
    if found.caution:
        st.markdown(f":red-badge[:material/casino: a random draw] {blocks.plain(found.caution)}")
    if found.verdict:
        blocks.sentence(found)
    for line in filter(None, found.reason.splitlines()):
        st.markdown(blocks.plain(line))
    if found.lines:
        st.code(found.lines, language="python", wrap_lines=True)
    drawings = list(found.drawings)
    for left in range(0, len(drawings), 2):
        pair = drawings[left : left + 2]
        for column, drawing in zip(st.columns(len(pair), gap="medium"), pair, strict=True):
            with column:
                st.markdown(f"**{blocks.plain(drawing.title)}**")
                blocks.figure(drawing.figure, drawing.name, drawing.frame, words=drawing.words)
    for table in found.tables:
        if not table.folded:
            st.markdown(f"**{blocks.plain(table.title)}**")
        with st.expander(blocks.plain(table.title), icon=":material/table:") if table.folded else st.container():
            blocks.table(table.frame, table.name, numbers=table.numbers, as_text=lesson)
    for name, code in found.scripts.items():
        st.markdown(f"**{blocks.plain(name)}.py**")
        blocks.script(code, name)
