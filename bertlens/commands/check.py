"""`bertlens check`: what a checkpoint's files hold, lack and contradict."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from bertlens.commands import answer, arguments

if TYPE_CHECKING:
    from bertlens.judge.checkpoint.checkup import Checkup

HELP = "say which weights are real, which were never there, which were never trained, and what contradicts what"


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    arguments.checkpoint(command)
    arguments.texts(command, required=False)
    command.add_argument("--readout", help="pooling[@layers][|l2]: how you read vectors, held against what is declared")


def do(options: argparse.Namespace) -> int:
    """Check, and say what was found; 1 where something is a problem."""
    from bertlens.read.readout import Readout
    from bertlens.run import hashing
    from bertlens.run.checkpoint import locate
    from bertlens.run.texts import read_texts

    readout = Readout.parse(options.readout) if options.readout else None
    texts = read_texts(options.texts, column=options.column, pair_column=options.pair_column) if options.texts else None
    told = answer.progress()
    hashing.begin(locate(options.checkpoint, revision=options.revision, offline=options.offline, progress=told))

    from bertlens import diagnose

    found = diagnose.check(
        options.checkpoint,
        texts,
        readout=readout,
        revision=options.revision,
        offline=options.offline,
        progress=told,
    )
    print(json.dumps(found.to_dict(), allow_nan=False) if options.json else _in_words(found))
    return 1 if answer.problems(found.findings) else 0


def _in_words(found: Checkup) -> str:
    """The verdict, the states of the weights, the outputs and the findings, for a terminal."""
    states = ", ".join(f"{count} {state}" for state, count in found.states.items())
    lines = [found.sentence, "", f"weights: {states}"]
    for output, ids in found.outputs.items():
        if ids:
            lines.append(f"{output}: not to be trusted ({', '.join(ids)})")
    lines += answer.findings(found.findings)
    if found.reload:
        lines.append(f"\ntwo loads: {found.reload.sentence}")
    lines += [f"\nnote: {note}" for note in found.notes]
    return "\n".join(lines)
