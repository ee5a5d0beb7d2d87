"""Diagnosis on a page: what was found so far, the most serious first, what would change the vectors, and what is healthy."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from ui import address, blocks, vectors
from ui.frame import Page
from ui.sidebar import PAGES

if TYPE_CHECKING:
    from bertlens.judge.diagnosis import Change, Check, Diagnosis
    from bertlens.judge.findings import Finding
    from bertlens.read.readout import Readout
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.foreign import Foreign

FILES = {file.removesuffix(".py").split("_", 1)[1]: file for file, _, _ in PAGES if "_" in file}
"""Every page's file by its name."""

LABELS = {file: label for file, label, _ in PAGES}
STATES = {
    "passed": ("green", ":material/check_circle:"),
    "caution": ("orange", ":material/warning:"),
    "undecided": ("orange", ":material/help:"),
    "not asked": ("gray", ":material/block:"),
    "problem": ("red", ":material/error:"),
}


def given(page: Page) -> tuple[Page, Foreign | None]:
    """Draw the place for vectors from elsewhere; the page with the texts to use, and the vectors where there are some."""
    with st.expander("You have vectors from elsewhere that do not match? Add them", icon=":material/fingerprint:"):
        found = vectors.uploaded()
        if found is not None and found.texts:
            st.caption(f"The {len(found.texts):,} texts beside the vectors are used, not those on the left.")
    return (Page(page.name, found.texts) if found is not None and found.texts else page), found


def readout(checkpoint: Checkpoint) -> Readout:
    """Draw the choice of how vectors are read; by default as the checkpoint declares."""
    from bertlens.diagnose.diagnosing import usual_readout
    from bertlens.read.readout import POOLINGS, Readout

    usual = usual_readout(checkpoint)
    known = [one for one in POOLINGS if one != str(usual) and (one != "pooler" or checkpoint.architecture.pooler)]
    words = {"": f"{usual}, as the checkpoint declares" if str(usual) != "cls" else "cls (nothing is declared)"}
    options = ["", *known]
    chosen = address.one_of("How you read vectors", "read", options, format_func=lambda name: words.get(name, name), default="")
    return Readout.parse(chosen) if chosen else usual


def cards(page: Page, asked: Sequence[Check]) -> None:
    """What speaks against the checkpoint and the texts, each with its number, its remedy and the way to its evidence."""
    from bertlens.judge.findings import most_serious_first

    found = most_serious_first([finding for check in asked for finding in check.findings])
    source = {finding.id: check for check in reversed(asked) for finding in check.findings}
    for severity, state in (("problem", "problem"), ("caution", "undecided")):
        for check in asked:
            if check.state == state and all(one.severity == "note" for one in check.findings):
                _unnamed(check)
        blocks.findings([one for one in found if one.severity == severity], lambda one: ways(source[one.id], one))


def _unnamed(check: Check) -> None:
    """An answer that is wrong or open and has no finding of its own."""
    colour, sign = STATES[check.state]
    with st.container(border=True):
        st.markdown(f":{colour}-badge[{sign} {check.state}] **{blocks.plain(check.sentence)}**")
        evidence(check)


def ways(check: Check, finding: Finding) -> None:
    """The way to the evidence, and to the same fault made on purpose, with its script."""
    from bertlens.cases.gallery import NOT_HERE

    evidence(check)
    if finding.id not in NOT_HERE:
        st.page_link(
            FILES["Cases"],
            label="The same fault made on purpose, and its script",
            icon=":material/science:",
            query_params=address.link(view="gallery", fault=finding.id),
        )


def evidence(check: Check) -> None:
    """The way to the page on which the evidence is open."""
    if file := FILES.get(check.page):
        st.page_link(
            file,
            label=f"See the evidence: {LABELS[file]}",
            icon=":material/arrow_forward:",
            query_params=address.link(**check.view),
        )


def notes(found: Diagnosis) -> None:
    """What is worth knowing, folded."""
    told: list[Finding] = [finding for finding in found.findings if finding.severity == "note"]
    if told:
        with st.expander(f"Worth knowing ({len(told)})", icon=":material/info:"):
            blocks.findings(told, lambda one: ways(found.check_of(one), one))


def passed(found: Diagnosis) -> None:
    """What is healthy, and what could not be asked, folded."""
    count, skipped = len(found.passed), [check for check in found.checks if check.state == "not asked"]
    more = f", {len(skipped)} could not be asked" if skipped else ""
    words = f"{count} check{'s' * (count != 1)} passed{more}"
    with st.expander(words, icon=":material/check_circle:"):
        for check in (*found.passed, *skipped):
            colour, sign = STATES[check.state]
            st.markdown(
                f":{colour}-badge[{sign} {check.state}] **{blocks.plain(check.question)}** {blocks.plain(check.sentence)}"
            )


def change(one: Change) -> None:
    """One line: the verdict, its number, and the way to its evidence."""
    from bertlens.judge.wording import number

    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    if one.verdict == "not possible":
        row.markdown(":gray-badge[:material/block: Not possible]", width=193, help=one.said)
    else:
        word, colour, icon = blocks.SIGNS[one.verdict]
        row.markdown(f":{colour}-badge[{icon} {word}]", width=110)
        row.markdown(f"`{number(one.max_abs) if one.max_abs is not None else 'NaN'}`", width=75)
    row.page_link(
        FILES["Batch_and_padding"],
        label=one.name.capitalize(),
        query_params=address.link(reference=one.reference, candidate=one.candidate, readout=one.readout),
        width="content",
    )
    row.caption(one.why, width="content")


def changes_picture(changes: Sequence[Change]) -> None:
    """The same lines as a picture with its table: how large each is, and what is left of it in float64."""
    from bertlens.show.differences import changes as drawn

    frame = pd.DataFrame([one.to_dict() for one in changes])
    sizes = ("max_abs", "max_abs_float64")
    if picture := drawn(changes):
        largest = max((one for one in changes if one.max_abs is not None), key=lambda one: one.max_abs or 0.0)
        words = (
            "What everyday situations change, as run and in float64, on a logarithmic axis. "
            f"The largest is {largest.name}, {largest.max_abs:.2g}."
        )
        st.caption("Rounding falls when both sides are run in float64; another computation stays where it is.")
        blocks.figure(picture, "bertlens-situations", frame, words=words, numbers=sizes)
    else:
        with st.expander("The same as a table", icon=":material/table:"):
            blocks.table(frame, "bertlens-situations", numbers=sizes)


def report(found: Diagnosis, page: Page) -> None:
    """The diagnosis as files that can be sent to somebody."""
    from bertlens.show import report as made

    st.subheader("Send it to somebody", anchor="report")
    hidden = st.toggle("Leave the texts out", key="report_redacted", help="No text and no token of one stays in the files.")
    with st.container(horizontal=True):
        blocks.download("Report (HTML)", "bertlens-report.html", lambda: made.report_html(found, redacted=hidden), "text/html")
        blocks.download(
            "For an issue tracker (Markdown)",
            "bertlens-report.md",
            lambda: made.report_markdown(found, redacted=hidden),
            "text/markdown",
        )
        blocks.download(
            "Everything (JSON)", "bertlens-report.json", lambda: made.report_json(found, redacted=hidden), "application/json"
        )


def python(page: Page, foreign: Foreign | None, readout: str) -> None:
    """The same in Python and as a command; without a readout where the checkpoint cannot be loaded."""
    options = [*(["vectors=vectors"] if foreign is not None else []), *([f"readout={readout!r}"] if readout else [])]
    name = "checkpoint" if readout else repr(page.name)
    st.subheader("The same in Python", anchor="python")
    lines = [
        "import bertlens",
        "",
        *([f"checkpoint = bertlens.load({page.name!r})"] if readout else []),
        'texts = bertlens.read_texts("texts.txt")',
        *(['vectors = bertlens.read_vectors("vectors.npy")'] if foreign is not None else []),
        f"found = bertlens.diagnosis({', '.join([name, 'texts', *options])})",
        "",
        "print(found.sentence)",
        "for finding in found.findings:",
        "    print(finding.severity, finding.id, finding.title)",
        "    print(finding.code)",
    ]
    st.code("\n".join(lines), language="python")
    words = ["bertlens", "report", page.name, "--texts", "texts.txt"]
    words += ["--vectors", "vectors.npy"] if foreign is not None else []
    words += ["--readout", readout] if readout else []
    st.code(shlex.join([*words, "--out", "report.html"]), language="bash", wrap_lines=True)
