"""The page Identify as AppTest draws it: files and pastes, the verdict and what follows from it, and what cannot be read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import bertlens
from bertlens import diagnose
from bertlens.judge.identification import Identification
from bertlens.read.post import Post
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe, made
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.show import identification as pictures
from tests.conftest import Loaded
from tests.test_lookup_page import failed, plain
from tests.test_pages import alerts, offline, opened

__all__ = ["offline"]
PAGE = "pages/9_Identify.py"
TEXTS = ("The river bank was flooded.", "The bank raised its rates again, and nobody knew why.", "Rain")
FAULTY = Recipe(Condition.parse("mask=off"), Readout.parse("mean|l2"), Post(store="float16"))
HEADERS = ["The recipe", "What to change", "Against the other recipes", "Text by text", "Order"]


@pytest.fixture(scope="module")
def bert(loaded: Loaded) -> Checkpoint:
    return loaded("bert")


def npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def page(checkpoint: Checkpoint, **query: str) -> AppTest:
    return opened(PAGE, checkpoint=str(checkpoint.folder), texts="\n".join(TEXTS), **query)


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader(key="vectors_upload").set_value((name, content, ""))
    return app.run()


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return app.run()


def figures(app: AppTest) -> list[Any]:
    return [json.loads(figure.proto.spec) for figure in app.get("plotly_chart")]


def test_a_file_is_identified_when_the_button_is_pressed(bert: Checkpoint) -> None:
    stored = made(bert, TEXTS, FAULTY)[[0, 2, 1]]
    app = page(bert)
    assert not app.exception and "vectors from elsewhere" in app.info[0].value
    app = upload(app, "mine.npy", npy(stored.astype(np.float16)))
    assert not app.exception and not app.subheader, "nothing runs before the button is pressed"
    assert any("3 vectors of 32 numbers from mine.npy, float16" in plain(caption.value) for caption in app.caption)
    app = press(app, "Identify")
    assert not app.exception and not failed(app)
    expected = bertlens.identify(bert, TEXTS, stored)
    assert expected.verdict == "found" and expected.order == "permuted"
    said = [plain(box) for box in alerts(app)]
    assert any(box.startswith("Found: ") and expected.best is not None and expected.best.recipe.words in box for box in said)
    assert [header.value for header in app.subheader][:5] == HEADERS
    assert app.subheader[-1].value == "The same in Python"
    ids = " ".join(block.value for block in app.markdown)
    assert "`attention-mask-missing`" in ids and "`rows-reordered`" in ids
    scripts = [code.value for code in app.code if "AutoModel" in code.value]
    assert len(scripts) == 1 and "the mask is forgotten" in scripts[0] and "row_of_text = [0, 2, 1]" in scripts[0]
    tables = [table.value for table in app.dataframe]
    order = next(frame for frame in tables if "how" in frame)
    assert order["row"].tolist() == [0, 2, 1] and order["how"].tolist() == ["", "moved", "moved"]
    app.text_area(key="edit_texts").set_value("Other texts\nare here\nnow").run()
    assert not app.subheader and any("press the button" in caption.value for caption in app.caption)


def test_the_pictures_hold_the_numbers_of_the_result(bert: Checkpoint) -> None:
    found = bertlens.identify(bert, TEXTS, made(bert, TEXTS, FAULTY)[[0, 2, 1]])
    assert found.best is not None
    line, fits, others = pictures.candidates(found).data
    assert list(fits.customdata) == [found.best.max_abs] and fits.marker.symbol != others.marker.symbol
    assert list(others.customdata) == [one.max_abs for one in found.alternatives]
    assert list(line.customdata) == [one.floor for one in (found.best, *found.alternatives)]
    positive = [one.max_abs for one in (found.best, *found.alternatives) if one.max_abs > 0]
    figure = pictures.candidates(found)
    assert figure.layout.xaxis.type == "log" and figure.layout.xaxis.ticktext[0] == "0"
    assert figure.layout.xaxis.tickvals[0] < min(positive)
    _, explained, left_over = pictures.rows(found).data
    assert sorted([*explained.x, *left_over.x]) == [0, 1, 2] and len(left_over.x) == sum(
        not row.explained for row in found.rows
    )
    steps = pictures.steps(found.best.recipe).set_index("step")
    assert steps.loc["mask", "value"] == "off" and steps.loc["afterwards", "meaning"] == "stored as float16"


def test_the_example_is_made_and_found_and_a_link_opens_it() -> None:
    app = press(opened(PAGE), "Try an example")
    assert not app.exception and not failed(app) and "example" in app.query_params["vectors"]
    assert any(box.startswith("**Found**") and "mean\\_all" in box and "float16" in box for box in alerts(app))
    assert "Rows 1 and 3 are swapped" in [block.value for block in app.markdown]
    assert len(figures(app)) == 2 and len(app.metric) == 4
    linked = opened(PAGE, vectors="example")
    assert alerts(linked) == alerts(app), "the same from memory"


def test_what_is_pasted_is_read_and_stays(bert: Checkpoint) -> None:
    app = page(bert, vectors="pasted")
    assert "vectors from elsewhere" in app.info[0].value
    app.text_area(key="vectors_box").set_value("one two three").run()
    assert not app.exception and "“one” where a number was expected" in plain(failed(app)[0])
    assert app.text_area(key="vectors_box").value == "one two three"
    values = made(bert, TEXTS, Recipe(readout=Readout.parse("mean"))).astype(np.float32)
    app.text_area(key="vectors_box").set_value(json.dumps(values.tolist())).run()
    app = press(app, "Identify")
    assert not app.exception and any(plain(box).startswith("Found: mean ") for box in alerts(app))
    app.switch_page("pages/2_Shapes.py").run()
    app.switch_page(PAGE).run()
    assert str(app.text_area(key="vectors_box").value).startswith("[[") and not app.exception, "kept over the pages"


def test_a_column_is_asked_for_and_texts_beside_the_vectors_are_used(bert: Checkpoint) -> None:
    values = made(bert, ("Some", "other texts", "are here"), Recipe(readout=Readout.parse("cls"))).astype(np.float32)
    records = [
        {"text": text, "a": [0.5, 0.25], "b": row}
        for text, row in zip(("Some", "other texts", "are here"), values.tolist(), strict=True)
    ]
    app = upload(page(bert), "two.jsonl", "\n".join(map(json.dumps, records)).encode())
    assert "several that may be vectors" in failed(app)[0] and not app.exception
    app.selectbox(key="vectors_column").set_value("b").run()
    assert not failed(app)
    box = next(box for box in app.checkbox if "3 texts that stand beside" in box.label)
    assert box.value is True
    app = press(app, "Identify")
    assert any(plain(said).startswith("Found: cls ") for said in alerts(app)) and not app.exception
    box = next(box for box in app.checkbox if "3 texts that stand beside" in box.label)
    box.uncheck().run()
    assert not app.subheader, "other texts were not asked about yet"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npy", b"x", "a.npy; got pickled|a.npy; got a broken"),
        ("a.npy", npy(np.zeros((2, 5, 8))), "2 × 5 × 8: a vector for every token"),
        ("a.csv", b"0.1,0.2\n0.3\n", "rows of unequal length"),
        ("a.json", b"{}", "nothing that can be vectors"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_one_sentence(bert: Checkpoint, name: str, content: bytes, said: str) -> None:
    app = upload(page(bert), name, content)
    assert not app.exception and len(app.error) == 1
    assert any(part in plain(app.error[0].value) for part in said.split("|"))
    app = upload(app, "good.npy", npy(np.ones((3, 32), np.float32)))
    assert not app.error, "and another file mends it"


def test_what_cannot_be_told_is_said_with_texts_to_try(
    bert: Checkpoint, monkeypatch: pytest.MonkeyPatch, memory: Callable[[], None]
) -> None:
    values = made(bert, TEXTS, Recipe(readout=Readout.parse("mean")))
    found = bertlens.identify(bert, TEXTS, values)
    assert found.best is not None
    open_ = Identification(
        **{
            **vars(found),
            "verdict": "ambiguous",
            "sentence": "Ambiguous: two recipes.",
            "suggestions": ("<b>TELLING</b> text",),
            "undetermined": ("The *case*.",),
            "rows": (),
        }
    )
    monkeypatch.setattr(diagnose, "identify", lambda *_, **__: open_)
    memory()
    app = press(upload(page(bert), "a.npy", npy(values)), "Identify")
    memory()
    assert not app.exception and app.warning[0].value.startswith("**Ambiguous**")
    assert "- The \\*case\\*\\." in [block.value for block in app.markdown]
    assert "<b>TELLING</b> text" in [code.value for code in app.code]
    assert "The nearest recipe" in [header.value for header in app.subheader]


def test_vectors_of_another_size_have_no_recipe(bert: Checkpoint) -> None:
    app = press(upload(page(bert), "a.npy", npy(np.ones((3, 777), np.float32) / 3)), "Identify")
    assert not app.exception and app.error[0].value.startswith("**None**")
    assert "The same in Python" not in [header.value for header in app.subheader]
