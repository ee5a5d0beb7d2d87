"""Answer: how a command says what it found, and how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bertlens.errors import BertlensError

if TYPE_CHECKING:
    from bertlens.judge.findings import Finding
    from bertlens.run.progress import Progress


def findings(found: Iterable[Finding]) -> Iterator[str]:
    """Each finding with its remedy and the code that mends it, for a terminal."""
    for finding in found:
        yield f"\n{finding.severity}: {finding.title} [{finding.id}]"
        yield from ([f"  {finding.measured}"] if finding.measured else [])
        yield f"  {finding.remedy}"
        yield from (f"  | {line}" for line in finding.code.splitlines())


def problems(found: Iterable[Finding]) -> bool:
    """Whether any finding is a problem."""
    return any(finding.severity == "problem" for finding in found)


def progress() -> Progress:
    """Progress on stderr: a line that rewrites itself on a terminal, and nothing in a pipe."""
    if not sys.stderr.isatty():
        from bertlens.run.progress import silent

        return silent
    start, last = time.monotonic(), [0.0]

    def tell(done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if now - start < 1 or now - last[0] < 0.1:
            return
        last[0] = now
        counted = f"{done:,} {what}" if done and not total else what
        share = f" {done / total:4.0%}" if total else ""
        print(f"\r\033[K{counted}{share}", end="\r" if done >= total > 0 else "", file=sys.stderr, flush=True)

    return tell


def write_script(file: str, code: str) -> None:
    """Write the same as a Python file; `write` says what is raised."""
    write(file, code, what="script")


def write(file: str, content: str, *, what: str) -> None:
    """Write a text file; `what` it is says the error.

    Raises
    ------
    BertlensError
        Where the disk refuses.
    """
    try:
        Path(file).write_text(content, "utf-8")
    except OSError as error:
        raise BertlensError(f"cannot write the {what} to {file}", got=str(error.strerror)) from None
