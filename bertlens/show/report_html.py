"""A diagnosis as one HTML file: no script, nothing from other hosts, light and dark, and whole on paper."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from bertlens.judge.diagnosis import Diagnosis
from bertlens.show import report_parts as parts
from bertlens.show.markdown import visible


def report_html(diagnosis: Diagnosis, *, redacted: bool = False) -> str:
    """The whole page.

    Parameters
    ----------
    redacted : leave out the texts, what is quoted of them, and the folder of the checkpoint.

    What texts, files and messages say is escaped wherever it stands: the template escapes every value, and writes out
    characters that would turn the direction of writing.
    """
    shown = diagnosis.redacted() if redacted else diagnosis
    grave = [finding for finding in shown.findings if finding.severity != "note"]
    return _template().render(
        parts=parts,
        diagnosis=shown,
        title=parts.title(shown),
        grave=grave,
        notes=[finding for finding in shown.findings if finding.severity == "note"],
        open=[check for check in shown.checks if check.state != "passed"],
        bars=parts.bars(shown),
        texts=[parts.line(text) for text in shown.texts[: parts.MOST_TEXTS]],
        command=parts.command(shown, "report.html"),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("bertlens", "data"),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")
