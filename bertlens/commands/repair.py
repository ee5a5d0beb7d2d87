"""`bertlens repair`: mend one finding of a checkpoint in a new folder, and check that folder."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from bertlens.commands import answer, arguments

if TYPE_CHECKING:
    from bertlens.remedies.repair import Repair

HELP = "mend one finding of a checkpoint in a new folder, and check that folder"


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    arguments.checkpoint(command)
    command.add_argument("--finding", required=True, metavar="ID", help="an id that `bertlens check` reports")
    command.add_argument("--from", dest="base", metavar="BASE", help="another checkpoint, from which to take what is missing")
    command.add_argument("--out", required=True, metavar="FOLDER", help="a new folder; the checkpoint itself is only read")
    command.add_argument("--max-length", type=int, metavar="N", help="tokens to let through, for conflicting-length-limits")
    command.add_argument("--code", action="store_true", help="print the Python that does the same")


def do(options: argparse.Namespace) -> int:
    """Repair, and say what came of it; 1 where the finding is still there, or a problem came with the new folder."""
    from bertlens.remedies.repair import repair

    done = repair(
        options.checkpoint,
        options.finding,
        options.out,
        options.base,
        max_length=options.max_length,
        revision=options.revision,
        offline=options.offline,
        progress=answer.progress(),
    )
    print(json.dumps(done.to_dict(), allow_nan=False) if options.json else _in_words(done, code=options.code))
    graver = [finding for finding in done.after.findings if finding.id in done.added]
    return 0 if done.fixed and not answer.problems(graver) else 1


def _in_words(done: Repair, *, code: bool) -> str:
    """What was done, what the second check says, and the code on demand, for a terminal."""
    lines = [done.sentence, "", *done.done, "", f"written to {done.out}: {', '.join(done.files)}"]
    if done.left:
        lines.append(f"not taken over: {', '.join(done.left)}")
    if code:
        lines += ["", done.code]
    return "\n".join(lines)
