"""`bertlens probe`: which readout a linear layer learns most from, measured on labels."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from bertlens.commands import answer, arguments

if TYPE_CHECKING:
    from bertlens.judge.probing import Probe

HELP = "compare readouts on labelled texts: a linear layer on each, by cross-validation"


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    arguments.checkpoint(command)
    arguments.texts(command, required=True)
    command.add_argument("--label-column", metavar="NAME", help="column or key with the label; by default one called label")
    command.add_argument(
        "--readouts", nargs="+", metavar="READOUT", help="pooling[@layers][|l2]; default: as declared, cls, mean, pooler"
    )
    command.add_argument("--condition", default="", metavar="COND", help="key=value,… as for compare; default: none changed")
    command.add_argument("--folds", type=int, default=5, metavar="N", help="default 5, fewer where a class has fewer texts")
    command.add_argument(
        "--repeats", type=int, metavar="N", help="how often the texts are dealt to the folds; default 5, 1 beyond 1,000 texts"
    )
    command.add_argument("--seed", type=int, default=0, help="of that dealing; default 0")


def do(options: argparse.Namespace) -> int:
    """Probe and say what was found; 1 where something is a problem for every readout."""
    from bertlens.read.readout import Readout
    from bertlens.run.condition import Condition
    from bertlens.run.labels import fitting_folds, read_labelled

    condition = Condition.parse(options.condition)
    readouts = None if options.readouts is None else list(map(Readout.parse, options.readouts))
    given = read_labelled(options.texts, column=options.column, label_column=options.label_column, pair=options.pair_column)
    fitting_folds(given.labels, options.folds)  # said before the model is loaded

    from bertlens import diagnose

    told = answer.progress()
    checkpoint = arguments.loaded(options, told)
    how = {"folds": options.folds, "repeats": options.repeats, "seed": options.seed}
    found = diagnose.probe(checkpoint, given.texts, given.labels, readouts, condition=condition, progress=told, **how)
    print(json.dumps(found.to_dict(), allow_nan=False) if options.json else _in_words(found))
    return 1 if answer.problems(found.findings) else 0


def _in_words(found: Probe) -> str:
    """The sentence, the table, the findings and the notes, for a terminal."""
    table = found.to_frame().to_string(index=False, float_format=lambda value: f"{value:.3f}", na_rep="")
    lines = [found.sentence, "", table, *answer.findings(found.findings)]
    return "\n".join([*lines, *(f"\nnote: {note}" for note in found.notes)])
