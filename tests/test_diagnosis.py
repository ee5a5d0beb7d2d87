"""A diagnosis says what the single questions say, the most serious first, and is silent about what is sound."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import bertlens
from bertlens.diagnose.diagnosing import HEALTHY, Direct, situations, steps
from bertlens.judge.checks import NARROW
from bertlens.judge.diagnosis import Check, Diagnosis
from bertlens.read.readout import Readout
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.texts import as_texts
from tests.checkpoints import dropped, sound

TEXTS = ("The bank raised its rates.", "We sat on the bank of the river until it was dark.", "Padding!")
ALONE = next(iter(HEALTHY))


@pytest.fixture(scope="module")
def found(minilm: Checkpoint) -> Diagnosis:
    return bertlens.diagnosis(minilm, TEXTS)


def pooled(checkpoint: Checkpoint, readout: str, condition: str = "") -> np.ndarray:
    return bertlens.pool(checkpoint, TEXTS, [readout], condition=condition).vectors[readout]


def by_question(found: Diagnosis, words: str) -> Check:
    return next(check for check in found.checks if words in check.question)


def test_the_packaged_checkpoint_has_a_pooler_that_nobody_trained(found: Diagnosis) -> None:
    assert found.verdict == "caution"
    assert found.sentence.startswith("Usable with care: The pooler was saved but never trained")
    assert [one.id for one in found.findings if one.severity != "note"] == ["pooler-untrained", "conflicting-length-limits"]
    assert found.check_of(found.findings[0]).page == "Checkpoint"
    assert f"{len(found.passed)} of {len(found.checks)} checks passed" in found.sentence


def test_its_numbers_are_those_of_the_single_questions(found: Diagnosis, minilm: Checkpoint) -> None:
    assert found.readout == "mean|l2", "what modules.json declares"
    alone = bertlens.compare(minilm, TEXTS, readout="mean|l2")
    assert by_question(found, ALONE).sentence == alone.sentence
    forgotten = next(change for change in found.changes if change.name == "mask forgotten")
    single = bertlens.compare(minilm, TEXTS, reference="batch=alone", candidate="mask=off", readout="mean|l2")
    assert (forgotten.verdict, forgotten.max_abs) == ("different", single.worst.max_abs)


def test_everything_is_asked_once_and_links_to_its_evidence(found: Diagnosis) -> None:
    assert len({check.question for check in found.checks}) == len(found.checks)
    assert all(check.page for check in found.checks)
    asked = by_question(found, ALONE).view
    assert asked == {"reference": "batch=alone", "candidate": "", "readout": "mean|l2"} | {"candidate": asked["candidate"]}
    assert [change.name for change in found.changes] == [preset.name for preset in situations()]


def test_a_pooler_that_is_read_is_a_problem_and_another_readout_is_not(minilm: Checkpoint) -> None:
    read = bertlens.diagnosis(minilm, TEXTS, readout="pooler")
    assert read.verdict == "problem"
    assert read.findings[0].id == "pooler-untrained"
    assert bertlens.diagnosis(minilm, TEXTS, readout="cls").verdict == "caution"


def test_vectors_from_elsewhere_are_explained(minilm: Checkpoint) -> None:
    wrong = pooled(minilm, "mean_all|l2", "mask=off")
    check = by_question(bertlens.diagnosis(minilm, TEXTS, vectors=wrong), "Which recipe")
    assert check.state == "problem"
    assert "attention-mask-missing" in [one.id for one in check.findings]
    right = pooled(minilm, "mean|l2")
    assert by_question(bertlens.diagnosis(minilm, TEXTS, vectors=right), "Which recipe").state == "passed"


def test_one_narrow_cone_is_a_caution_and_vectors_that_spread_are_not(minilm: Checkpoint, found: Diagnosis) -> None:
    narrow = bertlens.diagnosis(minilm, TEXTS, readout="cls@1")
    check = by_question(narrow, "told apart")
    vectors = pooled(minilm, "cls@1|l2").astype(np.float64)
    least = float((vectors @ vectors.T).min())
    assert least > NARROW
    assert check.state == "caution"
    assert check.findings[0].id == "anisotropy"
    assert check.findings[0].evidence["least"] == pytest.approx(least, abs=1e-6)
    assert by_question(found, "told apart").state == "passed"


def test_one_text_and_twice_the_same_one_cannot_be_told_apart(minilm: Checkpoint) -> None:
    for texts in (["One."], ["One.", "One."]):
        found = bertlens.diagnosis(minilm, texts)
        assert by_question(found, "told apart").state == "not asked"
        assert "14 of 15 checks" in found.sentence or "13 of 15 checks" in found.sentence


def test_what_is_mended_is_sound_and_what_is_broken_comes_first(tmp_path: Path) -> None:
    sound_one = bertlens.diagnosis(bertlens.load(str(sound(tmp_path / "sound").path)), TEXTS)
    assert (sound_one.verdict, sound_one.sentence.split(":")[0]) == ("sound", "Sound")
    broken = sound(tmp_path / "broken").weights(dropped("pooler"))
    found = bertlens.diagnosis(bertlens.load(str(broken.path)), TEXTS)
    assert found.findings[0].id == "pooler-missing"
    assert found.check_of(found.findings[0]).page == "Checkpoint"


def test_a_step_can_be_answered_before_the_next_is_asked(minilm: Checkpoint) -> None:
    answers = Direct(minilm, as_texts(TEXTS), None, lambda *_: None)
    first = next(steps(Readout(), as_texts(TEXTS), 64, foreign=False))
    assert [check.page for check in first(answers)] == ["Checkpoint"] * 11


def test_it_is_a_document_and_without_texts_where_they_are_secret(found: Diagnosis) -> None:
    whole = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(whole)["schema"] == "bertlens.report/1"
    assert TEXTS[0] in whole
    assert TEXTS[0] not in json.dumps(found.redacted().to_dict())
    assert len(found.to_frame()) == len(found.checks)
    assert "<strong>Usable with care</strong>" in found._repr_html_()
