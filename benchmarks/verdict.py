"""Validate the verdict: benign pairs must never be called different, and real changes never rounding.

    python -m benchmarks.verdict [--pairs 400] [--out docs/verdict-validation.csv]

Each pair is drawn at random: family, texts, readout, number format, and either benign changes only (batch size, padding,
attention implementation, threads, padding side where positions follow) or exactly one real factor. Prints the table that
`docs/verdict.md` shows.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bertlens.judge.findings import catalogue
from bertlens.judge.measures import EPS, measure
from bertlens.judge.verdict import VERDICTS, judge, overall
from bertlens.read.readout import Readout
from bertlens.read.vectors import read
from bertlens.run.checkpoint import Checkpoint, load, locate
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from tests.families import FAMILIES, build

READOUTS = (
    "cls",
    "mean",
    "max",
    "weightedmean",
    "mean_sqrt_len_tokens",
    "lasttoken",
    "mean@last4:mean",
    "cls@1",
    "mean|l2",
)
BATCHES: tuple[Any, ...] = ("whole", "alone", 2, 3)
EPS_KEY = {"modernbert": "norm_eps"}
ACTIVATION_KEY = {"distilbert": "activation", "modernbert": "hidden_activation"}
NO_SHIFT = ("roberta", "xlm-roberta", "mpnet", "modernbert")
"""Families in which left padding changes nothing: positions are counted from the ids, or only relative."""


def sentences() -> list[str]:
    """English sentences of many lengths, from the catalogue of faults."""
    found = [fault[key] for fault in catalogue().values() for key in ("symptom", "root_cause", "decisive_test", "name")]
    return sorted({" ".join(text.split()[:40]) for text in found})


class Models:
    """Small checkpoints of every family and the packaged one, each also with one config value changed."""

    def __init__(self, root: Path) -> None:
        self._root, self._loaded = root, dict[tuple[str, int, str], Checkpoint]()

    def get(self, family: str, seed: int, change: str = "") -> Checkpoint:
        key = (family, seed, change)
        if key not in self._loaded:
            self._loaded[key] = load(str(self._folder(*key)))
        return self._loaded[key]

    def _folder(self, family: str, seed: int, change: str) -> Path:
        base = self._root / f"{family}-{seed}"
        if not base.exists():
            if family == "minilm":
                shutil.copytree(locate("minilm"), base)
            else:
                build(family, base, seed=seed)
        if not change:
            return base
        twin = self._root / f"{family}-{seed}-{change}"
        if not twin.exists():
            shutil.copytree(base, twin)
            config = json.loads((twin / "config.json").read_text())
            key = EPS_KEY if change == "eps" else ACTIVATION_KEY
            name = key.get(family, "layer_norm_eps" if change == "eps" else "hidden_act")
            # every value here differs from the family's own, which the caller checks in float64
            config[name] = (1e-5 if config.get(name, 1e-12) != 1e-5 else 1e-6) if change == "eps" else "gelu_pytorch_tanh"
            if change == "gelu" and family == "albert":
                config[name] = "gelu"  # ALBERT itself computes the tanh form
            (twin / "config.json").write_text(json.dumps(config))
        return twin


Side = tuple[Checkpoint, Condition, int, int]  # checkpoint, condition, threads, seed


def benign(draw: random.Random, family: str, model: Checkpoint, longest: int, readout: Readout) -> tuple[str, Side, Side]:
    """Two ways of computing the same thing."""
    dtype = draw.choice(["float32", "float32", "bfloat16", "float16"])
    sides = []
    for _ in range(2):
        padding: Any = draw.choice(["longest", "longest", draw.randint(longest, model.max_length)])
        attention = draw.choice(model.architecture.attentions)
        condition = Condition(
            batch=draw.choice(BATCHES),
            padding=padding,
            attention=attention,
            dtype=draw.choice([dtype, dtype, "float32"]),
        )
        if draw.random() < 0.3 and not str(readout).startswith("weightedmean"):  # which weighs by position in the row
            positions = "default" if family in NO_SHIFT else "from-mask"
            condition = condition.replace(side="left", positions=positions)
        sides.append((model, condition, draw.choice([1, 2]), 0))
    return "+".join(sides[0][1].differing(sides[1][1])) or "threads", sides[0], sides[1]


def real(draw: random.Random, family: str, models: Models, seed: int, longest: int) -> tuple[str, Side, Side]:
    """One factor that makes another computation; everything else equal or benign."""
    model = models.get(family, seed)
    facts = model.architecture
    padding = min(longest + draw.randint(1, 20), model.max_length)
    dtype = draw.choice(["float32", "float32", "bfloat16", "float16"])
    base = Condition(batch=draw.choice(BATCHES), padding=padding, dtype=dtype)
    choices: dict[str, Condition] = {
        "mask off": base.replace(mask="off"),
        "mask inverted": base.replace(mask="inverted"),
        "special tokens off": base.replace(specials="off"),
        "row by index": base.replace(rows="index"),
        "truncated": base.replace(max_length=longest - 1),
    }
    if any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in model.model.modules()):
        choices["dropout on"] = base.replace(dropout="on")
    if family not in NO_SHIFT:
        choices["left padding"] = base.replace(side="left")
    if facts.segments > 1:
        choices["segments ones"] = base.replace(segments="ones")
    eps = ["LayerNorm eps"] * 2 if family != "distilbert" else []  # which has its eps written into the code
    name = draw.choice(sorted([*choices, *eps, "GELU form", "GELU form"]))
    other = model
    if name in ("LayerNorm eps", "GELU form"):
        other, candidate = models.get(family, seed, "eps" if name == "LayerNorm eps" else "gelu"), base
    else:
        candidate = choices[name]
    return name, (model, base, 2, 0), (other, candidate, draw.choice([1, 2]), 1)


def run(side: Side, texts: tuple[Any, ...], readout: Readout, dtype: str | None) -> np.ndarray:
    """Vectors of one side with its number of threads."""
    checkpoint, condition, threads, seed = side
    torch.set_num_threads(threads)
    return read(prepare(checkpoint, texts, condition), readout, dtype=dtype, seed=seed)


def pair(kind: str, number: int, models: Models) -> dict[str, Any]:
    """One random pair with its verdict and its sizes in eps."""
    draw = random.Random(f"{kind}-{number}")
    family, seed = draw.choice([*FAMILIES, "minilm"]), draw.randint(0, 2)
    model = models.get(family, seed if family != "minilm" else 0)
    readout = Readout.parse(draw.choice(READOUTS))
    texts = tuple(draw.sample(sentences(), draw.randint(2, 5)))
    texts = tuple(" ".join(text.split()[: draw.randint(3, 14)]) for text in texts)
    longest = max(len(row.ids) for row in prepare(model, texts, Condition()).tokens)
    if kind == "benign":
        name, left, right = benign(draw, family, model, longest, readout)
    else:
        name, left, right = real(draw, family, models, seed if family != "minilm" else 0, longest)
    dtypes = (left[1].dtype, right[1].dtype)
    as_run = (run(left, texts, readout, None), run(right, texts, readout, None))
    twice = (run(left, texts, readout, "float64"), run(right, texts, readout, "float64"))
    rows = judge(measure(*as_run, dtypes), as_run, twice, dtypes)
    # from the vectors themselves: a row whose bits are equal is given no float64 repeat in a result
    scale = np.maximum(*(np.abs(side).max(1) for side in twice))
    gaps = np.abs(twice[0] - twice[1]).max(1) / scale / EPS["float64"]
    if kind == "real":
        assert gaps.max() > 0, f"{name} changes nothing in {family}"
    return {
        "kind": kind,
        "family": family,
        "factor": name,
        "readout": str(readout),
        "dtypes": "/".join(sorted(set(dtypes))),
        "verdict": overall(rows),
        "max_abs": max(row.max_abs for row in rows),
        "gap_eps64": float(gaps.max()),
        "error_eps": max(row.error or 0.0 for row in rows),
    }


def table(results: pd.DataFrame, by: str) -> str:
    """Verdicts and sizes per group, as Markdown."""
    lines = [f"| {by} | pairs | identical | rounding | undecided | different | float64 gap in eps: smallest | largest |"]
    lines.append("| --- " * 8 + "|")
    for name, group in results.groupby(by):
        verdicts = " | ".join(str((group.verdict == word).sum()) for word in VERDICTS)
        lines.append(f"| {name} | {len(group)} | {verdicts} | {group.gap_eps64.min():.2g} | {group.gap_eps64.max():.2g} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=400, help="pairs of each kind")
    parser.add_argument("--out", type=Path, help="write every pair to this CSV file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        models = Models(Path(root))
        found = [pair(kind, number, models) for kind in ("benign", "real") for number in range(options.pairs)]
    results = pd.DataFrame(found)
    if options.out:
        results.to_csv(options.out, index=False)
    for kind, by in (("benign", "family"), ("real", "factor")):
        print(f"\n{kind} pairs by {by}\n\n{table(results[results.kind == kind], by)}")
    errors = results.groupby("dtypes").error_eps.max()
    print("\nlargest distance to the own float64 repeat, in eps of the format\n\n" + errors.to_string())


if __name__ == "__main__":
    main()
