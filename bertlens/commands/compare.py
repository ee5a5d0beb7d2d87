"""`bertlens compare`: run texts under two conditions and judge the difference."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from bertlens.commands import answer, arguments
from bertlens.run.condition import CHOICES, COUNTS, MEANING

if TYPE_CHECKING:
    from bertlens.judge.comparison import Comparison

HELP = "run texts under two conditions and decide whether the difference is rounding or a fault"


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    command.epilog = _conditions()
    arguments.checkpoint(command)
    arguments.texts(command, required=True)
    command.add_argument("--reference", default="batch=alone", metavar="COND", help="default: batch=alone")
    command.add_argument("--candidate", default="", metavar="COND", help="default: every key at its first value")
    command.add_argument("--readout", default="cls", help="pooling[@layers][|l2], default cls")
    command.add_argument("--against", metavar="CHECKPOINT", help="another checkpoint for the candidate")
    command.add_argument("--seed", type=int, default=0, help="of dropout, default 0")
    command.add_argument("--script", metavar="FILE", help="write the same as a Python file to FILE")


def _conditions() -> str:
    lines = ["COND is key=value,key=value over these keys; what is not named has the first value:", ""]
    for key, words in CHOICES.items():
        values = " | ".join(words) + (f" | a number of {COUNTS[key]}" if key in COUNTS else "")
        lines += [f"  {key:<11}{values}", f"  {'':<11}{MEANING[key]}"]
    return "\n".join([*lines, "", "Exit status: 0 nothing is wrong, 1 a problem was found, 2 could not be carried out."])


def do(options: argparse.Namespace) -> int:
    """Compare, and say what was found; 1 where it is another computation."""
    from bertlens.read.readout import Readout
    from bertlens.run.condition import Condition
    from bertlens.run.texts import read_texts

    # everything that can be wrong in the arguments is said before torch is imported and a model is loaded
    reference, candidate = Condition.parse(options.reference), Condition.parse(options.candidate)
    readout = Readout.parse(options.readout)
    texts = read_texts(options.texts, column=options.column, pair_column=options.pair_column)

    from bertlens import diagnose
    from bertlens.run.checkpoint import load

    told = answer.progress()
    where = {"offline": options.offline, "device": options.device, "progress": told}
    checkpoint = load(options.checkpoint, revision=options.revision, **where)
    against = load(options.against, **where) if options.against else None
    found = diagnose.compare(
        checkpoint,
        texts,
        reference=reference,
        candidate=candidate,
        readout=readout,
        against=against,
        seed=options.seed,
        progress=told,
    )
    if options.script:
        from bertlens.show.script import comparison_script

        facts = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length, "seed": options.seed}
        answer.write_script(
            options.script, comparison_script(options.checkpoint, texts, reference, candidate, readout, **facts)
        )
    print(json.dumps(found.to_dict(), allow_nan=False) if options.json else _in_words(found))
    return 0 if found.verdict in ("identical", "rounding") and not answer.problems(found.findings) else 1


def _in_words(found: Comparison, most: int = 20) -> str:
    """The verdict, the first rows, the causes and the remedies, for a terminal."""
    from bertlens.judge.wording import number

    lines = [found.sentence, "", f"{'text':>6}  {'verdict':<10}  {'max abs':>9}  {'in float64':>10}  {'cosine':>10}"]
    for row in found.rows[:most]:
        repeat = "" if row.max_abs_float64 is None else number(row.max_abs_float64)
        lines.append(f"{row.text:>6}  {row.verdict:<10}  {number(row.max_abs):>9}  {repeat:>10}  {row.cosine:>10.7f}")
    if len(found.rows) > most:
        lines.append(f"   … and {len(found.rows) - most:,} more texts (--json has them all)")
    for cause in found.explanation.causes:
        left = "" if cause.undone is None else f"; without it {number(cause.undone)} is left"
        lines.append(f"\ncause: {cause.words}, {number(cause.max_abs)}{left}")
    lines += answer.findings(found.findings)
    lines += [f"\nnote: {note}" for note in found.notes]
    return "\n".join(lines)
