"""The page Classification head as AppTest draws it: every head, every family, and no second run for another view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import bertlens
from bertlens.diagnose import classifying, head_runs
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder
from tests.test_pages import alerts, offline, opened

__all__ = ["offline"]
PAGE = "pages/7_Classification_head.py"
TEXTS = "The bank raised its rates, and nobody was surprised.\nRain"
SEQUENCE = "sequence-classification"
PARTS = [
    "[CLS] is a token like any other",
    "From the last hidden state to the answer",
    "The answer, and what makes it",
    "How the sentence gets into [CLS]",
    "Which tokens make this logit?",
    "Why not the mean of the hidden states?",
    "Dropout left on",
    "The same in Python",
]


@pytest.fixture(scope="module")
def ran() -> Iterator[list[str]]:
    """What the page runs: the names of the functions that run a model."""
    asked: list[str] = []
    patched = pytest.MonkeyPatch()
    watched = [
        (classifying, "following"),
        (head_runs, "integrated_gradients"),
        (head_runs, "occlusion"),
        (head_runs, "running"),
    ]
    for module, name in [*watched, (head_runs, "attentions")]:
        original = getattr(module, name)

        def told(*arguments: Any, name: str = name, real: Any = original, **options: Any) -> Any:
            asked.append(name)
            return real(*arguments, **options)

        patched.setattr(module, name, told)
    yield asked
    patched.undo()


def plain(text: str) -> str:
    return text.replace("\\", "").replace("**", "")


def test_the_page_says_what_the_core_says_and_another_view_runs_nothing(family_folder: Folder, ran: list[str]) -> None:
    folder = str(family_folder("bert", head=SEQUENCE))
    page = opened(PAGE, checkpoint=folder, texts=TEXTS)
    assert not page.exception and not page.error
    assert [header.value for header in page.subheader] == PARTS
    found = bertlens.head(bertlens.load(folder), TEXTS.split("\n"))
    assert found.sentence in [plain(box) for box in alerts(page)]
    assert not any("newly initialised" in text.value for text in page.markdown), "the healthy twin: nothing was drawn"
    ran.clear()
    page.selectbox(key="edit_label").set_value(1 - found.predicted).run()
    assert ran.count("integrated_gradients") == 1 and "following" not in ran, (
        "another class has parts of its own, and no other steps"
    )
    ran.clear()
    page.selectbox(key="edit_layer").set_value(2).run()
    page.selectbox(key="edit_label").set_value(found.predicted).run()
    assert ran == [] and not page.exception
    assert page.query_params["layer"] == "2" and page.query_params["label"] == str(found.predicted)
    page.button_group(key="edit_baseline").set_value("zero").run()
    steps = page.button_group(key="edit_steps")
    assert steps.value == "50" and list(steps.options) == ["20", "50", "100", "300"]
    steps.set_value("20").run()
    assert page.query_params["baseline"] == "zero" and page.query_params["steps"] == "20"
    assert ran.count("integrated_gradients") == 2 and "following" not in ran and not page.exception
    page.number_input(key="edit_text").set_value(1).run()
    assert "following" in ran and not page.exception and not page.error
    assert any("Fewer than three word pieces" in box for box in alerts(page)), "a text of one token"


def test_a_head_that_is_drawn_is_told_in_front_of_every_number(minilm: Checkpoint) -> None:
    page = opened(PAGE, texts="Rain fell.")
    assert not page.exception
    assert [plain(box.value) for box in page.error] == [bertlens.head(minilm, ["Rain fell."]).sentence]
    badges = [text.value for text in page.markdown if "newly initialised: classifier" in text.value]
    assert len(badges) == 5, "steps, answer, shares, mean, dropout"


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("roberta", "sequence"),
        ("modernbert", "sequence"),
        ("distilbert", "masked-lm"),
        ("albert", "token"),
        ("mpnet", "question"),
    ],
)
def test_every_kind_of_head_on_pairs(family: str, kind: str, family_folder: Folder) -> None:
    folder = str(family_folder(family, head=SEQUENCE))
    texts = "Who is it? ||| A friend of yours.\nYes ||| No"
    page = opened(PAGE, checkpoint=folder, texts=texts, pairs="on", kind=kind, steps="20")
    assert not page.exception
    if kind == "sequence":
        assert not page.error and [header.value for header in page.subheader] == PARTS
        assert ("no dropout above zero" in " ".join(map(plain, alerts(page)))) == (family == "modernbert")
    else:
        assert "What this head returns" in [header.value for header in page.subheader]
        assert any("shown for sequence classification" in box for box in alerts(page))
    assert page.button_group(key="edit_kind").value == kind


def test_a_link_with_what_is_not_there_and_a_long_text(family_folder: Folder) -> None:
    folder = str(family_folder("bert", head=SEQUENCE, max_position_embeddings=200))
    query = {"kind": "x", "label": "99", "baseline": "y", "steps": "-1", "layer": "²", "token": "x", "text": "7"}
    page = opened(PAGE, checkpoint=folder, texts="word " * 150, **query)
    assert not page.exception and not page.error
    assert page.selectbox(key="edit_layer").value == 3 and page.button_group(key="edit_kind").value == "sequence"
    assert page.toggle(key="shares_wanted").value is False, "a long text is shared out only when somebody asks"
    before = torch.get_rng_state()
    page.toggle(key="shares_wanted").set_value(True).run()
    assert not page.exception and any("move the logit of" in text.value for text in page.markdown)
    assert torch.equal(torch.get_rng_state(), before)
    assert page.button_group(key="edit_steps").value == "50"
