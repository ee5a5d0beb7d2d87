"""Results in a notebook and as JSON."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import bertlens
from bertlens import diagnose
from bertlens.cases.gallery import reproduce
from bertlens.judge.display import PLOTLY, Shown
from bertlens.judge.weights.reload import load_twice
from bertlens.run.checkpoint import Checkpoint
from bertlens.show import display
from tests.conftest import Loaded

TEXTS = ["<script>alert(1)</script> & a short text", "a text that is a good deal longer than the first"]


@pytest.mark.parametrize("question", ["compare", "sweep", "parting"])
def test_a_result_shows_itself_and_its_markup_stays_text(minilm: Checkpoint, question: str) -> None:
    result: Any
    if question == "compare":
        result = bertlens.compare(minilm, TEXTS, candidate="mask=off")
    elif question == "sweep":
        result = bertlens.padding_sweep(minilm, TEXTS[:1], count=3)
    else:
        result = bertlens.where_they_part(minilm, TEXTS, 0, candidate="mask=off")
    page = result._repr_html_()
    assert "<table" in page
    assert "<script>" not in page
    document = json.dumps(result.to_dict(), allow_nan=False)
    assert len(document) > 100


def test_the_documents_hold_the_numbers_of_the_frames(minilm: Checkpoint) -> None:
    sweep = bertlens.padding_sweep(minilm, TEXTS[:1], count=3)
    assert sweep.to_dict()["series"][1]["max_abs"] == sweep.to_frame()["float32, mask off"].tolist()
    parting = bertlens.where_they_part(minilm, TEXTS, 0, candidate="mask=off")
    assert [size for layer in parting.to_dict()["max_abs"] for size in layer] == parting.to_frame()["max_abs"].tolist()


# --- every result, with its figure ------------------------------------------------------------------------------------

PAIR = ("<b>who</b> is it", "a friend of yours")

Make = Callable[[Checkpoint, Checkpoint, Any], Any]

RESULTS: dict[str, Make] = {
    "Attention": lambda one, head, given: bertlens.attention(one, TEXTS),
    "AttentionOfTexts": lambda one, head, given: bertlens.attention_of_texts(one, TEXTS),
    "Checkup": lambda one, head, given: bertlens.check(one),
    "ClsAttention": lambda one, head, given: bertlens.cls_attention(head, TEXTS),
    "Comparison": lambda one, head, given: bertlens.compare(one, TEXTS, candidate="mask=off"),
    "Costs": lambda one, head, given: bertlens.pooling_costs(one, TEXTS),
    "Diagnosis": lambda one, head, given: bertlens.diagnosis(one, TEXTS),
    "DropoutRuns": lambda one, head, given: bertlens.head_dropout(head, TEXTS, runs=2),
    "Effect": lambda one, head, given: bertlens.edit(one, TEXTS, edits="2:scale=2"),
    "Explained": lambda one, head, given: bertlens.explain("last_hidden_state[:, 0]", bertlens.capture(one, TEXTS)),
    "Fresh": lambda one, head, given: bertlens.pooling(one, TEXTS).fresh("mean", classes=2, seeds=(0, 1)),
    "Head": lambda one, head, given: bertlens.head(head, TEXTS),
    "Identification": lambda one, head, given: bertlens.identify(one, TEXTS, given, budget=10),
    "Layers": lambda one, head, given: bertlens.layers(one, TEXTS),
    "Lookup": lambda one, head, given: bertlens.lookup(one, TEXTS),
    "LookupCost": lambda one, head, given: diagnose.lookup_cost(one, TEXTS),
    "Matrix": lambda one, head, given: bertlens.weight_matrix(one, "encoder.layer.0.output.dense"),
    "OwnPositions": lambda one, head, given: diagnose.own_positions(one, [PAIR]),
    "Padded": lambda one, head, given: diagnose.padded_vectors(one, TEXTS),
    "PaddingLook": lambda one, head, given: bertlens.attention_to_padding(one, TEXTS),
    "PaddingTrap": lambda one, head, given: bertlens.padding_trap(one),
    "Parting": lambda one, head, given: bertlens.where_they_part(one, TEXTS, 0, candidate="mask=off"),
    "PooledTexts": lambda one, head, given: bertlens.pool(one, TEXTS, ["mean"]),
    "Poolings": lambda one, head, given: bertlens.pooling(one, TEXTS),
    "Probe": lambda one, head, given: bertlens.probe(one, TEXTS * 2, list("abab"), ["cls", "mean"], repeats=1),
    "Reload": lambda one, head, given: load_twice(one.name, TEXTS),
    "Reproduction": lambda one, head, given: reproduce("attention-mask-missing", one, tuple(TEXTS)),
    "Rows": lambda one, head, given: bertlens.index_or_slice(one, TEXTS),
    "Sweep": lambda one, head, given: bertlens.padding_sweep(one, TEXTS[:1], count=3),
    "TokenLayers": lambda one, head, given: bertlens.token_path(one, TEXTS, 0),
    "TokenShares": lambda one, head, given: bertlens.token_shares(head, TEXTS, steps=2),
}
"""How each kind of result comes about: from an encoder, from one with a head, and from vectors of the texts."""

WITHOUT = {
    *("AttentionOfTexts", "Explained", "OwnPositions", "PaddingLook", "PooledTexts", "Reload"),
}
"""Results of which there is no figure that needs nothing but themselves: sentence and table are all."""


def shown_by_themselves() -> dict[str, type]:
    """Every class of the package that has something to show a notebook."""
    found = {}
    for module in pkgutil.walk_packages(bertlens.__path__, "bertlens."):
        if module.name != "bertlens.__main__":
            for one in vars(import_module(module.name)).values():
                if isinstance(one, type) and one.__module__.startswith("bertlens.") and hasattr(one, "_repr_html_"):
                    found[one.__name__] = one
    assert len({one.__module__ for one in found.values()}) > 20, "the walk finds them"
    return {name: one for name, one in found.items() if one is not Shown}


def test_no_result_is_forgotten() -> None:
    found = shown_by_themselves()
    assert set(found) == set(RESULTS), "a new result needs a line in RESULTS, and a figure or a line in WITHOUT"
    assert all(issubclass(one, Shown) for one in found.values()), "sentence, table and figure come from one place"
    assert {one.__name__ for one in display.FIGURES} == set(found) - WITHOUT


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_shows_its_sentence_its_table_and_its_figure(name: str, loaded: Loaded) -> None:
    one, head = loaded("bert"), loaded("bert", head="sequence-classification")
    given = bertlens.pool(one, TEXTS, ["mean"]).vectors["mean"] if name == "Identification" else None
    result = RESULTS[name](one, head, given)
    assert type(result).__name__ == name
    bundle = result._repr_mimebundle_()
    assert bundle["text/plain"] == result.sentence and bundle["text/html"] == result._repr_html_()
    assert "<table" in bundle["text/html"] and "<script" not in json.dumps(bundle) and "<b>" not in bundle["text/html"].lower()
    assert (PLOTLY in bundle) == (name not in WITHOUT)
    if name not in WITHOUT:
        picture = json.loads(json.dumps(bundle[PLOTLY], allow_nan=False))
        assert picture["data"] and picture["layout"]["height"] > 100
        assert len(json.dumps(picture)) < 400_000, "plotly.js is not in it"


def test_a_figure_has_the_numbers_of_the_result(loaded: Loaded) -> None:
    sweep = bertlens.padding_sweep(loaded("bert"), TEXTS[:1], count=3)
    figure = display.FIGURES[type(sweep)](sweep)
    assert figure is not None
    assert {line.name: np.asarray(line.customdata).tolist() for line in figure.data} == {
        f"mask {mask}, {dtype}": values.tolist() for (dtype, mask), values in sweep.max_abs.items()
    }


def test_where_there_is_nothing_to_draw_there_is_no_figure(loaded: Loaded) -> None:
    one = loaded("bert")
    given = np.random.default_rng(0).normal(size=(2, 997)).astype(np.float32)  # no readout has so many components
    assert PLOTLY not in bertlens.identify(one, TEXTS, given, budget=5)._repr_mimebundle_()
    assert display.picture(object()) is None


def test_of_one_output_a_notebook_shows_one_form_so_there_are_two(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []

    class Fake:
        @staticmethod
        def display(bundle: dict[str, Any], *, raw: bool) -> None:
            assert raw
            shown.append(bundle)

    monkeypatch.setitem(sys.modules, "IPython.display", Fake)
    bertlens.lookup(loaded("bert"), TEXTS)._ipython_display_()
    assert [sorted(bundle) for bundle in shown] == [["text/html", "text/plain"], sorted([PLOTLY, "text/plain"])]
    shown.clear()
    bertlens.pool(loaded("bert"), TEXTS, ["mean"])._ipython_display_()
    assert [sorted(bundle) for bundle in shown] == [["text/html", "text/plain"]]


def test_without_streamlit_and_without_the_figures_until_one_is_shown(loaded: Loaded) -> None:
    code = f"""
import json, sys
sys.modules["streamlit"] = None
import bertlens
texts = {TEXTS!r}
checkpoint = bertlens.load({loaded("bert").name!r})
vectors = bertlens.pool(checkpoint, texts, ["mean"]).vectors["mean"]
results = [bertlens.compare(checkpoint, texts), bertlens.check(checkpoint), bertlens.layers(checkpoint, texts),
           bertlens.pooling(checkpoint, texts), bertlens.identify(checkpoint, texts, vectors, budget=10),
           bertlens.diagnosis(checkpoint, texts)]
before = "bertlens.show.display" in sys.modules
bundles = [one._repr_mimebundle_() for one in results]
print(json.dumps([before, [type(one).__name__ for one in results], [sorted(one) for one in bundles]]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, names, kinds = json.loads(done.stdout.splitlines()[-1])
    assert not before
    assert names == ["Comparison", "Checkup", "Layers", "Poolings", "Identification", "Diagnosis"]
    said = ["text/html", "text/plain"]
    assert kinds == [said if name in WITHOUT else [PLOTLY, *said] for name in names]
