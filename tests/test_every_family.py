"""Every family through every function: the healthy run is rounding, the fault is named, and each question has an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import bertlens
from tests.conftest import Folder, Loaded
from tests.families import FAMILIES

ROOT = Path(__file__).parent.parent
TEXTS = ["A short text.", "This text is a good deal longer, so the first one is padded beside it in a batch."]
PAIRS = [("Where is it?", "Over there."), ("Who came?", "Nobody whom we had expected to come so late.")]
BLIND_TO_PADDING = ("roberta", "xlm-roberta", "mpnet", "modernbert")
"""Families whose positions follow the tokens, so that left padding is harmless."""

each_family = pytest.mark.parametrize("family", FAMILIES)


@each_family
@pytest.mark.parametrize("texts", [TEXTS, PAIRS], ids=["single", "pairs"])
def test_alone_against_the_batch_is_rounding(family: str, texts: list[Any], loaded: Loaded) -> None:
    assert bertlens.compare(loaded(family), texts).verdict in ("rounding", "identical")
    assert bertlens.compare(loaded(family), texts, candidate="padding=60", readout="mean").verdict in ("rounding", "identical")


@each_family
def test_a_forgotten_mask_is_named(family: str, loaded: Loaded) -> None:
    found = bertlens.compare(loaded(family), TEXTS, candidate="mask=off")
    assert found.verdict == "different"
    assert found.findings[0].id == "attention-mask-missing"
    assert found.explanation.causes[0].factor == "mask"


@each_family
def test_left_padding_is_a_fault_only_where_positions_are_blind_to_it(family: str, loaded: Loaded) -> None:
    found = bertlens.compare(loaded(family), TEXTS, candidate="side=left")
    if family in BLIND_TO_PADDING:
        assert found.verdict in ("rounding", "identical")
    else:
        assert found.verdict == "different"
        assert found.findings[0].id == "left-padding-positions"
    mended = bertlens.compare(loaded(family), TEXTS, candidate="side=left,positions=from-mask")
    assert mended.verdict in ("rounding", "identical")


@each_family
def test_segments_are_refused_where_there_are_none(family: str, loaded: Loaded) -> None:
    segments = loaded(family).architecture.segments
    if segments < 2:
        with pytest.raises(bertlens.BertlensError, match="cannot run segments=ones"):
            bertlens.compare(loaded(family), TEXTS, candidate="segments=ones")
    else:
        found = bertlens.compare(loaded(family), TEXTS, candidate="segments=ones", reference="")
        assert (found.verdict, found.findings[0].id) == ("different", "segment-ids-wrong")


@each_family
def test_sweep_parting_and_shapes_have_an_answer(family: str, loaded: Loaded) -> None:
    checkpoint = loaded(family)
    sweep = bertlens.padding_sweep(checkpoint, TEXTS[:1], count=4)
    assert sweep.lengths[-1] == checkpoint.max_length
    assert sweep.max_abs["float64", "on"].max() < 1e-12 < 1e-3 < sweep.max_abs["float64", "off"].max()
    parted = bertlens.where_they_part(checkpoint, TEXTS, 0, candidate="mask=off")
    assert parted.first is not None
    assert parted.first[0] == 1, "the embeddings know no mask"
    assert bertlens.where_they_part(checkpoint, TEXTS, 0).first is None
    tensors = {tensor.name: tensor for tensor in bertlens.shapes(checkpoint, TEXTS)}
    assert tensors["last_hidden_state"].shape[0] == len(TEXTS)
    assert ("pooler_output" in tensors) == checkpoint.architecture.pooler
    rows = bertlens.index_or_slice(checkpoint, TEXTS)
    assert rows.by_slice.verdict in ("identical", "rounding")
    assert (rows.by_index.verdict, rows.distinct_by_index) == ("different", 1)
    assert rows.accesses[0].refusal


@each_family
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_rounding(family: str, dtype: str, loaded: Loaded) -> None:
    found = bertlens.compare(loaded(family), TEXTS, reference="", candidate=f"dtype={dtype}")
    assert found.verdict == "rounding"
    assert np.isfinite(found.worst.max_abs)
    assert found.worst.max_abs > 1e-5


@each_family
def test_a_page_shows_the_family(family: str, family_folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(ROOT)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params["checkpoint"] = str(family_folder(family))
    app.query_params["texts"] = "\n".join(TEXTS)
    app.query_params["candidate"] = "mask=off"
    app.switch_page("pages/1_Batch_and_padding.py").run()
    assert not app.exception
    assert app.error[0].value.startswith("**Different**")
    assert len(app.error) == 1
    assert len(app.get("plotly_chart")) == 4
