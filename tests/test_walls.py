"""The rooms import only to their left, pages never touch torch, and a start does not wait for it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("run", "read", "judge", "show")
OUTSIDE = ("diagnose", "cli", "commands", "cases", "remedies")
HEAVY = {"torch", "transformers", "safetensors", "tokenizers", "sentence_transformers"}


def imported(source: str, file: str) -> Iterator[str]:
    """The full names of all modules that a file imports, at any depth of it."""
    package = file.removesuffix(".py").removesuffix("/__init__").split("/")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + file.endswith("__init__.py")] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def crossings(source: str, file: str) -> list[str]:
    """What a file imports that its place forbids."""
    names = list(imported(source, file))
    if not file.startswith("bertlens/"):
        return [name for name in names if name.split(".")[0] in HEAVY]
    found = [name for name in names if name.split(".")[0] in ("streamlit", "ui", "pages", "app", "tests", "benchmarks")]
    room = file.split("/")[1]
    if room in ROOMS:
        right = ROOMS[ROOMS.index(room) + 1 :]
        found += [name for name in names if name.startswith("bertlens.") and name.split(".")[1] in (*right, *OUTSIDE)]
    return found


def files() -> list[str]:
    paths = [*ROOT.glob("bertlens/**/*.py"), *ROOT.glob("ui/**/*.py"), *ROOT.glob("pages/**/*.py"), *ROOT.glob("app.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in paths)


@pytest.mark.parametrize("file", files())
def test_nobody_reaches_through_a_wall(file: str) -> None:
    assert crossings((ROOT / file).read_text("utf-8"), file) == []


@pytest.mark.parametrize(
    ("file", "source", "caught"),
    [
        ("bertlens/run/x.py", "from bertlens.judge import verdict", True),
        ("bertlens/run/x.py", "def f():\n    from ..judge.verdict import judge", True),
        ("bertlens/run/x.py", "from bertlens import judge", True),
        ("bertlens/run/x.py", "import bertlens.read.readout", True),
        ("bertlens/judge/x.py", "import bertlens.read.readout\nfrom bertlens.run.texts import as_texts", False),
        ("bertlens/judge/__init__.py", "from .measures import measure", False),
        ("bertlens/judge/__init__.py", "from ..show import tables", True),
        ("bertlens/judge/x.py", "from bertlens.diagnose import compare", True),
        ("bertlens/judge/x.py", "from bertlens.diagnose.states import layers", True),
        ("bertlens/show/x.py", "import streamlit as st", True),
        ("bertlens/diagnose.py", "from bertlens.show import tables", False),
        ("bertlens/diagnose.py", "if True:\n    import streamlit", True),
        ("pages/1_x.py", "import torch.nn", True),
        ("ui/x.py", "from transformers import AutoModel", True),
        ("app.py", "import streamlit, bertlens", False),
    ],
)
def test_the_wall_stops_what_it_should(file: str, source: str, caught: bool) -> None:
    assert bool(crossings(source, file)) == caught


@pytest.mark.parametrize(
    "module",
    [
        "bertlens",
        "bertlens.run.condition",
        "bertlens.run.texts",
        "bertlens.errors",
        "bertlens.run.hub",
        "bertlens.cli",
        "ui.questions",
        "ui.conditions",
        "ui.sidebar",
        "ui.blocks",
        "ui.identify",
    ],
)
def test_a_start_does_not_wait_for_torch(module: str) -> None:
    code = f"import sys, {module}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_names_of_the_package_come_on_first_use() -> None:
    import bertlens

    for name in bertlens.__all__:
        assert getattr(bertlens, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = bertlens.nonsense
