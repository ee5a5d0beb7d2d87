"""`bertlens layers`: its document, its words, its exit statuses, and one line for everything that can go wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bertlens
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder
from tests.test_cli import TEXTS, ran, strict, texts
from tests.test_narrow import push

__all__ = ["texts"]


def layers(capsys: pytest.CaptureFixture[str], file: str, *more: str, checkpoint: str = "minilm") -> tuple[int, str, str]:
    return ran(capsys, "layers", checkpoint, "--texts", file, *more)


def test_the_document_is_the_core_s(texts: str, capsys: pytest.CaptureFixture[str], minilm: Checkpoint) -> None:
    status, out, err = layers(capsys, texts, "--json")
    assert (status, err) == (0, "")
    document = strict(out)
    assert (document["schema"], document["verdict"]) == ("bertlens.layers/1", "sound")
    assert (document.pop("readout"), document.pop("parting")) == (None, None)
    expected = bertlens.layers(minilm, TEXTS).to_dict()
    assert document == json.loads(json.dumps(expected))
    assert [state["name"] for state in document["states"]] == ["embeddings", *(f"layer {at}" for at in range(1, 7))]
    assert document["baseline"]["mean"][0] > 0


def test_a_readout_is_followed_through_the_layers(texts: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = layers(capsys, texts, "--readout", "mean|l2", "--json", "--no-baseline")
    document = strict(out)
    assert (status, document["baseline"], document["readout"]["readout"], document["readout"]["texts"]) == (
        0,
        None,
        "mean|l2",
        3,
    )
    lines = document["readout"]["states"]
    assert [line["state"] for line in lines] == [state["name"] for state in document["states"]]
    assert lines[0]["change"] is None and lines[1]["change"] > 0
    assert all(line["norm"] == pytest.approx(1) for line in lines)


def test_two_conditions_part_where_the_core_says(texts: str, capsys: pytest.CaptureFixture[str], minilm: Checkpoint) -> None:
    status, out, _ = layers(capsys, texts, "--against", "mask=off", "--text", "0", "--json")
    assert status == 1
    expected = bertlens.where_they_part(minilm, TEXTS, 0, reference="", candidate="mask=off")
    assert strict(out)["parting"] == json.loads(json.dumps(expected.to_dict()))
    assert strict(out)["parting"]["first"][0] == 1
    status, out, _ = layers(capsys, texts, "--against", "batch=alone", "--text", "2", "--json")
    assert status == 0
    assert (strict(out)["parting"]["first"], strict(out)["parting"]["text"]) == (None, 2)


def test_words_for_people(texts: str, capsys: pytest.CaptureFixture[str], minilm: Checkpoint) -> None:
    status, out, err = layers(capsys, texts, "--readout", "cls", "--against", "mask=off")
    assert (status, err) == (1, "")
    assert out.startswith("Sound: unrelated tokens have a mean cosine of 0.")
    told = bertlens.layers(minilm, TEXTS)
    frame = told.to_frame()
    line = next(line for line in out.splitlines() if line.startswith("  layer 3"))
    assert line.split()[2:] == [f"{frame[name][3]:.3f}" for name in frame.columns[3:10]]
    assert "  embeddings" in out and "–" in out
    assert "hidden_states[0]: The output of the embedding layer" in out
    assert (
        "hidden_states[6]: The output of the last layer, hidden_states[-1], and the same numbers as last_hidden_state." in out
    )
    assert "cls, means over 3 texts:" in out and "texts: mean" in out
    assert "text 0: The two runs first part in layer 1" in out
    status, out, _ = layers(capsys, texts, "--no-baseline")
    assert (
        status == 0 and "first part" not in out and "fresh: the same" in out and "  fresh" not in out.split("norm: length")[0]
    )


def test_a_caution_is_no_problem_and_brings_its_code(
    texts: str, capsys: pytest.CaptureFixture[str], family_folder: Folder, tmp_path: Path
) -> None:
    folder = push(family_folder("bert"), tmp_path, 20)
    status, out, _ = layers(capsys, texts, checkpoint=str(folder))
    assert status == 0
    assert out.startswith("Usable with care: unrelated tokens") and "[anisotropy]" in out
    assert "  | mean = vectors.mean(0)" in out
    status, out, _ = layers(capsys, texts, checkpoint=str(family_folder("bert")))
    assert status == 0 and out.startswith("Sound: ") and "caution" not in out
    push(family_folder("bert"), tmp_path, 0, "wrong.")
    status, out, _ = layers(capsys, texts, checkpoint=str(folder))
    assert status == 1 and out.startswith("Faulty: ")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--readout", "mean@3"], "write mean"),
        (["--readout", "pooler"], "read cls or mean"),
        (["--readout", "average"], "the pooling 'average'"),
        (["--readout", "mean_all"], "cannot read mean_all"),
        (["--condition", "maks=off"], "did you mean 'mask'?"),
        (["--against", "padding=600"], "at most 512"),
        (["--against", "mask"], "key=value"),
        (["--text", "3"], "expected 0 … 2"),
        (["--text", "-1"], "expected 0 … 2"),
        (["--condition", "padding=4"], "cannot pad to 4 tokens"),
        (["--text", "x"], "invalid int value"),
    ],
)
def test_what_cannot_be_carried_out_is_one_line(
    texts: str, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    status, out, err = layers(capsys, texts, *more)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize("more", [["--text", "7"], ["--readout", "mean@1"], ["--against", "mask"], ["--condition", "x=y"]])
def test_arguments_are_judged_before_anything_is_loaded(
    texts: str, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    status, _, err = layers(capsys, texts, *more, checkpoint="nobody/nothing")
    assert status == 2 and "nobody" not in err


def test_a_file_that_is_missing_is_said_before_anything_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = layers(capsys, str(tmp_path / "none.txt"), checkpoint="nobody/nothing")
    assert status == 2 and "no such file" in err
