"""Blocks: the pieces that pages are made of, from the verdict to the same in Python."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
import streamlit as st

from ui import pictures

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from bertlens.judge.comparison import Comparison
    from bertlens.judge.findings import Finding


class Result(Protocol):
    """What has a verdict, says it in one sentence, and can be written down whole."""

    @property
    def verdict(self) -> str:
        """One of `SIGNS`."""
        ...

    @property
    def sentence(self) -> str:
        """The verdict as its word, a colon and the rest."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The document of the contract."""
        ...


SIGNS: dict[str, tuple[str, str, str]] = {
    "identical": ("Identical", "green", ":material/check_circle:"),
    "rounding": ("Rounding", "blue", ":material/approval:"),
    "undecided": ("Undecided", "orange", ":material/help:"),
    "different": ("Different", "red", ":material/error:"),
    "refused": ("Refused", "orange", ":material/block:"),
    "another shape": ("Another shape", "orange", ":material/aspect_ratio:"),
    "sound": ("Sound", "green", ":material/check_circle:"),
    "caution": ("Usable with care", "orange", ":material/warning:"),
    "problem": ("Faulty", "red", ":material/error:"),
    "found": ("Found", "green", ":material/fingerprint:"),
    "ambiguous": ("Ambiguous", "orange", ":material/help:"),
    "none": ("None", "red", ":material/error:"),
}
"""A verdict as a word, a colour and a sign; the word always stands with the colour."""

SMALL = 12
"""Rows of a table that can be shown as text."""

SEVERITIES = {
    "problem": ("red", ":material/error:"),
    "caution": ("orange", ":material/warning:"),
    "note": ("blue", ":material/info:"),
}


def plain(text: str) -> str:
    """Text of a person or a model, safe inside Markdown: shown as it is, never as markup."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])", r"\\\1", text.replace("\n", " "))


def sentence(result: Result) -> None:
    """The verdict in one sentence with its number."""
    _, colour, sign = SIGNS[result.verdict]
    box = {"green": st.success, "blue": st.info, "orange": st.warning, "red": st.error}[colour]
    word, rest = result.sentence.split(":", 1)
    box(f"**{word}**:{plain(rest)}", icon=sign)


def verdict(comparison: Comparison) -> None:
    """The verdict in one sentence, then the four numbers behind it."""
    from bertlens.judge.wording import number

    sentence(comparison)
    row = comparison.worst
    repeated = "not needed" if row.equal else "not possible" if row.max_abs_float64 is None else number(row.max_abs_float64)
    count = "bit-equal" if row.equal else "–" if row.max_ulp is None else _count(row.max_ulp)
    with st.container(horizontal=True):
        for label, shown, meaning in (
            ("Largest difference", number(row.max_abs), "Largest absolute difference over texts and dimensions"),
            ("In float64", repeated, "The same two runs repeated in float64: rounding falls, a fault stays"),
            ("Cosine", _cosine(row.cosine), "Cosine similarity of that text's two vectors"),
            ("ULPs", count, "Representable numbers between the two, at most (in the coarser of the two formats)"),
        ):
            st.metric(label, shown, help=meaning, width=165)
    notes(comparison.notes)


def notes(found: Sequence[str]) -> None:
    """What a reader must know about how it was computed."""
    for note in found:
        st.caption(f":material/info: {plain(note)}")


def _count(steps: int) -> str:
    return f"{steps:,}" if steps < 1_000_000 else f"{steps:.1e}"


def _cosine(value: float) -> str:
    if value != value:
        return "not a number"
    return f"{value:.4f}" if 1 - value > 5e-5 else f"1 − {1 - value:.0e}" if value < 1 else "1"


def findings(found: Sequence[Finding], carry_out: Callable[[Finding], None] | None = None) -> None:
    """Each finding as a card: one sentence, its evidence, its remedy in words and as code.

    `carry_out` draws what bertlens itself can do about it.
    """
    for finding in found:
        colour, sign = SEVERITIES[finding.severity]
        with st.container(border=True):
            st.markdown(f":{colour}-badge[{sign} {finding.severity}] **{plain(finding.title)}** &nbsp; `{finding.id}`")
            if finding.measured:
                st.markdown(f"**Measured.** {plain(finding.measured)}")
            if finding.cause:
                st.markdown(f"**Cause.** {plain(finding.cause)}")
            if finding.affects:
                st.markdown(f"**Affects** {plain(', '.join(finding.affects))}.")
            if finding.remedy:
                st.markdown(f"**Remedy.** {plain(finding.remedy)}")
            if finding.code:
                st.code(finding.code, language="python", wrap_lines=True)
            if carry_out is not None:
                carry_out(finding)
            with st.popover("Evidence", icon=":material/fact_check:"):
                st.json(finding.evidence)


def graded(found: Sequence[Finding]) -> None:
    """Problems and cautions as cards; notes folded below them."""
    findings([finding for finding in found if finding.severity != "note"])
    if told := [finding for finding in found if finding.severity == "note"]:
        with st.expander(f"Worth knowing ({len(told)})", icon=":material/info:"):
            findings(told)


def table(
    frame: pd.DataFrame, name: str, *, numbers: Sequence[str] = (), document: Result | None = None, as_text: bool = False
) -> None:
    """A table with its downloads.

    Parameters
    ----------
    numbers : columns that are shown in scientific notation.
    document : the whole result, as JSON.
    as_text : a small table as text of the page, which grows with its type; a grid is a picture, which does not.
    """
    if as_text and len(frame) <= SMALL:
        st.table(_written(frame, numbers), hide_index=True)
    else:
        _grid(frame, name, numbers)
    with st.container(horizontal=True):
        download("Table (CSV)", f"{name}.csv", lambda: frame.to_csv(index=False), "text/csv")
        if document is not None:
            whole(f"{name}.json", document)


def _written(frame: pd.DataFrame, numbers: Sequence[str]) -> pd.DataFrame:
    """Every cell as words, safe as the Markdown that a table of text is read as."""

    def word(value: object, scientific: bool) -> str:
        if isinstance(value, float):
            return "" if value != value else f"{value:.2e}" if scientific else f"{value:.4g}"
        return plain(str(value))

    return pd.DataFrame({plain(str(name)): [word(value, name in numbers) for value in frame[name]] for name in frame})


def _grid(frame: pd.DataFrame, name: str, numbers: Sequence[str]) -> None:
    columns: dict[str, Any] = {name: st.column_config.NumberColumn(format="%.2e") for name in numbers if name in frame}
    if "words" in frame:
        columns["words"] = st.column_config.TextColumn(width="medium")
    st.dataframe(frame, hide_index=True, column_config=columns, key=f"table_{name}")


def whole(file: str, result: Result) -> None:
    """A whole result to download, as its document of the contract."""
    download("Everything (JSON)", file, lambda: json.dumps(result.to_dict(), indent=1), "application/json")


def figure(
    picture: Figure,
    name: str,
    frame: pd.DataFrame,
    *,
    words: str,
    numbers: Sequence[str] = (),
    document: Result | None = None,
    tabled: bool = True,
    zoom: bool = True,
    on_click: Callable[[pictures.Point], None] | None = None,
) -> None:
    """A picture, its downloads (CSV, PNG, SVG, HTML) in one row, and the table it was drawn from.

    Parameters
    ----------
    words : what the picture says in a sentence, for who does not see it; it stands in the HTML file as well.
    tabled : False where the table stands elsewhere on the page.
    zoom : False for a drawing in which there is nothing to zoom into.
    on_click : called with the point that was clicked.
    """
    from bertlens.show.standalone import standalone

    key, row = f"figure_{name}", f"downloads_{name}"
    config = {"displaylogo": False, "displayModeBar": "hover" if zoom else False, "toImageButtonOptions": {"filename": name}}
    st.plotly_chart(picture, key=key, config=config, alt=words)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=row):
        st.markdown(":material/download:", width="content")
        download("CSV", f"{name}.csv", lambda: frame.to_csv(index=False), "text/csv", icon=None)
        pictures.buttons(key, row, name=name, words=words, on_click=on_click)
        download("HTML", f"{name}.html", lambda: standalone(picture, name, words), "text/html", icon=None)
        if document is not None:
            whole(f"{name}.json", document)
    if tabled:
        with st.expander("The same as a table", icon=":material/table:"):
            _grid(frame, name, numbers)


def download(label: str, file: str, make: Callable[[], str], kind: str, *, icon: str | None = ":material/download:") -> None:
    """A download whose content is made on the click."""
    st.download_button(label, make, file_name=file, mime=kind, on_click="ignore", icon=icon, key=f"get_{file}")


def command(checkpoint: str, reference: object, candidate: object, readout: object) -> str:
    """The comparison as a line for a shell."""
    words = ["bertlens", "compare", checkpoint, "--texts", "texts.txt"]
    words += ["--reference", str(reference), "--candidate", str(candidate), "--readout", str(readout)]
    return shlex.join(words)


def script(code: str, name: str) -> None:
    """A file that needs only torch and transformers, to read and to download, as a notebook as well."""
    from bertlens.show.notebook import notebook

    with st.expander("Script", icon=":material/code:", expanded=False):
        st.code(code, language="python", height=420)
    with st.container(horizontal=True):
        download("Script (.py)", f"{name}.py", lambda: code, "text/x-python")
        title = name.replace("_", " ")
        download("Notebook (.ipynb)", f"{name}.ipynb", lambda: notebook(code, title), "application/x-ipynb+json")


def same_in_python(code: str, command: str, name: str) -> None:
    """The same as a file that needs only torch and transformers, and as a command."""
    st.subheader("The same in Python", anchor="python")
    st.caption("Needs only torch and transformers, and prints the same numbers.")
    script(code, name)
    st.code(command, language="bash", wrap_lines=True)
