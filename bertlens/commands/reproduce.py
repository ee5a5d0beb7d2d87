"""`bertlens reproduce`: make a reported fault on purpose with a checkpoint and texts, mend it, and judge both."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import TYPE_CHECKING

from bertlens.commands import answer, arguments
from bertlens.errors import BertlensError

if TYPE_CHECKING:
    from bertlens.judge.reproduction import Reproduction, Side

HELP = "make a reported fault on purpose, mend it, and judge both; or find it by what you see"


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    command.epilog = "Exit status: 0 the fault was made (or the list printed), 2 it cannot be made here."
    command.add_argument("fault", metavar="FAULT", nargs="?", help="an id of the list, such as attention-mask-missing")
    arguments.checkpoint(command, optional=True)
    arguments.texts(command, required=False)
    command.add_argument("--script", metavar="FILE", help="write the same as a Python file to FILE")
    command.add_argument("--list", action="store_true", help="list the faults, and which of them can be made")
    command.add_argument("--symptom", metavar="WORDS", help="with --list: those that fit what you see, best first")


def do(options: argparse.Namespace) -> int:
    """Make the fault, or list what there is; always 0, since a fault that is asked for is nothing wrong."""
    if options.list or options.symptom:
        return _list(options)
    if not (options.fault and options.checkpoint and options.texts):
        raise BertlensError(
            "cannot reproduce a fault",
            got="too little",
            expected="FAULT CHECKPOINT --texts FILE",
            do="bertlens reproduce --list names the faults",
        )
    from bertlens.run.texts import read_texts

    texts = read_texts(options.texts, column=options.column, pair_column=options.pair_column)

    from bertlens.cases.gallery import required
    from bertlens.diagnose import reproduce

    required(options.fault)  # before a model is loaded
    checkpoint = arguments.loaded(options, answer.progress())
    found = reproduce(options.fault, checkpoint, texts)
    if options.script:
        from bertlens.cases.script import reproduction_script

        script = reproduction_script(options.fault, options.checkpoint, texts, max_length=checkpoint.max_length)
        answer.write_script(options.script, script)
    print(json.dumps(found.to_dict(), allow_nan=False) if options.json else _in_words(found))
    return 0


def _list(options: argparse.Namespace) -> int:
    """Every fault, or those that fit a symptom, each with its stage and whether it can be made."""
    from bertlens.cases.gallery import NOT_HERE, reproducer
    from bertlens.cases.symptoms import matching
    from bertlens.judge.findings import catalogue

    faults = [
        {
            "id": fault,
            **{key: catalogue()[fault][key] for key in ("name", "stage", "kind", "symptom")},
            "made": reproducer(fault) is not None,
            "reason": NOT_HERE.get(fault, ""),
        }
        for fault in matching(options.symptom or "")
    ]
    if options.json:
        print(json.dumps({"schema": "bertlens.faults/1", "symptom": options.symptom or "", "faults": faults}))
        return 0
    if not faults:
        print("No fault of the catalogue shares a word with that.")
    for fault in faults:
        print(f"{fault['id']:<32}{'' if fault['made'] else 'cannot be made here: '}{fault['name']}")
        if options.symptom:
            print(textwrap.indent(textwrap.fill(str(fault["symptom"]), 100), "    "))
    return 0


def _in_words(found: Reproduction) -> str:
    """The sentence, both sides text by text, and the remedy, for a terminal."""
    from bertlens.judge.findings import catalogue

    entry = catalogue()[found.fault]
    lines = [found.sentence, "", f"{'side':<9}{'text':>6}  {'verdict':<10}  {'max abs':>9}  {'cosine':>10}"]
    lines += [*_side("mistake", found.mistake), *_side("mended", found.mended)]
    return "\n".join([*lines, "", f"symptom: {entry['symptom']}", f"cause: {entry['root_cause']}", f"remedy: {entry['fix']}"])


def _side(name: str, side: Side) -> list[str]:
    from bertlens.judge.wording import number

    if not side.rows:
        return [f"{name:<9}{'':>6}  {side.words}"]
    rows = [(row.text, row.verdict, number(row.max_abs), row.cosine) for row in side.rows]
    return [f"{name:<9}{text:>6}  {verdict:<10}  {apart:>9}  {cosine:>10.7f}" for text, verdict, apart, cosine in rows]
