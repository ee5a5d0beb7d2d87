"""A checkpoint that cannot be loaded: what its files betray is said all the same, on Home, in Python and as a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import bertlens
from bertlens.diagnose.diagnosing import needing_the_model
from bertlens.diagnose.unloaded import QUESTION
from bertlens.errors import BertlensError, Unloadable
from bertlens.judge.diagnosis import Diagnosis
from bertlens.show.report import FORMATS
from tests.checkpoints import Folder, sound
from tests.test_cli import ran
from tests.test_pages import alerts, offline, opened

__all__ = ["offline"]

TEXTS = ["A zanzibarquux of a text.", "Another one."]
BROKEN: dict[str, Callable[[Folder], Folder]] = {
    "shape-mismatch": lambda folder: folder.config(hidden_size=768),
    "wrong-vocabulary": lambda folder: folder.without("tokenizer.json", "vocab.txt"),
    "quantised-weights": lambda folder: folder.config(
        quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}
    ),
}


def broken(fault: str, target: Path) -> str:
    return str(BROKEN[fault](sound(target)).path)


@pytest.mark.parametrize("fault", BROKEN)
def test_the_files_are_diagnosed_and_the_rest_is_not_asked(fault: str, tmp_path: Path) -> None:
    name = broken(fault, tmp_path / "mine")
    with pytest.raises(Unloadable) as refused:
        bertlens.load(name)
    found = bertlens.diagnosis(name, TEXTS)
    assert isinstance(found, Diagnosis) and found.verdict == "problem" and not found.changes and not found.readout
    assert fault in [one.id for one in found.findings if one.severity != "note"]
    assert {one.question: one.state for one in found.checks}[QUESTION] == "problem"
    assert refused.value.sentence in [one.sentence for one in found.checks]
    unasked = [one.question for one in found.checks if one.state == "not asked"]
    assert unasked == list(needing_the_model(foreign=False))
    for write in FORMATS.values():
        assert "A zanzibarquux of a text." in write(found) and str(tmp_path) in write(found)
        assert "zanzibarquux" not in write(found, redacted=True) and str(tmp_path) not in write(found, redacted=True)


def test_what_is_only_a_caution_does_not_hide_that_nothing_can_be_run(tmp_path: Path) -> None:
    found = bertlens.diagnosis(broken("quantised-weights", tmp_path / "mine"), TEXTS)
    assert all(one.severity != "problem" for one in found.findings)
    assert found.sentence.startswith("Faulty: cannot load the weights of ") and "got quantised weights" in found.sentence


def test_a_whole_checkpoint_by_its_name_is_diagnosed_as_when_loaded(minilm: bertlens.Checkpoint) -> None:
    by_name, loaded = bertlens.diagnosis("minilm", TEXTS), bertlens.diagnosis(minilm, TEXTS)
    assert by_name.to_dict() == loaded.to_dict() and by_name.changes


def test_files_that_cannot_be_read_either_are_one_sentence(tmp_path: Path) -> None:
    folder = sound(tmp_path / "mine").path
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(Unloadable, match="cannot load the weights of .*truncated or corrupted"):
        bertlens.diagnosis(str(folder), TEXTS)
    with pytest.raises(BertlensError, match="no such folder"):
        bertlens.diagnosis(str(tmp_path / "nowhere"), TEXTS)


def test_the_command_writes_the_report_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, out, texts = broken("shape-mismatch", tmp_path / "mine"), tmp_path / "r.json", tmp_path / "t.txt"
    texts.write_text("\n".join(TEXTS), "utf-8")
    capsys.readouterr()
    status, said, err = ran(capsys, "report", name, "--texts", str(texts), "--out", str(out), "--json")
    assert (status, err) == (1, "")
    written = json.loads(out.read_text("utf-8"))
    assert written["verdict"] == json.loads(said)["verdict"] == "problem" and written["changes"] == []
    status, said, err = ran(capsys, "report", "minilm", "--device", "cuda:9", "--texts", str(texts), "--out", str(out))
    assert (status, said) == (2, "") and "cannot run on 'cuda:9'" in err, "a device is no fault of the checkpoint"


def test_home_shows_the_findings_and_a_report(tmp_path: Path) -> None:
    app = opened("app.py", checkpoint=broken("quantised-weights", tmp_path / "mine"), texts="\n".join(TEXTS))
    assert not app.exception
    assert alerts(app)[0].startswith("**Faulty**: cannot load the weights of ")
    cards = [one.value for one in app.markdown]
    loading = next(at for at, words in enumerate(cards) if "problem]" in words and "cannot load" in words)
    assert loading < next(
        at for at, words in enumerate(cards) if "quantised\\-weights" in words or "`quantised-weights`" in words
    )
    assert any("could not be asked" in one.label for one in app.expander)
    assert len(app.get("download_button")) == 3, "the report in its three forms"
