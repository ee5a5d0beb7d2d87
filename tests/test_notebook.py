"""Generated files as notebooks: valid, the same code in the same order, the same output, and the docstring as it reads."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from typing import Any

import nbformat
import pytest
import torch
from streamlit.testing.v1 import AppTest

import bertlens
from bertlens import diagnose
from bertlens.cases.script import reproduction_script
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.show.attention_script import attention_script
from bertlens.show.head_script import head_script
from bertlens.show.inspection import inspection_script
from bertlens.show.layers_script import layers_script
from bertlens.show.lens import lens_script
from bertlens.show.lookup_script import lookup_script
from bertlens.show.notebook import notebook
from bertlens.show.parting_script import parting_script
from bertlens.show.pooling_script import pooling_script
from bertlens.show.recipe_script import recipe_script
from tests.conftest import Loaded
from tests.scripts import NASTY, PAIRS, TEXTS, executed, one_thread, shaped, written

__all__ = ["one_thread"]

FEW = TEXTS[:2]


def scripts(checkpoint: Checkpoint) -> dict[str, str]:
    """A file of every generator."""
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    name, plain, left = checkpoint.name, Condition(), Condition.parse("side=left")
    looked = bertlens.lookup(checkpoint, FEW, 0)
    padded = diagnose.padded_vectors(checkpoint, FEW, 0)
    near: dict[str, Any] = {"edits": "2:scale=2", "pooling": "mean", "token": 2, "near": "cosine"}
    return {
        "compare": written(checkpoint, FEW, "batch=alone", "mask=off,dtype=bfloat16"),
        "nasty": written(checkpoint, NASTY, "batch=alone", "side=left"),
        "pairs": written(checkpoint, PAIRS, "batch=alone", "segments=zeros"),
        "shapes": shaped(checkpoint, FEW, ""),
        "expression": lens_script(name, FEW, plain, "last_hidden_state[:, 0]\nlast_hidden_state.mean(1)", **facts),
        "recipe": recipe_script(name, FEW, Recipe(readout=Readout.parse("mean|l2")), rows=None, **facts),
        "layers": layers_script(name, FEW, pooling="mean", **facts),
        "parting": parting_script(name, FEW, 0, plain, left, **facts),
        "attention": attention_script(name, FEW, layer=1, head=0, **facts),
        "pooling": pooling_script(name, FEW, [Readout.parse("mean"), Readout.parse("cls")], plain, **facts),
        "lookup": lookup_script(name, FEW, looked, padded=padded, **near, **facts),
        "check": inspection_script(name, "pooler.dense"),
        "fault": reproduction_script("attention-mask-missing", name, FEW, max_length=checkpoint.max_length),
    }


KINDS = (
    "compare",
    "nasty",
    "pairs",
    "shapes",
    "expression",
    "recipe",
    "layers",
    "parting",
    "attention",
    "pooling",
    "lookup",
    "check",
    "fault",
)


@pytest.fixture(scope="module")
def made(loaded: Loaded) -> dict[str, str]:
    found = scripts(loaded("bert"))
    assert tuple(found) == KINDS
    return found


def cells(code: str, kind: str = "code", title: str = "bertlens test") -> list[str]:
    return [cell["source"] for cell in json.loads(notebook(code, title))["cells"] if cell["cell_type"] == kind]


def run(sources: list[str]) -> str:
    """What the cells print, each compiled by itself as a kernel does, which keeps what `__future__` was imported."""
    out, space, flags = io.StringIO(), {"__name__": "__main__"}, 0
    with contextlib.redirect_stdout(out), torch.random.fork_rng():
        for source in sources:
            code = compile(source, "cell", "exec", flags=flags, dont_inherit=True)
            flags |= code.co_flags & __import__("__future__").annotations.compiler_flag
            exec(code, space)
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_notebook_is_valid_and_has_every_statement_in_order(made: dict[str, str], kind: str) -> None:
    document = nbformat.reads(notebook(made[kind], "bertlens test"), as_version=4)
    nbformat.validate(document)
    assert (document.nbformat, document.nbformat_minor) == (4, 5)
    assert len({cell.id for cell in document.cells}) == len(document.cells) > 2
    kinds = [cell.cell_type for cell in document.cells]
    assert kinds[0] == "markdown" and set(kinds[1:]) == {"code"}
    whole, pieces = ast.parse(made[kind]), [ast.parse(source) for source in cells(made[kind])]
    assert all(piece.body for piece in pieces), "no cell is empty or a comment alone"
    body = whole.body[1:] if ast.get_docstring(whole) else whole.body
    assert [ast.dump(one) for one in body] == [ast.dump(one) for piece in pieces for one in piece.body]
    comments = [line for line in made[kind].split("\n") if line.startswith("#")]
    assert comments == [line for source in cells(made[kind]) for line in source.split("\n") if line.startswith("#")]


@pytest.mark.parametrize("kind", KINDS)
def test_the_cells_in_order_print_what_the_file_prints(
    made: dict[str, str], kind: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # one of them writes a file
    printed = run(cells(made[kind]))
    assert printed == executed(made[kind]) and len(printed) > 20


def test_a_head_has_one_as_well(loaded: Loaded) -> None:
    checkpoint = loaded("bert", head="sequence-classification")
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    found = bertlens.head(checkpoint, FEW)
    code = head_script(checkpoint.name, FEW, found, label=0, baseline="pad", steps=2, runs=2, **facts)
    nbformat.validate(nbformat.reads(notebook(code, "head"), as_version=4))
    assert run(cells(code)) == executed(code)


def test_cells_begin_where_a_reader_would_begin_them() -> None:
    code = (
        '"""One line.\n\nA:  b_c\nB:  d\n\nProse\nthat goes on.\n"""\n\n'
        'import os\n\nimport sys\n\n# why\nx = """a\n\nb"""\ny = 1\n\n\n'
        "@property\ndef f():\n    a = 1\n\n    return a\n\n\ndef g():\n    pass\n\n\n# shown\n\nprint(x)\n# last\n"
    )
    assert cells(code) == [
        "import os\n\nimport sys",
        '# why\nx = """a\n\nb"""\ny = 1',
        "@property\ndef f():\n    a = 1\n\n    return a\n\n\ndef g():\n    pass",
        "# shown\n\nprint(x)\n# last",
    ]
    (told,) = cells(code, "markdown")
    assert told == "# bertlens test\n\nOne line.\n\nA: b\\_c\\\nB: d\n\nProse\nthat goes on."


def test_a_file_without_a_docstring_and_a_title_that_is_markup() -> None:
    assert cells("x = 1\n") == ["x = 1"]
    (told,) = cells("x = 1", "markdown", title="<script>alert(1)</script>")
    assert told == "# \\<script\\>alert(1)\\</script\\>"


def test_every_page_with_a_script_offers_the_notebook_beside_it() -> None:
    def page() -> None:
        from ui import blocks

        blocks.script('"""What it does."""\n\nprint(1)\n', "bertlens_test")

    found = AppTest.from_function(page, default_timeout=60).run()
    assert not found.exception
    labels = {one.proto.label: one.proto.url for one in found.get("download_button")}
    assert list(labels) == ["Script (.py)", "Notebook (.ipynb)"]
