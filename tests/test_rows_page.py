"""Case 1 on the page Shapes: the section about rows by index, by slice and in the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import bertlens
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder
from tests.test_pages import ROOT, alerts
from tests.test_rows import TEXTS


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, memory: Callable[[], None]) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(ROOT)

    def opened(texts: tuple[str, ...] = TEXTS, **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        app.query_params["texts"] = "\n".join(texts)
        for name, value in query.items():
            app.query_params[name] = value
        app.switch_page("pages/2_Shapes.py")
        return app.run()

    return opened


def frames(app: AppTest) -> list[list[str]]:
    return [list(map(str, table.value)) for table in app.dataframe]


def test_the_page_shows_the_case(page: Any, minilm: Checkpoint) -> None:
    app = page(padding="256", text="1")
    assert not app.exception
    rows = bertlens.index_or_slice(minilm, TEXTS, 1, padding=256)
    said = [box.value.replace("\\", "") for box in app.error]
    assert f"**Different**{rows.sentence.removeprefix('Different')}" in said
    codes = [block.value for block in app.code]
    assert rows.accesses[0].refusal in codes
    assert any(
        code.startswith("no error: reads (256,) as (256, 1), 256 sequences of length 1; runs 8 mini-b") for code in codes
    )
    shapes = next(table.value for table in app.dataframe if "stage" in table.value)
    assert shapes.set_index("stage").loc["outputs[0]", "ids[:2]"] == "(2, 256, 384)"
    assert "torch.tensor(ids[1])" not in shapes, "refused alike, and said so above"
    assert any("compared" in columns for columns in frames(app))
    assert any("are the same to the last bit although the texts differ" in block.value for block in app.markdown)
    assert any("`batch-axis-missing`" in block.value for block in app.markdown)
    assert not app.caption or not any("Tried on the first" in caption.value for caption in app.caption)


def test_the_page_with_one_text(page: Any) -> None:
    app = page(TEXTS[:1])
    assert not app.exception
    assert not app.number_input
    assert any("the text's vector" in box.replace("\\", "") for box in alerts(app))
    assert any("With two different texts or more" in block.value for block in app.markdown)


@pytest.mark.parametrize("text", ["99", "²", "-1", "9" * 5000, "x"])
def test_a_link_to_a_text_that_is_not_there_shows_the_first(page: Any, text: str) -> None:
    app = page(TEXTS[:2], text=text)
    assert not app.exception
    assert app.number_input[0].value == 0


def test_many_texts_are_bounded_and_it_is_said(page: Any, family_folder: Folder) -> None:
    app = page(tuple(f"text number {count}" for count in range(70)), checkpoint=str(family_folder("distilbert")))
    assert not app.exception
    assert any("first 64 of 70" in caption.value for caption in app.caption)
    assert next(table.value for table in app.dataframe if "words" in table.value).shape[0] == 64
    assert any("RuntimeError" in block.value for block in app.code)
