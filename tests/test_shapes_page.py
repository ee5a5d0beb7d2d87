"""The lens on the page Shapes: it says what the core says, loses nothing that was typed, and runs the model once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import bertlens
import bertlens.read.capture
from bertlens import diagnose
from bertlens.read.capture import Capture
from bertlens.run.checkpoint import Checkpoint
from tests.test_pages import TEXTS, offline, opened
from ui.examples import EXAMPLES

__all__ = ["offline"]

PAGE = "pages/2_Shapes.py"
SOUND = "outputs.last_hidden_state[:, 0]"
FAULTY = "last_hidden_state.mean(1)"


@pytest.fixture(scope="module")
def captured(minilm: Checkpoint) -> Capture:
    """What the page evaluates expressions on, for these texts; an evaluation leaves it as it was."""
    return diagnose.capture(minilm, TEXTS.split("\n"))


def box(app: AppTest) -> Any:
    return app.text_area(key="edit_expr")


def columns(app: AppTest, *names: str) -> Any:
    """The table that has these columns."""
    return next(table.value for table in app.dataframe if set(names) <= set(table.value.columns))


def said(app: AppTest) -> str:
    return "\n".join(block.value for block in (*app.markdown, *app.caption))


def lens_error(app: AppTest) -> str:
    """The first red box; those of the rows stand below it."""
    return str(app.error[0].value)


@pytest.mark.parametrize("expression", [SOUND, FAULTY, "output[0][0]", "torch.cat(hidden_states[-4:], dim=-1)[:, 0]"])
def test_a_link_brings_an_expression_and_the_page_says_what_the_core_says(expression: str, captured: Capture) -> None:
    app = opened(PAGE, texts=TEXTS, expr=expression)
    assert not app.exception
    assert box(app).value == expression
    found = diagnose.explain(expression, captured)
    word = found.sentence.split(":")[0]
    boxes = {"sound": app.success, "caution": app.warning, "problem": app.error}[found.verdict]
    assert boxes[0].value.startswith(f"**{word}**:")
    steps = columns(app, "part", "holds")
    assert steps["part"].tolist() == [step.expression for step in found.steps]
    assert steps["holds"].tolist() == [step.words for step in found.steps]
    assert found.result is not None
    assert " × ".join(map(str, found.result.shape)) in said(app).replace("\\", "").replace(",", "")
    ids = [finding.id for finding in found.findings]
    assert bool(ids) == (expression in (FAULTY, "output[0][0]"))
    assert all(f"`{one}`" in said(app) for one in ids)


def test_the_default_is_silent_and_drawn() -> None:
    app = opened(PAGE, texts=TEXTS)
    assert not app.exception
    assert box(app).value == "outputs.last_hidden_state[:, 0, :]"
    assert app.success[0].value.startswith("**Sound**")
    assert not any(button.label == "Use this" for button in app.button)
    assert not any(button.label == "Back to what was typed" for button in app.button)
    assert len(app.get("plotly_chart")) == 3  # the cube, the strips, the values


def test_an_example_fills_the_box_and_what_was_typed_comes_back() -> None:
    typed = "outputs.last_hidden_state[:, 1]"
    app = opened(PAGE, texts=TEXTS, expr=typed)
    pills: Any = next(group for group in app.get("button_group") if group.key == "example_One vector per text")
    pills.set_value("mean over real tokens").run()
    assert not app.exception
    assert box(app).value == EXAMPLES["One vector per text"]["mean over real tokens"]
    next(button for button in app.button if button.label == "Back to what was typed").click().run()
    assert box(app).value == typed
    assert not any(button.label == "Back to what was typed" for button in app.button)


@pytest.mark.parametrize(("question", "name"), [(question, name) for question in EXAMPLES for name in EXAMPLES[question]])
def test_every_example_is_what_its_group_says(question: str, name: str, captured: Capture) -> None:
    found = diagnose.explain(EXAMPLES[question][name], captured)
    if question == "Mistakes people make":
        assert found.verdict != "sound" and found.findings
        assert all(finding.code for finding in found.findings)
    else:
        assert found.failure is None
        assert found.verdict == "sound" or name == "the pooler's output"


def test_a_finding_is_mended_by_its_button(captured: Capture) -> None:
    app = opened(PAGE, texts=TEXTS, expr=FAULTY)
    assert lens_error(app).startswith("**Faulty**")
    found = diagnose.explain(FAULTY, captured)
    button = next(button for button in app.button if button.label == "Use this")
    button.click().run()
    assert not app.exception
    assert box(app).value == found.findings[0].code
    assert app.success[0].value.startswith("**Sound**")
    assert f"`{found.findings[0].id}`" not in said(app)
    next(button for button in app.button if button.label == "Back to what was typed").click().run()
    assert box(app).value == FAULTY


@pytest.mark.parametrize(
    ("expression", "sentence", "suggestion"),
    [
        ("last_hidden_state[:, 0", "was never closed", "last_hidden_state[:, 0]"),
        ("outputs.__class__", "underscore", None),
        ("last_hiden_state[:, 0]", "last_hiden_state", None),
        ("x = <b>**bold**</b>", "cannot read", None),
    ],
)
def test_what_is_outside_the_language_keeps_the_text_and_shows_the_place(
    expression: str, sentence: str, suggestion: str | None
) -> None:
    app = opened(PAGE, texts=TEXTS, expr=expression)
    assert not app.exception
    assert box(app).value == expression
    assert sentence in lens_error(app).replace("\\", "")
    assert any("^" in code.value and expression in code.value for code in app.code)
    assert "tensor" in columns(app, "tensor", "axes").columns  # the rest of the page goes on
    offered = [button for button in app.button if button.label == "Use this"]
    if suggestion:
        offered[0].click().run()
        assert box(app).value == suggestion
        assert app.success[0].value.startswith("**Sound**")


def test_what_pytorch_refuses_shows_the_steps_before_it() -> None:
    expression = "x = last_hidden_state[:, 0]\nnn.Linear(768, 2)(x)"
    app = opened(PAGE, texts=TEXTS, expr=expression)
    assert not app.exception
    assert lens_error(app).startswith("**Faulty**")
    assert any("^^^^" in code.value and "mat1 and mat2" in code.value for code in app.code)
    assert "last_hidden_state[:, 0]" in columns(app, "part", "holds")["part"].tolist()
    assert len(app.get("plotly_chart")) == 2  # the cells that were there; no values


def test_an_empty_box_says_what_to_type() -> None:
    app = opened(PAGE, texts=TEXTS, expr=" ")
    assert not app.exception
    assert "Type or paste" in app.info[0].value
    assert not app.get("plotly_chart")
    assert len(columns(app, "tensor", "axes")) == 6


def test_a_batch_of_one_is_said_where_squeeze_loses_it() -> None:
    expression = "last_hidden_state[:, 0].squeeze()"
    alone, two = (opened(PAGE, texts=texts, expr=expression) for texts in ("only one text", TEXTS))
    assert not alone.exception and not two.exception
    assert alone.error[0].value.startswith("**Faulty**") and "took the batch axis away" in said(alone)
    assert "took the batch axis away" not in said(two)
    assert not any(box.value.startswith("**Faulty**") for box in two.error)


def test_another_expression_does_not_run_the_model_again(monkeypatch: pytest.MonkeyPatch, memory: Callable[[], None]) -> None:
    memory()
    runs: list[int] = []
    real = bertlens.read.capture.forward

    def counted(*given: Any, **more: Any) -> Any:
        runs.append(1)
        return real(*given, **more)

    monkeypatch.setattr(bertlens.read.capture, "forward", counted)
    app = opened(PAGE, texts=TEXTS, expr=SOUND)
    assert len(runs) == 1
    for expression in (FAULTY, "output[0][0]", SOUND):
        box(app).set_value(expression).run()
        assert not app.exception and box(app).value == expression
    assert len(runs) == 1
    app.text_area(key="edit_texts").set_value("another text\nand one more").run()
    assert len(runs) == 2


def test_left_padding_is_a_choice_and_moves_cls() -> None:
    app = opened(PAGE, texts=TEXTS, side="left")
    assert not app.exception
    assert "`cls-read-at-padding`" in said(app)
    assert "`cls-read-at-padding`" not in said(opened(PAGE, texts=TEXTS))


def test_markup_in_an_expression_and_in_a_text_stays_text() -> None:
    text = "<b>bold</b> **star** $x$"
    app = opened(PAGE, texts=f"{text}\nsecond", expr="last_hidden_state['<b>**x**</b>']")
    assert not app.exception
    assert not any("<b>" in block.value.replace("\\<b\\>", "") for block in (*app.markdown, *app.caption, *app.error))


def test_fewer_texts_than_given_is_said(monkeypatch: pytest.MonkeyPatch, memory: Callable[[], None]) -> None:
    healthy = opened(PAGE, texts=TEXTS)
    assert "more do not fit" not in said(healthy)
    monkeypatch.setattr(bertlens.read.capture, "MOST_BYTES", 450_000)
    app = opened(PAGE, texts=f"{TEXTS}\nA third text")
    assert not app.exception
    assert "first 2 of 3 texts: more do not fit" in said(app)
    memory()  # of a capture that was cut short


def test_a_single_number_is_a_number(captured: Capture) -> None:
    app = opened(PAGE, texts=TEXTS, expr="last_hidden_state[0, 0, 0]")
    value = captured.last_hidden_state[0, 0, 0].item()
    assert app.metric[0].value == f"{value:.6g}"


def test_the_script_has_the_expression() -> None:
    app = opened(PAGE, texts=TEXTS, expr="x = last_hidden_state\nx[:, 0]")
    assert any("value = x[:, 0]" in code.value for code in app.code)
    assert any(code.value.startswith("bertlens shapes minilm --texts texts.txt --expr 'x = ") for code in app.code)
