"""Texts from an uploaded file: its column is chosen, at most 5,000 texts are used, and what is wrong is one sentence."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

PAGE = """
import streamlit as st
from bertlens.errors import BertlensError
from ui import address
from ui.sidebar import sidebar
address.restore()
try:
    st.session_state["given"] = sidebar()[1]
except BertlensError as error:
    st.session_state["given"] = error.sentence
"""
TWO = "id,review,answer\n1,first review,yes please\n2,second review,no thanks\n"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("streamlit.page_link", lambda *_, **__: None)  # a script of a string has no pages beside it
    opened = AppTest.from_string(PAGE, default_timeout=60)
    opened.query_params["texts"] = "from the box"
    return opened.run()


def upload(app: AppTest, name: str, content: str | bytes) -> Any:
    """The texts of the page after a file was dropped on it."""
    app.file_uploader(key="file_upload").set_value((name, content.encode() if isinstance(content, str) else content, ""))
    return given(app.run())


def given(app: AppTest) -> Any:
    assert not app.exception
    return app.session_state["given"]


def click(app: AppTest, label: str) -> Any:
    next(button for button in app.button if button.label.startswith(label)).click()
    return given(app.run())


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def captions(app: AppTest) -> str:
    return "\n".join(box.value.replace("\\", "") for box in app.caption)


def test_a_list_of_lines_is_one_step_and_the_box_comes_back(app: AppTest) -> None:
    assert given(app) == ("from the box",)
    assert upload(app, "texts.txt", "one\ntwo\n") == ("one", "two")
    assert app.text_area(key="edit_texts").disabled
    assert labels(app) == ["Back to the box"]  # there is no other column
    assert click(app, "Back to the box") == ("from the box",)
    assert not app.text_area(key="edit_texts").disabled and not app.info


def test_one_column_with_words_is_one_step(app: AppTest) -> None:
    assert upload(app, "a.csv", "id,anything,score\n1,first one,0.5\n2,second one,1e-3\n") == ("first one", "second one")


def test_a_column_is_chosen_seen_used_and_chosen_again(app: AppTest) -> None:
    assert upload(app, "reviews.csv", TWO) == ("from the box",)
    assert app.selectbox(key="file_column").options == ["review", "answer"]  # numbers are no texts
    assert "0: first review" in captions(app) and "1: second review" in captions(app)
    app.selectbox(key="file_column").set_value("answer").run()
    assert "0: yes please" in captions(app) and "first review" not in captions(app)
    assert click(app, "Use these 2 texts") == ("yes please", "no thanks")
    assert "“answer”" in app.info[0].value
    assert click(app, "Choose another column") == ("from the box",)
    assert app.selectbox(key="file_column").value == "answer"
    app.selectbox(key="file_column").set_value("review").run()
    assert click(app, "Use these") == ("first review", "second review")


@pytest.mark.parametrize(
    ("header", "first"), [("a,sentence,text", "text"), ("a,sentence,b", "sentence"), ("a,b,c", "a"), ("Text,b,c", "Text")]
)
def test_the_likeliest_column_stands_first(app: AppTest, header: str, first: str) -> None:
    upload(app, "a.csv", f"{header}\nx,y,z\n")
    assert app.selectbox(key="file_column").value == first


def test_more_than_five_thousand_rows(app: AppTest) -> None:
    rows = "".join(f"text {number},other {number}\n" for number in range(6_000))
    upload(app, "many.csv", f"text,other\n{rows}")
    assert "6,000 texts; the first 5,000 are used" in captions(app)
    found = click(app, "Use these 5,000 texts")
    assert found == tuple(f"text {number}" for number in range(5_000))
    assert "6,000 texts; the first 5,000 are used" in app.info[0].value.replace("\\", "")


def test_five_thousand_rows_are_all_used_and_nothing_is_said_of_a_limit(app: AppTest) -> None:
    found = upload(app, "enough.txt", "\n".join(f"text {number}" for number in range(5_000)))
    assert len(found) == 5_000 and "first" not in app.info[0].value


def test_pairs_ask_for_a_second_column(app: AppTest) -> None:
    app.checkbox(key="edit_pairs").check().run()
    upload(app, "pairs.csv", TWO)
    assert app.selectbox(key="file_second").options == ["answer"]
    assert "first review ||| yes please" in captions(app)
    pairs = (("first review", "yes please"), ("second review", "no thanks"))
    assert click(app, "Use these 2 pairs") == pairs
    app.checkbox(key="edit_pairs").uncheck().run()
    assert app.selectbox(key="file_column").value == "review"  # a single text is another choice, so it is asked for again
    assert click(app, "Use these 2 texts") == ("first review", "second review")


def test_lines_of_pairs_are_split_and_a_line_that_is_none_is_told(app: AppTest) -> None:
    app.checkbox(key="edit_pairs").check().run()
    assert upload(app, "pairs.txt", "a ||| b\nc\td\n") == (("a", "b"), ("c", "d"))
    app.checkbox(key="edit_pairs").uncheck().run()
    assert given(app) == ("a ||| b", "c\td")
    click(app, "Back to the box")
    app.checkbox(key="edit_pairs").check().run()
    upload(app, "pairs.txt", "a ||| b\nalone\n")
    assert "cannot read line 2 as a pair" in app.error[0].value and len(app.error) == 1
    assert "Use these" not in " ".join(labels(app))


def parquet(**columns: list[Any]) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


def test_a_parquet_file(app: AppTest) -> None:
    content = parquet(n=[1, 2], text=["one", None], other=["three", "four"])
    upload(app, "a.parquet", content)
    assert app.selectbox(key="file_column").options == ["text", "other"]
    assert "column 'text' of a.parquet; got no value in row 1" in app.error[0].value.replace("\\", "")
    app.selectbox(key="file_column").set_value("other").run()
    assert not app.error
    assert click(app, "Use these") == ("three", "four")


def test_a_jsonl_file_with_other_keys_in_every_line(app: AppTest) -> None:
    lines = [{"title": "one", "body": "first"}, {"body": "second", "stars": 5}, {"body": "third", "title": None}]
    upload(app, "a.jsonl", "\n".join(map(json.dumps, lines)))
    assert app.selectbox(key="file_column").options == ["title", "body"]
    assert "column 'title' of a.jsonl; got no value in row 1" in app.error[0].value.replace("\\", "")
    app.selectbox(key="file_column").set_value("body").run()
    assert click(app, "Use these 3 texts") == ("first", "second", "third")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"text\ncaf\xe9\n", "cannot read the texts from a.csv; got bytes that are not UTF-8"),
        ("a.parquet", b"PAR1", "cannot read the texts from a.parquet; got a broken .parquet file"),
        ("a.jsonl", b"", "cannot find texts in a.jsonl; got no columns"),
        ("a.csv", b"text,other\n", "cannot find texts in a.csv; got no string in the columns text, other"),
        ("a.txt", b" \n", "there is nothing to run; got only blanks"),
        ("a.parquet", parquet(n=[1, 2], m=[0.5, None]), "cannot find texts in a.parquet; got no string in the columns n, m"),
    ],
)
def test_a_bad_file_is_one_sentence_and_nothing_typed_is_lost(app: AppTest, name: str, content: bytes, said: str) -> None:
    assert upload(app, name, content) == ("from the box",)
    assert len(app.error) == 1 and said in app.error[0].value.replace("\\", "")
    assert "/tmp" not in app.error[0].value
    assert app.text_area(key="edit_texts").value == "from the box"
    assert upload(app, "good.txt", "one") == ("one",)  # and another file mends it
    assert not app.error


def test_markup_in_a_name_and_in_a_text_stays_text(app: AppTest, tmp_path: Path) -> None:
    upload(app, "<b>**x**</b>.csv", "**a**,b\n<img src=x> $y$,z\n")
    told = [box.value for box in app.caption if "img" in box.value or "x" in box.value]
    assert told and not any("<img" in box.replace("\\<", "") or "**x**" in box for box in told)
    click(app, "Use these")
    assert "<b>" not in app.info[0].value.replace("\\<", "")
