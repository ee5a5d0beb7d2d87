"""The pictures of differences: rounding and a fault side by side, what a fault does and its remedy, everyday situations."""

from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go
import pytest

import bertlens
from bertlens.judge.comparison import Comparison
from bertlens.judge.measures import Row
from bertlens.run.checkpoint import Checkpoint
from bertlens.show import differences as pictures
from tests.conftest import Loaded

TEXTS = ["A short text.", "Another text, which is a good deal longer than the first one.", "Three"]


@pytest.fixture(scope="module")
def checkpoint(loaded: Loaded) -> Checkpoint:
    return loaded("bert")


def compared(checkpoint: Checkpoint, candidate: str, texts: list[str] = TEXTS) -> Comparison:
    return bertlens.compare(checkpoint, texts, reference="batch=alone", candidate=candidate)


def points(figure: go.Figure, name: str) -> dict[int, float]:
    """What a trace says of each text."""
    (trace,) = [trace for trace in figure.data if trace.name == name]
    return dict(zip(trace.x, trace.customdata, strict=True))


def test_rounding_falls_below_the_dash_and_a_fault_stays_above_it(checkpoint: Checkpoint) -> None:
    for candidate, verdict in (("batch=whole,padding=64", "rounding"), ("padding=64,mask=off", "different")):
        found = compared(checkpoint, candidate)
        figure = pictures.comparison(found)
        as_run = points(figure, f"as run: {verdict}")
        twice, reach = points(figure, "both in float64"), points(figure, "what rounding reaches in float64")
        mine = [row for row in found.rows if row.verdict == verdict]
        assert mine, "the premise: the verdict is there"
        for row in mine:
            assert (as_run[row.text], twice[row.text], reach[row.text]) == (row.max_abs, row.max_abs_float64, row.bound_float64)
            assert (twice[row.text] < reach[row.text]) == (verdict == "rounding")


def test_a_point_of_zero_stands_where_zero_is_written_and_says_zero() -> None:
    rows = [
        Row(0, True, 0.0, 0.0, 1.0, 0, verdict="identical"),
        Row(1, False, 1e-7, 1e-7, 1.0, 1, 1e-16, 1e-12, 1.0, "rounding"),
    ]
    figure = pictures.differences(rows)
    (same,) = [trace for trace in figure.data if trace.name == "as run: identical"]
    assert (tuple(same.customdata), same.y[0]) == ((0.0,), figure.layout.yaxis.tickvals[0])
    assert figure.layout.yaxis.ticktext[0] == "0"


def test_of_many_texts_those_that_lie_farthest_apart_are_drawn_in_their_order() -> None:
    rows = [Row(at, False, float(size), 1.0, 0.5, 9, verdict="different") for at, size in enumerate(range(1, 301))]
    figure = pictures.differences([replace(rows[0], max_abs=float("nan")), *rows[1:]])
    shown = points(figure, "as run: different")
    assert list(shown) == [0, *range(101, 300)]
    assert "200 of 300" in figure.layout.xaxis.title.text
    assert "1 whose difference is no number" in figure.layout.xaxis.title.text
    assert "farthest" not in pictures.differences(rows[:200]).layout.xaxis.title.text


def test_a_fault_and_its_remedy_are_two_traces(checkpoint: Checkpoint) -> None:
    found = bertlens.reproduce("attention-mask-missing", checkpoint, TEXTS)
    figure = pictures.reproduction(found)
    assert figure is not None
    for name, side in (("mistake", found.mistake), ("mended", found.mended)):
        assert points(figure, f"{name}: {side.verdict}") == {row.text: row.max_abs for row in side.rows}


def test_what_raises_has_only_its_remedy_and_without_numbers_there_is_no_picture(checkpoint: Checkpoint) -> None:
    found = bertlens.reproduce("attention-mask-missing", checkpoint, TEXTS)
    refused = replace(found, mistake=replace(found.mistake, verdict="refused", rows=(), said="IndexError: no"))
    figure = pictures.reproduction(refused)
    assert figure is not None and [trace.name for trace in figure.data] == [f"mended: {found.mended.verdict}"]
    assert pictures.reproduction(replace(refused, mended=refused.mistake)) is None


def test_everyday_situations_are_drawn_with_their_verdicts_and_what_float64_leaves_of_them(checkpoint: Checkpoint) -> None:
    found = bertlens.diagnosis(checkpoint, TEXTS).changes
    figure = pictures.changes(found)
    assert figure is not None
    traces = {trace.name: dict(zip(trace.y, trace.customdata, strict=True)) for trace in figure.data if trace.name}
    twice = traces.pop("both in float64")
    assert twice == {one.name: one.max_abs_float64 for one in found if one.max_abs_float64 is not None}
    verdicts: dict[str, dict[str, float]] = {one.verdict: {} for one in found if one.max_abs is not None}
    for one in found:
        if one.max_abs is not None:
            verdicts[one.verdict][one.name] = one.max_abs
    assert traces == {f"as run: {verdict}": sizes for verdict, sizes in verdicts.items()}
    assert {"rounding", "different"} <= verdicts.keys(), "both a fault and its healthy twin"
    assert all(twice[one.name] < 1e-12 for one in found if one.verdict == "rounding")
    assert all(twice[one.name] > 1e-6 for one in found if one.verdict == "different")
    assert pictures.changes(()) is None


def test_a_result_shows_these_pictures_of_itself(checkpoint: Checkpoint) -> None:
    bundle = compared(checkpoint, "mask=off,padding=64")._repr_mimebundle_()
    names = [trace["name"] for trace in bundle["application/vnd.plotly.v1+json"]["data"] if trace.get("name")]
    assert "as run: different" in names
