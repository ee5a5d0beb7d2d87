"""Arguments that commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.progress import Progress


def checkpoint(command: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """What to look at, and how to answer."""
    count = "?" if optional else None
    command.add_argument("checkpoint", metavar="CHECKPOINT", nargs=count, help="minilm (packaged), a folder, or a Hub id")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.add_argument("--offline", action="store_true", help="ask nothing of the network")
    command.add_argument("--device", default="cpu", help="cpu, cuda, mps; default cpu")
    command.add_argument("--revision", help="branch, tag or commit of a Hub id")


def texts(command: argparse.ArgumentParser, *, required: bool) -> None:
    """A file of texts and where in it they stand."""
    command.add_argument("--texts", required=required, metavar="FILE", help=".txt, .csv, .tsv, .jsonl or .parquet")
    command.add_argument("--column", help="column or key with the text")
    command.add_argument("--pair-column", help="column or key with the second sentence of a pair")


def loaded(options: argparse.Namespace, told: Progress) -> Checkpoint:
    """The checkpoint that the arguments of `checkpoint` name.

    Raises
    ------
    BertlensError
        Where there is none, or it cannot be loaded.
    """
    from bertlens.run.checkpoint import load  # PyTorch comes with it, and help needs none

    return load(options.checkpoint, revision=options.revision, offline=options.offline, device=options.device, progress=told)
