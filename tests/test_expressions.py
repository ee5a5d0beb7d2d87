"""Expressions as people write them, held against Python itself and against an oracle that moves cells."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import bertlens
from bertlens.judge.findings import catalogue
from bertlens.read.expression.evaluate import evaluate
from bertlens.read.expression.explanation import Step, Trace
from tests.conftest import Loaded
from tests.expressions import WRITTEN
from tests.expressions.bench import HIDDEN, benches
from tests.expressions.oracle import Moved, as_array, model_output, moved, run
from tests.expressions.written import ALL, FRESH, GRAD, OFF_BY_ONE, Written

if TYPE_CHECKING:
    from bertlens.judge.expression.explained import Explained

SOUND = [one for one in WRITTEN if not one.fails]
REFUSED = [one for one in WRITTEN if one.fails]
FAULTY = [one for one in WRITTEN if one.found]


def every(entries: list[Written]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", entries, ids=[one.name for one in entries])


@cache
def explained(code: str, bench: str) -> Explained:
    return bertlens.explain(code, benches()[bench])


@cache
def traced(code: str, bench: str) -> Trace:
    return evaluate(code, benches()[bench])


@cache
def oracle(entry: Written, axis: int | None) -> Moved:
    return moved(entry.code, benches()[entry.on], axis=axis)


def last_step(trace: Trace) -> Step:
    assert trace.failure is None, trace.failure
    assert trace.result is not None
    return trace.result


def test_the_corpus_holds_what_it_should() -> None:
    assert len(WRITTEN) >= 140
    assert len({(one.code, one.on) for one in WRITTEN}) == len(WRITTEN)
    assert sum(bool(one.unseen) for one in WRITTEN) < 10
    found = {fault for one in WRITTEN for fault in one.found}
    assert found <= {*catalogue(), GRAD}
    # where the bench decides, the same code stands there twice, faulty and sound
    sound = {one.code for one in SOUND if not one.found}
    twins = {fault for one in FAULTY if one.code in sound for fault in one.found}
    assert found - twins == {OFF_BY_ONE, FRESH}


@every(SOUND)
def test_value_is_that_of_python(entry: Written) -> None:
    trace = traced(entry.code, entry.on)
    step = last_step(trace)
    if entry.shape is None:
        return
    plain = run(entry.code, benches()[entry.on])
    expected, got = as_array(plain), as_array(trace.value)
    assert expected.shape == got.shape == entry.shape
    if not entry.fresh:
        assert np.array_equal(expected, got, equal_nan=expected.dtype.kind == "f")
    if isinstance(plain, torch.Tensor | np.ndarray):
        assert expected.dtype == got.dtype
        assert step.dtype == str(expected.dtype)
        assert step.bytes == expected.nbytes
    if isinstance(plain, torch.Tensor | np.ndarray | list):
        assert step.shape == entry.shape


@every(SOUND)
def test_axes(entry: Written) -> None:
    step = last_step(traced(entry.code, entry.on))
    if entry.shape is None or step.form == "number":
        return
    noted = entry.axes.split()
    assert len(step.axes) == len(noted) == len(step.shape)
    assert [name if wanted != "*" else "*" for name, wanted in zip(step.axes, noted, strict=True)] == noted


@every(SOUND)
def test_cells_noted_by_hand(entry: Written) -> None:
    capture = benches()[entry.on]
    held = last_step(traced(entry.code, entry.on)).provenance
    layers = len(capture.hidden_states)
    sizes = {"texts": capture.batch, "tokens": capture.width, "layers": layers, "hidden": capture.hidden}
    for name, size in sizes.items():
        noted = getattr(entry, name)
        if noted is not None:
            wanted = tuple(range(size)) if noted == ALL else tuple(noted)
            if name == "layers" and layers == 1:
                wanted = tuple(0 for _ in wanted)
            assert tuple(getattr(held, name)) == wanted, name
    if entry.padding is not None:
        assert held.padding == entry.padding
    if entry.reduced is not None:
        assert held.reduced == entry.reduced


@every([one for one in SOUND if not one.unseen])
def test_cells_are_those_that_move_it(entry: Written) -> None:
    capture = benches()[entry.on]
    trace = traced(entry.code, entry.on)
    step = last_step(trace)
    plain = run(entry.code, capture)
    arrayed = isinstance(plain, torch.Tensor | np.ndarray) and plain.ndim > 0
    axis = step.axes.index("batch") if arrayed and "batch" in step.axes else None
    compare(trace, oracle(entry, axis), capture.real)


def compare(trace: Trace, by_moving: Moved, real: Any) -> None:
    """Everything that a trace says about cells."""
    held, cells = last_step(trace).provenance, by_moving.cells
    assert np.array_equal(trace.cells, cells.any(3))
    of_states, of_pooler = cells.any(), by_moving.pooler.any()
    if of_states:
        assert held.tokens == tuple(np.flatnonzero(cells.any((0, 1, 3))))
        assert held.layers == tuple(np.flatnonzero(cells.any((1, 2, 3))))
    if of_states or of_pooler:
        assert held.texts == tuple(np.flatnonzero(cells.any((0, 2, 3)) | by_moving.pooler.any(1)))
        assert held.hidden == tuple(np.flatnonzero(cells.any((0, 1, 2)) | by_moving.pooler.any(0)))
    assert held.exact
    if of_states and not of_pooler:
        positions = np.asarray(cells.any((0, 3)))
        assert held.positions == positions.sum()
        assert held.padding == (positions & (real.numpy() == 0)).sum()
        assert held.every_token == bool(positions[list(held.texts)].all())
        assert held.every_hidden == (len(held.hidden) == cells.shape[3])
    if by_moving.rows:
        assert held.rows == by_moving.rows


@every([one for one in SOUND if one.on == "two" and not one.unseen][::80])
def test_moving_whole_layers_first_passes_nothing_over(entry: Written) -> None:
    flat, quick = moved(entry.code, benches()["two"], flat=True), oracle(entry, None)
    assert np.array_equal(flat.cells, quick.cells)
    assert np.array_equal(flat.pooler, quick.pooler)


@every(REFUSED)
def test_refused_as_by_python(entry: Written) -> None:
    with pytest.raises(Exception) as raised:
        run(entry.code, benches()[entry.on])
    assert type(raised.value).__name__ == entry.fails
    trace = traced(entry.code, entry.on)
    if entry.on == "grad" and trace.failure is None:
        return  # the states are kept without autograd: the value is shown, and the finding says what PyTorch would do
    assert trace.failure is not None
    assert trace.failure.message.startswith(f"{entry.fails}: ")
    words = str(raised.value).splitlines()[0].strip()
    if "invalid combination of arguments" in words:
        return  # PyTorch goes on to list all it would take
    # the class of the outputs is not known to the language, what it lacks is
    assert words[words.find("has no attribute") if "ModelOutput" in words else 0 :] in trace.failure.message
    assert trace.failure.expression in entry.code.replace("\n", " ") or trace.failure.expression in entry.code


@every(list(WRITTEN))
def test_findings(entry: Written) -> None:
    found = explained(entry.code, entry.on).findings
    assert {one.id for one in found} == entry.found
    assert all(one.title and one.remedy and one.code for one in found)


@every(FAULTY)
def test_remedy_mends(entry: Written) -> None:
    capture = benches()[entry.on]
    for one in explained(entry.code, entry.on).findings:
        again = bertlens.explain(one.code, capture)
        assert one.id not in {still.id for still in again.findings}, one.code
        assert again.failure is None
        run(one.code, capture)


@every([one for one in WRITTEN if one.on == "two"])
def test_model_output_is_read_as_a_capture_is(entry: Written) -> None:
    capture = benches()["two"]
    outputs = model_output(capture, capture.hidden_states, capture.pooler_output)
    again = bertlens.explain(entry.code, outputs, inputs=capture.inputs)
    first = explained(entry.code, "two")
    assert [step.shape for step in again.steps] == [step.shape for step in first.steps]
    assert [step.axes for step in again.steps] == [step.axes for step in first.steps]
    assert np.array_equal(again.trace.cells, first.trace.cells)
    assert (again.failure is None) == (first.failure is None)


HEALTHY = [
    "outputs.last_hidden_state[:, 0, :]",
    "outputs.last_hidden_state.mean(dim=1)",
    "torch.cat(hidden_states[-4:], dim=-1).mean(1)",
    "torch.stack([h[:, 0] for h in hidden_states[-4:]]).mean(0)",
    "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)",
    "pooler_output.squeeze()",
    "last_hidden_state.numpy()[:, 0]",
]
"""Sound where two texts of one length stand in a batch, but for the squeeze that waits for a batch of one."""


@pytest.mark.parametrize("code", HEALTHY)
@pytest.mark.parametrize(
    ("bench", "fault"),
    [("even", ""), ("two", "mean"), ("one", "squeeze"), ("left", "mean left"), ("grad", "mean numpy"), ("bare", "mean bare")],
)
def test_one_expression_on_several_benches(code: str, bench: str, fault: str) -> None:
    found = {one.id for one in explained(code, bench).findings}
    expected = set()
    if "mean" in fault and ".mean(" in code and "[:, 0]" not in code:
        expected.add("mean-includes-padding")
    if ".squeeze()" in code:
        # a note where the batch is larger; where it is one, its axis is lost
        expected.add("wrong-axis")
        assert {one.severity for one in explained(code, bench).findings} == {"problem" if "squeeze" in fault else "note"}
    if "left" in fault and "[:, 0" in code:
        expected.add("cls-read-at-padding")
    if "bare" in fault and "[:, 0" in code:
        expected.add("special-tokens-missing")
    if "numpy" in fault and ".numpy()" in code:
        expected.add("numpy-requires-grad")
    assert found == expected


REAL = [
    ("outputs.last_hidden_state[:, 0, :]", ("batch", "hidden"), set()),
    ("outputs[0][0]", ("tokens", "hidden"), {"wrong-axis"}),
    ("outputs[0].mean(1)", ("batch", "hidden"), {"mean-includes-padding"}),
    (HEALTHY[4], ("batch", "hidden"), set()),
    ("torch.cat(hidden_states[-2:], dim=-1)[:, 0]", ("batch", "layers·hidden"), set()),
    ("hidden_states[0][:, 0]", ("batch", "hidden"), {"hidden-states-off-by-one"}),
    ("torch.stack(hidden_states[1:]).mean(0)", ("batch", "tokens", "hidden"), set()),
]


@pytest.mark.parametrize(("code", "axes", "found"), REAL)
def test_on_a_model(code: str, axes: tuple[str, ...], found: set[str], loaded: Loaded) -> None:
    capture = bertlens.capture(loaded("bert"), ["A cat sat.", "Rain fell all night on the old stone bridge."])
    assert capture.real is not None
    assert (capture.real == 0).any(), "no padding, so that nothing could be found"
    explanation = bertlens.explain(code, capture)
    trace, step = explanation.trace, last_step(explanation.trace)
    expected = as_array(run(code, capture))
    assert np.array_equal(as_array(trace.value), expected)
    assert (step.axes, step.shape) == (axes, expected.shape)
    assert {one.id for one in explanation.findings} == found
    by_moving = moved(code, capture, units=1)
    assert np.array_equal(trace.cells, by_moving.cells.any(3))
    assert step.provenance.hidden == tuple(range(capture.hidden))
    assert capture.hidden > HIDDEN
