"""Report: a diagnosis as a file to keep or to show: a page that stands alone, Markdown for an issue tracker, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bertlens.errors import BertlensError
from bertlens.judge.diagnosis import Diagnosis
from bertlens.show.report_html import report_html
from bertlens.show.report_markdown import report_markdown

__all__ = ["FORMATS", "form_of", "report_html", "report_json", "report_markdown"]


def report_json(diagnosis: Diagnosis, *, redacted: bool = False) -> str:
    """The document `bertlens.report/1`.

    Parameters
    ----------
    redacted : leave out the texts, what is quoted of them, and the folder of the checkpoint.
    """
    return json.dumps((diagnosis.redacted() if redacted else diagnosis).to_dict(), indent=1, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[..., str]] = {".html": report_html, ".md": report_markdown, ".json": report_json}
"""The writer of each ending."""


def form_of(file: str) -> Callable[..., str]:
    """What writes a file of this ending.

    Raises
    ------
    BertlensError
        For an ending that no report has.
    """
    ending = Path(file).suffix.lower()
    if ending not in FORMATS:
        got = f"'{ending}'" if ending else "no ending"
        raise BertlensError(f"cannot write a report to {file}", got=got, expected=" / ".join(FORMATS))
    return FORMATS[ending]
