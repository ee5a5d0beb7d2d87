"""Every page as a visitor without a browser sees it: AppTest runs the script and reads what it would draw."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import bertlens
from bertlens.judge.wording import number
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder

ROOT = Path(__file__).parent.parent
PAGES = (
    "app.py",
    "pages/1_Batch_and_padding.py",
    "pages/2_Shapes.py",
    "pages/3_Checkpoint.py",
    "pages/4_Layers.py",
    "pages/5_Pooling.py",
    "pages/6_Embedding_lookup.py",
    "pages/7_Classification_head.py",
    "pages/8_Attention.py",
    "pages/9_Identify.py",
    "pages/10_Cases.py",
)
COMPARE = "pages/1_Batch_and_padding.py"
TEXTS = "A short text.\nA text that is a good deal longer than the first one, and padded less."


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, memory: Callable[[], None]) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(ROOT)


@pytest.fixture
def small(family_folder: Folder) -> str:
    """A checkpoint of 64 positions, for what does not hang on the weights: the page sweeps up to the longest input."""
    return str(family_folder("bert"))


def opened(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    if page != "app.py":
        app.switch_page(page)
    return app.run()


def alerts(app: AppTest) -> list[str]:
    return [box.value for kind in (app.success, app.info, app.warning, app.error) for box in kind]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_without_an_exception_and_with_an_answer(page: str) -> None:
    app = opened(page)
    assert not app.exception
    assert not app.error or page != "app.py"
    assert alerts(app), "no answer on the page"


def test_home_says_what_the_core_says(minilm: Checkpoint) -> None:
    app = opened("app.py", texts=TEXTS)
    found = bertlens.diagnosis(minilm, TEXTS.split("\n"))
    assert app.warning[0].value.startswith("**Usable with care**")
    shown = " ".join(block.value for block in app.markdown)
    for finding in found.findings:
        assert f"`{finding.id}`" in shown
    for change in found.changes:
        assert f"`{number(change.max_abs)}`" in shown
    assert any(f"{len(found.passed)} checks passed" in box.label for box in app.expander)


def test_home_reads_vectors_as_it_is_told() -> None:
    app = opened("app.py", texts=TEXTS, read="pooler")
    assert app.error[0].value.startswith("**Faulty**: The pooler")
    assert not opened("app.py", texts=TEXTS, read="no-such-thing").exception


def test_a_link_brings_conditions_and_texts(minilm: Checkpoint) -> None:
    app = opened(COMPARE, texts=TEXTS, candidate="mask=off", readout="mean")
    assert not app.exception
    assert app.error[0].value.startswith("**Different**")
    expected = bertlens.compare(minilm, TEXTS.split("\n"), candidate="mask=off", readout="mean")
    assert app.metric[0].value == number(expected.worst.max_abs)
    assert "attention\\_mask" in " ".join(block.value for block in app.markdown)


def test_the_right_way_is_silent() -> None:
    app = opened(COMPARE, texts=TEXTS, candidate="side=left,positions=from-mask")
    assert not app.exception
    assert not app.error
    assert app.info[0].value.startswith("**Rounding**")


def test_figures_and_tables_stand_together() -> None:
    app = opened(COMPARE, texts=TEXTS, candidate="mask=off", readout="mean")
    figures = app.get("plotly_chart")
    assert len(figures) == 4
    texts = json.loads(figures[0].proto.spec)
    assert [trace["name"] for trace in texts["data"] if trace.get("name")] == [
        "as run: identical",
        "as run: different",
        "both in float64",
        "what rounding reaches in float64",
    ]
    sweep = json.loads(figures[3].proto.spec)
    assert [trace["name"] for trace in sweep["data"]] == [
        "mask on, float32",
        "mask off, float32",
        "mask on, float64",
        "mask off, float64",
    ]
    assert len(app.dataframe) == 5


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"texts": "  \n \n"}, "there is nothing to run"),
        ({"texts": TEXTS, "candidate": "mask=of"}, "cannot set mask"),
        ({"texts": TEXTS, "candidate": "maks=off"}, "did you mean 'mask'?"),
        ({"texts": TEXTS, "readout": "clss"}, "cannot read the readout"),
        ({"texts": TEXTS, "candidate": "padding=600"}, "at most 512"),
        ({"texts": TEXTS, "candidate": "padding=3"}, "cannot pad to 3 tokens"),
        ({"texts": TEXTS, "checkpoint": "nobody/nothing"}, "nobody/nothing"),
        ({"texts": TEXTS, "checkpoint": "/no/such/folder"}, "no such folder"),
        ({"texts": "one sentence only", "pairs": "on"}, "as a pair"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_lost(query: dict[str, str], said: str) -> None:
    app = opened(COMPARE, **query)
    assert not app.exception
    assert len(app.error) == 1
    assert said in app.error[0].value
    for name in ("texts", "candidate"):
        shown = {field.key: field.value for field in (*app.text_area, *app.text_input)}
        if name in query and f"edit_{name}" in shown:
            assert shown[f"edit_{name}"] == query[name]


def test_markup_in_a_text_is_shown_and_never_read(small: str) -> None:
    text = "<b>bold</b> **star** $x$ :red[no] [link](x)"
    app = opened(COMPARE, texts=f"{text}\nsecond", text="0", checkpoint=small)
    assert not app.exception
    captions = [caption.value for caption in app.caption]
    assert any("\\<b\\>bold" in caption and "\\*\\*star" in caption and "\\:red" in caption for caption in captions)
    assert text in app.dataframe[0].value["words"].tolist()


def test_switching_pages_keeps_checkpoint_and_texts(small: str) -> None:
    app = opened("app.py", texts=TEXTS, checkpoint=small)
    for page in ("pages/2_Shapes.py", COMPARE):
        app.switch_page(page).run()
        assert not app.exception
        assert app.text_area(key="edit_texts").value == TEXTS
        assert app.selectbox(key="edit_checkpoint").value == small


def test_a_preset_sets_both_conditions_and_the_readout(small: str) -> None:
    app = opened(COMPARE, texts=TEXTS, checkpoint=small)
    pills: Any = app.get("button_group")[0]
    pills.set_value("mean over padding").run()
    shown = {field.key: field.value for field in (*app.text_input, *app.selectbox)}
    assert (shown["edit_reference"], shown["edit_candidate"], shown["edit_readout"]) == ("batch=alone", "", "mean_all")
    assert app.error[0].value.startswith("**Different**")


def test_one_key_is_written_into_the_condition(small: str) -> None:
    app = opened(COMPARE, texts=TEXTS, checkpoint=small)
    app.selectbox(key="key_candidate_mask").set_value("inverted").run()
    assert app.text_input(key="edit_candidate").value == "mask=inverted"
    assert app.error[0].value.startswith("**Different**")


def test_two_visitors_do_not_see_each_other(small: str) -> None:
    first = opened(COMPARE, texts="first visitor\nfirst visitor's longer text", checkpoint=small)
    second = opened(COMPARE, texts=TEXTS, checkpoint=small)
    assert first.text_area[0].value != second.text_area[0].value
    first.run()
    assert "first visitor" in str(first.text_area[0].value)
    assert any("first visitor" in block.value for block in (*first.markdown, *first.caption))
    assert not any("first visitor" in block.value for block in (*second.markdown, *second.caption))


def test_one_text_alone_is_enough(small: str) -> None:
    app = opened(COMPARE, texts="just one text", checkpoint=small)
    assert not app.exception
    assert app.success[0].value.startswith("**Identical**")


def test_shapes_name_every_axis() -> None:
    app = opened("pages/2_Shapes.py", texts=TEXTS)
    frames = [table.value for table in app.dataframe]
    frame: Any = next(frame for frame in frames if "tensor" in frame).set_index("tensor")
    assert frame.loc["last_hidden_state", "axes"] == "batch × tokens × hidden"
    assert frame.loc["last_hidden_state", "shape"].startswith("2 × ")
    assert app.error[0].value.startswith("**Different**")


def test_a_pooler_that_is_not_in_the_file_is_flagged_beside_its_shape(family_folder: Folder) -> None:
    app = opened("pages/2_Shapes.py", texts=TEXTS, checkpoint=str(family_folder("bert", head="masked-lm")))
    assert not app.exception
    assert any("problem" in block.value and "`pooler-missing`" in block.value for block in app.markdown)


def test_a_pooler_from_the_file_is_not_flagged(family_folder: Folder) -> None:
    app = opened("pages/2_Shapes.py", texts=TEXTS, checkpoint=str(family_folder("bert")))
    frames: list[Any] = [table.value for table in app.dataframe]
    assert "pooler_output" in next(frame for frame in frames if "tensor" in frame)["tensor"].tolist()
    assert not any("pooler-missing" in block.value for block in app.markdown)


@pytest.mark.parametrize("wrong", ["9" * 5000, "٣", "-1", "1.5", "99"])
def test_a_number_that_a_link_names_wrongly_is_the_default(wrong: str) -> None:
    app = opened("pages/8_Attention.py", texts=TEXTS, text=wrong, token=wrong, layer=wrong, padded=wrong)
    assert not app.exception
    assert app.number_input(key="edit_text").value == 0


def test_situations_that_change_nothing_are_drawn_beside_one_that_gives_no_number() -> None:
    def script() -> None:
        from bertlens.judge.diagnosis import Change
        from ui.diagnosis import changes_picture

        broken = Change("broken", "why", "", "", "cls", "undecided", None, None, "said")
        changes_picture([broken, Change("harmless", "why", "", "", "cls", "identical", 0.0, None, "said")])

    app = AppTest.from_function(script, default_timeout=120).run()
    assert not app.exception
    (picture,) = app.get("plotly_chart")
    assert "as run: identical" in picture.proto.spec and "broken" not in picture.proto.spec
