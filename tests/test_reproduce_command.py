"""`bertlens reproduce`: the core's document and script, the list and its search, and one line for what cannot be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bertlens
from bertlens.cases.gallery import NOT_HERE, reproducer
from bertlens.judge.findings import catalogue
from bertlens.run.checkpoint import Checkpoint
from tests.test_cli import TEXTS, ran, strict, texts

__all__ = ["texts"]


def test_the_document_is_the_core_s(texts: str, capsys: pytest.CaptureFixture[str], minilm: Checkpoint) -> None:
    status, out, err = ran(capsys, "reproduce", "wrong-axis", "minilm", "--texts", texts, "--json")
    assert (status, err) == (0, "")
    document = strict(out)
    assert document == json.loads(json.dumps(bertlens.reproduce("wrong-axis", minilm, TEXTS).to_dict()))
    assert (document["schema"], document["verdict"]) == ("bertlens.reproduction/1", "another shape")
    assert document["mended"]["verdict"] in ("rounding", "identical")


def test_in_words_both_sides_and_the_remedy_are_told(
    texts: str, capsys: pytest.CaptureFixture[str], minilm: Checkpoint
) -> None:
    status, out, _ = ran(capsys, "reproduce", "mean-includes-padding", "minilm", "--texts", texts)
    assert status == 0
    found = bertlens.reproduce("mean-includes-padding", minilm, TEXTS)
    assert out.splitlines()[0] == found.sentence
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("mistake")] == [
        ["mistake", str(row.text), row.verdict] for row in found.mistake.rows
    ]
    assert f"remedy: {catalogue()['mean-includes-padding']['fix']}" in out


def test_a_refusal_of_the_model_is_a_fault_that_was_made(texts: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = ran(capsys, "reproduce", "batch-axis-missing", "minilm", "--texts", texts)
    assert status == 0
    assert "refused (ValueError: not enough values to unpack" in out


def test_the_script_is_that_of_the_core(texts: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    status, *_ = ran(capsys, "reproduce", "wrong-axis", "minilm", "--texts", texts, "--script", str(file))
    assert status == 0
    assert "def wrong_axis(model, tokenizer, texts):" in file.read_text("utf-8")
    status, _, err = ran(capsys, "reproduce", "wrong-axis", "minilm", "--texts", texts, "--script", str(tmp_path))
    assert (status, err.count("\n")) == (2, 1)
    assert "cannot write the script" in err


def test_the_list_has_every_fault_and_says_what_cannot_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = ran(capsys, "reproduce", "--list", "--json")
    document = strict(out)
    assert (status, document["schema"]) == (0, "bertlens.faults/1")
    assert [fault["id"] for fault in document["faults"]] == list(catalogue())
    assert {fault["id"] for fault in document["faults"] if fault["made"]} == {one for one in catalogue() if reproducer(one)}
    assert {fault["id"]: fault["reason"] for fault in document["faults"] if fault["reason"]} == NOT_HERE
    _, words, _ = ran(capsys, "reproduce", "--list")
    assert [line.split()[0] for line in words.splitlines()] == list(catalogue())


def test_a_symptom_lists_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = ran(capsys, "reproduce", "--list", "--symptom", "two calls on one text give two vectors", "--json")
    document = strict(out)
    assert status == 0
    assert "dropout-active" in [fault["id"] for fault in document["faults"]][:3]
    assert len(document["faults"]) < len(catalogue())
    status, out, _ = ran(capsys, "reproduce", "--symptom", "жжж")
    assert (status, out) == (0, "No fault of the catalogue shares a word with that.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no-such-fault", "minilm"), "cannot reproduce a fault; got no-such-fault"),
        (("mps-wrong-numbers", "minilm"), "cannot reproduce mps-wrong-numbers here; got no Apple GPU"),
        (
            ("architecture-without-pooler", "minilm"),
            "cannot reproduce architecture-without-pooler here; got its architecture has a pooler",
        ),
        (("wrong-axis", "no-such-model", "--offline"), "no-such-model"),
        (("wrong-axis",), "expected FAULT CHECKPOINT --texts FILE; bertlens reproduce --list names the faults"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_status_2(
    arguments: tuple[str, ...], said: str, texts: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # which --offline would leave behind
    status, out, err = ran(capsys, "reproduce", *arguments, "--texts", texts)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_without_texts_nothing_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = ran(capsys, "reproduce", "wrong-axis", "minilm")
    assert status == 2
    assert "cannot reproduce a fault; got too little" in err
