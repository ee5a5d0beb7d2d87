"""`bertlens layers`: every hidden state of a model on some texts, and how far cosines in it can be read."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING

from bertlens.commands import answer, arguments

if TYPE_CHECKING:
    import pandas as pd

    from bertlens.judge.layers import Layers
    from bertlens.judge.parting import Parting
    from bertlens.read.course import Course

HELP = "say what every hidden state is, how far tokens move through the layers, and how alike unrelated ones are"

HEADS = {
    "state": "state",
    "norm": "norm",
    "change": "change",
    "to_previous": "to previous",
    "to_last": "to last",
    "unrelated": "unrelated",
    "unrelated, freshly initialised": "fresh",
    "unrelated, centred": "centred",
    "mean cosine of two texts": "texts: mean",
    "smallest cosine of two texts": "smallest",
    "largest cosine of two texts": "largest",
}
"""Columns of the frames as they are printed, with their heads."""

MEANING = """\
norm: length of the vector; change: length of the step from the state before, over the length there;
to previous, to last: cosine to the same token in that state; unrelated: mean cosine of different tokens of different texts,
fresh: the same with freshly drawn weights, centred: the same without the mean vector."""


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    command.epilog = MEANING
    arguments.checkpoint(command)
    arguments.texts(command, required=True)
    command.add_argument("--readout", default="", metavar="POOLING", help="one vector per text in every state: cls, mean|l2 …")
    command.add_argument("--condition", default="", metavar="COND", help="key=value,… as for compare; default: none changed")
    command.add_argument("--against", metavar="COND", help="another condition: say in which layer and token it first differs")
    command.add_argument("--text", type=int, default=0, metavar="N", help="the text to look at with --against, default 0")
    command.add_argument("--no-baseline", action="store_true", help="draw no fresh weights to compare with")


def do(options: argparse.Namespace) -> int:
    """Read the layers, and say what was found; 1 where something is a problem, or another condition computes something else."""
    from bertlens.read.readout import Readout
    from bertlens.run.condition import Condition
    from bertlens.run.texts import check_index, read_texts

    # everything that can be wrong in the arguments is said before torch is imported and a model is loaded
    condition = Condition.parse(options.condition)
    against = None if options.against is None else Condition.parse(options.against)
    readout = Readout.parse(options.readout).in_every_layer() if options.readout else None
    texts = read_texts(options.texts, column=options.column, pair_column=options.pair_column)
    check_index(texts, options.text)

    from bertlens import diagnose

    told = answer.progress()
    checkpoint = arguments.loaded(options, told)
    found = diagnose.layers(checkpoint, texts, condition=condition, baseline=not options.no_baseline, progress=told)
    course = found.course(readout) if readout else None
    parting = None
    if against is not None:
        parting = diagnose.where_they_part(checkpoint, texts, options.text, reference=condition, candidate=against)
    if options.json:
        document = found.to_dict()
        document["readout"] = course.to_dict() if course else None
        document["parting"] = parting.to_dict() if parting else None
        print(json.dumps(document, allow_nan=False))
    else:
        print(_in_words(found, course, parting))
    return 1 if answer.problems(found.findings) or (parting and parting.first) else 0


def _in_words(found: Layers, course: Course | None, parting: Parting | None) -> str:
    """The verdict, the states, a readout in them, where two conditions part, and the findings, for a terminal."""
    lines = [found.sentence, "", f"means over {found.tokens:,} tokens of {len(found.texts):,} texts:"]
    lines += [*_table(found.to_frame()), "", MEANING, ""]
    lines += [f"{state.expression}: {state.note}" for state in found.states if state.index in (0, found.depth, found.depth + 1)]
    if course is not None:
        lines += ["", f"{course.readout}, means over {found.pooled.texts:,} texts:", *_table(course.to_frame())]
    if parting is not None:
        lines += ["", f"text {parting.text}: {parting.sentence}", *_table(parting.by_layer())]
    lines += answer.findings(found.findings)
    lines += [f"\nnote: {note}" for note in found.notes]
    return "\n".join(lines)


def _table(frame: pd.DataFrame) -> list[str]:
    """A frame in columns, numbers to the right."""
    kept = [name for name in frame.columns if name in HEADS or name in ("layer", "max_abs", "bound")]
    if "unrelated, freshly initialised" in kept and frame["unrelated, freshly initialised"].isna().all():
        kept.remove("unrelated, freshly initialised")
    lines = [[HEADS.get(name, name.replace("_", " ")) for name in kept]]
    lines += [
        [_cell(value, small=name in ("max_abs", "bound")) for name, value in row.items()] for _, row in frame[kept].iterrows()
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def _cell(value: object, *, small: bool) -> str:
    from bertlens.judge.wording import number

    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "NaN" if small else "–"
    return number(value) if small else f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"
