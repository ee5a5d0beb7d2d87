"""Every worked case: its mistake is another computation, its right way is not, and its numbers are those of the core."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import bertlens
from bertlens.cases.worked import CASES
from bertlens.cases.worked.case import TITLES, Answer, Case
from bertlens.cases.worked.reload import REMEDIES
from bertlens.judge.comparison import Comparison
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.presets import EXAMPLE_TEXTS
from bertlens.run.progress import silent
from tests.conftest import Loaded
from tests.scripts import assert_well_written, executed, in_a_process

FAMILIES = ("bert", "roberta", "distilbert")
WITHOUT_POOLER = ("distilbert", "electra", "modernbert")
HARMLESS = {"identical", "rounding"}
WORK: dict[tuple[Any, ...], Any] = {}


@pytest.fixture(scope="module", autouse=True)
def emptied() -> Iterator[None]:
    yield
    WORK.clear()


def found(checkpoint: Checkpoint, number: int, name: str, texts: tuple[Any, ...] = EXAMPLE_TEXTS, **asked: str) -> Any:
    """What the work of a step found, each work once in this file."""
    case = CASES[number - 1]
    choice = case.choice(checkpoint, texts, asked) if name == "if" else {}
    work = case.step(name).work
    key = (checkpoint.name, number, work.__name__, texts, tuple(choice.items()))
    if key not in WORK:
        WORK[key] = work(checkpoint, texts, choice, silent)
    return WORK[key]


def told(checkpoint: Checkpoint, number: int, name: str, texts: tuple[Any, ...] = EXAMPLE_TEXTS, **asked: str) -> Answer:
    """The answer of a step."""
    return CASES[number - 1].step(name).tell(found(checkpoint, number, name, texts, **asked), checkpoint, texts)


@pytest.fixture(params=("minilm", *FAMILIES))
def any_checkpoint(request: pytest.FixtureRequest, loaded: Loaded, minilm: Checkpoint) -> Checkpoint:
    return minilm if request.param == "minilm" else loaded(request.param)


each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"case{case.number}")


@each_case
def test_a_case_has_every_step_in_order(case: Case) -> None:
    assert [step.name for step in case.steps] == list(TITLES)
    assert CASES[case.number - 1] is case
    assert case.question.endswith("?")


@each_case
def test_the_mistake_is_one_and_the_right_way_is_right(case: Case, any_checkpoint: Checkpoint) -> None:
    if case.refusal(any_checkpoint, EXAMPLE_TEXTS):
        assert case.number == 2
        assert any_checkpoint.architecture.kind in WITHOUT_POOLER
        return
    mistake, right = (told(any_checkpoint, case.number, name) for name in ("mistake", "right"))
    assert mistake.verdict == "different", mistake.sentence
    assert right.verdict in HARMLESS, right.sentence
    for answer in (mistake, right):
        assert answer.sentence.startswith(f"{answer.verdict.capitalize()}: ")
        assert answer.reason and answer.lines and answer.tables


@each_case
def test_every_step_says_something_and_every_control_can_be_turned(case: Case, any_checkpoint: Checkpoint) -> None:
    if case.refusal(any_checkpoint, EXAMPLE_TEXTS):
        return
    reason, code = told(any_checkpoint, case.number, "reason"), told(any_checkpoint, case.number, "code")
    assert reason.reason and reason.tables
    assert code.scripts
    for control in case.controls:
        options = list(control.options(any_checkpoint, EXAMPLE_TEXTS))
        assert len(options) > 1
        choice = case.choice(any_checkpoint, EXAMPLE_TEXTS, {control.name: options[-1]})
        assert choice[control.name] == options[-1]
        last = case.step("if").answer(any_checkpoint, EXAMPLE_TEXTS, choice, silent)
        assert last.reason and last.tables


def test_a_model_without_a_pooler_is_refused_in_one_sentence(loaded: Loaded) -> None:
    for family in WITHOUT_POOLER:
        assert "has no pooler" in CASES[1].refusal(loaded(family), EXAMPLE_TEXTS)
    assert CASES[1].refusal(loaded("bert"), EXAMPLE_TEXTS) == ""


def test_one_text_alone_has_no_other_first_token(minilm: Checkpoint) -> None:
    assert "two or more" in CASES[4].refusal(minilm, EXAMPLE_TEXTS[:1])
    assert [case.number for case in CASES if case.refusal(minilm, EXAMPLE_TEXTS[:1])] == [5]


def test_what_is_asked_wrongly_is_the_default(minilm: Checkpoint) -> None:
    asked = {"padding": "999999", "row": "x", "rows": "2", "nonsense": "1"}
    choice = CASES[0].choice(minilm, EXAMPLE_TEXTS, asked)
    assert choice == {"padding": "longest", "rows": "2", "row": "0"}


def test_rows_by_index_and_by_slice_are_those_of_compare(minilm: Checkpoint) -> None:
    taken = found(minilm, 1, "mistake")
    width = taken.padding
    index = bertlens.compare(minilm, EXAMPLE_TEXTS, reference=f"padding={width}", candidate=f"padding={width},rows=index")
    piece = bertlens.compare(minilm, EXAMPLE_TEXTS, reference=f"padding={width}", candidate=f"padding={width},batch=alone")
    assert told(minilm, 1, "mistake").sentence == index.sentence
    assert told(minilm, 1, "right").sentence == piece.sentence
    assert taken.rows.distinct_by_index == 1
    assert taken.rows.distinct_by_slice == len(EXAMPLE_TEXTS)


def test_two_loads_share_everything_but_the_pooler(minilm: Checkpoint) -> None:
    loads = found(minilm, 2, "mistake")
    moved = {row.output for row in loads.reload.outputs if not row.equal}
    assert moved == {"pooler_output"}
    assert all("pooler" in name for name in loads.reload.newly_initialised)
    assert {name: one.verdict for name, one in loads.compared.items()} == {
        "pooler": "different",
        "cls": "identical",
        "mean": "identical",
    }


def test_the_copy_leaves_the_loaded_model_as_it_was(loaded: Loaded) -> None:
    checkpoint = loaded("bert", head="sequence-classification")
    before = json.dumps(checkpoint.model.config.to_dict(), sort_keys=True, default=str)
    found(checkpoint, 2, "mistake")
    assert json.dumps(checkpoint.model.config.to_dict(), sort_keys=True, default=str) == before
    assert checkpoint.model.config.architectures == ["BertForSequenceClassification"]


@pytest.mark.parametrize("remedy", sorted({*REMEDIES} - {"base", "train"}))
def test_every_remedy_is_carried_out_and_verified(remedy: str, minilm: Checkpoint) -> None:
    answer = told(minilm, 2, "if", remedy=remedy)
    assert answer.verdict == ("different" if remedy == "seed" else "identical")
    assert ("never trained" in answer.reason) == (remedy == "saved")  # repeatable, and still random


def test_a_base_whose_pooler_was_never_trained_mends_nothing(minilm: Checkpoint) -> None:
    answer = told(minilm, 2, "if", remedy="base")
    assert answer.verdict == ""
    assert "newly drawn" in answer.reason and "does not mend" in answer.reason


def test_the_pooler_of_a_trained_base_mends_the_copy(minilm: Checkpoint, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(minilm.folder, tmp_path / "trained"))
    state = load_file(folder / "model.safetensors")
    for part in ("weight", "bias"):
        state[f"pooler.dense.{part}"] = state[f"encoder.layer.0.attention.output.dense.{part}"].clone()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    answer = told(bertlens.load(str(folder)), 2, "if", remedy="base")
    assert answer.verdict == "identical", answer.reason
    assert "no untrained pooler" in answer.reason


def test_the_masked_lm_loss_does_not_teach_the_pooler(minilm: Checkpoint) -> None:
    reasons = found(minilm, 2, "reason")
    assert reasons.of - reasons.learnt == reasons.dead == 2
    assert len(reasons.states) == minilm.architecture.layers + 1
    assert reasons.states["is last_hidden_state"].tolist() == [False] * minilm.architecture.layers + [True]


def test_the_padded_means_are_those_of_compare(minilm: Checkpoint) -> None:
    trap = found(minilm, 3, "mistake")
    for readout, verdict in (("mean_all@last4:concat", "different"), ("mean@last4:concat", "rounding")):
        length = max(trap.lengths)
        compared = bertlens.compare(minilm, EXAMPLE_TEXTS, candidate=f"padding={length}", readout=readout)
        row = next(row for row in trap.of(readout) if row.padding == length)
        assert compared.verdict == row.verdict == verdict
        assert compared.worst.max_abs == row.max_abs


def test_what_is_fed_back_is_what_lookup_says(minilm: Checkpoint) -> None:
    core = bertlens.lookup(minilm, EXAMPLE_TEXTS, 0)
    assert told(minilm, 4, "right").sentence.startswith("Identical")
    assert f"cosine of [CLS] {core.fed[1].cls_cosine:.4f}" in told(minilm, 4, "mistake").sentence
    edited = bertlens.edit(minilm, EXAMPLE_TEXTS, 0, edits="1:zero")
    assert told(minilm, 4, "if", edit="1:zero").sentence == edited.sentence
    ones = bertlens.compare(minilm, EXAMPLE_TEXTS[:1], candidate="batch=alone,segments=ones")
    assert told(minilm, 4, "if", edit="segments=ones").sentence == ones.sentence


def test_segments_are_offered_only_where_there_are_two(loaded: Loaded) -> None:
    (edits, _), texts = CASES[3].controls, EXAMPLE_TEXTS
    assert "segments=ones" in edits.options(loaded("bert"), texts)
    assert "segments=ones" not in edits.options(loaded("roberta"), texts)


def test_the_classifier_takes_the_first_token_of_every_row(loaded: Loaded) -> None:
    checkpoint = loaded("bert", head="sequence-classification")
    read = found(checkpoint, 5, "mistake")
    with torch.inference_mode():
        from transformers import AutoModelForSequenceClassification

        model = AutoModelForSequenceClassification.from_pretrained(checkpoint.folder).eval()
        batch = checkpoint.tokenizer(list(EXAMPLE_TEXTS), padding=True, return_tensors="pt")
        last = model.bert(**batch).last_hidden_state
        wrong = model.classifier(model.bert.pooler(last[0][: len(EXAMPLE_TEXTS)][:, None]))
        logits = model(**batch).logits
    assert read.drawn == ()
    assert torch.allclose(torch.tensor(read.of["the model"].tolist()), logits.flatten(), atol=1e-6)
    assert torch.allclose(torch.tensor(read.of["last_hidden_state[0]"].tolist()), wrong.flatten(), atol=1e-6)
    assert read.first_row.rows[0].verdict in HARMLESS  # line 0 is the [CLS] of text 0, and right by chance
    assert all(row.verdict == "different" for row in read.first_row.rows[1:])


def test_a_drawn_head_is_said_before_every_number(minilm: Checkpoint, loaded: Loaded) -> None:
    for name in ("mistake", "right", "reason", "if"):
        assert "random draw" in told(minilm, 5, name).caution
    assert told(loaded("bert", head="sequence-classification"), 5, "mistake").caution == ""


def test_dropout_scatters_and_the_mean_moves_the_logits(minilm: Checkpoint) -> None:
    dropped = bertlens.head_dropout(minilm, EXAMPLE_TEXTS, 0)
    assert told(minilm, 5, "if", what="dropout").reason.startswith(dropped.sentence)
    assert "Nothing forbids it" in told(minilm, 5, "if", what="mean").reason


@each_case
def test_the_code_to_take_away_runs_and_prints_the_same_numbers(case: Case, minilm: Checkpoint, tmp_path: Path) -> None:
    answer = told(minilm, case.number, "code")
    printed = {}
    for at, (name, script) in enumerate(answer.scripts.items()):
        assert_well_written(script)
        # one as people run it, the others here, which takes a tenth of the time
        printed[name] = executed(script) if at else in_a_process(script, tmp_path)
    for name, number in expected(case.number, minilm):
        assert number in printed[name], printed[name]


def expected(number: int, checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    """Script of a case -> a number of the page that it must print."""
    core = found(checkpoint, number, "mistake")
    if number == 1:
        yield "case_1_mistake", repr(core.rows.by_index.worst.max_abs)[:8]
        yield "case_1_right_way", "identical"
        yield "case_1_shapes", "(4, 256, 384)"
    elif number == 2:
        compared: Comparison = core.compared["pooler"]
        for row in compared.rows:
            yield "case_2_two_loads", f"pooler_output  text {row.text}  equal False  max abs {row.max_abs}"
        yield "case_2_two_loads", "last_hidden_state[:, 0]  text 0  equal True  max abs 0.0"
    elif number == 3:
        worst = max(core.of("mean_all@last4:concat"), key=lambda row: row.padding)
        yield "case_3_mistake", repr(worst.max_abs)[:8]
        yield "case_3_right_way", "rounding"
    elif number == 4:
        yield "case_4_lookup", repr(core.fed[1].row.max_abs)[:12]
    else:
        logits = core.of["the model"].tolist()[0]
        yield "case_5_head", repr(logits)[:10]
