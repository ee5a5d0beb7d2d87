"""Condition: one frozen description of how texts are run through a model.

Written `key=value,key=value`; what is not named has the first value of its row in `CHOICES`. The same notation serves the
command line, the address bar and every report.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bertlens.errors import BertlensError

CHOICES: dict[str, tuple[str, ...]] = {
    "batch": ("whole", "alone"),
    "padding": ("longest",),
    "side": ("right", "left"),
    "mask": ("on", "off", "inverted", "swapped"),
    "specials": ("on", "off", "doubled"),
    "segments": ("tokenizer", "zeros", "ones"),
    "positions": ("default", "from-mask"),
    "max_length": ("model",),
    "rows": ("slice", "index"),
    "dtype": ("float32", "float64", "bfloat16", "float16"),
    "attention": ("sdpa", "eager"),
    "dropout": ("off", "on"),
}
"""Every key of a condition with the words it takes; the first word is the default."""

COUNTS: dict[str, str] = {"batch": "rows per forward pass", "padding": "tokens", "max_length": "tokens"}
"""The keys that take a positive whole number as well, with its unit."""

MEANING: dict[str, str] = {
    "batch": "how many texts go through the model at once",
    "padding": "the length rows are padded to: the longest of the batch, or a fixed number of tokens",
    "side": "the side on which padding tokens are put",
    "mask": "the attention mask: passed, forgotten, with zeros and ones exchanged, or swapped with the token_type_ids",
    "specials": "special tokens such as [CLS] and [SEP] added by the tokenizer, not added, or added twice",
    "segments": "token_type_ids as the tokenizer returns them, all zeros, or all ones",
    "positions": "position ids as the model makes them, or counted over the real tokens only",
    "max_length": "the length at which texts are truncated: the model's limit, or a number of tokens",
    "rows": "one text taken as a slice x[i:i+1], or by index x[i], which loses the batch axis",
    "dtype": "the number format of weights and activations",
    "attention": "the attention implementation: PyTorch's fused kernels (sdpa) or plain matrix products (eager)",
    "dropout": "dropout off (model.eval()) or on (model.train())",
}
"""One sentence per key, shown as help wherever the key can be set."""


@dataclass(frozen=True, order=True)
class Condition:
    """How texts are run: batching, padding, mask, special tokens, positions, precision, dropout.

    Attributes are the keys of `CHOICES`; `batch`, `padding` and `max_length` also take a positive int.

    Raises
    ------
    BertlensError
        When a value is none that its key takes.

    Examples
    --------
    >>> Condition.parse("batch=alone, mask=off").mask
    'off'
    >>> str(Condition(padding=256))
    'padding=256'
    """

    batch: str | int = "whole"
    padding: str | int = "longest"
    side: str = "right"
    mask: str = "on"
    specials: str = "on"
    segments: str = "tokenizer"
    positions: str = "default"
    max_length: str | int = "model"
    rows: str = "slice"
    dtype: str = "float32"
    attention: str = "sdpa"
    dropout: str = "off"

    def __post_init__(self) -> None:
        for key in CHOICES:
            object.__setattr__(self, key, _value(key, getattr(self, key)))

    @classmethod
    def parse(cls, text: str | Mapping[str, Any] | Condition) -> Condition:
        """Read `key=value,key=value`; an empty text is the default condition.

        Raises
        ------
        BertlensError
            For an unknown key, a key named twice, or a value the key does not take.
        """
        if isinstance(text, Condition):
            return text
        pairs = dict(text) if isinstance(text, Mapping) else _pairs(text)
        for key in pairs:
            if key not in CHOICES:
                near = difflib.get_close_matches(str(key), CHOICES, n=1)
                raise BertlensError(
                    f"cannot read the condition {_show(text)}",
                    got=f"the key '{key}'",
                    expected="one of " + ", ".join(CHOICES),
                    do=f"did you mean '{near[0]}'?" if near else "name one of these keys",
                )
        return cls(**pairs)

    def replace(self, **changes: Any) -> Condition:
        """The same condition with some keys changed."""
        return dataclasses.replace(self, **changes)

    def differing(self, other: Condition) -> tuple[str, ...]:
        """The keys on which two conditions differ, in the order of `CHOICES`."""
        return tuple(key for key in CHOICES if getattr(self, key) != getattr(other, key))

    def to_dict(self) -> dict[str, str | int]:
        """All keys with their values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return ",".join(f"{key}={getattr(self, key)}" for key in DEFAULT.differing(self))

    @property
    def words(self) -> str:
        """The condition as a person reads it; the default is "default"."""
        return str(self).replace(",", ", ") or "default"


def _show(text: object) -> str:
    shown = str(text)
    return f"'{shown if len(shown) <= 80 else shown[:77] + '…'}'"


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise BertlensError(
                f"cannot read the condition {_show(text)}",
                got=f"'{part}'",
                expected="key=value,key=value",
                do="for example batch=alone,mask=off",
            )
        if key in pairs:
            raise BertlensError(f"cannot read the condition {_show(text)}", got=f"'{key}' twice", do="name it once")
        pairs[key] = value
    return pairs


def _value(key: str, value: object) -> str | int:
    """A value as its key keeps it; digits become an int where the key takes a number."""
    word = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else repr(value)
    if word in CHOICES[key]:
        return word
    if key in COUNTS and word.isascii() and word.isdigit() and 0 < int(word) <= 10_000_000:
        return int(word)
    number = f" or a number of {COUNTS[key]} (1 or more)" if key in COUNTS else ""
    raise BertlensError(
        f"cannot set {key}", got=f"'{word}'", expected=" / ".join(CHOICES[key]) + number, do=f"{key} is {MEANING[key]}"
    )


DEFAULT = Condition()
"""Every key at its first value: what a careful person does."""
