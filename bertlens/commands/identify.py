"""`bertlens identify`: which recipe made vectors that somebody else computed."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bertlens.commands import answer, arguments
from bertlens.errors import BertlensError

if TYPE_CHECKING:
    from bertlens.judge.identification import Identification
    from bertlens.run.foreign import Foreign
    from bertlens.run.texts import Texts

HELP = "say which recipe made vectors from elsewhere: condition, readout, order, storage, and what is wrong with it"

ROWS, OTHERS = 20, 8
"""Texts and other recipes that are printed."""


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    command.epilog = "Exit status: 0 found and nothing is wrong with it, 1 otherwise, 2 could not be carried out."
    arguments.checkpoint(command)
    arguments.texts(command, required=False)
    formats = ".npy, .npz, .csv, .tsv, .json, .jsonl, .parquet, .safetensors or .pt; without --texts, with the texts in it"
    command.add_argument("--vectors", required=True, metavar="FILE", help=formats)
    command.add_argument("--vector-column", metavar="NAME", help="column, key or array with the vectors")
    command.add_argument(
        "--prefix", action="append", default=[], metavar="TEXT", help="text that may stand before each text; may be repeated"
    )
    command.add_argument("--budget", type=_seconds, default=60.0, metavar="SECONDS", help="longest search, default 60")
    command.add_argument("--script", metavar="FILE", help="write the recipe as a Python file that makes the vectors")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds above 0")
    return seconds


def do(options: argparse.Namespace) -> int:
    """Identify, and say what was found; 0 where a recipe was found and nothing is a problem."""
    from bertlens.run.foreign import read_vectors

    # everything that can be wrong in the files is said before a model is loaded
    vectors = read_vectors(options.vectors, column=options.vector_column)
    texts = _texts(options, vectors)

    from bertlens import diagnose

    told = answer.progress()
    checkpoint = arguments.loaded(options, told)
    found = diagnose.identify(checkpoint, texts, vectors, prefixes=options.prefix, budget=options.budget, progress=told)
    if options.script and found.best is not None:
        from bertlens.show.recipe_script import recipe_script

        code = recipe_script(
            options.checkpoint,
            texts,
            found.best.recipe,
            architecture=checkpoint.architecture,
            max_length=checkpoint.max_length,
            rows=found.row_of_text or None,
        )
        answer.write_script(options.script, code)
    file = {"name": options.vectors, "dtype": vectors.dtype, "notes": list(vectors.notes)}
    if options.json:
        print(json.dumps({**found.to_dict(), "file": file}, allow_nan=False))
    else:
        print("\n".join([*_in_words(found), *(f"\nnote: {note}" for note in vectors.notes)]))
    return 0 if found.verdict == "found" and not answer.problems(found.findings) else 1


def _texts(options: argparse.Namespace, vectors: Foreign) -> Texts:
    """The texts of the file named, or those that stand beside the vectors."""
    from bertlens.run.texts import read_texts

    if options.texts:
        return read_texts(options.texts, column=options.column, pair_column=options.pair_column)
    if not vectors.texts:
        raise BertlensError(
            f"cannot identify the vectors in {options.vectors}",
            got="no texts beside them",
            expected="the texts that they were made from",
            do="name a file with --texts",
        )
    return vectors.texts


def _in_words(found: Identification) -> Iterator[str]:
    """The verdict, the recipe, the order, the rows, other recipes, what is open, and the findings, for a terminal."""
    yield found.sentence
    if found.best is not None:
        yield f"\n{'recipe' if found.verdict == 'found' else 'nearest recipe'}: {found.best.recipe.words}"
    if found.order_words:
        yield f"order: {found.order_words}"
    yield from _rows(found)
    yield from _others(found)
    for head, lines in (("undetermined", found.undetermined), ("a text that would tell", found.suggestions)):
        yield from (f"\n{head}: {line}" for line in lines)
    if words := found.linear.get("words"):
        yield f"\nlinear map: {words}"
    yield from answer.findings(found.findings)
    yield from (f"\nnote: {note}" for note in found.notes)


def _rows(found: Identification) -> Iterator[str]:
    from bertlens.judge.wording import number

    if found.rows:
        yield f"\n{'text':>6}  {'row':>6}  {'max abs':>9}  {'explained':>9}  {'cosine':>10}"
    for row in found.rows[:ROWS]:
        where = "none" if row.row is None else str(row.row)
        size = "" if row.row is None else number(row.max_abs)
        line = f"{row.text:>6}  {where:>6}  {size:>9}  {number(row.floor) if row.explained else 'no':>9}  "
        yield f"{line}{'' if math.isnan(row.cosine) else f'{row.cosine:.7f}':>10}  {row.note}".rstrip()
    if len(found.rows) > ROWS:
        yield f"   … and {len(found.rows) - ROWS:,} more texts (--json has them all)"


def _others(found: Identification) -> Iterator[str]:
    from bertlens.judge.wording import number

    if found.alternatives:
        yield f"\n{'max abs':>9}  {'cosine':>10}  other recipes"
    for other in found.alternatives[:OTHERS]:
        fits = " (explains them as well)" if other.explained else ""
        yield f"{number(other.max_abs):>9}  {other.cosine:>10.7f}  {other.recipe.words}{fits}"
    if len(found.alternatives) > OTHERS:
        yield f"   … and {len(found.alternatives) - OTHERS:,} more (--json has them all)"
