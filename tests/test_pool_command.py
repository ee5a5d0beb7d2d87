"""`bertlens pool`: files hold the vectors bit for bit and appear whole or not at all; what is wrong is said in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

import bertlens
from bertlens.errors import BertlensError
from bertlens.run.checkpoint import PACKAGED_DIGEST, Checkpoint
from bertlens.show import vectorfile
from tests.conftest import Folder
from tests.test_cli import TEXTS, ran, strict, texts

__all__ = ["texts"]

ODD = ('comma, "quotes"', "", "two\nlines", "=1+1 ü 😀", "tab\there")


def pool(capsys: pytest.CaptureFixture[str], file: str, out: Path, *more: str, name: str = "minilm") -> tuple[int, str, str]:
    return ran(capsys, "pool", name, "--texts", file, "--out", str(out), *more)


def of_csv(file: Path) -> np.ndarray:
    return pd.read_csv(file, keep_default_na=False).drop(columns="text").to_numpy(np.float32)


def of_lines(file: Path) -> np.ndarray:
    return np.array([json.loads(line)["vector"] for line in file.read_text("utf-8").splitlines()], np.float32)


def of_parquet(file: Path) -> np.ndarray:
    column = pq.read_table(file)["vector"].combine_chunks()
    assert pa.types.is_fixed_size_list(column.type) and column.type.value_type == pa.float32()
    return np.stack(column.to_numpy(zero_copy_only=False))


def of_tensors(file: Path) -> np.ndarray:
    with safe_open(file, "numpy") as held:
        return held.get_tensor("vectors")


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    ".parquet": of_parquet,
    ".npy": np.load,
    ".npz": lambda file: np.load(file)["vectors"],
    ".csv": of_csv,
    ".jsonl": of_lines,
    ".safetensors": of_tensors,
}


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@pytest.mark.parametrize("suffix", vectorfile.FORMATS)
def test_a_file_gives_the_bits_back(tmp_path: Path, suffix: str) -> None:
    tiny = [np.float32(1e-45), np.float32(-0.0), np.float32(3.4e38), np.float32(1 / 3)]
    drawn = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    drawn[0, :4] = tiny
    file = vectorfile.write(tmp_path / f"v{suffix}", {"mean": drawn}, ODD, {"condition": "side=left"})
    assert same(READERS[suffix](file), drawn)
    assert [path.name for path in tmp_path.iterdir()] == [file.name], "nothing is left beside the file"


def test_texts_and_pairs_and_how_it_was_made_stand_in_the_file(tmp_path: Path) -> None:
    drawn: dict[str, np.ndarray] = {"mean|l2": np.ones((2, 3), np.float32), "cls": np.zeros((2, 4))}
    pairs = (("a", "b, c"), ("d\n", ""))
    made = {"condition": "batch=alone", "sha256": "0"}
    table = pq.read_table(vectorfile.write(tmp_path / "v.parquet", drawn, pairs, made))
    assert table.column_names == ["text", "pair", "mean|l2", "cls"]
    assert table["pair"].to_pylist() == ["b, c", ""] and table["text"].to_pylist() == ["a", "d\n"]
    assert table["cls"].type.value_type == pa.float64() and table["mean|l2"].type.list_size == 3
    assert json.loads(table.schema.metadata[b"bertlens"]) == made
    held = np.load(vectorfile.write(tmp_path / "v.npz", drawn, pairs, made))
    assert same(held["mean|l2"], drawn["mean|l2"]) and json.loads(str(held["metadata"])) == made
    with safe_open(vectorfile.write(tmp_path / "v.safetensors", drawn, pairs, made), "numpy") as tensors:
        assert set(tensors.keys()) == {"mean|l2", "cls"} and json.loads(tensors.metadata()["bertlens"]) == made
    frame = pd.read_csv(vectorfile.write(tmp_path / "v.csv", {"cls": drawn["cls"]}, ODD[:2], {}), keep_default_na=False)
    assert frame["text"].tolist() == list(ODD[:2]) and list(frame) == ["text", "0", "1", "2", "3"]
    lines = vectorfile.write(tmp_path / "v.jsonl", {"cls": np.array([[np.nan, 1]])}, (("a", "b"),), {}).read_text("utf-8")
    assert strict(lines) == {"text": "a", "pair": "b", "vector": [None, 1.0]}


def test_what_breaks_half_way_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "v.npy"
    file.write_bytes(b"old")

    def torn(stream: Any, *_: Any) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(vectorfile.FORMATS, ".npy", torn)
    with pytest.raises(BertlensError, match="No space left on device"):
        vectorfile.write(file, {"cls": np.ones((1, 2))}, ("a",))
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_the_command_writes_what_the_core_pools(
    minilm: Checkpoint, texts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"vectors{suffix}"
    status, said, err = pool(capsys, texts, out, "--readout", "mean|l2", "--json")
    assert (status, err) == (0, "")
    document = strict(said)
    found = bertlens.pool(minilm, TEXTS, ["mean|l2"])
    assert document == {**json.loads(json.dumps(found.to_dict())), "out": str(out)}
    assert document["schema"] == "bertlens.pool/1"
    assert (document["readout"], document["texts"], document["dimensions"]) == ("mean|l2", 3, 384)
    assert document["findings"] == [] and document["passes"] == found.passes == 1
    assert same(READERS[suffix](out), found.vectors["mean|l2"])
    alone = bertlens.pool(minilm, TEXTS, ["mean|l2"], condition="batch=alone").vectors["mean|l2"]
    np.testing.assert_allclose(found.vectors["mean|l2"], alone, atol=1e-6)
    if suffix == ".parquet":
        made = json.loads(pq.read_table(out).schema.metadata[b"bertlens"])
        assert made["sha256"] == PACKAGED_DIGEST and made["readouts"] == ["mean|l2"] and made["environment"]["torch"]


@pytest.mark.parametrize(
    ("readout", "status", "ids"),
    [
        ("mean|l2", 0, []),
        ("cls|l2", 0, ["pooling-recipe-not-followed"]),
        ("mean_all|l2", 0, ["mean-includes-padding", "pooling-recipe-not-followed"]),
        ("pooler|l2", 1, ["pooler-untrained", "pooler-as-sentence-vector"]),
    ],
)
def test_the_status_says_whether_the_vectors_mean_anything(
    texts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], readout: str, status: int, ids: list[str]
) -> None:
    got, said, _ = pool(capsys, texts, tmp_path / "v.npy", "--readout", readout, "--json")
    assert (got, [finding["id"] for finding in strict(said)["findings"]]) == (status, ids)
    assert (tmp_path / "v.npy").is_file()


def test_a_pooler_that_was_never_there(
    family_folder: Folder, texts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(family_folder("bert", head="masked-lm"))
    status, said, _ = pool(capsys, texts, tmp_path / "v.npy", "--readout", "pooler", name=name)
    assert status == 1 and "[pooler-missing]" in said and said.startswith("Pooled: 3 vectors of pooler (32 dimensions)")
    assert pool(capsys, texts, tmp_path / "w.npy", "--readout", "cls", name=name)[0] == 0


def test_what_counts_its_neighbours_runs_as_the_condition_says(minilm: Checkpoint) -> None:
    bound = bertlens.pool(minilm, TEXTS, ["mean", "mean_all"], condition="batch=2")
    assert bound.passes == 2
    assert bound.notes == ("The texts ran in the batches that the condition says: mean_all counts the padding of the batch.",)
    batch = minilm.tokenizer(TEXTS[:2], padding=True, return_tensors="pt")
    by_hand = minilm.model(**batch).last_hidden_state.mean(1).detach().numpy()
    np.testing.assert_allclose(bound.vectors["mean_all"][:2], by_hand, atol=2e-6)
    small = bertlens.pool(minilm, TEXTS, ["mean"], batch_tokens=1)
    assert small.passes == 3 and small.padded_tokens == sum(len(ids) for ids in minilm.tokenizer(TEXTS)["input_ids"])
    assert small.notes == ()
    with pytest.raises(BertlensError, match="0 tokens at once"):
        bertlens.pool(minilm, TEXTS, ["mean"], batch_tokens=0)


def test_several_readouts_are_columns(texts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = ("--readout", "mean", "--readout", "cls@last4:concat", "--readout", "mean")
    status, said, _ = pool(capsys, texts, tmp_path / "v.parquet", *two, "--json")
    assert status == 0 and [one["dimensions"] for one in strict(said)["readouts"]] == [384, 1536]
    assert pq.read_table(tmp_path / "v.parquet").column_names == ["text", "mean", "cls@last4:concat"]
    status, _, err = pool(capsys, texts, tmp_path / "v.csv", *two)
    assert status == 2 and "got 2 readouts; expected one in a .csv file" in err


@pytest.mark.parametrize(
    ("out", "more", "said"),
    [
        ("v.txt", (), "got the suffix '.txt'; expected .parquet / .npy"),
        ("none/v.npy", (), "a folder that does not exist"),
        ("v.npy", ("--condition", "mask=perhaps"), "cannot set mask"),
        ("v.npy", ("--readout", "middle"), "cannot read the readout 'middle'"),
        ("v.npy", ("--readout", "mean@9"), "several readouts|got 2 readouts"),
        ("v.npz", ("--readout", "mean@9"), "indices 0"),
        ("v.npy", ("--batch-tokens", "0"), "0 tokens at once"),
    ],
)
def test_what_cannot_be_done(
    texts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, more: tuple[str, ...], said: str
) -> None:
    (tmp_path / "v.npy").write_bytes(b"mine")
    status, stdout, err = pool(capsys, texts, tmp_path / out, "--readout", "mean", *more)
    assert (status, stdout, err.count("\n")) == (2, "", 1)
    assert any(part in err for part in said.split("|"))
    assert (tmp_path / "v.npy").read_bytes() == b"mine" and len(list(tmp_path.glob("*v.*"))) == 1


def test_a_file_that_is_there_is_overwritten(texts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "v.npy").write_bytes(b"old")
    assert pool(capsys, texts, tmp_path / "v.npy", "--readout", "mean")[0] == 0
    assert np.load(tmp_path / "v.npy").shape == (3, 384)


def test_without_a_readout_it_is_what_the_checkpoint_declares(
    texts: str, family_folder: Folder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, readout in (("minilm", "mean|l2"), (str(family_folder("bert")), "cls")):
        code, said, _ = pool(capsys, texts, tmp_path / "one.npy", "--json", name=name)
        assert code == 0 and strict(said)["readout"] == readout
        assert pool(capsys, texts, tmp_path / "other.npy", "--readout", readout, name=name)[0] == 0
        assert np.array_equal(np.load(tmp_path / "one.npy"), np.load(tmp_path / "other.npy"))
