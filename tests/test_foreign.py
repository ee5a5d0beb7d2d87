"""Vectors from elsewhere are read exactly as they are stored, from every format, and what cannot be one is one sentence."""

from __future__ import annotations

import base64
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save as tensors_saved

import bertlens.run.foreign as room
from bertlens.errors import BertlensError
from bertlens.run.foreign import choices, read_vectors, vectors_from, vectors_from_text
from bertlens.show import vectorfile

DRAWN = np.random.default_rng(0).normal(size=(5, 24)).astype(np.float32) / 5
TEXTS = ("one, two", "", "three\nfour", "five", "ü 😀")


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def pt(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def parquet(**columns: object) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def as_lists(values: np.ndarray) -> list[list[float]]:
    return [[float(value) for value in row] for row in values]


def coded(row: np.ndarray) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


@pytest.mark.parametrize("suffix", vectorfile.FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_written_here_is_read_back_to_the_bit(tmp_path: Path, suffix: str, dtype: type) -> None:
    drawn: np.ndarray = np.random.default_rng(1).normal(size=(5, 40)).astype(dtype)
    drawn[0, :3] = [1e-30, -0.0, 3.0e38]
    texts = (("a", "b"), *TEXTS[1:])
    found = read_vectors(vectorfile.write(tmp_path / f"v{suffix}", {"mean": drawn}, texts, {"made": "by us"}))
    assert found.values.dtype == np.float64 and found.dtype == np.dtype(dtype).name
    assert np.array_equal(found.values, drawn.astype(np.float64)) and found.notes == ()
    assert found.texts == (texts if suffix in (".parquet", ".csv", ".jsonl") else ())


@pytest.mark.parametrize(
    ("name", "content", "dtype"),
    [
        ("v.npy", npy(DRAWN), "float32"),
        ("v.npy", npy(DRAWN.astype(">f4")), "float32"),
        ("v.npy", npy(DRAWN[:, None]), "float32"),
        ("v.NPY", npy(np.asfortranarray(DRAWN)), "float32"),
        ("v.npz", npz(embeddings=DRAWN, other=np.ones((5, 3)), ids=np.arange(5)), "float32"),
        ("v.csv", "\n".join(",".join(map(str, row)) for row in DRAWN).encode(), "float32"),
        ("v.csv", pd.DataFrame(DRAWN).to_csv().encode(), "float32"),
        ("v.csv", pd.DataFrame(DRAWN).add_prefix("dim_").assign(id=[7] * 5).to_csv(sep=";").encode(), "float32"),
        ("v.csv", pd.DataFrame(DRAWN).to_csv(sep=";", decimal=",", index=False).encode(), "float32"),
        ("v.csv", pd.DataFrame({"text": TEXTS, "embedding": list(map(str, DRAWN.tolist()))}).to_csv().encode(), "float32"),
        ("v.tsv", pd.DataFrame(DRAWN).to_csv(sep="\t", header=False, index=False).encode(), "float32"),
        ("v.csv", b"\xef\xbb\xbf" + "\n".join(" ".join(f"{v:.18e}" for v in row) for row in DRAWN).encode(), "float32"),
        ("v.json", json.dumps(as_lists(DRAWN)).encode(), "float32"),
        ("v.json", json.dumps({"texts": TEXTS, "vectors": as_lists(DRAWN)}).encode(), "float32"),
        ("v.json", json.dumps(dict(zip("abcde", as_lists(DRAWN), strict=True))).encode(), "float32"),
        ("v.json", json.dumps({"data": [{"index": 0, "embedding": row} for row in as_lists(DRAWN)]}).encode(), "float32"),
        ("v.jsonl", "\n".join(json.dumps(row) for row in as_lists(DRAWN)).encode(), "float32"),
        ("v.jsonl", "\n".join(json.dumps({"embedding": coded(row)}) for row in DRAWN).encode(), "float32"),
        ("v.csv", pd.DataFrame({"text": TEXTS, "vector": list(map(coded, DRAWN))}).to_csv(index=False).encode(), "float32"),
        ("v.parquet", parquet(e=as_lists(DRAWN)), "float64"),
        ("v.parquet", parquet(e=pa.array(list(DRAWN.astype(np.float32)))), "float32"),
        ("v.parquet", parquet(id=[3] * 5, **{f"v{at}": DRAWN[:, at] for at in range(24)}), "float32"),
        ("v.parquet", parquet(e=[row.tobytes() for row in DRAWN]), "float32"),
        ("v.parquet", parquet(e=[[row] for row in as_lists(DRAWN)]), "float32"),
        ("v.safetensors", tensors_saved({"embeddings": torch.from_numpy(DRAWN)}), "float32"),
        ("v.pt", pt(torch.from_numpy(DRAWN)), "float32"),
        ("v.pth", pt(list(torch.from_numpy(DRAWN))), "float32"),
        ("v.bin", pt({"texts": list(TEXTS), "vectors": torch.from_numpy(DRAWN).requires_grad_()}), "float32"),
    ],
)  # fmt: skip
def test_every_format_gives_the_same_numbers(name: str, content: bytes, dtype: str) -> None:
    found = vectors_from(name, content)
    assert np.array_equal(found.values, DRAWN.astype(np.float64)) and found.dtype == dtype


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "int8", "uint8", "float64"])
def test_the_format_is_known_by_name_and_its_numbers_are_exact(kind: str) -> None:
    stored = (torch.from_numpy(DRAWN).double() * 20).abs().to(getattr(torch, kind))
    exact = stored.double().numpy()
    for name, content in (("v.pt", pt(stored)), ("v.safetensors", tensors_saved({"x": stored}))):
        found = vectors_from(name, content)
        assert found.dtype == kind and np.array_equal(found.values, exact)
    if kind != "bfloat16":
        for name, content in (("v.npy", npy(stored.numpy())), ("v.parquet", parquet(e=pa.array(list(stored.numpy()))))):
            found = vectors_from(name, content)
            assert found.dtype == kind and np.array_equal(found.values, exact)
    else:
        halves = stored.view(torch.uint16).numpy().view("V2")
        assert np.array_equal(vectors_from("v.npy", npy(halves)).values, exact)


def test_written_numbers_tell_which_format_they_had() -> None:
    def kind(values: np.ndarray) -> tuple[str, tuple[str, ...]]:
        found = vectors_from("v.json", json.dumps(values.tolist()).encode())
        assert np.array_equal(found.values, values)
        return found.dtype, found.notes

    double = DRAWN.astype(np.float64) * np.pi
    assert kind(DRAWN.astype(np.float64)) == ("float32", ()) and kind(double) == ("float64", ())
    assert kind(np.round(double, 4)) == ("decimal", ("The numbers are written with at most 4 digits after the point.",))
    assert kind(np.round(double, 8))[0] == "decimal"
    assert kind(np.round(double * 50)) == ("int8", ()) and kind(np.abs(np.round(double * 120)))[0] == "uint8"


def test_a_vector_alone_is_one_row() -> None:
    for name, content in (("v.npy", npy(DRAWN[0])), ("v.json", json.dumps(as_lists(DRAWN)[0]).encode())):
        assert np.array_equal(vectors_from(name, content).values, DRAWN[:1].astype(np.float64))
    assert vectors_from("v.csv", b"0.5\n0.25\n-1").values.tolist() == [[0.5, 0.25, -1.0]]
    assert vectors_from("v.npy", npy(DRAWN[:1, :1])).values.shape == (1, 1)


def test_bytes_in_the_other_order_are_turned_and_healthy_ones_are_not() -> None:
    for dtype in (np.float32, np.float64):
        wrong = DRAWN.astype(dtype).byteswap()
        found = vectors_from("v.npy", npy(wrong))
        assert np.array_equal(found.values, DRAWN.astype(dtype)) and "other order" in found.notes[0]
    tiny = (DRAWN * np.float32(1e-30)).astype(np.float32)
    assert np.array_equal(vectors_from("v.npy", npy(tiny)).values, tiny.astype(np.float64)), "small, and no order mends it"
    for healthy in (DRAWN, np.zeros((3, 8), np.float32), np.full((2, 4), np.nan, np.float32)):
        assert vectors_from("v.npy", npy(healthy)).notes == ()


def test_what_is_not_finite_and_what_is_missing_stays() -> None:
    odd = DRAWN.copy()
    odd[1, :3] = [np.nan, np.inf, -np.inf]
    rows = as_lists(odd)
    lines = "\n".join(json.dumps({"vector": row}) for row in rows)
    for name, content in (
        ("v.npy", npy(odd)),
        ("v.jsonl", lines.encode()),
        ("v.csv", pd.DataFrame(odd).to_csv(index=False, na_rep="nan").encode()),
    ):
        assert np.array_equal(vectors_from(name, content).values, odd.astype(np.float64), equal_nan=True), name
    missing = [rows[0], None, rows[2]]
    for name, content in (
        ("v.parquet", parquet(e=missing)),
        ("v.jsonl", "\n".join(json.dumps({"e": row}) for row in missing).encode()),
    ):
        found = vectors_from(name, content).values
        assert found.shape == (3, 24) and np.isnan(found[1]).all() and np.array_equal(found[[0, 2]], DRAWN[[0, 2]])  # fmt: skip


def test_texts_beside_the_vectors(tmp_path: Path) -> None:
    table = {"sentence": TEXTS, "label": list("abcde"), "e": list(DRAWN)}
    assert vectors_from("v.parquet", parquet(**table)).texts == TEXTS
    assert vectors_from("v.parquet", parquet(label=table["label"], other=table["label"], e=table["e"])).texts == ()
    assert vectors_from("v.json", json.dumps(dict(zip("abcde", as_lists(DRAWN), strict=True))).encode()).texts == tuple("abcde")
    assert vectors_from("v.npz", npz(e=DRAWN, texts=np.array(TEXTS))).texts == TEXTS
    assert vectors_from("v.npz", npz(e=DRAWN, texts=np.array(TEXTS[:3]))).texts == (), "three texts for five vectors"


def test_the_column_is_chosen_or_asked_for() -> None:
    two = parquet(a=list(DRAWN), b=list(-DRAWN), text=TEXTS)
    assert choices("v.parquet", two) == ("a", "b")
    assert np.array_equal(vectors_from("v.parquet", two, "b").values, -DRAWN.astype(np.float64))
    with pytest.raises(BertlensError, match="several that may be vectors: 'a', 'b'"):
        vectors_from("v.parquet", two)
    with pytest.raises(BertlensError, match=r"got the name 'text' \(it holds words\); expected one of 'a', 'b'"):
        vectors_from("v.parquet", two, "text")
    assert choices("v.npz", npz(a=DRAWN, embeddings=DRAWN)) == ("embeddings", "a")


@pytest.mark.parametrize("show", [repr, str, lambda row: json.dumps(row.tolist()), lambda row: repr(torch.tensor(row))])
def test_what_is_pasted(show: Callable[[np.ndarray], str]) -> None:
    rounded = np.round(DRAWN[:3].astype(np.float64), 3)  # few enough digits for every way of printing
    for values in (rounded, rounded[:1]):
        assert np.array_equal(vectors_from_text(show(values if len(values) > 1 else values[0])).values, values)


def test_what_is_pasted_on_lines() -> None:
    assert vectors_from_text("1, 2.5, -3e-1\n4 5 nan\n").values.tolist()[0] == [1, 2.5, -0.3]
    assert vectors_from_text("1\n2\n3").values.tolist() == [[1, 2, 3]]
    assert vectors_from_text("1, 2,\n3, 4,\n5").values.tolist() == [[1, 2, 3, 4, 5]]
    assert vectors_from_text(" 0.5  0.25 1.\n 2. 3. 4.\n 5.").values.shape == (1, 7), "as numpy breaks a vector into lines"
    assert vectors_from_text("[1 2]\n[3 4]").values.tolist() == [[1, 2], [3, 4]]
    records = '{"text": "a", "vector": [1, 2]}\n{"text": "b", "vector": [3, 4]}'
    assert vectors_from_text(records).texts == ("a", "b") and vectors_from_text(records).values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("v.xlsx", b"x", "the suffix '.xlsx'; expected .npy / "),
        ("vectors", b"x", "a name without a suffix"),
        ("v.npy", b"", "an empty file"),
        ("v.csv", b"\n \n", "an empty file"),
        ("v.npy", npy(DRAWN)[:-9], "cannot reshape|a broken file|EOF"),
        ("v.npy", b"not numpy at all", "pickled Python objects|a broken file"),
        ("v.npy", npy(np.zeros((0, 8))), "no numbers"),
        ("v.npy", npy(np.zeros((2, 8, 16))), "2 × 8 × 16: a vector for every token"),
        ("v.npy", npy(np.zeros((3, 2, 8, 16))), "every layer and every token"),
        ("v.npy", npy(np.array(2.5)), "a single number"),
        ("v.npy", npy(np.array([["a", "b"]])), "an array of str"),
        ("v.npy", npy(np.array([[1j]])), "an array of complex128"),
        ("v.npz", b"PK\x03\x04 broken", "a broken file"),
        ("v.csv", b"a,b\n1,2\n3\n", "rows of unequal length: 1 fields in row 2, 2 in the first"),
        ("v.csv", b"0.1,0.2\n0.3,oops\n", "'oops' in column 1"),
        ("v.csv", b"text\nhello\nworld\n", "only words, in text"),
        ("v.csv", "a,b\n\xe4,1".encode("latin-1"), "bytes that are not UTF-8"),
        ("v.json", b"[[1, 2], [3]]", "rows of unequal length: 1 in row 1, 2 in others"),
        ("v.json", b"[[[1, 2], [3]]]", "lists of unequal length|no numbers"),
        ("v.json", b"[1, 2", "Expecting"),
        ("v.json", b"17", "a int"),
        ("v.jsonl", b"[1]\n{", "no JSON in line 2"),
        ("v.parquet", b"PAR1", "a broken file"),
        ("v.parquet", parquet(text=["a", "b"]), "only words, in text"),
        ("v.safetensors", b"12345678901", "a broken file"),
        ("v.pt", pickle.dumps({"a": Path("x")}), "pickled Python objects"),
        ("v.pt", pt({"a": Path("x")}), "pickled Python objects"),
        ("v.pt", pt([torch.zeros(3, 8), torch.zeros(5, 8)]), "tensors of unequal shapes (3 × 8 and 5 × 8)"),
        ("v.jsonl", b'{"embedding": "' + base64.b64encode(b"x" * 43) + b'"}', "43 bytes, which is no whole count of float32"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence(name: str, content: bytes, said: str) -> None:
    with pytest.raises(BertlensError) as told:
        vectors_from(name, content)
    assert any(part in told.value.sentence for part in said.split("|")), told.value.sentence
    assert "\n" not in told.value.sentence and len(told.value.sentence) < 420


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got nothing"),
        ("the quick brown fox", "“the” where a number was expected"),
        ("[0.1 0.2 ... 0.9 1.0]", "shortened with “...”"),
        ("[1, 2], [3", "never closed"),
        ("1, 2]", "never opened"),
        ("1, 2, 3\n4, 5\n6, 7, 8", "rows of unequal length: 2 in row 1, 3 in others"),
    ],
)
def test_what_cannot_be_pasted_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(BertlensError, match="cannot read the pasted vectors") as told:
        vectors_from_text(text)
    assert said in told.value.sentence


def test_a_path_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "v.npy").write_bytes(npy(DRAWN))
    for path, said in ((tmp_path / "none.npy", "no such file"), (tmp_path / "folder.npy", "a folder")):
        with pytest.raises(BertlensError, match=said):
            read_vectors(path)
    monkeypatch.setattr(room, "LARGEST", 100)
    with pytest.raises(BertlensError, match="expected at most 0 GB"):
        read_vectors(tmp_path / "v.npy")
