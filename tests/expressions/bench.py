"""Captures small enough that every cell of them can be moved, one at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from bertlens.read.capture import Capture

LAYERS, HIDDEN = 4, 8
"""Layers behind the embeddings, hidden units; no two axes of a capture are of one size."""

IDS = {"[PAD]": 0, "[CLS]": 101, "[SEP]": 102}
TWO = ("[CLS] a cat sat . [SEP]", "[CLS] rain fell [SEP] [PAD] [PAD]")


def built(rows: tuple[str, ...], seed: int = 0) -> Capture:
    """The capture of some rows of tokens, with random states."""
    tokens = tuple(tuple(row.split()) for row in rows)
    words = sorted({token for row in tokens for token in row} - IDS.keys())
    number = {**IDS, **{word: 1000 + at for at, word in enumerate(words)}}
    ids = torch.tensor([[number[token] for token in row] for row in tokens])
    real, special = (ids != 0).long(), torch.isin(ids, torch.tensor([0, 101, 102])).long()
    generator = torch.Generator().manual_seed(seed)
    shape = (*ids.shape, HIDDEN)
    states = tuple(torch.randn(shape, generator=generator) for _ in range(LAYERS + 1))
    return Capture(
        hidden_states=states,
        last_hidden_state=states[-1],
        pooler_output=torch.tanh(torch.randn(len(rows), HIDDEN, generator=generator)),
        inputs={"input_ids": ids, "token_type_ids": torch.zeros_like(ids), "attention_mask": real},
        tokens=tokens,
        real=real,
        special=special,
        cls="[CLS]",
        sep="[SEP]",
        fields=("last_hidden_state", "pooler_output", "hidden_states"),
        given=len(rows),
        wanted_grad=False,
    )


@cache
def benches() -> dict[str, Capture]:
    """By name.

    two : the ordinary batch; the second text is two tokens shorter, padded on the right.
    even : two texts of one length, no padding.
    one : a batch of one, no padding.
    lonely : a batch of one that is padded all the same.
    left : two texts, padded on the left.
    three : three texts of three lengths.
    poolerless : no pooler output among the fields.
    brief : no hidden states among the fields, as models return by default.
    bare : no special tokens.
    grad : the outputs hang on autograd.
    """
    two = built(TWO)
    return {
        "two": two,
        "even": built(("[CLS] a cat sat . [SEP]", "[CLS] rain fell down . [SEP]"), 1),
        "one": built(("[CLS] a cat sat . [SEP]",), 2),
        "lonely": built(("[CLS] rain fell [SEP] [PAD] [PAD]",), 3),
        "left": built(("[CLS] a cat sat . [SEP]", "[PAD] [PAD] [CLS] rain fell [SEP]"), 4),
        "three": built(("[CLS] a cat . [SEP]", "[CLS] rain [SEP] [PAD] [PAD]", "[CLS] dogs sleep [SEP] [PAD]"), 5),
        "poolerless": replace(two, pooler_output=None, fields=("last_hidden_state", "hidden_states")),
        "brief": replace(two, hidden_states=two.hidden_states[-1:], fields=("last_hidden_state", "pooler_output")),
        "bare": built(("a cat sat on mats .", "rain fell hard . [PAD] [PAD]"), 6),
        "grad": replace(two, wanted_grad=True),
    }
