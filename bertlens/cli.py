"""Command line: `bertlens compare …`, the same as `python -m bertlens compare …`.

Exit status: 0 nothing is wrong, 1 a problem was found, 2 the command could not be carried out.
Results go to stdout; progress and errors, one line each, to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bertlens.errors import BertlensError
from bertlens.run.condition import CHOICES, COUNTS, MEANING

if TYPE_CHECKING:
    from bertlens.judge.comparison import Comparison
    from bertlens.run.progress import Progress


class _Parser(argparse.ArgumentParser):
    """argparse, with errors in one line and status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit status."""
    options = _parser().parse_args(arguments)
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        return int(options.do(options))
    except BertlensError as error:
        print(f"bertlens: {error.sentence}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bertlens: cancelled", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone, for example `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2


def _parser() -> _Parser:
    parser = _Parser(prog="bertlens", description="Why do my BERT vectors disagree?")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    compare = commands.add_parser(
        "compare",
        help="run texts under two conditions and decide whether the difference is rounding or a fault",
        description="Run texts under two conditions and decide whether the difference is rounding or a fault.",
        epilog=_conditions(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.set_defaults(do=_compare)
    _common(compare)
    compare.add_argument("--reference", default="batch=alone", metavar="COND", help="default: batch=alone")
    compare.add_argument("--candidate", default="", metavar="COND", help="default: every key at its first value")
    compare.add_argument("--readout", default="cls", help="pooling[@layers][|l2], default cls")
    compare.add_argument("--against", metavar="CHECKPOINT", help="another checkpoint for the candidate")
    compare.add_argument("--seed", type=int, default=0, help="of dropout, default 0")
    compare.add_argument("--script", metavar="FILE", help="write the same as a Python file to FILE")
    return parser


def _common(command: argparse.ArgumentParser) -> None:
    """What every command takes."""
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="minilm (packaged), a folder, or a Hub id")
    command.add_argument("--texts", required=True, metavar="FILE", help=".txt, .csv, .tsv, .jsonl or .parquet")
    command.add_argument("--column", help="column or key with the text")
    command.add_argument("--pair-column", help="column or key with the second sentence of a pair")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.add_argument("--offline", action="store_true", help="ask nothing of the network")
    command.add_argument("--device", default="cpu", help="cpu, cuda, mps; default cpu")
    command.add_argument("--revision", help="branch, tag or commit of a Hub id")


def _conditions() -> str:
    lines = ["COND is key=value,key=value over these keys; what is not named has the first value:", ""]
    for key, words in CHOICES.items():
        values = " | ".join(words) + (f" | a number of {COUNTS[key]}" if key in COUNTS else "")
        lines += [f"  {key:<11}{values}", f"  {'':<11}{MEANING[key]}"]
    return "\n".join([*lines, "", "Exit status: 0 nothing is wrong, 1 a problem was found, 2 could not be carried out."])


def _compare(options: argparse.Namespace) -> int:
    from bertlens.read.readout import Readout
    from bertlens.run.condition import Condition
    from bertlens.run.texts import read_texts

    # everything that can be wrong in the arguments is said before torch is imported and a model is loaded
    reference, candidate = Condition.parse(options.reference), Condition.parse(options.candidate)
    readout = Readout.parse(options.readout)
    texts = read_texts(options.texts, column=options.column, pair_column=options.pair_column)

    from bertlens import diagnose
    from bertlens.run.checkpoint import load

    told = _told()
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
        _write_script(options.script, comparison_script(options.checkpoint, texts, reference, candidate, readout, **facts))
    print(json.dumps(found.to_dict(), allow_nan=False) if options.json else _told_in_words(found))
    return 0 if found.verdict in ("identical", "rounding") and not _problems(found) else 1


def _problems(found: Comparison) -> bool:
    return any(finding.severity == "problem" for finding in found.findings)


def _told_in_words(found: Comparison, most: int = 20) -> str:
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
    for finding in found.findings:
        lines += [f"\n{finding.severity}: {finding.title} [{finding.id}]", f"  {finding.remedy}"]
        lines += [f"  | {line}" for line in finding.code.splitlines()]
    lines += [f"\nnote: {note}" for note in found.notes]
    return "\n".join(lines)


def _write_script(file: str, code: str) -> None:
    try:
        Path(file).write_text(code, "utf-8")
    except OSError as error:
        raise BertlensError(f"cannot write the script to {file}", got=str(error.strerror)) from None


def _told() -> Progress:
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
        share = f" {done / total:4.0%}" if total else ""
        print(f"\r\033[K{what}{share}", end="\r" if done >= total > 0 else "", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
