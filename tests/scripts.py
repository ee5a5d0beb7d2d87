"""Scripts: written, run and read back, for the tests that hold their numbers against those of bertlens."""

from __future__ import annotations

import ast
import contextlib
import io
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import bertlens
from bertlens.judge.comparison import Comparison
from bertlens.read.readout import Readout
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import CHOICES, Condition
from bertlens.run.texts import Texts
from bertlens.show.script import comparison_script, shapes_script
from tests.conftest import Loaded

TEXTS: Texts = ("A short text.", "Rain fell all night on the old stone bridge, and nobody slept.", "Two words")
PAIRS: Texts = (("Who is it?", "A friend of yours."), ("Yes", "No"), ("One sentence here", "and a much longer one over there"))
NASTY: Texts = (
    'He said "it\'s"',
    "three \"\"\" quotes and ''' three more",
    "back\\slash \\n \\",
    "line\nbreak\r\nand\ttab\u2028separator",
    "emoji 👩‍👩‍👧 and 🏳️‍🌈",
    "שלום עולם مرحبا",
    "\u202eoverride",
    "NUL\x00inside",
    "{braces} {0} %s",
    "",
)
VALUES = [f"{key}={word}" for key, words in CHOICES.items() for word in words[1:]]
COUNTED = {"batch": (1, 2), "padding": (24,), "max_length": (6, 40)}
LINE = re.compile(r"text (\d+)  equal (True|False)  max abs (\S+)  cosine (\S+)  l2 (\S+)  max abs in float64 (\S+)  (\w+)")

Load = Callable[[str], Checkpoint]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The digits depend on the number of threads, and many small passes run fastest on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def load(minilm: Checkpoint, loaded: Loaded) -> Load:
    """Checkpoints by name, "minilm" or a family, each loaded once."""
    return lambda name: minilm if name == "minilm" else loaded(name)


def written(checkpoint: Checkpoint, texts: Texts, reference: str, candidate: str, readout: str = "cls", **more: Any) -> str:
    return comparison_script(
        checkpoint.name,
        texts,
        Condition.parse(reference),
        Condition.parse(candidate),
        Readout.parse(readout),
        architecture=checkpoint.architecture,
        max_length=checkpoint.max_length,
        **more,
    )


def executed(script: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), torch.random.fork_rng():
        exec(compile(script, "script.py", "exec"), {"__name__": "__main__"})
    assert torch.is_grad_enabled(), "whoever pastes a script into a notebook keeps gradients"
    return out.getvalue()


def in_a_process(script: str, folder: Path) -> str:
    file = folder / "script.py"
    file.write_text(script, encoding="utf-8")
    one = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    alone = f"import runpy, sys; sys.modules['bertlens'] = None; runpy.run_path({str(file)!r})"  # bertlens cannot be imported
    done = subprocess.run([sys.executable, "-c", alone], capture_output=True, cwd=folder, env=one, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def numbers(printed: str) -> tuple[list[tuple[Any, ...]], str]:
    """Rows as (text, equal, max_abs, cosine, l2, max_abs_float64, verdict), and the verdict on all."""
    *lines, last = printed.splitlines()
    rows: list[tuple[Any, ...]] = []
    for line in lines:
        match = LINE.fullmatch(line)
        assert match, line
        text, equal, *values, verdict = match.groups()
        found = [None if value == "None" or math.isnan(float(value)) else float(value) for value in values]
        rows.append((int(text), equal == "True", *found, verdict))
    return rows, last.removeprefix("verdict ")


def expected(comparison: Comparison) -> tuple[list[tuple[Any, ...]], str]:
    names = ("text", "equal", "max_abs", "cosine", "l2", "max_abs_float64", "verdict")
    rows = [tuple(row.to_dict()[name] for name in names) for row in comparison.rows]
    return rows, comparison.verdict


def assert_same(load: Load, name: str, texts: Texts, reference: str, candidate: str, readout: str = "cls") -> Comparison:
    checkpoint = load(name)
    comparison = bertlens.compare(checkpoint, texts, reference=reference, candidate=candidate, readout=readout)
    script = written(checkpoint, texts, reference, candidate, readout)
    assert_well_written(script)
    assert numbers(executed(script)) == expected(comparison)
    return comparison


def assert_well_written(script: str) -> None:
    code = script[: script.index("texts = [")] + script[script.index("\n]\n") :]
    assert max(map(len, code.splitlines())) < 120
    assert not re.search(r"[ \t]+$|\n{4}", code, re.MULTILINE)
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else name.name) or ""
        for node in ast.walk(ast.parse(script))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    roots = {name.split(".")[0] for name in imported}
    assert roots <= {"torch", "transformers"} | sys.stdlib_module_names
    assert {"torch", "transformers"} <= roots


# --- every value of every key ---------------------------------------------------------------------------------------


def shaped(checkpoint: Checkpoint, texts: Texts, condition: str) -> str:
    return shapes_script(
        checkpoint.name,
        texts,
        Condition.parse(condition).replace(positions="default")
        if not checkpoint.architecture.takes_positions
        else Condition.parse(condition),
        architecture=checkpoint.architecture,
        max_length=checkpoint.max_length,
    )
