"""The script of a recipe makes the vectors of the recipe with torch and transformers alone, whatever its steps."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bertlens.errors import BertlensError
from bertlens.read.logits import Logits
from bertlens.read.post import Post
from bertlens.read.readout import Readout
from bertlens.read.recipe import ARRIVALS, Recipe, made
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import CHOICES, Condition
from bertlens.run.texts import Texts
from bertlens.show.recipe_script import recipe_script
from tests.conftest import Loaded
from tests.scripts import PAIRS, TEXTS, Load, assert_well_written, load, one_thread

__all__ = ["load", "one_thread"]

MIXED: Texts = (*PAIRS[:2], *TEXTS, "Äußerst KURZ")


def recipe(
    condition: str = "", readout: str = "mean", *, prefix: str = "", lower: bool = False, arrival: str = "given", **post: Any
) -> Recipe:
    return Recipe(Condition.parse(condition), Readout.parse(readout), Post(**post), prefix, lower, arrival)


RECIPES = [
    recipe(),
    recipe("batch=2", "mean_all|l2", arrival="most tokens first"),
    recipe("batch=2", "mean_all", arrival="fewest characters first", store="float16"),
    recipe("batch=2,specials=doubled,max_length=9", "mean_all", arrival="fewest tokens first"),
    recipe("batch=2,mask=off", "cls", arrival="rows", dims=16, again=True),
    recipe("batch=3,padding=40,mask=inverted", "mean", arrival="most characters first", scale=-2.5),
    recipe("specials=doubled", "mean_content|l2"),
    recipe("specials=doubled,padding=40,max_length=8,side=left", "lasttoken"),
    recipe("specials=off,batch=alone", "mean", lower=True),
    recipe("mask=swapped", "mean", prefix="query: "),
    recipe("", "cls@last4:concat", prefix="Passage: ", lower=True, store="bfloat16"),
    recipe("segments=ones,max_length=6", "mean@-2|l2", store="3"),
    recipe("rows=index,padding=40", "cls"),
    recipe("dtype=float64,attention=eager", "weightedmean", centred="texts", again=True),
    recipe("dtype=bfloat16", "max"),
    recipe("side=left,positions=from-mask", "first_position"),
    recipe("dropout=on", "mean|l2"),
    recipe("", "mean|l2", centred="components", sign="removed"),
    recipe("", "mean|l2", sign="only", store="int8"),
    recipe("", "mean|l2", scale=127.0, store="int8"),
    recipe("", "mean|l2", store="int8", step=1 / 127),
    recipe("", "mean", store="int8", int8="rows"),
    recipe("", "mean", store="int8", int8="rows", codes=False),
    recipe("", "mean", store="int8", int8="columns"),
    recipe("", "mean", store="int8", int8="unsigned"),
]  # fmt: skip


def written(checkpoint: Checkpoint, texts: Texts, chosen: Recipe, rows: list[int | None] | None = None) -> str:
    architecture, max_length = checkpoint.architecture, checkpoint.max_length
    return recipe_script(checkpoint.name, texts, chosen, architecture=architecture, max_length=max_length, rows=rows)


def run(script: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[np.ndarray, str]:
    """The vectors of a script, which it saved as well, and what it printed."""
    monkeypatch.chdir(folder)
    space: dict[str, Any] = {"__name__": "__main__"}
    out = io.StringIO()
    with contextlib.redirect_stdout(out), torch.random.fork_rng():
        exec(compile(script, "script.py", "exec"), space)
    saved = torch.load("vectors.pt")
    assert torch.equal(saved, space["x"])
    return saved.double().numpy(), out.getvalue()


def assert_made(got: np.ndarray, expected: np.ndarray, post: Post) -> None:
    """To float32 rounding, or one step of what it is stored in where rounding falls to the other side."""
    assert got.shape == expected.shape
    rounding = 4e-6 * np.abs(expected).max()
    step = 2 * post.coarseness(expected)
    assert (np.abs(got - expected) <= rounding + step).all()
    assert (np.abs(got - expected) <= rounding).mean() > 0.98, "hardly a number lies so near to the edge"


@pytest.mark.parametrize("chosen", RECIPES, ids=lambda chosen: chosen.words)
@pytest.mark.parametrize("name", ["minilm", "bert"])
def test_the_script_makes_the_vectors_of_the_recipe(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, chosen: Recipe
) -> None:
    checkpoint, rows = load(name), [3, 0, None, 1, 2, 4]
    expected = made(checkpoint, MIXED, chosen, rows=rows)
    script = written(checkpoint, MIXED, chosen, rows)
    assert_well_written(script)
    got, printed = run(script, monkeypatch, tmp_path)
    assert_made(got, expected, chosen.post)
    assert printed.startswith("text 0 (row 3)  norm ") and printed.count("\n") == len(MIXED)
    twin = made(checkpoint, MIXED, recipe("", "max"), rows=rows)
    assert twin.shape != got.shape or np.abs(twin - got).max() > 1e-3, "another recipe makes other vectors"


def test_every_step_and_every_arrival_is_tried() -> None:
    assert {chosen.arrival for chosen in RECIPES} == set(ARRIVALS)
    for name, default in vars(Post()).items():
        assert any(getattr(chosen.post, name) != default for chosen in RECIPES), name
    assert {chosen.post.int8 for chosen in RECIPES} == {"", "rows", "columns", "unsigned"}
    assert {key for key in CHOICES if any(getattr(chosen.condition, key) != CHOICES[key][0] for chosen in RECIPES)} == set(
        CHOICES
    )


@pytest.mark.parametrize("family", ["distilbert", "roberta", "albert", "mpnet", "modernbert"])
def test_other_families(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, family: str) -> None:
    checkpoint, ran = load(family), 0
    for chosen in (RECIPES[1], RECIPES[3], RECIPES[6], RECIPES[9], RECIPES[10]):
        try:
            expected = made(checkpoint, TEXTS, chosen)
        except BertlensError:  # no segments to swap, fewer than four layers
            continue
        assert_made(run(written(checkpoint, TEXTS, chosen), monkeypatch, tmp_path)[0], expected, chosen.post)
        ran += 1
    assert ran >= 3


LOGITS = [
    (Condition(), Logits(), Post()),
    (Condition.parse("mask=off,batch=2"), Logits(activation="softmax"), Post(store="3")),
    (Condition.parse("side=left,segments=ones"), Logits(activation="sigmoid"), Post(store="float16")),
    (Condition.parse("rows=index"), Logits(), Post()),
    (Condition.parse("dtype=float64,attention=eager"), Logits(activation="softmax"), Post()),
    (Condition.parse("dropout=on"), Logits(), Post()),
]


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_logits(loaded: Loaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, family: str) -> None:
    checkpoint, ran = loaded(family, head="sequence-classification", num_labels=3), 0
    for condition, readout, post in LOGITS:
        chosen = Recipe(condition, readout, post)
        try:
            expected = made(checkpoint, TEXTS, chosen)
        except BertlensError:  # no segments
            continue
        script = written(checkpoint, TEXTS, chosen)
        assert_well_written(script)
        assert_made(run(script, monkeypatch, tmp_path)[0], expected, post)
        ran += 1
    assert ran >= 5 and expected.shape == (len(TEXTS), 3)


def test_a_plain_recipe_is_the_plain_idiom(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoint, plain = load("minilm"), recipe("", "mean|l2")
    script = written(checkpoint, TEXTS, plain, [0, 1, 2])
    assert not any(word in script for word in ("order =", "copy", "prefix", "row_of_text", "seed"))
    _, printed = run(script, monkeypatch, tmp_path)
    norms = np.linalg.norm(made(checkpoint, TEXTS, plain), axis=1)
    assert [float(line.split("norm ")[1].split()[0]) for line in printed.splitlines()] == pytest.approx(norms, abs=1e-6)


def test_ruff_finds_nothing(load: Load, tmp_path: Path) -> None:
    for at, chosen in enumerate(RECIPES):
        (tmp_path / f"r{at}.py").write_text(written(load("minilm"), MIXED, chosen, [1, 0, 2, 3, 4, None]), "utf-8")
    ruff = ["ruff", "check", "--isolated", "--select", "E9,F,I", "--output-format=concise", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", *ruff], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
