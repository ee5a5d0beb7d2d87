"""`bertlens identify`: the core's document, words for people, exit statuses, and one line for everything that can go wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import bertlens
from bertlens.read.post import Post
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe, made
from bertlens.run.condition import Condition
from bertlens.show import vectorfile
from tests.conftest import Loaded
from tests.test_cli import TEXTS, ran, strict, texts

__all__ = ["texts"]


@pytest.fixture
def vectors(loaded: Loaded, tmp_path: Path) -> tuple[str, str]:
    """A checkpoint's folder, and a file of sound vectors of the texts."""
    checkpoint = loaded("bert")
    np.save(tmp_path / "sound.npy", made(checkpoint, tuple(TEXTS), Recipe(readout=Readout.parse("mean"))).astype(np.float32))
    return str(checkpoint.folder), str(tmp_path / "sound.npy")


def test_the_document_is_the_core_s(vectors: tuple[str, str], texts: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, file = vectors
    capsys.readouterr()  # what building and loading said
    status, out, err = ran(capsys, "identify", name, "--texts", texts, "--vectors", file, "--json")
    assert err == ""
    document, expected = strict(out), bertlens.identify(bertlens.load(name), TEXTS, bertlens.read_vectors(file)).to_dict()
    for moving in ("seconds", "checkpoint"):
        assert document.pop(moving) and expected.pop(moving)
    assert document.pop("file") == {"name": file, "dtype": "float32", "notes": []}
    assert document == json.loads(json.dumps(expected))
    assert document["schema"] == "bertlens.identify/1" and document["verdict"] == "found" and document["order"] == "same"
    assert document["recipe"]["readout"] == "mean" and document["row_of_text"] == [0, 1, 2]
    problems = [finding for finding in document["findings"] if finding["severity"] == "problem"]
    assert status == (1 if problems else 0) == 0


def test_a_fault_and_another_order_are_told_and_the_script_makes_the_vectors(
    loaded: Loaded, texts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = loaded("bert")
    wrong = Recipe(Condition.parse("mask=off"), Readout.parse("mean|l2"), Post(store="float16"))
    stored = made(checkpoint, tuple(TEXTS), wrong)[[0, 2, 1]]
    file, script = tmp_path / "v.npy", tmp_path / "same.py"
    np.save(file, stored.astype(np.float16))
    options = ("--texts", texts, "--vectors", str(file), "--script", str(script), "--prefix", "query: ", "--budget", "40")
    capsys.readouterr()  # what building and loading said
    status, out, err = ran(capsys, "identify", str(checkpoint.folder), *options)
    assert (status, err) == (1, "") and out.startswith("Found: ")
    assert "mask=off" in out and "[attention-mask-missing]" in out and "[rows-reordered]" in out
    assert "order: " in out and "other recipes" in out and "  text     row    max abs  explained" in out
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    with torch.random.fork_rng():
        exec(compile(script.read_text("utf-8"), "same.py", "exec"), space)
    again = torch.load("vectors.pt")
    assert again.dtype == torch.float16 and np.abs(again.double().numpy() - stored[[0, 2, 1]]).max() < 1e-3
    assert "text 1 (row 2)" in capsys.readouterr().out


def test_texts_beside_the_vectors_need_no_file_of_their_own(
    loaded: Loaded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = loaded("bert")
    values = made(checkpoint, tuple(TEXTS), Recipe(readout=Readout.parse("cls"))).astype(np.float32)
    file = vectorfile.write(tmp_path / "v.parquet", {"cls": values, "other": values[:, ::-1].copy()}, tuple(TEXTS), {})
    status, out, _ = ran(capsys, "identify", str(checkpoint.folder), "--vectors", str(file), "--vector-column", "cls", "--json")
    assert status == 0 and strict(out)["recipe"]["readout"] == "cls"
    status, _, err = ran(capsys, "identify", str(checkpoint.folder), "--vectors", str(file))
    assert status == 2 and "several that may be vectors: 'cls', 'other'" in err


def test_what_nobody_made_is_none(
    vectors: tuple[str, str], texts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "drawn.npy"
    np.save(file, np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32))
    status, out, _ = ran(capsys, "identify", vectors[0], "--texts", texts, "--vectors", str(file), "--budget", "20")
    assert status == 1 and out.startswith("None: ") and "nearest recipe: " in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--texts", "{texts}"], "--vectors"),
        (["--texts", "{texts}", "--vectors", "/no/such.npy"], "no such file"),
        (["--texts", "{texts}", "--vectors", "{texts}"], "the suffix '.txt'"),
        (["--texts", "/no/such.txt", "--vectors", "{vectors}"], "no such file"),
        (["--vectors", "{vectors}"], "got no texts beside them; expected the texts that they were made from; name a file"),
        (["--texts", "{texts}", "--vectors", "{vectors}", "--vector-column", "x"], "the name 'x'; expected one of 'vectors'"),
        (["--texts", "{texts}", "--vectors", "{vectors}", "--budget", "soon"], "'soon' is no number of seconds above 0"),
        (["--texts", "{texts}", "--vectors", "{vectors}", "--budget", "-1"], "'-1' is no number"),
        (["--texts", "{texts}", "--vectors", "{vectors}", "--budget", "inf"], "'inf' is no number"),
        (["--texts", "{texts}", "--vectors", "{vectors}", "--script", "/no/folder/x.py"], "cannot write the script"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_out_is_one_line(
    vectors: tuple[str, str], texts: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    capsys.readouterr()
    filled = [argument.format(texts=texts, vectors=vectors[1]) for argument in arguments]
    status, out, err = ran(capsys, "identify", vectors[0], *filled)
    assert (status, out) == (2, "") and said in err and err.count("\n") == 1


def test_mistakes_come_without_torch(vectors: tuple[str, str]) -> None:
    code = "import sys; from bertlens.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('torch', 'transformers', 'pandas') if name in sys.modules])"
    for arguments in (["--help"], ["minilm", "--vectors", "/no/such.npy"], ["minilm", "--vectors", vectors[1]]):
        found = subprocess.run([sys.executable, "-c", code, "identify", *arguments], capture_output=True, text=True, check=True)
        assert found.stdout.splitlines()[-1] == "[]"
