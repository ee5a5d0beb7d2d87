"""Is the recipe that `bertlens.identify` names the one that made the vectors? Recipes drawn at random, carried out by hand.

    python -m benchmarks.identify [--seed 0] [--recipes 250] [--controls 45] [--jobs 1] [--texts FILE] [--only INDEX]

Every draw takes a checkpoint (two in five the packaged one, else a small random one of nine families), eight texts of mixed
length, a readout and none to three deviations, and makes the vectors with plain torch and transformers. The answer is right
if *its* recipe, carried out by hand in float64, gives the same vectors before they are stored, its order gives every text
a row that is its own, and what it says of number format and storage holds. Controls are vectors that no recipe made.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import bertlens
from benchmarks.identify_controls import of_control
from benchmarks.identify_draws import Drawn, Models, of_recipe
from benchmarks.identify_judge import judged
from benchmarks.identify_tables import tables
from bertlens.errors import BertlensError

BUDGET = 60.0


@cache
def models(root: str) -> Models:
    """Built once per process, in a folder that no other process writes to."""
    return Models(Path(root) / str(os.getpid()))


def one(root: str, kind: str, seed: int, index: int, lines: tuple[str, ...]) -> dict[str, Any]:
    """One draw, one search, and what became of it."""
    torch.set_num_threads(1)
    of = of_control if kind == "control" else of_recipe
    drawn = of(seed, index, models(root), list(lines))
    started = time.perf_counter()
    answer, error = None, ""
    try:
        checkpoint = models(root).loaded(drawn.family, drawn.model_seed)
        answer = bertlens.identify(checkpoint, drawn.texts, drawn.vectors, prefixes=drawn.prefixes, budget=BUDGET)
    except BertlensError as refused:
        error = f"{type(refused).__name__}: {refused}"
    except Exception as broken:  # a crash of the search is a result, and the other draws are still to be measured
        error = f"CRASH {type(broken).__name__}: {broken}"
    seconds = time.perf_counter() - started
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
        "passes": answer.passes if answer else 0,
        "tried": answer.tried if answer else 0,
        **judged(drawn, answer, models(root).by_hand(drawn.family, drawn.model_seed)),
    }


def shown(root: str, seed: int, index: int, kind: str, lines: tuple[str, ...]) -> None:
    """Everything about one draw, for whoever wants to mend the search."""
    drawn: Drawn = (of_control if kind == "control" else of_recipe)(seed, index, models(root), list(lines))
    print("texts", json.dumps(drawn.texts, ensure_ascii=False, indent=1))
    print("truth", drawn.words, "| deviations", drawn.deviations, "| prefixes", drawn.prefixes)
    print("vectors", drawn.vectors.dtype, drawn.vectors.shape, "| row of text", drawn.row_of_text)
    print(json.dumps(one(root, kind, seed, index, lines), ensure_ascii=False, indent=1, default=str))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipes", type=int, default=250)
    parser.add_argument("--controls", type=int, default=45)
    parser.add_argument("--first", type=int, default=0, help="number of the first recipe and control")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with one thread")
    parser.add_argument("--texts", type=Path, help="draw the texts from the lines of this file")
    parser.add_argument("--only", type=int, help="show one recipe by its number")
    parser.add_argument("--control", type=int, help="show one control by its number")
    parser.add_argument("--out", type=Path, help="write every draw to this CSV file")
    options = parser.parse_args()
    lines = tuple(line for line in options.texts.read_text("utf-8").splitlines() if line.strip()) if options.texts else ()
    with tempfile.TemporaryDirectory() as root:
        if options.only is not None or options.control is not None:
            kind = "recipe" if options.only is not None else "control"
            shown(root, options.seed, options.only if kind == "recipe" else options.control, kind, lines)
            return
        results = pd.DataFrame(measured(root, options, lines))
    if options.out:
        results.to_csv(options.out, index=False)
    print(tables(results, options.seed))


def measured(root: str, options: argparse.Namespace, lines: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every draw, in order; progress on stderr."""
    wanted = [("recipe", options.first + at) for at in range(options.recipes)]
    wanted += [("control", options.first + at) for at in range(options.controls)]
    found: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        asked = [pool.submit(one, root, kind, options.seed, index, lines) for kind, index in wanted]
        for future in asked:
            result = future.result()
            found.append(result)
            state = "right" if result["right"] else "WRONG"
            print(
                f"{len(found)}/{len(wanted)} {result['kind']} {result['number']} {state} {result['verdict']} "
                f"{result['seconds']:.1f} s  {result['truth']}  ->  {result['answer'] or result['sentence']}",
                file=sys.stderr,
                flush=True,
            )
    return found


if __name__ == "__main__":
    main()
