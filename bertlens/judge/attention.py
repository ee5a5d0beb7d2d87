"""Attention: where the tokens of a text look in every head, whether anybody looks at padding, and whether that can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge.display import Shown
from bertlens.judge.findings import FAULT_OF, Finding, named
from bertlens.judge.measures import EPS, plain
from bertlens.judge.wording import number
from bertlens.read.attention import Attended
from bertlens.run.condition import Condition

if TYPE_CHECKING:
    import pandas as pd

VIEWS = {"mean": "mean of the layer's heads", "all": "mean of all heads of all layers", "rollout": "rollout up to the layer"}
"""Maps that are no single head's."""


@dataclass(frozen=True, eq=False)
class Attention(Shown):
    """One text's attention under a condition. Layers and heads are counted from 1 in every name, arrays from 0.

    Attributes
    ----------
    checkpoint, condition, text : what was run, and how; `text` is its index.
    tokens : as the tokenizer writes them; a token that stands twice is there twice.
    read : the weights and their measures.
    findings : the most serious first.
    """

    checkpoint: dict[str, Any]
    condition: str
    text: int
    tokens: tuple[str, ...]
    read: Attended
    findings: tuple[Finding, ...]
    environment: dict[str, Any]

    @property
    def layers(self) -> int:
        """Layers of the model."""
        return len(self.read.means)

    @property
    def heads(self) -> int:
        """Heads of a layer."""
        return int(self.read.measures["entropy"].shape[1])

    @property
    def columns(self) -> tuple[str, ...]:
        """What is looked at: the tokens and, where the row has padding, all of it as one."""
        return (*self.tokens, f"padding × {self.read.padding}") if self.read.padding else self.tokens

    @property
    def sums_to_one(self) -> bool:
        """Whether every row is a distribution, up to the rounding of the run's number format."""
        return sums_to_one(self.read.row_error, Condition.parse(self.condition).dtype, len(self.tokens) + self.read.padding)

    @property
    def verdict(self) -> str:
        """ "problem", "caution" or "sound": that of the most serious finding; a row that is no distribution is a problem."""
        severities = {finding.severity for finding in self.findings} | ({"problem"} if not self.sums_to_one else set())
        return next((word for word in ("problem", "caution") if word in severities), "sound")

    @property
    def sentence(self) -> str:
        """Whether anybody looks at padding, where the rest rests, and whether rows sum to 1, with the numbers."""
        word = {"problem": "Faulty", "caution": "Usable with care", "sound": "Sound"}[self.verdict]
        cls, sep = (percent(float(self.read.measures[name].mean())) for name in ("to_cls", "to_sep"))
        within = "sums to 1 within" if self.sums_to_one else "should sum to 1 and misses it by up to"
        rests = f"Of its attention {cls} rests on [CLS] and {sep} on [SEP]"
        return f"{word}: {self._padding}. {rests}, and every row {within} {number(self.read.row_error)}."

    @property
    def _padding(self) -> str:
        count, shares = self.read.padding, self.read.measures["to_padding"]
        if not count:
            return f"the row of text {self.text} has no padding that anybody could look at"
        tokens = f"the {count} padding tokens" if count > 1 else "the padding token"
        if not shares.max():
            return f"nobody looks at {tokens} beside text {self.text} (exactly 0 in every head)"
        layer, head, most = self.top("to_padding")
        mean = percent(float(shares.mean()))
        return (
            f"text {self.text} gives {mean} of its attention to {tokens}, up to {percent(most)} in head {head} of layer {layer}"
        )

    def top(self, measure: str) -> tuple[int, int, float]:
        """The layer and the head (from 1) in which a measure is largest, and how large it is."""
        values = np.nan_to_num(self.read.measures[measure], nan=-1.0)
        layer, head = np.unravel_index(int(values.argmax()), values.shape)
        return int(layer) + 1, int(head) + 1, float(values[layer, head])

    def map(self, layer: int, head: int | str) -> np.ndarray:
        """What each token looks at, (tokens, columns): rows are from, columns to, and rows sum to 1.

        Parameters
        ----------
        layer : 1 … layers.
        head : 1 … heads, or a key of `VIEWS`.

        Raises
        ------
        BertlensError
            For a head that is not there, or a layer that was not kept because all together are too large.
        """
        if head == "all":
            return np.asarray(self.read.means.mean(0))
        if not 1 <= layer <= self.layers or not (head in VIEWS or (isinstance(head, int) and 1 <= head <= self.heads)):
            expected = f"layer 1 … {self.layers} and head 1 … {self.heads}, or one of {', '.join(VIEWS)}"
            raise BertlensError("cannot show a head", got=f"layer {layer}, head {head}", expected=expected)
        if isinstance(head, str):
            return np.asarray((self.read.means if head == "mean" else self.read.rollout)[layer - 1])
        if layer - 1 not in self.read.maps:
            do = f"ask for it: attention(…, layer={layer})"
            raise BertlensError(f"the heads of layer {layer} were not kept", got="a text whose weights are too many", do=do)
        return np.asarray(self.read.maps[layer - 1][head - 1])

    def to_frame(self) -> pd.DataFrame:
        """One line per layer and head, with every measure."""
        import pandas as pd

        where = {
            "layer": np.repeat(np.arange(1, self.layers + 1), self.heads),
            "head": np.tile(np.arange(1, self.heads + 1), self.layers),
        }
        return pd.DataFrame(where | {name: values.ravel() for name, values in self.read.measures.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the maps."""
        return {
            "schema": "bertlens.attention/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "checkpoint": self.checkpoint,
            "condition": self.condition,
            "text": self.text,
            "tokens": list(self.tokens),
            "padding": self.read.padding,
            "row_error": plain(self.read.row_error),
            "measures": {
                name: [[plain(float(value)) for value in layer] for layer in values]
                for name, values in self.read.measures.items()
            },
            "findings": [finding.to_dict() for finding in self.findings],
            "environment": self.environment,
        }


def sums_to_one(error: float, dtype: str, tokens: int) -> bool:
    """Whether so many rounded weights can miss 1 by so much: each is off by half an eps of itself, and so is each addition."""
    return error <= EPS[dtype] * max(1, tokens)


def percent(share: float) -> str:
    """A share with the digits that it needs: 0 %, 0.4 %, 31 %."""
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.0995 else f"{100 * share:.2g} %"


def of_attention(read: Attended, condition: Condition) -> list[Finding]:
    """The faults of a run that its attention shows: weights on padding, and dropout."""
    found = []
    shares = read.measures["to_padding"]
    if shares.max() > 0:
        fault = FAULT_OF.get(("mask", condition.mask), "attention-mask-missing")
        evidence = {"padding": read.padding, "share": float(shares.mean()), "largest_share": float(shares.max())}
        found.append(named(fault, "problem", evidence, ("every output",)))
    if condition.dropout == "on":
        found.append(named("dropout-active", "problem", {"row_error": read.row_error}, ("every output",)))
    return found


@dataclass(frozen=True, eq=False)
class PaddingLook(Shown):
    """One text in a row with padding, with the mask passed and forgotten.

    Attributes
    ----------
    masked, unmasked : the same row with mask=on and with mask=off; neither keeps its maps.
    """

    masked: Attention
    unmasked: Attention

    @property
    def sentence(self) -> str:
        """How much attention goes to padding with the mask and without it."""
        on, off = (side.read.measures["to_padding"] for side in (self.masked, self.unmasked))
        layer, head, most = self.unmasked.top("to_padding")
        with_mask = (
            "exactly 0 in every head" if not on.max() else f"{percent(float(on.mean()))}, up to {percent(float(on.max()))}"
        )
        tokens, padding = len(self.masked.tokens), self.masked.read.padding
        return (
            f"Text {self.masked.text} padded from {tokens} to {tokens + padding} tokens: with the mask, padding gets "
            f"{with_mask}; "
            f"with the mask forgotten it gets {percent(float(off.mean()))} of the attention on average, and {percent(most)} in "
            f"head {head} of layer {layer}."
        )

    def to_frame(self) -> pd.DataFrame:
        """One line per layer and head: the share of padding with and without the mask."""
        frame = self.masked.to_frame()[["layer", "head"]]
        for name, side in (("mask on", self.masked), ("mask off", self.unmasked)):
            frame[name] = side.read.measures["to_padding"].ravel()
        return frame


@dataclass(frozen=True, eq=False)
class AttentionOfTexts(Shown):
    """The attention of many texts, each over all heads of all layers.

    Attributes
    ----------
    tokens : real tokens of each text.
    measures : measure -> (texts, layers, heads).
    row_error : (texts,), how far the sum of a row lies from 1, at most.
    of : texts there were; the first of them are here.
    """

    tokens: tuple[int, ...]
    measures: dict[str, np.ndarray]
    row_error: np.ndarray
    of: int

    @property
    def sentence(self) -> str:
        """Which text looks most at [SEP], and whether rows sum to 1."""
        shares = self.measures["to_sep"].mean((1, 2))
        most = int(shares.argmax())
        return (
            f"Of {len(self.tokens):,} texts, text {most} gives most of its attention to [SEP] "
            f"({percent(float(shares[most]))}); every row of every text sums to 1 within {number(float(self.row_error.max()))}."
        )

    def to_frame(self) -> pd.DataFrame:
        """One line per text: every measure as its mean over all heads of all layers."""
        import pandas as pd

        means = {name: values.mean((1, 2)) for name, values in self.measures.items()}
        lead = {"text": range(len(self.tokens)), "tokens": self.tokens}
        return pd.DataFrame(lead | means | {"row sums to 1 within": self.row_error})
