"""The page Embedding lookup as AppTest draws it: every section, edits, wrong links, and what families lack."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

import bertlens
from bertlens.run import embedded
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder
from tests.test_pages import alerts, offline, opened

__all__ = ["offline"]
PAGE = "pages/6_Embedding_lookup.py"
TEXTS = "The river bank was flooded.\nThe bank raised its rates again.\nRain"
HEADERS = [
    "What is added up",
    "Fed back as inputs_embeds",
    "Padding that vectors do not show",
    "What the lookup costs",
    "Edit the lookup",
    "Nearest entries of the vocabulary",
    "Segments all ones",
    "Positions of one's own",
    "The same in Python",
]


@pytest.fixture(scope="module")
def passes() -> Iterator[list[str]]:
    """Every forward pass with all states that the page asks for."""
    asked: list[str] = []
    patched, real = pytest.MonkeyPatch(), embedded.one_pass

    def told(*arguments, **options):
        asked.append("pass")
        return real(*arguments, **options)

    patched.setattr(embedded, "one_pass", told)
    yield asked
    patched.undo()


@pytest.fixture(scope="module")
def page() -> AppTest:
    return opened(PAGE, texts=TEXTS)


def failed(page: AppTest) -> list[str]:
    """What could not be done; a verdict, which begins with its word in bold, is none of that."""
    return [plain(box.value) for box in page.error if not box.value.startswith("**")]


def plain(text: str) -> str:
    return text.replace("\\", "").replace("**", "")


def test_the_page_says_what_the_core_says(page: AppTest, minilm: Checkpoint) -> None:
    assert not page.exception and not failed(page)
    assert [header.value for header in page.subheader] == HEADERS
    said = [plain(box) for box in alerts(page)]
    assert bertlens.lookup(minilm, TEXTS.split("\n")).sentence in said
    assert bertlens.edit(minilm, TEXTS.split("\n"), edits="1:zero", pooling="cls").sentence in said
    compared = bertlens.compare(minilm, TEXTS.split("\n"), candidate="batch=alone,segments=ones")
    assert compared.sentence in said and compared.verdict == "different"
    assert any("all zeros" in box for box in said) == (page.selectbox(key="edit_token").value == 1)


def test_another_view_runs_nothing_again_and_another_edit_does(page: AppTest, passes: list[str]) -> None:
    page.run()
    passes.clear()
    page.button_group(key="edit_moved").set_value("cosine").run()
    page.button_group(key="edit_near").set_value("dot").run()
    page.selectbox(key="edit_token").set_value(1).run()
    assert not page.exception and passes == []
    assert any("all zeros" in plain(box) for box in alerts(page)), "the edited vector of token 1 has no direction"
    page.text_input(key="edit_edits").set_value("2:scale=3").run()
    assert passes and not page.exception and page.query_params["edits"] == "2:scale=3"


def test_an_edit_put_together_joins_the_others(page: AppTest) -> None:
    page.selectbox(key="edit_form_token").set_value(3)
    page.selectbox(key="edit_form_kind").set_value("noise").run()
    page.text_input(key="edit_form_noise").set_value("0.25@4").run()
    next(button for button in page.button if button.label == "Add").click().run()
    assert page.text_input(key="edit_edits").value == "2:scale=3;3:noise=0.25@4"
    assert not page.exception and not failed(page)
    next(button for button in page.button if button.label == "Clear").click().run()
    assert any("No edit" in box for box in alerts(page)) and not page.exception


def test_what_a_link_names_wrongly_is_one_sentence_or_the_first() -> None:
    wrong = {"moved": "x", "near": "y", "text": "99", "token": "-4", "pooling": "z", "edits": "44:zero;1:nothing"}
    page = opened(PAGE, texts=TEXTS, **wrong)
    assert not page.exception
    assert any("the kind 'nothing'" in told for told in failed(page))
    page = opened(PAGE, texts=TEXTS, edits="44:zero")
    assert any("token 44 of a text with" in told for told in failed(page)) and page.subheader[-1].value == "The same in Python"


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("roberta", ("Faulty: from vectors", "a segment table of one row")),
        ("modernbert", ("it looks no positions up", "no segment table", "Only the word vector")),
        ("albert", ("the output of the embedding module gives others",)),
    ],
)
def test_what_a_family_lacks_is_said(family_folder: Folder, family: str, told: tuple[str, ...]) -> None:
    page = opened(PAGE, checkpoint=str(family_folder(family)), texts="Rain", edits="1:scale=2")
    assert not page.exception and not failed(page)
    said = " ".join(plain(box) for box in alerts(page))
    assert all(words in said for words in told)
    assert "One text has no neighbours" in said


def test_pairs_are_counted_apart(family_folder: Folder) -> None:
    pairs = "Who is it? ||| A friend of yours.\nYes ||| No"
    page = opened(PAGE, checkpoint=str(family_folder("bert")), texts=pairs, pairs="on", edits="")
    assert not page.exception and not failed(page)
    assert any("counted from its own start" in box and "Different" in box for box in alerts(page))


def test_a_vector_of_a_file_takes_the_place_of_a_token(family_folder: Folder) -> None:
    page = opened(PAGE, checkpoint=str(family_folder("bert")), texts="Rain fell", edits="1:vector=mine.json")
    assert any("no vector called 'mine.json'" in told for told in failed(page))
    page.session_state["lookup_files"] = {"mine.json": ("mine.json", json.dumps([0.5] * 32).encode())}
    page.run()
    assert not page.exception and not failed(page)
    assert any(box.startswith("**Different**: 1 of") for box in alerts(page))
    page.session_state["lookup_files"] = {"mine.json": ("mine.json", b"[1, 2]")}
    page.run()
    assert any("got 2 numbers; expected 32" in told for told in failed(page)) and not page.exception
