"""`bertlens report`: everything about a checkpoint and texts as a file to keep or to show."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from bertlens.commands import answer, arguments
from bertlens.errors import Unloadable

if TYPE_CHECKING:
    from bertlens.judge.diagnosis import Diagnosis

HELP = "ask everything about a checkpoint and texts, and write it down: a page, Markdown for an issue tracker, or JSON"


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    arguments.checkpoint(command)
    arguments.texts(command, required=True)
    command.add_argument("--vectors", metavar="FILE", help="vectors from elsewhere, to be identified; as for identify")
    command.add_argument("--vector-column", metavar="NAME", help="column, key or array with the vectors")
    command.add_argument("--readout", help="pooling[@layers][|l2]; default: what the checkpoint declares, cls otherwise")
    command.add_argument("--out", required=True, metavar="FILE", help=".html, .md or .json; overwritten")
    command.add_argument("--redact", action="store_true", help="leave out texts, what is quoted of them, and folders")


def do(options: argparse.Namespace) -> int:
    """Ask, write, and say what was found; 1 where something is a problem."""
    from bertlens.run.foreign import read_vectors
    from bertlens.run.texts import read_texts

    # everything that can be wrong in the files is said before a model is loaded
    texts = read_texts(options.texts, column=options.column, pair_column=options.pair_column)
    vectors = read_vectors(options.vectors, column=options.vector_column) if options.vectors else None

    from bertlens import diagnose
    from bertlens.diagnose.diagnosing import needing_the_model
    from bertlens.diagnose.unloaded import unloaded
    from bertlens.read.readout import Readout
    from bertlens.show import report

    write = report.form_of(options.out)
    readout = Readout.parse(options.readout) if options.readout else None
    told = answer.progress()
    try:
        checkpoint = arguments.loaded(options, told)
    except Unloadable as refused:
        known = {"revision": options.revision, "offline": options.offline, "progress": told}
        unasked = needing_the_model(foreign=vectors is not None)
        found = unloaded(options.checkpoint, texts, refused, unasked=unasked, **known)
    else:
        found = diagnose.diagnosis(checkpoint, texts, vectors=vectors, readout=readout, progress=told)
    answer.write(options.out, write(found, redacted=options.redact), what="report")
    shown = found.redacted() if options.redact else found
    document = {**shown.to_dict(), "out": options.out}
    print(json.dumps(document, allow_nan=False) if options.json else _in_words(shown, options.out))
    return 1 if found.verdict == "problem" else 0


def _in_words(found: Diagnosis, out: str) -> str:
    """The verdict, the findings, and where the report is, for a terminal."""
    return "\n".join([found.sentence, *answer.findings(found.findings), "", f"written to {out}"])
