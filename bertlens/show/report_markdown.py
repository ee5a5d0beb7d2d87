"""A diagnosis as Markdown for an issue tracker: what GitHub and GitLab show, and readable as it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bertlens.judge.diagnosis import Diagnosis
from bertlens.judge.findings import Finding
from bertlens.show import report_parts as parts
from bertlens.show.markdown import fenced, plain, table


def report_markdown(diagnosis: Diagnosis, *, redacted: bool = False) -> str:
    """The whole document; texts and messages are shown as they are and never read as markup.

    Parameters
    ----------
    redacted : leave out the texts, what is quoted of them, and the folder of the checkpoint.
    """
    shown = diagnosis.redacted() if redacted else diagnosis
    grave = [finding for finding in shown.findings if finding.severity != "note"]
    notes = [finding for finding in shown.findings if finding.severity == "note"]
    blocks = [
        f"# {plain(parts.title(shown))}",
        f"**{plain(shown.sentence)}**",
        "## Problems and cautions",
        *([block for finding in grave for block in _card(finding)] or ["None."]),
        *_open(shown),
        *_changes(shown),
        *_folded("Worth knowing", f"{len(notes)} notes", [block for finding in notes for block in _card(finding)]),
        *_passed(shown),
        *_texts(shown),
        "## Fingerprint of the run",
        table(("what", "value"), parts.fingerprint(shown)),
        "## How to make it again",
        fenced(parts.command(shown, "report.md"), "bash"),
    ]
    return "\n\n".join(blocks) + "\n"


def _card(finding: Finding) -> Iterator[str]:
    yield f"### {finding.severity}: {plain(finding.title)}"
    yield f"`{finding.id}`"
    if finding.measured:
        yield f"**Measured** {plain(finding.measured)}"
    if finding.cause:
        yield f"**Cause** {plain(finding.cause)}"
    if finding.affects:
        yield f"**Affects** {plain(', '.join(finding.affects))}"
    if finding.remedy:
        yield f"**Remedy** {plain(finding.remedy)}"
    if finding.code:
        yield fenced(finding.code, "bash" if parts.shell(finding.code) else "python")
    if finding.evidence:
        yield table(("evidence", "value"), parts.evidence(finding.evidence))


def _open(diagnosis: Diagnosis) -> Iterator[str]:
    rows = [(parts.STATES[one.state], one.question, one.sentence) for one in diagnosis.checks if one.state != "passed"]
    if rows:
        yield "## Checks that did not pass"
        yield table(("state", "question", "answer"), rows)


def _changes(diagnosis: Diagnosis) -> Iterator[str]:
    rows = [
        (
            f"{bar.change.name}: {bar.change.why}",
            f"{bar.change.reference or 'default'} → {bar.change.candidate or 'default'}, {bar.change.readout}",
            bar.change.said if bar.change.verdict in parts.UNSURE else bar.change.verdict,
            bar.size,
        )
        for bar in parts.bars(diagnosis)
    ]
    if rows:
        yield "## What would change the vectors"
        yield table(("situation", "from → to, readout", "verdict", "largest difference"), rows)


def _passed(diagnosis: Diagnosis) -> Iterator[str]:
    rows = [(one.question, one.sentence) for one in diagnosis.passed]
    said = f"{len(rows)} of {len(diagnosis.checks)}"
    yield from _folded("Checks that passed", said, [table(("question", "answer"), rows)] if rows else [])


def _texts(diagnosis: Diagnosis) -> Iterator[str]:
    yield "## Texts"
    yield plain(parts.told(diagnosis))
    if diagnosis.texts:
        lines = [f"{at}: {parts.line(text)}" for at, text in enumerate(diagnosis.texts[: parts.MOST_TEXTS])]
        yield from _details("The texts, counted from 0", [fenced("\n".join(lines))])


def _folded(heading: str, summary: str, blocks: Sequence[str]) -> Iterator[str]:
    if blocks:
        yield f"## {heading}"
        yield from _details(summary, blocks)


def _details(summary: str, blocks: Sequence[str]) -> list[str]:
    return [f"<details><summary>{summary}</summary>", *blocks, "</details>"]
