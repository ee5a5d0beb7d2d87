"""Which factor makes a difference: on synthetic effects whose truth is known, and on models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import bertlens
from bertlens.errors import BertlensError
from bertlens.judge.causes import Cause, Explanation, explain
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from tests.conftest import Loaded

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.", "The dog slept; nobody came home.")
DEFAULT = Condition()

Effect = Callable[[Condition], float]


def explained(effect: Effect, candidate: str, *, rounding: bool = False, calls: list[Condition] | None = None) -> Explanation:
    """Explain a world in which a condition moves the one component of the vector by `effect`."""

    other = Condition.parse(candidate)

    def run(changed: frozenset[str]) -> np.ndarray:
        condition = mixed(other, changed)
        if calls is not None:
            calls.append(condition)
        return np.array([[effect(condition)]])

    return explain(run, factors(other), 1e-9, abs(effect(other) - effect(DEFAULT)), rounding=rounding)


def factors(other: Condition) -> dict[str, tuple[str, str]]:
    return {key: (str(getattr(DEFAULT, key)), str(getattr(other, key))) for key in DEFAULT.differing(other)}


def mixed(other: Condition, changed: frozenset[str]) -> Condition:
    return DEFAULT.replace(**{key: getattr(other, key) for key in changed})


def names(causes: tuple[Cause, ...]) -> list[str]:
    return [cause.factor for cause in causes]


def test_a_single_factor_needs_no_run() -> None:
    calls: list[Condition] = []
    (cause,) = explained(lambda c: 0.5 * (c.mask == "off"), "mask=off", calls=calls).causes
    assert (cause.factor, cause.before, cause.after, cause.max_abs, cause.undone) == ("mask", "on", "off", 0.5, 0.0)
    assert calls == []


def test_innocent_factors_are_told_with_their_size() -> None:
    found = explained(lambda c: (c.mask == "off") + 1e-12 * (c.batch == "alone"), "mask=off,batch=alone,attention=eager")
    assert names(found.causes) == ["mask"]
    assert [(one.factor, round(one.max_abs, 14)) for one in found.innocent] == [("batch", 1e-12), ("attention", 0.0)]
    assert found.causes[0].undone == pytest.approx(1e-12)
    assert found.causes[0].together == {}


def test_two_independent_causes_largest_first() -> None:
    calls: list[Condition] = []
    found = explained(
        lambda c: 1.0 * (c.mask == "off") + 3.0 * (c.segments == "ones"), "mask=off,segments=ones,batch=alone", calls=calls
    )
    assert [(one.factor, one.max_abs, one.undone) for one in found.causes] == [("segments", 3.0, 1.0), ("mask", 1.0, 3.0)]
    assert names(found.innocent) == ["batch"]
    assert len(calls) == len(set(calls)), "a condition was run twice"


def test_an_interaction_is_named_by_the_factor_at_fault() -> None:
    found = explained(lambda c: 2.0 * (c.mask == "off" and c.padding == 9), "padding=9,mask=off,attention=eager")
    (cause,) = found.causes
    assert (cause.factor, cause.together, cause.max_abs, cause.undone) == ("mask", {"padding": ("longest", "9")}, 2.0, 0.0)
    assert cause.words == "mask on → off, with padding longest → 9"
    assert cause.to_dict() == {
        "factor": "mask", "from": "on", "to": "off", "max_abs": 2.0, "with": {"padding": ["longest", "9"]}, "undone": 0.0,
    }  # fmt: skip
    assert names(found.innocent) == ["attention"]


def test_an_interaction_beside_a_single_cause() -> None:
    found = explained(
        lambda c: 2.0 * (c.mask == "off" and c.padding == 9) + 5.0 * (c.segments == "ones"), "padding=9,mask=off,segments=ones"
    )
    assert [(one.factor, tuple(one.together)) for one in found.causes] == [("segments", ()), ("mask", ("padding",))]


def test_three_factors_that_act_only_together() -> None:
    (cause,) = explained(
        lambda c: 4.0 * (c.mask == "off" and c.padding == 9 and c.side == "left"), "padding=9,mask=off,side=left"
    ).causes
    assert cause.max_abs == 4.0
    assert {cause.factor, *cause.together} == {"padding", "mask", "side"}


def test_mixtures_that_cannot_be_run() -> None:
    def effect(condition: Condition) -> float:
        if condition.max_length == 5 and condition.padding != 5:
            raise BertlensError("no such mixture")
        return 1.0 * (condition.mask == "off")

    found = explained(effect, "padding=5,max_length=5,mask=off")
    assert "mask" in names(found.causes)
    assert all(np.isfinite(one.max_abs) for one in (*found.causes, *found.innocent))


def test_what_is_no_number_on_both_sides_is_no_cause() -> None:
    other = Condition(mask="off", batch=1)

    def run(changed: frozenset[str]) -> np.ndarray:
        condition = mixed(other, changed)
        return np.array([[np.nan, 1.0], [np.inf, 1.0], [0.0, 2.0 * (condition.mask == "off") + 1e-12 * (condition.batch == 1)]])

    found = explain(run, factors(other), 1e-9, 2.0)
    assert [(one.factor, one.max_abs) for one in found.causes] == [("mask", 2.0)]
    assert names(found.innocent) == ["batch"]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_on_one_side_is_an_infinite_cause(broken: float) -> None:
    found = explained(lambda c: broken if c.dtype == "float16" else 1.0, "dtype=float16,batch=alone")
    assert [(one.factor, one.max_abs, one.undone) for one in found.causes] == [("dtype", np.inf, 0.0)]
    assert found.causes[0].to_dict()["max_abs"] is None


def test_rounding_is_named_by_a_harmless_factor() -> None:
    found = explained(lambda c: 1e-3 * (c.dtype == "bfloat16"), "dtype=bfloat16,batch=alone", rounding=True)
    assert names(found.causes) == ["dtype"]
    assert names(found.innocent) == ["batch"]


def test_the_mask_is_blamed_and_its_companions_are_told(minilm: Checkpoint) -> None:
    result = bertlens.compare(minilm, TEXTS, candidate="batch=whole,mask=off")
    (cause,) = result.explanation.causes
    assert (cause.factor, cause.together) == ("mask", {"batch": ("alone", "whole")})
    assert cause.max_abs == result.worst.max_abs_float64
    assert cause.undone is not None
    assert cause.undone < 1e-12
    assert result.explanation.innocent == ()
    assert result.sentence.endswith("the cause is mask on → off, with batch alone → whole.")
    fixed = bertlens.compare(minilm, TEXTS, reference="padding=40", candidate="padding=40,mask=off,attention=eager")
    assert names(fixed.explanation.causes) == ["mask"]
    assert fixed.explanation.causes[0].together == {}
    assert names(fixed.explanation.innocent) == ["attention"]


@pytest.mark.parametrize(
    ("candidate", "readout", "faults"),
    [
        ("mask=off", "cls", ["attention-mask-missing"]),
        ("mask=inverted,attention=eager", "cls", ["attention-mask-inverted"]),
        ("specials=off", "mean", ["special-tokens-missing"]),
        ("segments=ones", "cls", ["segment-ids-wrong"]),
        ("rows=index", "cls", ["batch-axis-missing"]),
        ("dropout=on", "cls", ["dropout-active"]),
        ("dropout=on,mask=off", "cls", ["attention-mask-missing", "dropout-active"]),
        ("side=left", "cls", ["left-padding-positions"]),
        ("side=left", "first_position", ["cls-read-at-padding"]),
        ("padding=40", "mean_all", ["mean-includes-padding"]),
        ("segments=ones,mask=off", "cls", ["attention-mask-missing", "segment-ids-wrong"]),
    ],
)
def test_the_fault_has_its_name(minilm: Checkpoint, candidate: str, readout: str, faults: list[str]) -> None:
    result = bertlens.compare(minilm, TEXTS, reference="", candidate=candidate, readout=readout)
    assert result.verdict == "different"
    assert sorted(finding.id for finding in result.findings) == sorted(faults)
    assert {finding.severity for finding in result.findings} == {"problem"}
    assert all(finding.remedy and finding.code for finding in result.findings)


@pytest.mark.parametrize(
    "candidate", ["padding=40", "segments=zeros", "side=left,positions=from-mask", "batch=alone,attention=eager"]
)
def test_what_is_no_fault_has_none(minilm: Checkpoint, candidate: str) -> None:
    result = bertlens.compare(minilm, TEXTS, reference="", candidate=candidate)
    assert result.verdict in ("identical", "rounding")
    assert {finding.severity for finding in result.findings} <= {"note"}


def test_left_padding_is_healed_by_positions(minilm: Checkpoint) -> None:
    result = bertlens.compare(minilm, TEXTS, reference="side=left,positions=from-mask", candidate="side=left")
    assert [finding.id for finding in result.findings] == ["left-padding-positions"]


def test_truncation_is_a_cause_and_told(minilm: Checkpoint) -> None:
    result = bertlens.compare(minilm, TEXTS, reference="", candidate="max_length=6")
    (finding,) = result.findings
    assert (finding.id, finding.severity) == ("silent-truncation", "problem")
    assert finding.evidence["texts"][0] == {"text": 1, "tokens": 12, "kept": 6, "at_character": len("Rain fell all night")}
    equal = bertlens.compare(minilm, TEXTS, reference="max_length=6", candidate="max_length=6")
    assert [(one.id, one.severity) for one in equal.findings] == [("silent-truncation", "caution")]
    assert "text 1 loses 6 of 12 tokens after character 19" in equal.findings[0].title


def test_dropout_on_both_sides(loaded: Loaded) -> None:
    result = bertlens.compare(loaded("bert"), TEXTS, reference="dropout=on", candidate="dropout=on,mask=off")
    assert result.verdict == "different"
    (cause,) = result.explanation.causes
    assert (cause.factor, cause.before, cause.after) == ("dropout", "on", "on")
    assert [finding.id for finding in result.findings] == ["dropout-active"]
    again = bertlens.compare(loaded("bert"), TEXTS, reference="dropout=on", candidate="dropout=on,mask=off")
    assert again.to_dict() == result.to_dict()
    other = bertlens.compare(loaded("bert"), TEXTS, reference="dropout=on", candidate="dropout=on,mask=off", seed=7)
    assert other.worst.max_abs != result.worst.max_abs
    calm = bertlens.compare(loaded("bert"), TEXTS, reference="", candidate="")
    assert calm.verdict == "identical"


def test_the_condition_is_blamed_although_two_checkpoints_are_compared(loaded: Loaded) -> None:
    bert = loaded("bert")
    twin = bertlens.load(str(bert.folder))
    result = bertlens.compare(bert, TEXTS, reference="", candidate="mask=off", against=twin)
    assert result.verdict == "different"
    assert names(result.explanation.causes) == ["mask"], "both hold the same weights"
