"""Texts from lists, boxes and files; what cannot be read is told in one line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertlens.errors import BertlensError
from bertlens.run.texts import Texts, as_texts, candidates, columns, from_lines, read_texts, split_pairs, texts_of

TEXTS = ("First, with a comma.", 'second "quoted"', "третий 🙂", "NA", "1234")
OTHERS = ("a", "b\tc", "d", "e", "f")


def write_csv(path: Path, columns: dict[str, tuple[str, ...]], delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([list(columns), *zip(*columns.values(), strict=True)])


def write_jsonl(path: Path, columns: dict[str, tuple[str, ...]]) -> None:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")


def write_parquet(path: Path, columns: dict[str, tuple[str, ...]]) -> None:
    pd.DataFrame(columns).to_parquet(path)


WRITERS: dict[str, Callable[..., None]] = {
    ".csv": write_csv,
    ".tsv": lambda path, columns: write_csv(path, columns, "\t"),
    ".jsonl": write_jsonl,
    ".parquet": write_parquet,
}


@pytest.fixture(params=WRITERS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    def write(**columns: tuple[str, ...]) -> Path:
        path = tmp_path / f"texts{request.param}"
        WRITERS[request.param](path, columns)
        return path

    return write


def test_the_column_is_found(written: Callable[..., Path]) -> None:
    assert read_texts(written(id=OTHERS, text=TEXTS)) == TEXTS
    assert read_texts(written(id=OTHERS, sentence=TEXTS)) == TEXTS
    assert read_texts(written(sentence=OTHERS, text=TEXTS)) == TEXTS
    assert read_texts(written(anything=TEXTS)) == TEXTS


def test_the_column_is_named(written: Callable[..., Path]) -> None:
    path = written(text=TEXTS, other=OTHERS)
    assert read_texts(path, column="other") == OTHERS
    assert read_texts(str(path), column="other", pair_column="text") == tuple(zip(OTHERS, TEXTS, strict=True))
    assert read_texts(path, pair_column="other") == tuple(zip(TEXTS, OTHERS, strict=True))


def test_columns_that_are_not_there(written: Callable[..., Path]) -> None:
    path = written(one=TEXTS, other=OTHERS)
    with pytest.raises(BertlensError, match="got the columns one, other; expected one called text; name the column"):
        read_texts(path)
    for wrong in ({"column": "two"}, {"column": "one", "pair_column": "two"}):
        with pytest.raises(BertlensError, match="got the columns one, other; expected 'two'"):
            read_texts(path, **wrong)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_lines_of_a_text_file(tmp_path: Path, bom: bytes, end: str, final: bool) -> None:
    path = tmp_path / "Texts.TXT"
    path.write_bytes(bom + (end.join(["one", "", " three ", "f\u2028our"]) + end * final).encode())
    assert read_texts(path) == ("one", "", " three ", "f\u2028our")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,n\r\none,1\r\ntwo,2\r\n"),
        ("a.tsv", "text\tn\r\none\t1\r\ntwo\t2\r\n"),
        ("a.jsonl", '{"text": "one"}\r\n\r\n{"text": "two"}\r\n'),
        ("a.jsonl", '"one"\n"two"\n'),
    ],
)
def test_byte_order_mark_and_windows_lines(tmp_path: Path, name: str, content: str) -> None:
    for bom in (b"", b"\xef\xbb\xbf"):
        (tmp_path / name).write_bytes(bom + content.encode())
        assert read_texts(tmp_path / name) == ("one", "two")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.docx", b"PK", "got '.docx'; expected .txt / .csv / .tsv / .jsonl / .parquet"),
        ("noending", b"x", "got ''; expected .txt"),
        ("a.txt", b"caf\xe9", "bytes that are not UTF-8 at 3; save the file as UTF-8"),
        ("a.csv", b"text\ncaf\xe9\n", "bytes that are not UTF-8"),
        ("a.jsonl", b'"caf\xe9"', "bytes that are not UTF-8"),
        ("a.txt", b"", "got only blanks"),
        ("a.txt", b" \n\t\n", "got only blanks"),
        ("a.csv", b"", "got a broken .csv file"),
        ("a.csv", b"text\n", "got no text; expected at least one"),
        ("a.csv", b'text\n"never closed\nx\n', "got a broken .csv file"),
        ("a.csv", b"text,n\na,1\nb,2,3,4\n", "got a broken .csv file"),
        ("a.csv", b"text\nhello, world\nfoo, bar\n", "more fields than the 1 of the header; expected .*comma.*quotes"),
        ("a.tsv", b"text\nhello\tworld\n", "more fields than the 1 of the header; expected .*tab"),
        ("a.parquet", b"PAR1 not really", "got a broken .parquet file"),
        ("a.parquet", b"", "got a broken .parquet file"),
        ("a.jsonl", b'{"text": "a"}\n\n\nnope\n', "cannot read line 4 of .*; got no JSON"),
        ("a.jsonl", b"", "got no columns"),
        (
            "a.jsonl",
            b'{"text": "a"}\n{"txt": "b"}\n',
            "the column 'text' of .*; got no value in row 1; expected a string in every row",
        ),
        ("a.jsonl", b'{"text": 5}\n', "the column 'text' of .*; got int 5 in row 0; expected a string"),
        ("a.jsonl", b'{"text": "\\ud83d"}\n', "half a character .the lone surrogate U.D83D. at character 0"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BertlensError, match=message) as caught:
        read_texts(path)
    assert len(str(caught.value).splitlines()) == 1


def test_no_file_and_no_columns_in_lines(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(BertlensError, match="got no such file; check the path"):
            read_texts(path)
    path = tmp_path / "a.txt"
    path.write_text("one")
    assert read_texts(path) == ("one",)
    with pytest.raises(BertlensError, match="cannot take a column of .*a.txt; got a .txt file"):
        read_texts(path, column="text")


def test_a_box_of_lines() -> None:
    assert from_lines("one\r\n\r\n  \ntwo") == ("one", "two")
    assert from_lines("a ||| b\nc\td\n\ne|||f\tg", pairs=True) == (("a", "b"), ("c", "d"), ("e", "f\tg"))
    for wrong, got in (("a\nb", "1 sentence;"), ("a ||| b\nc ||| d ||| e", "3 sentences;")):
        with pytest.raises(BertlensError, match=f"cannot read line [12] as a pair; got {got} expected two"):
            from_lines(wrong, pairs=True)
    with pytest.raises(BertlensError, match="got no text"):
        from_lines("\n \n")


@pytest.mark.parametrize(
    ("given_texts", "frozen"),
    [
        ("one", ("one",)),
        (["one", ("a", "b"), ["c", "d"]], ("one", ("a", "b"), ("c", "d"))),
        (pd.Series(["one", "two"]), ("one", "two")),
        ((text for text in ("one", "two")), ("one", "two")),
        (["", "one"], ("", "one")),
        ([("", "x")], (("", "x"),)),
        (["\0", "a\0b", "🙂", "שלום عالم"], ("\0", "a\0b", "🙂", "שלום عالم")),
    ],
)
def test_texts_are_frozen_as_they_are(given_texts: Any, frozen: Texts) -> None:
    assert as_texts(given_texts) == frozen
    assert hash(as_texts(frozen)) == hash(frozen)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "nothing to run; got no text; expected at least one; write one text per line"),
        (["", " \t\n"], "got only blanks; expected a text with words"),
        ([("", " ")], "got only blanks"),
        ("", "got only blanks"),
        (["ok", None], "cannot use text 1; got NoneType None; expected a string, or a pair of two strings"),
        (["ok", 3.5], "cannot use text 1; got float 3.5"),
        ([("a", "b", "c")], "cannot use text 0; got tuple"),
        ([["a"]], "cannot use text 0; got list"),
        ([("a", 2)], "cannot use text 0; got tuple"),
        ([["x" * 900]], "x…; expected"),
        (["ok", "a\udc80b"], "cannot use text 1; got half a character .the lone surrogate U.DC80. at character 1"),
        ([("a", "\ud800")], "U.D800"),
        (None, "cannot use the texts; got NoneType None; expected"),
        (5, "cannot use the texts; got int 5"),
        (b"bytes", "cannot use the texts; got bytes"),
        ({"text": "a"}, "cannot use the texts; got dict"),
    ],
)
def test_what_is_no_text(wrong: Any, message: str) -> None:
    with pytest.raises(BertlensError, match=message) as caught:
        as_texts(wrong)
    assert len(str(caught.value).splitlines()) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), min_size=1))
def test_line_n_is_text_n(tmp_path: Path, texts: list[str]) -> None:
    texts.append("end")
    path = tmp_path / "a.txt"
    path.write_text("\n".join(texts) + "\n", "utf-8")
    if texts[0].startswith("\ufeff"):
        texts[0] = texts[0][1:]
    assert read_texts(path) == tuple(texts)


def test_the_columns_of_a_file_are_what_is_read_from_it(written: Callable[..., Path]) -> None:
    path = written(id=("1", "2", "3", "4", "5"), text=TEXTS, other=OTHERS)
    table = columns(path)
    assert {name: tuple(values) for name, values in table.items()} == {
        "id": ("1", "2", "3", "4", "5"),
        "text": TEXTS,
        "other": OTHERS,
    }
    assert texts_of(table, "other", where="it") == read_texts(path, column="other") == OTHERS
    assert texts_of(table, "text", "other", where="it") == read_texts(path, column="text", pair_column="other")


def test_lines_are_one_column(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    assert columns(tmp_path / "a.txt") == {"text": ["one", "", "two"]}


@pytest.mark.parametrize(
    ("table", "likely"),
    [
        ({"id": ["1", "2"], "b": ["x", ""], "sentence": ["y", "z"], "text": ["v", "w"]}, ("text", "sentence", "b")),
        ({"n": [1, 2], "x": [None, "one"]}, ("x",)),
        ({"lang": ["en", "de"], "body": ["one two", "x"], "answer": ["y", "three four"]}, ("body", "answer", "lang")),
        ({"n": ["1", "-2e3"], "empty": ["", " "]}, ("n", "empty")),  # no words at all: numbers may be the texts
        ({"text": ["1", "2"], "b": ["word", "3"]}, ("b",)),
        ({"n": [1, 2.5], "m": [None, None], "list": [["a"], ["b"]]}, ()),
        ({}, ()),
    ],
)
def test_columns_that_may_hold_the_texts(table: dict[str, list[Any]], likely: tuple[str, ...]) -> None:
    assert candidates(table) == likely


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (["a", None], "no value in row 1"),
        (["a", pd.NA], "no value in row 1"),
        ([1.5, 2.0], "float 1.5 in row 0"),
        ([float("nan"), 2.0], "no value in row 0"),
    ],
)
def test_a_row_without_a_string_is_named(tmp_path: Path, values: list[Any], got: str) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"x": values, "y": ["b", "c"]}).to_parquet(path)
    with pytest.raises(
        BertlensError, match=f"cannot use the column 'x' of .*a.parquet; got {got}; expected a string in every row"
    ):
        read_texts(path, column="x")
    assert read_texts(path, column="y") == ("b", "c")


def test_lines_of_pairs() -> None:
    assert split_pairs(["a ||| b", "c\td"]) == (("a", "b"), ("c", "d"))
    with pytest.raises(BertlensError, match="line 1 as a pair; got 1 sentence"):
        split_pairs(["alone"])
