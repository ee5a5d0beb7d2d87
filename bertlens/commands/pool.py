"""`bertlens pool`: the vectors of many texts in a file."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from bertlens.commands import answer, arguments

if TYPE_CHECKING:
    from bertlens.judge.pooled_texts import PooledTexts

HELP = "read one vector per text, in the order of the texts, and write them to a file"


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    arguments.checkpoint(command)
    arguments.texts(command, required=True)
    command.add_argument(
        "--readout",
        action="append",
        help="pooling[@layers][|l2], several times for several columns; default: what the checkpoint declares, cls otherwise",
    )
    command.add_argument(
        "--out", required=True, metavar="FILE", help=".parquet, .npy, .npz, .csv, .jsonl or .safetensors; overwritten"
    )
    command.add_argument("--condition", default="", metavar="COND", help="key=value,… as for compare; default: none changed")
    command.add_argument("--batch-tokens", type=int, metavar="N", help="padded tokens per forward pass, default 1024")


def do(options: argparse.Namespace) -> int:
    """Pool, write, and say what was made; 1 where something is a problem for what was read."""
    from bertlens.read.readout import Readout
    from bertlens.run.condition import Condition
    from bertlens.run.texts import read_texts
    from bertlens.show import vectorfile

    condition = Condition.parse(options.condition)
    readouts = list(dict.fromkeys(map(Readout.parse, options.readout or ())))
    vectorfile.check(options.out, max(1, len(readouts)))
    texts = read_texts(options.texts, column=options.column, pair_column=options.pair_column)

    from bertlens import diagnose
    from bertlens.diagnose.diagnosing import usual_readout
    from bertlens.run.packing import TOKENS_AT_ONCE

    told = answer.progress()
    checkpoint = arguments.loaded(options, told)
    tokens = TOKENS_AT_ONCE if options.batch_tokens is None else options.batch_tokens
    chosen = readouts or [usual_readout(checkpoint)]
    found = diagnose.pool(checkpoint, texts, chosen, condition=condition, batch_tokens=tokens, progress=told)
    vectorfile.write(options.out, found.vectors, texts, found.metadata)
    document = {**found.to_dict(), "out": options.out}
    print(json.dumps(document, allow_nan=False) if options.json else _in_words(found, options.out))
    return 1 if answer.problems(found.findings) else 0


def _in_words(found: PooledTexts, out: str) -> str:
    """What was written, the findings and the notes, for a terminal."""
    lines = [found.sentence, f"written to {out}", *answer.findings(found.findings)]
    return "\n".join([*lines, *(f"\nnote: {note}" for note in found.notes)])
