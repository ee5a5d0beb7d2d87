"""`bertlens report`: files in three formats, exit statuses, one line for what can go wrong, and nothing of redacted texts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

import bertlens
from bertlens.diagnose import diagnosing
from bertlens.read.post import Post
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe, made
from bertlens.run.presets import PRESETS
from tests.conftest import Folder, Loaded
from tests.test_cli import TEXTS, ran, strict, texts

__all__ = ["texts"]

SECRETS = [
    "The zanzibarquux paid kryptoflim.",
    "wibblefrotz ZÜRICHQUUX and <seekrit7> 東京秘密 beside each other, at length",
    "Ωmegasnark?",
]
PIECES = ["zanzi", "quux", "krypto", "flim", "wibble", "frotz", "zürich", "seekrit", "東京", "秘密", "mega", "snark"]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two everyday situations are enough here: one that every model runs and one that some refuse."""
    kept = [preset for preset in PRESETS if preset.name in ("mask forgotten", "segments all ones")]
    assert len(kept) == 2
    monkeypatch.setattr(diagnosing, "situations", lambda: kept)


@pytest.mark.parametrize("ending", [".html", ".md", ".json"])
def test_a_report_is_written_and_said(
    loaded: Loaded, texts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    checkpoint, out = loaded("bert"), tmp_path / f"report{ending}"
    out.write_text("an older one", "utf-8")
    capsys.readouterr()  # what building and loading said
    status, said, err = ran(capsys, "report", checkpoint.name, "--texts", texts, "--readout", "mean", "--out", str(out))
    assert (status, err) == (0, "") and said.startswith("Sound: ") and said.endswith(f"written to {out}\n")
    written = out.read_text("utf-8")
    assert TEXTS[0] in written and "an older one" not in written and "attention" in written
    starts = {".html": "<!doctype html>", ".md": "# bertlens report: bert", ".json": "{"}
    assert written.startswith(starts[ending])


def test_the_document_is_the_core_s_and_a_problem_is_status_1(
    loaded: Loaded, texts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, file, out = loaded("bert"), tmp_path / "v.npy", tmp_path / "r.json"
    values = made(checkpoint, tuple(TEXTS), Recipe(readout=Readout.parse("mean"), post=Post()))[[2, 1, 0]].astype(np.float32)
    np.save(file, values)
    capsys.readouterr()
    options = ("--texts", texts, "--vectors", str(file), "--readout", "mean", "--out", str(out), "--json")
    status, said, _ = ran(capsys, "report", checkpoint.name, *options)
    document = strict(said)
    assert status == 1 and document["verdict"] == "problem" and document.pop("out") == str(out)
    assert document["schema"] == "bertlens.report/1" and document == strict(out.read_text("utf-8"))
    assert "rows-reordered" in [finding["id"] for finding in document["findings"]]
    expected = bertlens.diagnosis(checkpoint, TEXTS, vectors=values, readout="mean").to_dict()
    for one in (document, expected):  # the time that a search takes is in no sentence, but another process has other addresses
        one.pop("environment")
    assert document == json.loads(json.dumps(expected))


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_redacted_nothing_of_a_text_is_left_even_where_findings_quote_tokens(
    family_folder: Folder, copy_of: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str
) -> None:
    folder = copy_of(family_folder(family))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<seekrit7>"])  # a token without a row, which findings and errors name
    tokenizer.save_pretrained(folder)
    file = tmp_path / "secret.txt"
    file.write_text("\n".join(SECRETS) + "\n", "utf-8")
    for redact in ((), ("--redact",)):
        capsys.readouterr()
        told = ""
        for ending in (".html", ".md", ".json") if redact else (".json",):
            out = tmp_path / f"report{ending}"
            status, said, err = ran(capsys, "report", str(folder), "--texts", str(file), "--out", str(out), "--json", *redact)
            assert (status, err) == (1, "")
            content = out.read_text("utf-8")
            told += content if ending != ".json" else json.dumps(json.loads(content), ensure_ascii=False)
            told += said.replace(str(out), "")
        found = [piece for piece in PIECES if piece in told.lower()]
        assert found == ([] if redact else PIECES), "the healthy twin has them all"
        assert not redact or "zurich" not in told.lower(), "as an uncased tokenizer spells it"
        assert ("token-ids-out-of-range" in told) and (str(folder.parent) in told) != bool(redact)
        assert "texts_sha256" in told and f'"texts": {len(SECRETS)}' in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--texts", "{texts}"], "--out"),
        (["--out", "r.md"], "--texts"),
        (["--texts", "{texts}", "--out", "r.pdf"], "cannot write a report to r.pdf; got '.pdf'; expected .html / .md / .json."),
        (["--texts", "/no/such.txt", "--out", "r.md"], "no such file"),
        (["--texts", "{texts}", "--out", "r.md", "--vectors", "/no/such.npy"], "no such file"),
        (["--texts", "{texts}", "--out", "r.md", "--readout", "avg"], "cannot read the readout"),
    ],
)
def test_what_cannot_be_carried_out_is_one_line(
    loaded: Loaded, texts: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    name = loaded("bert").name
    capsys.readouterr()
    status, out, err = ran(capsys, "report", name, *(argument.format(texts=texts) for argument in arguments))
    assert (status, out) == (2, "") and said in err and err.count("\n") == 1


def test_a_folder_that_is_not_there_is_said(loaded: Loaded, texts: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = loaded("bert").name
    capsys.readouterr()
    status, out, err = ran(capsys, "report", name, "--texts", texts, "--readout", "cls", "--out", "/no/folder/r.md")
    assert (status, out) == (2, "") and "cannot write the report to /no/folder/r.md" in err and err.count("\n") == 1


def test_as_a_process(family_folder: Folder, texts: str, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    command = [sys.executable, "-m", "bertlens", "report", str(family_folder("bert")), "--texts", texts, "--out", str(out)]
    one = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=one, check=False, cwd=Path(__file__).parents[1])
    assert (done.returncode, "Traceback" in done.stderr) == (0, False) and done.stdout.endswith(f"written to {out}\n")
    assert out.read_text("utf-8").startswith("<!doctype html>") and "left padding" in out.read_text("utf-8")
