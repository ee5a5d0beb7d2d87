"""Projections: the attention matrices of every layer, under one name in every family."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

NAME = re.compile(
    r"(.*\b(?:attention|attn))\.(?:self\.|output\.)?(query|key|value|dense|[qkv]_lin|out_lin|[qkvo]|Wqkv|Wo)\.weight"
)
LETTERS = {"q": "query", "k": "key", "v": "value", "o": "output", "d": "output", "W": "output"}


def projections(parameters: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Per layer "query", "key" and "value" (hidden out, hidden in) and "output" (hidden, hidden in), as far as they are.

    `parameters` are a model's, by name. A model without a table of positions has rotary ones: there only "value" and
    "output" are returned, because what `bertlens.judge.weights.heads` looks for is covered by the frequencies in the other two.
    ALBERT's shared layer stands once.
    """
    rotary = not any("position_embeddings" in name for name in parameters)
    layers: dict[str, dict[str, Tensor]] = {}
    for name, matrix in parameters.items():
        if found := NAME.fullmatch(name):
            layer, what = layers.setdefault(found[1], {}), found[2]
            if what == "Wqkv":
                layer.update(zip(("query", "key", "value"), matrix.detach().chunk(3), strict=True))
            else:
                layer[LETTERS[what[0]]] = matrix.detach()
    unwanted = {"query", "key"} if rotary else set()
    return [{key: matrix for key, matrix in layer.items() if key not in unwanted} for layer in layers.values()]
