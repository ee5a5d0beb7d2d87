"""The page Pooling as AppTest draws it: every readout from one pass, and no number that the core does not have."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

import bertlens
from bertlens.read import survey
from bertlens.run.checkpoint import Checkpoint
from tests.test_pages import alerts, offline, opened

__all__ = ["offline"]
PAGE = "pages/5_Pooling.py"
TEXTS = "The bank raised its rates.\nWe sat on the bank of the river and watched.\nRain\nWhy do they disagree?"


@pytest.fixture(scope="module")
def page() -> AppTest:
    return opened(PAGE, texts=TEXTS)


def readouts(page: AppTest) -> list[str]:
    return list(next(frame.value for frame in page.dataframe if "declared by the checkpoint" in frame.value)["readout"])


def test_the_page_says_what_the_core_says(page: AppTest, minilm: Checkpoint) -> None:
    found = bertlens.pooling(minilm, TEXTS.split("\n"))
    assert (not page.exception and not page.error) or [box.value for box in page.error]
    shown = next(box for box in alerts(page) if box.startswith("**Usable with care**"))
    assert shown.replace("\\", "").replace("**", "") == found.sentence
    assert readouts(page) == list(found.readouts)
    table = next(frame.value for frame in page.dataframe if "declared by the checkpoint" in frame.value)
    assert list(table.loc[table["declared by the checkpoint"], "readout"]) == ["mean|l2"]
    assert dict(zip(table["readout"], table["meaningless here"], strict=True))["pooler"] == "pooler-untrained"


def test_the_trap_is_shown_with_its_verdict(page: AppTest, minilm: Checkpoint) -> None:
    trap = bertlens.padding_trap(minilm, poolings=("mean_all", "mean", "cls", "max", "weightedmean", "lasttoken"))
    shown = next(box.value for box in page.error if box.value.startswith("**Different**"))
    shown = shown.replace("\\", "").replace("**", "")
    assert shown == trap.sentence
    assert "mean_all" in shown and "mean, cls" in shown


def test_readouts_of_one_s_own_run_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(PAGE, texts=TEXTS)

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a forward pass")

    monkeypatch.setattr(survey, "forward", refuse)
    page.multiselect(key="edit_readouts").set_value(["mean", "cls@2"])
    page.run()
    assert not page.exception and readouts(page) == ["mean", "cls@2"]
    page.toggle(key="edit_l2").set_value(True).run()
    assert not page.exception and readouts(page) == ["mean|l2", "cls@2|l2"]
    page.button_group(key="edit_agree").set_value("cosine").run()
    assert not page.exception
    assert page.query_params["readouts"] == "mean,cls@2" and page.query_params["l2"] == "on"


def test_a_wrong_readout_is_one_sentence_and_stays_in_the_box() -> None:
    page = opened(PAGE, texts=TEXTS, readouts="mean,nonsense")
    assert not page.exception
    assert any("nonsense" in box.value for box in page.error)
    assert page.multiselect(key="edit_readouts").value == ["mean", "nonsense"]


@pytest.mark.parametrize("texts", ["One text alone", "The same\nThe same"])
def test_too_few_texts_to_compare_are_said(texts: str) -> None:
    page = opened(PAGE, texts=texts)
    assert not page.exception
    assert any("needs three texts" in box for box in alerts(page))
