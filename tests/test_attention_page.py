"""The page Attention as AppTest draws it: one pass for a text, then every head from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

import bertlens
from bertlens.read import attention as reading
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder
from tests.families import FAMILIES
from tests.test_pages import alerts, offline, opened

__all__ = ["offline"]
PAGE = "pages/8_Attention.py"
TEXTS = "The bank raised its rates.\nThe the the the bank of the river, where nobody sat.\nRain"
PARTS = [
    "Every head of every layer",
    "Which token looks at which",
    "Does anybody look at padding?",
    "Two side by side",
    "All texts",
    "What does eager attention change?",
    "The same in Python",
]


@pytest.fixture(scope="module")
def passes() -> Iterator[list[int]]:
    """The forward passes that are made with eager attention, each by its number of texts."""
    asked: list[int] = []
    patched = pytest.MonkeyPatch()
    real = reading.attentions

    def told(inputs, *rest, **options):
        asked.append(len(inputs))
        return real(inputs, *rest, **options)

    patched.setattr(reading, "attentions", told)
    yield asked
    patched.undo()


@pytest.fixture(scope="module")
def page(passes: list[int]) -> AppTest:
    return opened(PAGE, texts=TEXTS)


def test_the_page_says_what_the_core_says(page: AppTest, minilm: Checkpoint) -> None:
    found = bertlens.attention(minilm, TEXTS.split("\n"))
    assert not page.exception and not page.error
    assert "exactly 0 in every head" in found.sentence
    boxes = [box.replace("\\", "").replace("**", "") for box in alerts(page)]
    assert found.sentence in boxes
    assert [header.value for header in page.subheader] == PARTS
    told = [block.value.replace("\\", "") for block in page.markdown]
    assert bertlens.attention_to_padding(minilm, TEXTS.split("\n"), padding=2 * len(found.tokens)).sentence in told
    assert bertlens.attention_of_texts(minilm, TEXTS.split("\n")).sentence in told
    compared = bertlens.compare(minilm, TEXTS.split("\n")[:1], reference="attention=sdpa", candidate="attention=eager")
    assert compared.verdict == "rounding" and compared.sentence in boxes
    assert len(page.get("plotly_chart")) == 10


def test_another_view_runs_nothing_again(page: AppTest, passes: list[int]) -> None:
    page.run()
    passes.clear()
    page.button_group(key="edit_measure").set_value("to_sep").run()
    page.selectbox(key="edit_layer").set_value("2").run()
    page.selectbox(key="edit_head").set_value("7").run()
    page.selectbox(key="edit_head").set_value("rollout").run()
    page.selectbox(key="edit_token").set_value("3").run()
    assert not page.exception and passes == []
    assert any("mixed with 0.5 of the identity" in caption.value for caption in page.caption)
    assert {name: page.query_params[name] for name in ("measure", "layer", "head", "token")} == {
        "measure": "to_sep",
        "layer": "2",
        "head": "rollout",
        "token": "3",
    }
    page.number_input(key="edit_text").set_value(1).run()
    assert passes and not page.exception, "another text is another pass, so that what is counted is counted"


def test_a_link_opens_the_view_that_it_names() -> None:
    query = {"measure": "distance", "layer": "3", "head": "5", "text": "1", "token": "2", "padded": "40"}
    page = opened(PAGE, texts=TEXTS, **query, beside="conditions", reference="padding=30", candidate="padding=30,mask=off")
    assert not page.exception and not page.error
    assert page.selectbox(key="edit_layer").value == "3" and page.selectbox(key="edit_head").value == "5"
    assert page.selectbox(key="edit_token").value == "2" and page.number_input(key="edit_padded").value == 40
    captions = " ".join(caption.value for caption in page.caption).replace("\\", "")
    assert "Layer 3, head 5: rows are the tokens that look" in captions
    assert "nobody looks at the" in captions and "Faulty: text 1 gives" in captions
    assert "Between the same two tokens their weights differ by at most 0." in captions
    assert "text, layer, head, token = 1, 3, 5, 2" in page.code[-1].value


@pytest.mark.parametrize("wrong", ["-1", "²", "99", "0"])
def test_a_link_with_what_is_not_there_shows_the_first(wrong: str, family_folder: Folder) -> None:
    names = ("measure", "layer", "head", "token", "padded", "beside", "other")
    text = wrong if wrong != "0" else "x"
    page = opened(PAGE, texts=TEXTS, checkpoint=str(family_folder("bert")), text=text, **dict.fromkeys(names, wrong))
    assert not page.exception and not page.error
    assert page.selectbox(key="edit_layer").value == "3" and page.selectbox(key="edit_head").value == "mean"
    assert page.selectbox(key="edit_token").value == "0" and page.number_input(key="edit_text").value == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_and_pairs_and_a_single_text(family: str, family_folder: Folder) -> None:
    page = opened(PAGE, checkpoint=str(family_folder(family)), texts="Who is it? ||| A friend of yours.", pairs="on", head="2")
    assert not page.exception and not page.error
    assert [header.value for header in page.subheader] == [part for part in PARTS if part != "All texts"]
    only_eager = any("no other attention than eager" in box for box in alerts(page))
    assert only_eager == (family == "mpnet")


def test_a_text_that_fills_all_positions_and_a_condition_without_attention(family_folder: Folder) -> None:
    page = opened(
        PAGE,
        checkpoint=str(family_folder("bert")),
        texts="word " * 100 + "\n" + "\n".join(f"text {number}" for number in range(19)),
        beside="conditions",
        candidate="rows=index",
    )
    assert not page.exception and len(page.error) == 1 and "batch axis" in page.error[0].value
    assert any("no padding fits" in box for box in alerts(page))
    assert any("truncated" in box.replace("\\", "") for box in [block.value for block in page.markdown] + alerts(page))
    assert [header.value for header in page.subheader] == PARTS
