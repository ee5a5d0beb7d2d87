"""Rounding or a fault: every verdict is reached, and each fault has a twin that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import bertlens
from bertlens.errors import BertlensError
from bertlens.judge import pair
from bertlens.judge.measures import EPS, Row, measure
from bertlens.judge.verdict import BOUND, PLAUSIBLE, VERDICTS, judge, overall, worst
from bertlens.read.readout import Readout
from bertlens.read.vectors import read
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from tests.conftest import Folder, Loaded

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.", "The dog slept; nobody came home.")
FLOATS = ("float32", "float32")


def judged(a: Any, b: Any, twice: tuple[Any, Any] | None, dtypes: tuple[str, str] = FLOATS) -> list[Row]:
    sides = np.array(a, np.float32), np.array(b, np.float32)
    repeat = None if twice is None else (np.array(twice[0], np.float64), np.array(twice[1], np.float64))
    return judge(measure(*sides, dtypes), sides, repeat, dtypes)


def test_same_bits_are_identical_and_one_step_is_not() -> None:
    up = float(np.nextafter(np.float32(1), np.float32(2)))
    same, step = judged([[1, 2], [1, 2]], [[1, 2], [up, 2]], ([[np.nan] * 2, [1, 2]], [[np.nan] * 2, [1, 2]]))
    assert (same.verdict, same.max_abs_float64) == ("identical", None)
    assert (step.verdict, step.max_abs_float64) == ("rounding", 0.0)


def test_the_float64_bound_and_its_other_side() -> None:
    bound = BOUND * EPS["float64"] * 4.0
    a, b = [[4.0, 1.0]], [[4.0, 1.0 + 1e-6]]
    (below,) = judged(a, b, (a, [[4.0, 1.0 + 0.9 * bound]]))
    (above,) = judged(a, b, (a, [[4.0, 1.0 + 1.1 * bound]]))
    assert (below.verdict, above.verdict) == ("rounding", "different")
    assert below.bound_float64 == pytest.approx(bound)
    assert below.max_abs_float64 == pytest.approx(0.9 * bound, rel=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_implausible_error_is_undecided(dtype: str) -> None:
    most = PLAUSIBLE[dtype] * EPS[dtype]
    truth = ([[1.0, 0.5]], [[1.0, 0.5]])
    (fine,) = judged([[1.0, 0.5]], [[1.0, 0.5 + 0.9 * most]], truth, (dtype, dtype))
    (odd,) = judged([[1.0, 0.5]], [[1.0, 0.5 + 1.1 * most]], truth, (dtype, dtype))
    assert (fine.verdict, odd.verdict) == ("rounding", "undecided")
    assert odd.error == pytest.approx(1.1 * PLAUSIBLE[dtype], rel=1e-3)
    # both sides wrong in the same way agree nearly, and are as implausible
    (both,) = judged([[1.0, 0.5 + 2 * most]], [[1.0, 0.5 + 2.001 * most]], truth, (dtype, dtype))
    assert both.verdict == "undecided"


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_no_number_on_one_side_is_different_and_on_both_undecided(broken: float) -> None:
    fine = [[1.0, 2.0]]
    for sides in (([[broken, 2.0]], fine), (fine, [[1.0, broken]])):
        for twice in (None, (fine, fine), ([[np.nan] * 2], fine)):
            assert judged(*sides, twice)[0].verdict == "different"
    for other in ([[broken, 2.0]], [[2.0, broken]]):
        for twice in (None, (fine, fine)):
            assert judged([[broken, 2.0]], other, twice)[0].verdict == "undecided"


def test_zeros_of_both_signs() -> None:
    (zeros,) = judged([[0.0, 0.0]], [[-0.0, 0.0]], ([[0.0, 0.0]], [[-0.0, 0.0]]))
    assert (zeros.equal, zeros.max_abs, zeros.verdict) == (False, 0.0, "rounding")


def test_without_a_repeat_nothing_but_identical_is_claimed() -> None:
    rows = judged([[1.0], [1.0]], [[1.0], [1.5]], None)
    assert [row.verdict for row in rows] == ["identical", "undecided"]


def test_the_most_serious_text_speaks_for_all() -> None:
    assert VERDICTS == ("identical", "rounding", "undecided", "different")
    rows = [Row(i, False, size, 0, 1, 1, verdict=v) for i, (v, size) in enumerate(
        [("rounding", 9.0), ("different", 0.1), ("undecided", 5.0), ("different", 0.2), ("identical", 0.0)])]  # fmt: skip
    assert (overall(rows), worst(rows).text) == ("different", 3)
    assert overall(rows[:1]) == "rounding"
    assert worst([*rows, Row(5, False, np.nan, 0, 1, None, verdict="different")]).text == 5


@pytest.mark.parametrize(
    "candidate", ["", "padding=60", "attention=eager", "dtype=bfloat16", "dtype=float16,padding=50", "batch=2"]
)
@pytest.mark.parametrize("readout", ["cls", "mean", "max|l2", "mean@last2:concat"])
def test_benign_changes_are_never_a_fault(checkpoint: Checkpoint, candidate: str, readout: str) -> None:
    result = bertlens.compare(checkpoint, TEXTS, candidate=candidate, readout=readout)
    assert result.verdict in ("identical", "rounding"), result.sentence
    assert all(row.max_abs_float64 is None or row.max_abs_float64 < 1e-13 for row in result.rows)
    assert not [finding for finding in result.findings if finding.severity == "problem"]


@pytest.mark.parametrize(
    "candidate", ["mask=off", "mask=inverted", "specials=off", "max_length=4", "rows=index", "mask=off,dtype=bfloat16"]
)
def test_faults_are_different(checkpoint: Checkpoint, candidate: str) -> None:
    result = bertlens.compare(checkpoint, TEXTS, reference="", candidate=candidate)
    assert result.verdict == "different"
    assert result.findings[0].severity == "problem"


def test_rounding_in_bfloat16_is_larger_than_a_fault(minilm: Checkpoint, copy_of: Folder) -> None:
    eps = bertlens.load(str(copy_of(minilm.folder, layer_norm_eps=1e-5)))
    fault = bertlens.compare(minilm, TEXTS, reference="", candidate="", against=eps)
    rounding = bertlens.compare(minilm, TEXTS, reference="", candidate="dtype=bfloat16")
    assert (fault.verdict, rounding.verdict) == ("different", "rounding")
    assert rounding.worst.max_abs > 10 * fault.worst.max_abs > 0
    assert [finding.id for finding in rounding.findings] == ["half-precision"]
    assert rounding.findings[0].severity == "note"


@pytest.mark.parametrize("changes", [{"layer_norm_eps": 1e-5}, {"hidden_act": "gelu_pytorch_tanh"}])
def test_another_computation_with_the_same_weights(loaded: Loaded, copy_of: Folder, changes: dict[str, Any]) -> None:
    bert = loaded("bert")
    other, twin = bertlens.load(str(copy_of(bert.folder, **changes))), bertlens.load(str(copy_of(bert.folder)))
    assert other.digest == twin.digest == bert.digest
    result = bertlens.compare(bert, TEXTS, reference="", candidate="", against=other)
    assert result.verdict == "different"
    assert [cause.factor for cause in result.explanation.causes] == ["checkpoint"]
    assert result.against is not None
    healthy = bertlens.compare(bert, TEXTS, reference="", candidate="padding=50", against=twin)
    assert healthy.verdict in ("identical", "rounding")


def test_checkpoints_of_other_width_cannot_be_compared(loaded: Loaded, minilm: Checkpoint) -> None:
    with pytest.raises(BertlensError, match="cannot compare the two checkpoints; got 384 and 32 dimensions"):
        bertlens.compare(minilm, TEXTS, against=loaded("bert"))


def test_the_float64_repeat_is_float64_throughout(loaded: Loaded) -> None:
    modern = loaded("modernbert")
    conditions = (Condition(batch="alone", attention="eager"), Condition(padding=64), Condition(padding=64, attention="eager"))
    sides = [prepare(modern, TEXTS, condition) for condition in conditions]
    alone, fused, whole = (read(side, Readout("mean"), dtype="float64") for side in sides)
    assert alone.dtype == np.float64
    assert 0 < np.abs(alone - fused).max() < 1e-13
    assert np.abs(alone - whole).max() < 1e-13
    # the premise: the model itself computes softmax in float32 even with weights in float64
    model = modern.instance("float64", "eager", False)
    with torch.inference_mode():
        plain = torch.cat([model(**batch.tensors).last_hidden_state[:, 0] for batch in sides[0]]).numpy()
    assert np.abs(plain - read(sides[0], Readout("cls"), dtype="float64")).max() > 1e-10


@pytest.mark.parametrize("failure", [BertlensError("no float64 here"), MemoryError("too large")])
@pytest.mark.parametrize(
    ("candidate", "sound"), [("padding=40,attention=eager", "rounding"), ("padding=40,mask=off", "different")]
)
def test_a_repeat_that_fails_is_undecided_with_a_note(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, failure: Exception, candidate: str, sound: str
) -> None:
    real = pair.read

    def fail(*args: Any, dtype: str | None = None, **kwargs: Any) -> np.ndarray:
        if dtype == "float64":
            raise failure
        return real(*args, dtype=dtype, **kwargs)

    assert bertlens.compare(loaded("bert"), TEXTS, candidate=candidate).verdict == sound
    loaded("bert").kept.clear()  # what was run before must not answer now
    monkeypatch.setattr(pair, "read", fail)
    result = bertlens.compare(loaded("bert"), TEXTS, candidate=candidate)
    assert result.verdict == "undecided"
    assert result.sentence.startswith("Undecided: ")
    assert "could not be repeated in float64" in result.sentence
    assert [note for note in result.notes if str(failure) in note]
    assert not [finding for finding in result.findings if finding.severity == "problem"], "nobody is accused without proof"


@pytest.fixture
def rain(loaded: Loaded, copy_of: Folder) -> Any:
    """A checkpoint in which the embedding of "rain" is not a number, or of a size that only float16 cannot hold."""
    base = loaded("bert")

    def spoilt(value: float) -> Checkpoint:
        folder: Path = copy_of(base.folder)
        weights = load_file(folder / "model.safetensors")
        (token,) = base.tokenizer("rain", add_special_tokens=False)["input_ids"]
        # of both signs: LayerNorm would take a row of one value down to its rounding
        weights["embeddings.word_embeddings.weight"][token] *= value
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return bertlens.load(str(folder))

    return spoilt


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number_on_both_sides(rain: Any, value: float) -> None:
    broken = rain(value)
    for candidate in ("", "padding=40"):
        result = bertlens.compare(broken, TEXTS, candidate=candidate)
        assert [row.verdict for row in result.rows][1] == "undecided"
        assert {result.rows[0].verdict, result.rows[2].verdict} <= {"identical", "rounding"}
        assert result.verdict == "undecided"
        assert result.sentence == "Undecided: 1 of 3 texts has NaN or Inf in both vectors, so there is no number to compare."
        assert result.findings == ()
        strict(result)


def test_not_a_number_beside_a_fault_is_told_and_does_not_hide_it(rain: Any) -> None:
    result = bertlens.compare(rain(np.nan), TEXTS, candidate="mask=off")
    assert [row.verdict for row in result.rows] == ["different", "undecided", "rounding"] or result.rows[
        0
    ].verdict == "different"
    assert result.sentence.startswith("Different: the largest difference is ")
    assert result.sentence.endswith("1 of 3 texts has NaN or Inf in both vectors.")
    assert [finding.id for finding in result.findings] == ["attention-mask-missing"]
    assert all(np.isfinite(cause.max_abs) for cause in result.explanation.causes)
    strict(result)


def test_not_a_number_on_one_side(rain: Any, loaded: Loaded) -> None:
    result = bertlens.compare(loaded("bert"), TEXTS, reference="", candidate="", against=rain(np.nan))
    assert [row.verdict for row in result.rows] == ["identical", "different", "identical"]
    assert result.sentence.startswith(
        "Different: 1 of 3 texts has NaN or Inf in one of the two vectors; the cause is checkpoint"
    )
    assert strict(result)["rows"][1]["max_abs"] is None


def test_overflow_in_half_precision_is_blamed_on_the_number_format(rain: Any) -> None:
    large = rain(1e6)
    assert bertlens.compare(large, TEXTS, candidate="dtype=float32,padding=40").verdict in ("identical", "rounding")
    for reference in ("", "batch=alone"):
        result = bertlens.compare(large, TEXTS, reference=reference, candidate="dtype=float16")
        assert result.rows[1].verdict == "different"
        assert "1 of 3 texts has NaN or Inf in one of the two vectors; the cause is dtype float32 → float16" in result.sentence
        assert [finding.id for finding in result.findings] == ["half-precision"]
        strict(result)


def strict(result: Any) -> dict[str, Any]:
    """The document as a strict JSON reader gets it."""
    return dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
