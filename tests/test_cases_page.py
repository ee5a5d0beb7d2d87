"""The page Cases: every case opens with the core's numbers, the lesson goes step by step, and faults are found and made."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

import bertlens
from bertlens.cases.entry import entry, reproducible
from bertlens.cases.gallery import reproduce
from bertlens.cases.worked import CASES
from bertlens.cases.worked.case import TITLES
from bertlens.errors import BertlensError
from bertlens.judge.findings import catalogue
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.labels import example_labelled
from bertlens.run.presets import EXAMPLE_TEXTS
from bertlens.run.progress import silent
from tests.conftest import Folder
from tests.test_pages import alerts, offline, opened, small
from ui.blocks import plain

__all__ = ["offline", "small"]

PAGE = "pages/10_Cases.py"
FAULT = "attention-mask-missing"
NUMBERS = tuple(str(case.number) for case in CASES)


def headings(app: AppTest) -> list[str]:
    return [one.value for one in app.subheader]


def button(app: AppTest, label: str) -> AppTest:
    return next(one for one in app.button if one.label == label).click().run()  # type: ignore[no-any-return]


def said(app: AppTest) -> str:
    return "\n".join([*alerts(app), *(one.value for one in (*app.markdown, *app.caption))])


@pytest.mark.parametrize("number", NUMBERS)
def test_a_case_opens_on_the_packaged_checkpoint_with_the_core_s_numbers(number: str, minilm: Checkpoint) -> None:
    app = opened(PAGE, case=number)
    assert not app.exception
    assert headings(app) == list(TITLES.values())
    case, checkpoint = CASES[int(number) - 1], minilm
    for name in ("mistake", "right"):
        answer = case.step(name).answer(checkpoint, EXAMPLE_TEXTS, {}, silent)
        assert plain(answer.sentence.split(":", 1)[1]) in said(app)
        assert all(plain(line) in said(app) for line in answer.reason.splitlines())


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_a_case_opens_on_a_small_checkpoint(number: str, family: str, family_folder: Folder) -> None:
    app = opened(PAGE, case=number, checkpoint=str(family_folder(family)))
    assert not app.exception
    if (number, family) == ("2", "distilbert"):
        assert any("has no pooler" in box.value for box in app.info)
        assert not headings(app)
    else:
        assert headings(app) == list(TITLES.values())


def test_what_would_happen_if_is_in_the_link_and_changes_the_answer(small: str) -> None:
    app = opened(PAGE, case="3", checkpoint=small, whatif="readout=mean@last4:concat")
    assert not app.exception
    assert app.selectbox(key="whatif_3_readout").value == "mean@last4:concat"
    assert len(app.error) == 1, "only the mistake differs"
    app.selectbox(key="whatif_3_readout").set_value("mean_all@last4:concat").run()
    assert len(app.error) == 2
    assert "readout=mean_all@last4:concat" in str(app.query_params["whatif"])


def dropped(app: AppTest, name: str, content: str) -> AppTest:
    """The page after a labelled file was dropped on it."""
    app.file_uploader(key="labelled_upload").set_value((name, content.encode(), ""))
    return app.run()


LABELS = {"2": "remedy=train", "3": "what=labels", "5": "what=labels"}
OWN = "id,review,stars\n" + "".join(f"{at},{word} number {at},{at % 2}\n" for at, word in enumerate(["bad", "good"] * 6))


@pytest.mark.parametrize("number", LABELS)
def test_labels_are_measured_on_the_example_and_then_on_a_file(number: str, small: str) -> None:
    app = opened(PAGE, case=number, checkpoint=small, whatif=LABELS[number])
    assert not app.exception
    assert "short sentences, positive and negative" in said(app).replace("\\", "")
    example = CASES[int(number) - 1].on_labels
    assert example is not None and len([box for box in app.selectbox if str(box.key).startswith("whatif_")]) == 1
    kept, one = example_labelled(), bertlens.load(small)
    table = next(frame.value for frame in app.dataframe if "p_against_majority" in frame.value)
    readouts = table["readout"].tolist()[:-1]
    expected = bertlens.probe(one, kept.texts, kept.labels, readouts).to_frame()
    assert table["accuracy"].tolist() == expected["accuracy"].tolist()
    dropped(app, "reviews.csv", OWN)
    assert not app.exception
    assert app.selectbox(key="labelled_column").value == "review" and app.selectbox(key="labelled_label").value == "stars"
    lines = [line.split(",") for line in OWN.splitlines()[1:]]
    own = bertlens.probe(one, [line[1] for line in lines], [line[2] for line in lines], readouts).to_frame()
    table = next(frame.value for frame in app.dataframe if "p_against_majority" in frame.value)
    assert table["accuracy"].tolist() == own["accuracy"].tolist() != expected["accuracy"].tolist()


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("reviews.csv", "text,label\na,1\nb,1\nc,2\n", "a single text of the class"),
        ("reviews.csv", "text,label\na,1\nb,\n", "no label for text 1"),
        ("reviews.csv", "text\na\nb\n", "no second column"),
        ("reviews.jsonl", "no json", "cannot read line 1 of reviews.jsonl"),
        ("reviews.jsonl", '{"n": 1}\n{"n": 2}', "cannot find texts in reviews.jsonl"),
    ],
)
def test_labels_that_cannot_be_used_are_one_sentence(name: str, content: str, error: str, small: str) -> None:
    app = opened(PAGE, case="5", checkpoint=small, whatif="what=labels")
    dropped(app, name, content)
    assert not app.exception
    assert error in app.error[-1].value.replace("\\", "")
    assert headings(app) == list(TITLES.values()), "the rest of the page goes on"


def test_in_a_lesson_small_tables_grow_with_the_type(small: str) -> None:
    texts = "first text & <b>bold</b>\nsecond *text*, longer than the first"
    plainly = opened(PAGE, case="3", checkpoint=small, texts=texts, whatif="readout=mean")
    assert not plainly.table and plainly.dataframe
    app = opened(PAGE, case="3", teach="on", step="4", checkpoint=small, texts=texts)
    assert not app.exception
    assert len(app.table) == 1 and len(app.dataframe) == 1, "what belongs to a figure stays a grid, folded"
    shown = app.table[0].value
    assert any("\\<b\\>bold" in str(cell) for cell in shown.to_numpy().ravel()), "what a person wrote is no markup"


def test_the_lesson_shows_one_step_at_a_time(small: str) -> None:
    app = opened(PAGE, case="4", teach="on", checkpoint=small)
    assert not app.exception
    titles = list(TITLES.values())
    assert headings(app) == titles[:1]
    assert next(one for one in app.button if one.label == "Back").disabled
    for at in range(1, len(titles)):
        button(app, "Next")
        assert headings(app) == titles[at : at + 1]
    assert next(one for one in app.button if one.label == "Next").disabled
    button(app, "Back")
    assert headings(app) == titles[-2:-1]
    app.toggle(key="edit_teach").set_value(False).run()
    assert headings(app) == titles


def test_a_step_beyond_the_last_is_the_first(small: str) -> None:
    app = opened(PAGE, case="4", teach="on", step="99", checkpoint=small)
    assert headings(app) == ["The mistake"]


def test_the_gallery_finds_a_fault_by_what_a_person_sees(small: str) -> None:
    app = opened(PAGE, view="gallery", checkpoint=small, symptom="attention mask not passed with padding")
    assert not app.exception
    assert f"open_{FAULT}" in [one.key for one in app.button]
    assert f"{len(reproducible())} of {len(catalogue())} reported faults" in said(app)
    app.button(key=f"open_{FAULT}").click().run()
    assert headings(app) == [plain(catalogue()[FAULT]["name"])]
    assert "Different" not in said(app), "nothing is made before somebody asks"
    button(app, "All faults")
    assert not headings(app)


def test_every_fault_is_in_the_gallery(small: str) -> None:
    app = opened(PAGE, view="gallery", checkpoint=small)
    assert sum(str(one.key).startswith("open_") for one in app.button) < len(catalogue())
    button(app, f"Show all {len(catalogue())}")
    assert {str(one.key)[5:] for one in app.button if str(one.key).startswith("open_")} == set(catalogue())


def test_a_fault_of_a_link_is_made_and_mended_at_a_click(small: str) -> None:
    app = opened(PAGE, fault=FAULT, checkpoint=small)
    assert not app.exception and not app.error
    assert "**Made here.** Only input\\_ids are passed, so every token also attends to the padding\\." in said(app)
    button(app, "Reproduce it here")
    assert not app.exception
    found = reproduce(FAULT, bertlens.load(small), EXAMPLE_TEXTS)
    assert plain(found.sentence.split(":", 1)[1]) in app.error[0].value
    frame = app.dataframe[0].value
    assert frame["max_abs"].tolist() == found.to_frame()["max_abs"].tolist()
    assert any("def attention_mask_missing" in one.value for one in app.code)


def test_a_fault_that_nobody_can_make_here_says_why(small: str) -> None:
    refused = next(fault for fault in catalogue() if fault not in reproducible())  # some need a GPU
    app = opened(PAGE, fault=refused, made="on", checkpoint=small)
    assert not app.exception
    assert any("cannot be made on purpose here" in box.value for box in app.info)
    assert not any(one.label == "Reproduce it here" for one in app.button)


def test_a_fault_that_is_not_there_is_one_sentence(small: str) -> None:
    app = opened(PAGE, fault="<b>no</b>", checkpoint=small)
    assert not app.exception
    assert len(app.error) == 1 and "no fault of that name" in app.error[0].value
    assert "<b>" not in app.error[0].value


def test_an_entry_names_its_look_alikes_and_links_only_what_is_a_thread() -> None:
    one = entry("lowercased-cased-model")
    assert "uncased-vocab-not-lowercased" in one.look_alikes and "T02" not in one.look_alikes
    assert one.threads[0].address == "https://github.com/huggingface/transformers/issues/3823"
    assert all(bool(entry(fault).made) == (fault in reproducible()) for fault in catalogue())
    codes = re.compile(r"\b[TBWNPX]\d\d\b")
    told = [entry(fault).to_dict() for fault in catalogue()]
    assert not [words for one in told for words in one.values() if isinstance(words, str) and codes.search(words)]
    every = [thread for fault in catalogue() for thread in entry(fault).threads]
    bare = [thread.name for thread in every if not thread.address]
    assert bare and all("#" not in name for name in bare)
    with pytest.raises(BertlensError, match="no fault of that name"):
        entry("no-such-fault")
