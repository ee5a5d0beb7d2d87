"""The command line: its documents, its exit statuses, and one line for everything that can go wrong."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bertlens
from bertlens.cli import main
from bertlens.run.checkpoint import Checkpoint

TEXTS = ["A short text.", "A text that is a good deal longer than the first one.", "Mid-sized text here."]


@pytest.fixture
def texts(tmp_path: Path) -> str:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS) + "\n", "utf-8")
    return str(file)


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        status = main(arguments)
    except SystemExit as left:
        status = int(left.code or 0)
    out = capsys.readouterr()
    return status, out.out, out.err


def strict(document: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(document, parse_constant=refuse)


def test_the_document_is_the_core_s(texts: str, capsys: pytest.CaptureFixture[str], minilm: Checkpoint) -> None:
    status, out, err = ran(capsys, "compare", "minilm", "--texts", texts, "--candidate", "mask=off", "--json")
    assert (status, err) == (1, "")
    document = strict(out)
    expected = bertlens.compare(minilm, TEXTS, candidate="mask=off").to_dict()
    assert document["schema"] == "bertlens.compare/1"
    assert document["verdict"] == "different"
    assert document["rows"] == expected["rows"]
    assert document["causes"] == json.loads(json.dumps(expected["causes"]))
    names = ("text", "equal", "max_abs", "l2", "cosine", "max_ulp", "max_abs_float64")
    assert all(name in row for row in document["rows"] for name in names)
    cause = document["causes"][0]
    assert (cause["factor"], cause["from"], cause["to"]) == ("mask", "on", "off")
    assert math.isclose(cause["max_abs"], max(row["max_abs"] for row in document["rows"]), rel_tol=1e-4)


@pytest.mark.parametrize(
    ("candidate", "status", "verdict"),
    [("", 0, "rounding"), ("batch=alone", 0, "identical"), ("mask=off", 1, "different"), ("dtype=bfloat16", 0, "rounding")],
)
def test_the_exit_status_says_whether_something_is_wrong(
    texts: str, capsys: pytest.CaptureFixture[str], candidate: str, status: int, verdict: str
) -> None:
    found = ran(capsys, "compare", "minilm", "--texts", texts, "--candidate", candidate, "--json")
    assert (found[0], strict(found[1])["verdict"]) == (status, verdict)


def test_words_for_people(texts: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = ran(capsys, "compare", "minilm", "--texts", texts, "--candidate", "mask=off")
    assert status == 1
    assert out.startswith("Different: ")
    assert "[attention-mask-missing]" in out
    assert "cause: mask on → off" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "minilm", "--texts", "/no/such.txt"], "no such file"),
        (["compare", "minilm", "--texts", "{texts}", "--candidate", "maks=off"], "did you mean 'mask'?"),
        (["compare", "minilm", "--texts", "{texts}", "--candidate", "padding=600"], "at most 512"),
        (["compare", "minilm", "--texts", "{texts}", "--readout", "avg"], "cannot read the readout"),
        (["compare", "nobody/nothing", "--texts", "{texts}", "--offline"], "nobody/nothing"),
        (["compare", "{texts}", "--texts", "{texts}"], "expected the folder that holds it"),
        (["compare", "minilm", "--texts", "{texts}", "--device", "quantum"], "cannot run on 'quantum'"),
        (["compare", "minilm"], "--texts"),
        (["compere", "minilm"], "invalid choice"),
        (["compare", "minilm", "--texts", "{texts}", "--column", "x"], "leave --column out"),
    ],
)
def test_what_cannot_be_carried_out_is_one_line(
    texts: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    status, out, err = ran(capsys, *(argument.format(texts=texts) for argument in arguments))
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_pairs_from_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("one,two\nFirst sentence.,Second sentence.\nAnother first.,And a longer second one.\n", "utf-8")
    columns = ["--column", "one", "--pair-column", "two", "--candidate", "segments=zeros", "--json"]
    status, out, _ = ran(capsys, "compare", "minilm", "--texts", str(file), *columns)
    assert status == 1
    assert strict(out)["causes"][0]["factor"] == "segments"


def test_a_script_is_written(texts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "same.py"
    status, _, _ = ran(capsys, "compare", "minilm", "--texts", texts, "--script", str(file))
    assert status == 0
    compile(file.read_text("utf-8"), "same.py", "exec")


def test_help_and_mistakes_come_without_torch() -> None:
    code = "import sys; from bertlens.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('torch', 'transformers', 'pandas') if name in sys.modules])"
    for arguments in (["--help"], ["compare", "--help"], ["compare", "minilm", "--texts", "/no/such.txt"]):
        found = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert found.stdout.splitlines()[-1] == "[]"


def test_the_module_and_the_command_are_the_same() -> None:
    found = subprocess.run([sys.executable, "-m", "bertlens", "--help"], capture_output=True, text=True, check=True)
    assert "compare" in found.stdout
