"""Redaction: a diagnosis that strangers may read: without the texts, what was quoted of them, and folders of a machine."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from bertlens.run.hub import is_hub_id
from bertlens.run.texts import sides

if TYPE_CHECKING:
    from bertlens.judge.diagnosis import Diagnosis
    from bertlens.judge.findings import Finding

MASK = "[redacted]"
"""What stands in the place of a quotation."""

STRING = r"""(?<!\w)(?P<literal>(?P<sign>['"])(?:\\.|(?!(?P=sign))[^\\])*(?P=sign))(?!\w)"""
"""A string as Python writes it, which is how messages quote."""

NUMBER = r"(?:, id [\d,]+| \(row [\d,]+\))?"
"""The id beside a token, which a vocabulary turns back into the token."""

QUOTATION = re.compile(STRING + NUMBER)
"""A string with the id beside it."""

FOLDER = re.compile(r"""(['"])(?:/|[A-Za-z]:\\)[^'"]*[/\\]([^'"/\\]+)[/\\]?\1""")
"""A whole path in quotes, with its last name."""


def redacted(diagnosis: Diagnosis) -> Diagnosis:
    """The diagnosis without the texts, what findings and messages quote of them, and the folder of the checkpoint."""
    hide = _Hide(diagnosis)
    checks = [
        replace(
            check,
            sentence=hide.prose(_unquoted(check.sentence) if check.state == "not asked" else check.sentence),
            findings=tuple(map(hide.finding, check.findings)),
        )
        for check in diagnosis.checks
    ]
    changes = [
        replace(one, said=hide.prose(_unquoted(one.said) if one.verdict == "not possible" else one.said))
        for one in diagnosis.changes
    ]
    known = {**diagnosis.checkpoint, "name": last_name(hide.checkpoint)}
    return replace(diagnosis, checkpoint=known, checks=tuple(checks), changes=tuple(changes), texts=())


def last_name(checkpoint: str) -> str:
    """The last name of a folder's path; the name itself for what is no path."""
    if is_hub_id(checkpoint):
        return checkpoint
    path = PureWindowsPath(checkpoint) if "\\" in checkpoint else PurePosixPath(checkpoint)
    return path.name or checkpoint


class _Hide:
    """Takes out what findings quote of the texts, what they quote of the files that stands in a text as well, and folders."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.checkpoint = str(diagnosis.checkpoint.get("name", ""))
        self.quotes = {quote for one in diagnosis.findings for quote in one.quotes}
        self.texts = "\n".join(part for text in diagnosis.texts for part in sides(text)).casefold()
        # the longest first, since one may begin another
        written = "|".join(re.escape(repr(quote)) for quote in sorted(self.quotes, key=len, reverse=True))
        self.quoted = re.compile(f"(?:{written}){NUMBER}") if written else None

    def finding(self, finding: Finding) -> Finding:
        """A finding of which title, evidence, outputs and code quote nothing; cause and remedy are the catalogue's."""
        return replace(
            finding,
            title=self.prose(finding.title),
            evidence={key: self.values(value) for key, value in finding.evidence.items()},
            affects=tuple(map(self.prose, finding.affects)),
            code=self.without_folders(finding.code),
            quotes=(),
        )

    def values(self, value: Any) -> Any:
        """Evidence: strings that are a piece of a text are masked, entries that are named after one are left out."""
        if isinstance(value, dict):
            return {key: self.values(inner) for key, inner in value.items() if not self._is_piece(str(key))}
        if isinstance(value, list | tuple):
            return type(value)(map(self.values, value))
        if isinstance(value, str):
            return MASK if self._is_piece(value) else self.prose(value)
        return value

    def prose(self, text: str) -> str:
        """Sentences: what stands in quotes is masked where it is a piece of a text."""
        text = self.quoted.sub(MASK, text) if self.quoted else text
        text = QUOTATION.sub(lambda found: MASK if self._is_piece(_read(found["literal"])) else found[0], text)
        return self.without_folders(text)

    def without_folders(self, text: str) -> str:
        """Paths, that of the checkpoint and those in quotes, cut to their last name."""
        if (short := last_name(self.checkpoint)) != self.checkpoint:
            text = re.sub(rf"(?<![\w/\\]){re.escape(self.checkpoint)}(?!\w)", lambda _: short, text)
        return FOLDER.sub(r"\1\2\1", text)

    def _is_piece(self, string: str) -> bool:
        bare = string.strip("#▁Ġ ").casefold()  # as vocabularies mark the middle and the beginning of a word
        return string in self.quotes or (bool(bare) and bare in self.texts)


def _read(literal: str) -> str:
    """The string that Python writes so; "" for what only looks like one."""
    try:
        return str(ast.literal_eval(literal))
    except (SyntaxError, ValueError):
        return ""


def _unquoted(message: str) -> str:
    """A message of an error without anything in quotes: it may name a token of a text, and its id."""
    return re.sub(r"\bid [\d,]+", f"id {MASK}", QUOTATION.sub(MASK, message))
