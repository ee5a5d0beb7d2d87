"""`bertlens shapes`: its document, its words, its exit statuses, and one line for everything that can go wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import bertlens
from bertlens import diagnose
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder
from tests.test_cli import TEXTS, ran, strict, texts

__all__ = ["texts"]

SOUND = "outputs.last_hidden_state[:, 0, :]"
ONE = "output[0][0]"
FAULTY = "last_hidden_state.mean(1)"


def shapes(capsys: pytest.CaptureFixture[str], file: str, *more: str) -> tuple[int, str, str]:
    return ran(capsys, "shapes", "minilm", "--texts", file, *more)


def test_the_document_without_an_expression(texts: str, capsys: pytest.CaptureFixture[str], minilm: Checkpoint) -> None:
    status, out, err = shapes(capsys, texts, "--json")
    assert (status, err) == (0, "")
    document = strict(out)
    assert document["schema"] == "bertlens.shapes/1"
    assert document["steps"] == []
    expected = bertlens.shapes(minilm, TEXTS)
    assert document["tensors"] == json.loads(json.dumps([tensor.to_dict() for tensor in expected]))
    assert {tensor["name"] for tensor in document["tensors"]} >= {"input_ids", "last_hidden_state", "hidden_states"}
    assert [finding["id"] for finding in document["findings"]] == ["pooler-untrained"]


@pytest.mark.parametrize(
    ("expression", "status", "verdict", "shape", "held"),
    [
        (SOUND, 0, "sound", [3, 384], ([0, 1, 2], [0], [6])),
        (ONE, 0, "caution", [15, 384], ([0], "all", [6])),
        (FAULTY, 1, "problem", [3, 384], ([0, 1, 2], "all", [6])),
    ],
)
def test_the_document_is_the_core_s(
    texts: str,
    capsys: pytest.CaptureFixture[str],
    expression: str,
    status: int,
    verdict: str,
    shape: list[int],
    held: Any,
    minilm: Checkpoint,
) -> None:
    found = shapes(capsys, texts, "--expr", expression, "--json")
    assert (found[0], found[2]) == (status, "")
    document = strict(found[1])
    capture = diagnose.capture(minilm, TEXTS)
    expected = diagnose.explain(expression, capture)
    assert document == json.loads(json.dumps(expected.to_dict()))
    assert (document["schema"], expected.verdict) == ("bertlens.shapes/1", verdict)
    last = document["steps"][-1]
    assert (last["expression"], last["shape"]) == (expression, shape)
    assert tuple(last["provenance"][name] for name in ("texts", "tokens", "layers")) == held
    assert bool(document["findings"]) == (expression != SOUND)


def test_words_for_people(texts: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = shapes(capsys, texts, "--expr", FAULTY)
    assert (status, out.partition(":")[0]) == (1, "Faulty")
    assert "last_hidden_state" in out and "batch × tokens × hidden" in out
    assert "  1  last_hidden_state\n" in out and "  2  last_hidden_state.mean(1)\n" in out
    assert "[mean-includes-padding]" in out and "  | (last_hidden_state * attention_mask" in out
    status, healthy, _ = shapes(capsys, texts, "--expr", SOUND)
    assert status == 0 and "problem" not in healthy
    assert "batch × hidden = 3 × 384  float32" in healthy


def test_what_pytorch_refuses_is_shown_at_its_place(texts: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = shapes(capsys, texts, "--expr", "x = last_hidden_state[:, 0]\nnn.Linear(768, 2)(x)")
    assert (status, err) == (1, "")
    assert "  nn.Linear(768, 2)(x)\n  ^^^^^^^^^^^^^^^^^^^^\n" in out
    assert "mat1 and mat2 shapes cannot be multiplied" in out
    assert "last_hidden_state[:, 0]" in out


def test_an_expression_of_several_lines_comes_from_stdin(
    texts: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x = outputs.last_hidden_state\nx[:, 0]\n"))
    status, out, _ = shapes(capsys, texts, "--expr", "-", "--json")
    assert status == 0
    assert strict(out)["steps"][-1]["shape"] == [3, 384]


def test_a_condition_changes_what_is_evaluated(texts: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = shapes(capsys, texts, "--expr", SOUND, "--condition", "padding=40", "--json")
    tensors = {tensor["name"]: tensor["shape"] for tensor in strict(found[1])["tensors"]}
    assert tensors["input_ids"] == [3, 40]
    status, out, _ = shapes(capsys, texts, "--expr", SOUND, "--condition", "side=left", "--json")
    assert status == 1
    assert "cls-read-at-padding" in [finding["id"] for finding in strict(out)["findings"]]


def test_a_pooler_that_is_not_in_the_file_is_said(
    texts: str, capsys: pytest.CaptureFixture[str], family_folder: Folder
) -> None:
    status, out, _ = ran(capsys, "shapes", str(family_folder("bert", head="masked-lm")), "--texts", texts, "--json")
    assert status == 0
    assert [finding["id"] for finding in strict(out)["findings"]] == ["pooler-missing"]
    status, out, _ = ran(capsys, "shapes", str(family_folder("bert")), "--texts", texts, "--json")
    assert "pooler-missing" not in out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--expr", "last_hidden_state[:, 0"], "was never closed"),
        (["--expr", "outputs.__class__"], "underscore"),
        (["--expr", "import os"], "cannot import"),
        (["--expr", "x = 1\nlast_hiden_state[0]"], "last_hiden_state"),
        (["--expr", "  \n "], "there is nothing to evaluate"),
        (["--expr", ""], "there is nothing to evaluate"),
        (["--expr", SOUND, "--condition", "maks=off"], "did you mean 'mask'?"),
        (["--expr", SOUND, "--condition", "padding=600"], "at most 512"),
        (["--expr", SOUND, "--condition", "rows=index"], "rows=slice"),
        (["--expr", "torch.zeros(10**6, 10**6)"], "would cost too much"),
    ],
)
def test_what_cannot_be_carried_out_is_one_line(
    texts: str, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    status, out, err = shapes(capsys, texts, *more)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1 and "Traceback" not in err


def test_the_line_says_where(texts: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = shapes(capsys, texts, "--expr", "x = 1\nx + last_hiden_state[0]")
    assert err.startswith("bertlens: line 2, column 5: last_hiden_state is not known here")
    _, _, err = shapes(capsys, texts, "--expr", "last_hidden_state[:, 0")
    assert err.endswith("the nearest legal form is last_hidden_state[:, 0].\n")


def test_a_file_that_is_missing_is_said_before_anything_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = ran(capsys, "shapes", "nobody/nothing", "--texts", str(tmp_path / "none.txt"))
    assert status == 2 and "no such file" in err
