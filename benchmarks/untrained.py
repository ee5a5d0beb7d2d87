"""Validate the judgement of weights: fresh draws must not be called trained, nor trained weights newly drawn.

    python -m benchmarks.untrained [--draws 2000] [--out docs/untrained-weights.csv]

Draws fresh matrices of many shapes and laws, changes them a little, fine-tunes the pooler of the packaged checkpoint, and cuts
blocks from its trained matrices. One line of the table per kind of weight: how many were called what.
`docs/untrained-weights.md` shows it. With OPENBLAS_NUM_THREADS=1 the small matrices go faster.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn import init

import bertlens
from benchmarks.untrained_figure import figure
from benchmarks.untrained_tables import summary
from benchmarks.verdict import sentences
from bertlens.judge.weights.untrained import WeightState, state_of, untrained_rows
from bertlens.read.readout import Readout
from bertlens.read.vectors import read
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare

STATES = ("newly drawn", "cannot tell", "trained")
SHAPES = ((2, 384), (3, 768), (64, 64), (64, 256), (128, 128), (256, 256), (384, 384), (384, 1536), (768, 768), (1024, 1024))
STRENGTHS = (1e-4, 1e-3, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 1.0)
STEPS = (0, 1, 3, 10, 30, 100, 300, 1000, 3000)
DTYPES = (torch.float32, torch.float16, torch.bfloat16)

Draw = Callable[[torch.Tensor], Any]
LAWS: dict[str, Draw] = {
    "normal 0.02": lambda w: init.normal_(w, 0, 0.02),
    "normal 1": lambda w: init.normal_(w),
    "truncated normal, 2 std": lambda w: init.trunc_normal_(w, 0, 0.02, -0.04, 0.04),
    "truncated normal, 3 std": lambda w: init.trunc_normal_(w, 0, 0.02, -0.06, 0.06),
    "Xavier uniform": init.xavier_uniform_,
    "Xavier normal": init.xavier_normal_,
    "Kaiming uniform": init.kaiming_uniform_,
    "Kaiming normal": init.kaiming_normal_,
    "normal, decayed to 0.3": lambda w: init.normal_(w, 0, 0.02).mul_(0.3),
}

Line = tuple[dict[str, Any], list[WeightState]]


def often(draws: int, shape: tuple[int, int]) -> int:
    """Fewer draws of large matrices, which cost more."""
    return max(20, int(draws * min(1.0, 128 * 128 / (shape[0] * shape[1]))))


def fresh(draws: int) -> Iterator[Line]:
    """Fresh draws: every shape, law and number format."""
    for shape in SHAPES:
        for law, fill in LAWS.items():
            for dtype in DTYPES:
                # laws that differ in scale alone would see the same numbers under one seed
                torch.manual_seed(zlib.crc32(f"{shape} {law} {dtype}".encode()))
                found = []
                for _ in range(often(draws, shape)):
                    weight = torch.empty(shape)
                    fill(weight)
                    found.append(state_of("linear", weight.to(dtype), torch.zeros(shape[0])))
                yield {"study": "fresh", "shape": shape, "what": law, "dtype": str(dtype)[6:]}, found


def linear_default(draws: int) -> Iterator[Line]:
    """`torch.nn.Linear` as it comes, and after every number moved by so many steps of 2e-5 in a random direction."""
    for shape in ((2, 384), (384, 384)):
        for steps in (0, 1, 10, 100):
            torch.manual_seed(0)
            found = []
            for _ in range(often(draws, shape)):
                layer = torch.nn.Linear(shape[1], shape[0])
                for part in layer.parameters():
                    part.data += 2e-5 * steps * torch.randn(part.shape).sign()
                found.append(state_of("linear", layer.weight, layer.bias))
            yield {"study": "nn.Linear", "shape": shape, "what": "all numbers ± 2e-5 x steps", "steps": steps}, found


def changed(draws: int) -> Iterator[Line]:
    """A fresh matrix plus a change of few directions, judged by the matrix alone and with a bias left at zero."""
    for shape in ((2, 384), (64, 256), (128, 128), (384, 384), (768, 768)):
        for rank in (1, 8):
            if rank > min(shape):
                continue
            for strength in STRENGTHS:
                torch.manual_seed(0)
                found = []
                for _ in range(often(draws // 4, shape)):
                    weight = init.normal_(torch.empty(shape), 0, 0.02)
                    change = torch.randn(shape[0], rank) @ torch.randn(rank, shape[1])
                    weight += change * (strength * weight.norm() / change.norm())
                    found.append(state_of("linear", weight, torch.zeros(shape[0])))
                yield {"study": "changed", "shape": shape, "what": f"rank {rank}", "strength": strength}, found


def pooler(checkpoint: Checkpoint, repeats: int) -> Iterator[Line]:
    """The pooler drawn again and fine-tuned under a new classifier, on [CLS] vectors computed once."""
    catalogue = [text for text in sentences() if len(text.split()) > 3]
    inputs = prepare(checkpoint, tuple(catalogue), Condition(batch=16))
    vectors = torch.from_numpy(np.asarray(read(inputs, Readout.parse("cls")), np.float32))
    draw = torch.Generator().manual_seed(0)
    scores = vectors @ torch.randn(vectors.shape[1], generator=draw)
    labels = {
        "a label the vectors hold": scores > scores.median(),
        "a random label": torch.rand(len(vectors), generator=draw) < 0.5,
    }
    for what, target in labels.items():
        for rate in (2e-5, 1e-4):
            runs = [trained_pooler(vectors, target.long(), rate, seed) for seed in range(repeats)]
            for index, steps in enumerate(STEPS):
                facts = {"study": "pooler", "shape": (384, 384), "steps": steps, "rate": rate}
                strength = float(np.mean([run[index][2] for run in runs]))
                for bias in ("with its bias", "matrix alone"):
                    found = [state_of("linear", run[index][0], run[index][1] if bias[0] == "w" else None) for run in runs]
                    yield {**facts, "what": f"{what}, {bias}", "strength": strength}, found


def trained_pooler(
    vectors: torch.Tensor, labels: torch.Tensor, rate: float, seed: int, keep: tuple[int, ...] = STEPS
) -> list[tuple[torch.Tensor, torch.Tensor, float]]:
    """Weight, bias and relative change of a pooler after each of `keep` steps; AdamW as transformers sets it, batches of 16."""
    torch.manual_seed(seed)
    dense, classifier = torch.nn.Linear(384, 384), torch.nn.Linear(384, 2)
    for layer in (dense, classifier):
        init.normal_(layer.weight, 0, 0.02)
        init.zeros_(layer.bias)
    start = dense.weight.detach().clone()
    optimiser = torch.optim.AdamW([*dense.parameters(), *classifier.parameters()], lr=rate, weight_decay=0.01)
    kept = []
    for step in range(max(keep) + 1):
        if step in keep:
            now = dense.weight.detach().clone()
            kept.append((now, dense.bias.detach().clone(), float((now - start).norm() / start.norm())))
        rows = torch.randint(len(vectors), (16,))
        pooled = torch.nn.functional.dropout(torch.tanh(dense(vectors[rows])), 0.1)
        loss = torch.nn.functional.cross_entropy(classifier(pooled), labels[rows])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    return kept


def published(checkpoint: Checkpoint, repeats: int) -> Iterator[Line]:
    """The weights of the packaged checkpoint, whole and as square blocks of random rows and columns without a bias."""
    kinds = {torch.nn.Linear: "linear", torch.nn.LayerNorm: "norm", torch.nn.Embedding: "embedding"}
    whole: dict[str, list[WeightState]] = {}
    blocks: dict[int, list[WeightState]] = {}
    draw = torch.Generator().manual_seed(0)
    for name, module in checkpoint.model.named_modules():
        if type(module) not in kinds:
            continue
        kind, what = kinds[type(module)], "pooler" if "pooler" in name else kinds[type(module)]
        pad = module.padding_idx if kind == "embedding" else None
        whole.setdefault(what, []).append(state_of(kind, module.weight, getattr(module, "bias", None), padding_row=pad))
        if what == "linear":
            for side in (8, 16, 32, 64, 128, 256):
                for _ in range(repeats):
                    rows, columns = (torch.randperm(size, generator=draw)[:side] for size in module.weight.shape)
                    blocks.setdefault(side, []).append(state_of("linear", module.weight[rows][:, columns], torch.zeros(side)))
    yield from (({"study": "all-MiniLM-L6-v2", "what": what}, found) for what, found in whole.items())
    yield from (
        ({"study": "all-MiniLM-L6-v2", "what": "block", "shape": (side, side)}, found) for side, found in blocks.items()
    )


def look_alikes(draws: int) -> Iterator[Line]:
    """Weights that are neither plain draws nor plainly trained."""
    made: dict[str, Draw] = {
        "orthogonal": init.orthogonal_,
        "fresh, half of it pruned": lambda w: torch.nn.functional.hardshrink(init.normal_(w), 0.674),
        "fresh, 1 % pruned": lambda w: torch.nn.functional.hardshrink(init.normal_(w), 0.0125),
        "Laplace": lambda w: w.copy_(torch.distributions.Laplace(0, 1).sample(w.shape)),
        "rows scaled to length 1": lambda w: torch.nn.functional.normalize(init.normal_(w)),
    }
    for shape in ((128, 128), (384, 384), (64, 256)):
        for what, fill in made.items():
            torch.manual_seed(0)
            found = [
                state_of("linear", fill(torch.empty(shape)), torch.zeros(shape[0])) for _ in range(often(draws // 4, shape))
            ]
            yield {"study": "look-alike", "shape": shape, "what": what}, found


def rows(checkpoint: Checkpoint, draws: int) -> Iterator[Line]:
    """Rows added to the packaged word embeddings, and its own rows asked as if they had been added."""
    table = checkpoint.model.get_input_embeddings().weight.detach()
    torch.manual_seed(0)
    for std in (0.02, 1.0):
        added = torch.cat([table, init.normal_(torch.empty(draws, table.shape[1]), 0, std)])
        found = untrained_rows(added, range(len(table), len(added)), std)
        yield {"study": "added rows", "what": f"normal {std:g}"}, list(found.values())
    own = torch.randperm(len(table))[:draws].tolist()
    yield {"study": "added rows", "what": "trained rows of the table"}, list(untrained_rows(table, own, 0.02).values())
    unused = list(range(1, 100))  # [unused0] ... [unused98]: in no text, moved by the output layer they are tied to
    yield {"study": "added rows", "what": "[unused] rows of the table"}, list(untrained_rows(table, unused, 0.02).values())


def measured(draws: int) -> pd.DataFrame:
    """One line per kind of weight."""
    checkpoint = bertlens.load()
    studies = {
        "fresh": fresh(draws),
        "nn.Linear": linear_default(draws),
        "changed": changed(draws),
        "pooler": pooler(checkpoint, max(3, draws // 50)),
        "published": published(checkpoint, max(2, draws // 100)),
        "look-alikes": look_alikes(draws),
        "rows": rows(checkpoint, draws),
    }
    lines = []
    for name, study in studies.items():
        start = time.perf_counter()
        for facts, found in study:
            counts = Counter(one.state for one in found)
            shape = " x ".join(map(str, facts.pop("shape", ()))) or None
            columns = {state.replace(" ", "_"): counts[state] for state in STATES}
            lines.append({"study": facts.pop("study"), "shape": shape, **facts, "draws": len(found), **columns})
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    return pd.DataFrame(lines)[["study", "shape", "what", "dtype", "strength", "steps", "rate", "draws", *columns]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000, help="draws of a small matrix; large ones are drawn less often")
    parser.add_argument("--out", type=Path, help="write the table to this CSV file, and the figure beside it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = measured(options.draws)
    if options.out:
        table.to_csv(options.out, index=False, float_format="%.4g")
        # from the file: the figure shows what the file says
        drawn = figure(pd.read_csv(options.out))
        (options.out.parent / "images" / options.out.with_suffix(".svg").name).write_text(drawn, "utf-8")
    print(summary(table))


if __name__ == "__main__":
    main()
