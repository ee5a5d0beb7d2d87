"""Command line: `bertlens compare …`, the same as `python -m bertlens compare …`.

Exit status: 0 nothing is wrong, 1 a problem was found, 2 the command could not be carried out.
Results go to stdout; progress and errors, one line each, to stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from bertlens.commands import check, compare, identify, layers, pool, probe, repair, report, reproduce, shapes
from bertlens.errors import BertlensError

COMMANDS = {
    "compare": compare,
    "check": check,
    "identify": identify,
    "shapes": shapes,
    "layers": layers,
    "pool": pool,
    "probe": probe,
    "repair": repair,
    "reproduce": reproduce,
    "report": report,
}


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
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=f"{module.HELP[0].upper()}{module.HELP[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add(command)
        command.set_defaults(do=module.do)
    return parser


if __name__ == "__main__":
    sys.exit(main())
