"""A figure as a file of its own: whole, and whatever text is in it stays text."""

from __future__ import annotations

import json
import re

import plotly.graph_objects as go

import bertlens
from bertlens.show.checkpoint import states
from bertlens.show.standalone import standalone
from bertlens.show.values import range_of
from tests.checkpoints import drawn, sound

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&amp;"


def test_nothing_of_a_figure_title_or_sentence_becomes_markup() -> None:
    figure = go.Figure(go.Scatter(x=["one"], y=[1.0], text=[HOSTILE], name=HOSTILE))
    figure.update_xaxes(ticktext=[HOSTILE], tickvals=[0])
    page = standalone(figure, HOSTILE, HOSTILE)
    assert "<img" not in page and "onerror" in page
    harmless = standalone(go.Figure(go.Scatter(x=["one"], y=[1.0])), "name", "words")
    assert page.count("</script>") == harmless.count("</script>")
    assert "<title>&lt;/script&gt;" in page and "<figcaption>&lt;/script&gt;" in page
    assert "<title>name</title>" in harmless and "<figcaption>words</figcaption>" in harmless


def test_the_file_has_the_data_and_plotly_itself_and_leaves_the_figure_alone() -> None:
    figure = go.Figure(go.Scatter(x=[1, 2], y=[0.125, 0.25], name="twice"))
    before = figure.to_json()
    page = standalone(figure, "bertlens-test")
    assert figure.to_json() == before
    assert json.dumps("bertlens-test") in page and '"name":"twice"' in page and '"x":[1,2]' in page
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*\b(?:src|href)=", page)
    assert len(page) > 1_000_000  # plotly.js is in it


def test_a_map_and_values_in_a_sentence(tmp_path) -> None:
    import numpy as np

    whole = bertlens.check(str(sound(tmp_path / "sound").path))
    broken = bertlens.check(str(sound(tmp_path / "broken").weights(drawn("encoder.layer.5.output.dense")).path))
    named = "encoder.layer.5.output.dense"
    assert named not in states(whole) and named in states(broken)
    assert states(whole).startswith(f"{len(whole.modules)} modules")
    assert range_of(np.array([[1.0, -2.5, 0.0]])) == "1 × 3 values between -2.5 and 1."
    assert range_of(np.array([np.nan, 3.0])) == "2 values between 3 and 3."
    assert range_of(np.array([np.inf])) == "1 values, none of them finite."
