"""Corrections held against what the person meant: the corrected expression has the value of one that is known to be right."""

from __future__ import annotations

import numpy as np
import pytest

import bertlens
from tests.expressions.bench import benches
from tests.expressions.oracle import as_array, run
from tests.expressions.written import AT_PADDING, AXIS, PADDED, lines

MEAN = "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)"
FIRST = "last_hidden_state[torch.arange(len(input_ids)), attention_mask.argmax(1)]"
OF_LAYERS = "((torch.stack(hidden_states[-4:]).mean(0)) * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1)[:, None]"

MEANT = [
    # a loop over the texts needs another mask and another place at every turn
    ("torch.stack([t.mean(0) for t in last_hidden_state])", "two", PADDED, MEAN),
    ("torch.stack([last_hidden_state[i].mean(0) for i in range(2)])", "left", PADDED, MEAN),
    ("torch.stack([t[0] for t in last_hidden_state])", "left", AT_PADDING, FIRST),
    ("torch.stack([last_hidden_state[0, i] for i in range(1, 4)]).mean(0)", "two", AXIS, MEAN),
    # one over the layers needs the same at each
    ("torch.stack([h.mean(1) for h in hidden_states[-4:]]).mean(0)", "two", PADDED, OF_LAYERS),
    # the tokens of one text, for every text
    ("last_hidden_state[0, 1:4].mean(0)", "two", AXIS, "last_hidden_state[:, 1:4].mean(1)"),
    ("vector = last_hidden_state[0, 1:4].mean(axis=0)", "two", AXIS, "last_hidden_state[:, 1:4].mean(1)"),
    (lines("token_vecs = hidden_states[-1][0]", "token_vecs.mean(dim=0)"), "two", AXIS, MEAN),
]


@pytest.mark.parametrize(("code", "bench", "fault", "right"), MEANT)
def test_the_correction_is_what_was_meant(code: str, bench: str, fault: str, right: str) -> None:
    capture = benches()[bench]
    found = {one.id: one.code for one in bertlens.explain(code, capture).findings}
    assert fault in found
    got, expected = as_array(run(found[fault], capture)), as_array(run(right, capture))
    assert got.shape == expected.shape
    assert np.allclose(got, expected, atol=1e-6), found[fault]
    assert bertlens.explain(right, capture).verdict == "sound"


TITLES = [
    ("torch.stack(hidden_states[-4:])[:, 0]", "two", "Axis 1 is the batch: this is every token of text 0"),
    ("last_hidden_state[0, 1:4].mean(0)", "two", "This is text 0 only, 1 of 2: axis 0 is the batch"),
]


@pytest.mark.parametrize(("code", "bench", "title"), TITLES)
def test_the_title_is_true(code: str, bench: str, title: str) -> None:
    assert bertlens.explain(code, benches()[bench]).findings[0].title.startswith(title)
