"""Readout: how the outputs of a model become one vector per text.

Written `pooling[@layers][|l2]`, for example `cls`, `mean@-2`, `cls@last4:concat`, `mean|l2`. Pooling modes are called as
sentence-transformers calls them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bertlens.errors import BertlensError

POOLINGS: dict[str, str] = {
    "cls": "the first real token of the row",
    "pooler": "pooler_output: the first token through the pooler's dense layer and tanh",
    "mean": "the mean over real tokens",
    "mean_all": "the mean over all tokens, padding counted",
    "mean_content": "the mean over real tokens without [CLS] and [SEP]",
    "max": "the largest value of each unit over real tokens",
    "mean_sqrt_len_tokens": "the sum over real tokens divided by the square root of their number",
    "weightedmean": "the mean over real tokens, weighed 1, 2, 3, … from the first of them",
    "lasttoken": "the last real token of the row",
    "first_position": "position 0, whatever stands there",
}
"""Every pooling with one sentence."""

COMBINATIONS = ("concat", "concat_reversed", "mean", "sum")
"""How several layers become one vector; concat is in the order -1, -2, …, concat_reversed ends with -1."""

COMMON = (*POOLINGS, "mean|l2", "cls@last4:concat", "mean@last4:mean", "mean@last4:concat")
"""Readouts to offer; any other can be typed."""

_LAYERS = re.compile(r"(-?\d+)|(last(\d+)|all):(\w+)")


@dataclass(frozen=True)
class Readout:
    """Pooling over tokens, layers read, how layers are combined, and L2 normalisation.

    Attributes
    ----------
    pooling : a key of `POOLINGS`.
    layers : "-1" (last_hidden_state), an index into hidden_states, "lastN" or "all".
    combine : one of `COMBINATIONS` where several layers are read, else "".
    l2 : whether the vector is divided by its length.

    Examples
    --------
    >>> str(Readout.parse("mean@last4:concat|l2"))
    'mean@last4:concat|l2'
    """

    pooling: str = "cls"
    layers: str = "-1"
    combine: str = ""
    l2: bool = False

    @classmethod
    def parse(cls, text: str | Readout) -> Readout:
        """Read `pooling[@layers][|l2]`."""
        if isinstance(text, Readout):
            return text
        body, bar, normalise = (piece.strip() for piece in text.partition("|"))
        pooling, at, layers = (piece.strip() for piece in body.partition("@"))
        match = _LAYERS.fullmatch(layers) if at else _LAYERS.fullmatch("-1")
        wrong = ""
        if pooling not in POOLINGS:
            wrong = f"the pooling '{pooling[:40]}'"
        elif bar and normalise != "l2":
            wrong = f"'|{normalise[:40]}'"
        elif match is None or (match[4] is not None and match[4] not in COMBINATIONS):
            wrong = f"the layers '{layers[:40]}'"
        elif pooling == "pooler" and at and layers != "-1":
            wrong = "a pooler on other layers than the last"
        if wrong or match is None:
            raise BertlensError(
                f"cannot read the readout '{text[:60]}'",
                got=wrong,
                expected=f"pooling[@layers][|l2] with a pooling of {', '.join(POOLINGS)} and layers like -1, 3, "
                f"last4:concat or all:mean ({' / '.join(COMBINATIONS)})",
            )
        return cls(pooling, match[1] or match[2], match[4] or "", bool(bar))

    def __str__(self) -> str:
        layers = f"{self.layers}:{self.combine}" if self.combine else self.layers
        return self.pooling + (f"@{layers}" if layers != "-1" else "") + ("|l2" if self.l2 else "")

    @property
    def meaning(self) -> str:
        """The pooling in one sentence."""
        return POOLINGS[self.pooling]

    def in_every_layer(self) -> Readout:
        """The readout itself, if it can be followed from layer to layer: a pooling of hidden states that names no layers."""
        if self.layers == "-1" and self.pooling != "pooler":
            return self
        pooler = self.pooling == "pooler"
        raise BertlensError(
            f"cannot follow {self} through the layers",
            got="pooler_output, which reads the last layer alone" if pooler else f"layers {self.layers}",
            expected="a pooling without layers",
            do="read cls or mean" if pooler else f"write {self.pooling}",
        )

    def indices(self, depth: int) -> tuple[int, ...]:
        """Indices into hidden_states (0 … depth) in the order in which they are combined; () for last_hidden_state."""
        if self.layers == "-1":
            return ()
        if self.combine:
            count = depth + 1 if self.layers == "all" else int(self.layers.removeprefix("last"))
            order = [depth - step for step in range(count)]
            chosen = order[::-1] if self.combine == "concat_reversed" else order
        else:
            chosen = [int(self.layers) + (depth + 1 if int(self.layers) < 0 else 0)]
        if not chosen or min(chosen) < 0 or max(chosen) > depth:
            raise BertlensError(
                f"cannot read {self}",
                got=f"layers {self.layers}",
                expected=f"indices 0 (embeddings) … {depth} (last layer), or at most last{depth + 1}",
            )
        return tuple(chosen)
