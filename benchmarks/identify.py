"""Is the recipe that `bertlens.identify` names the one that made the vectors? Recipes drawn at random, carried out by hand.

    python -m benchmarks.identify [--seed 0] [--recipes 250] [--controls 45] [--jobs 1] [--texts FILE] [--only INDEX]
        [--budget 60] [--minilm 0.4] [--control INDEX] [--first 0] [--out FILE]

Every draw takes a checkpoint (two in five the packaged one, else a small random one of nine families), eight texts of mixed
length, a readout and none to three deviations, and makes the vectors with plain torch and transformers. The answer is right
if *its* recipe, carried out by hand in float64, gives the same vectors before they are stored, its order gives every text
a row that is its own, what it says of number format and storage holds, and the verdict is not `none`. Controls are vectors
that no recipe made.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import bertlens
from benchmarks.identify_controls import of_control
from benchmarks.identify_draws import MINILM, Drawn, Models, of_recipe
from benchmarks.identify_judge import judged
from benchmarks.identify_tables import tables
from bertlens.errors import BertlensError


@dataclass(frozen=True)
class Settings:
    """What all draws share."""

    root: str
    seed: int
    lines: tuple[str, ...]
    minilm: float
    budget: float


@cache
def models(root: str, minilm: float) -> Models:
    """Built once per process, in a folder that no other process writes to."""
    return Models(Path(root) / str(os.getpid()), minilm)


def drawn_by(settings: Settings, kind: str, index: int) -> tuple[Models, Drawn]:
    """The draw of a number, and the models that it is of."""
    known = models(settings.root, settings.minilm)
    return known, (of_control if kind == "control" else of_recipe)(settings.seed, index, known, list(settings.lines))


def one(settings: Settings, kind: str, index: int) -> dict[str, Any]:
    """One draw, one search, and what became of it."""
    torch.set_num_threads(1)
    known, drawn = drawn_by(settings, kind, index)
    checkpoint = known.loaded(drawn.family, drawn.model_seed)
    started, worked = time.perf_counter(), time.process_time()
    answer, error = None, ""
    try:
        answer = bertlens.identify(checkpoint, drawn.texts, drawn.vectors, prefixes=drawn.prefixes, budget=settings.budget)
    except BertlensError as refused:
        error = f"{type(refused).__name__}: {refused}"
    except Exception as broken:  # a crash of the search is a result, and the other draws are still to be measured
        error = f"CRASH {type(broken).__name__}: {broken}"
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    return {
        "number": index,
        "kind": kind,
        "family": drawn.family,
        "deviations": drawn.deviations,
        "control": drawn.control,
        "truth": drawn.words,
        "readout": str(drawn.recipe.readout),
        "dropout": drawn.recipe.condition.dropout == "on",
        "verdict": answer.verdict if answer else "error",
        "answer": answer.best.recipe.words if answer and answer.best else "",
        "sentence": answer.sentence if answer else error,
        "seconds": seconds,
        "work": work,
        "passes": answer.passes if answer else 0,
        "tried": answer.tried if answer else 0,
        **judged(drawn, answer, known.by_hand(drawn.family, drawn.model_seed)),
    }


def shown(settings: Settings, kind: str, index: int) -> None:
    """Everything about one draw, for whoever wants to mend the search."""
    _, drawn = drawn_by(settings, kind, index)
    print("texts", json.dumps(drawn.texts, ensure_ascii=False, indent=1))
    print("truth", drawn.words, "| deviations", drawn.deviations, "| prefixes", drawn.prefixes)
    print("vectors", drawn.vectors.dtype, drawn.vectors.shape, "| row of text", drawn.row_of_text)
    print(json.dumps(one(settings, kind, index), ensure_ascii=False, indent=1, default=str))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipes", type=int, default=250)
    parser.add_argument("--controls", type=int, default=45)
    parser.add_argument("--first", type=int, default=0, help="number of the first recipe and control")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with one thread")
    parser.add_argument("--texts", type=Path, help="draw the texts from the lines of this file")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of a search; more on a machine with other work")
    parser.add_argument("--minilm", type=float, default=MINILM, help="share of draws that take the packaged checkpoint")
    parser.add_argument("--only", type=int, help="show one recipe by its number")
    parser.add_argument("--control", type=int, help="show one control by its number")
    parser.add_argument("--out", type=Path, help="write every draw to this CSV file")
    options = parser.parse_args()
    lines = tuple(line for line in options.texts.read_text("utf-8").splitlines() if line.strip()) if options.texts else ()
    with tempfile.TemporaryDirectory() as root:
        settings = Settings(root, options.seed, lines, options.minilm, options.budget)
        if options.only is not None or options.control is not None:
            kind = "recipe" if options.only is not None else "control"
            shown(settings, kind, options.only if kind == "recipe" else options.control)
            return
        results = pd.DataFrame(measured(settings, options))
    if options.out:
        results.to_csv(options.out, index=False)
    print(tables(results, options.seed))


def measured(settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every draw, in order; progress on stderr."""
    wanted = [("recipe", options.first + at) for at in range(options.recipes)]
    wanted += [("control", options.first + at) for at in range(options.controls)]
    found: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        asked = [pool.submit(one, settings, kind, index) for kind, index in wanted]
        for future in asked:
            result = future.result()
            found.append(result)
            state = "right" if result["right"] else "WRONG"
            took = f"{result['seconds']:.1f} s, {result['work']:.1f} of a core"
            said = f"{result['truth']}  ->  {result['answer'] or result['sentence']}"
            of = f"{len(found)}/{len(wanted)} {result['kind']} {result['number']}"
            print(f"{of} {state} {result['verdict']} {took}  {said}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main()
