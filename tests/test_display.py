"""Results in a notebook and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

import bertlens
from bertlens.run.checkpoint import Checkpoint

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
