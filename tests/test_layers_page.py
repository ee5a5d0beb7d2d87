"""The page Layers as AppTest draws it: one pass over the texts, then every picture from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

import bertlens
from bertlens.read import states as reading
from bertlens.read import survey
from bertlens.run.checkpoint import Checkpoint
from tests.test_pages import alerts, offline, opened

__all__ = ["offline"]
PAGE = "pages/4_Layers.py"
TEXTS = "The bank raised its rates.\nThe the the the bank of the river, where nobody sat.\nRain"


@pytest.fixture(scope="module")
def forwards() -> Iterator[list[str]]:
    """Every forward pass that the page asks for, told by who asked."""
    asked: list[str] = []
    patched = pytest.MonkeyPatch()
    for module in (survey, reading):
        original = module.forward

        def told(*arguments, name=module.__name__, real=original, **options):
            asked.append(name)
            return real(*arguments, **options)

        patched.setattr(module, "forward", told)
    yield asked
    patched.undo()


@pytest.fixture(scope="module")
def page() -> AppTest:
    return opened(PAGE, texts=TEXTS)


def test_the_page_says_what_the_core_says(page: AppTest, minilm: Checkpoint) -> None:
    found = bertlens.layers(minilm, TEXTS.split("\n"))
    assert not page.exception and not page.error
    shown = next(box for box in alerts(page) if box.startswith(("**Sound**", "**Usable with care**")))
    assert shown.replace("\\", "").replace("**", "") == found.sentence
    assert [header.value for header in page.subheader] == [
        "Every hidden state",
        "Why are all my cosines high?",
        "Your texts through the layers",
        "One text, token by token",
        "The same text under two conditions",
        "The same in Python",
    ]
    assert "is bit-equal to" in " ".join(caption.value for caption in page.caption)


def test_another_view_runs_nothing_again(page: AppTest, forwards: list[str]) -> None:
    page.run()
    forwards.clear()
    page.button_group(key="edit_measure").set_value("norm").run()
    page.button_group(key="edit_pooling").set_value("mean").run()
    page.selectbox(key="edit_layer").set_value(2).run()
    page.selectbox(key="edit_token").set_value(3).run()
    assert not page.exception
    assert page.query_params["measure"] == "norm" and page.query_params["layer"] == "2"
    assert forwards == []
    page.number_input(key="edit_text").set_value(1).run()
    assert forwards and not page.exception, "another text is another pass, so that what is counted is counted"


def test_a_link_opens_the_view_that_it_names() -> None:
    page = opened(PAGE, texts=TEXTS, measure="to_last", pooling="max", layer="1", text="1", token="2")
    assert not page.exception
    assert page.selectbox(key="edit_layer").value == 1 and page.selectbox(key="edit_token").value == 2
    assert page.button_group(key="edit_measure").value == "to_last"
    assert page.button_group(key="edit_pooling").value == "max"
    assert "--readout max" in page.code[-1].value


@pytest.mark.parametrize("query", [{"measure": "x", "pooling": "y", "layer": "99", "text": "-1", "token": "²"}])
def test_a_link_with_what_is_not_there_shows_the_first(query: dict[str, str]) -> None:
    page = opened(PAGE, texts=TEXTS, **query)
    assert not page.exception and not page.error
    assert page.selectbox(key="edit_layer").value == 6 and page.selectbox(key="edit_token").value == 0


def test_one_text_has_no_pair_and_says_so() -> None:
    page = opened(PAGE, texts="One text alone")
    assert not page.exception and not page.error
    assert any("no other to be like" in box for box in alerts(page))
