"""Bank: single rows run through the model once, pooled in every way, and kept by what went in.

A row depends on its own tokens, mask, segments, positions and padded length and on no other row of its batch. Recipes that put
the same numbers into the model therefore share a row, and no forward pass is ever repeated for another readout.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.read.pooled import OF_STATES, Pooled
from bertlens.read.pooling import AVERAGES, averages, pooled
from bertlens.read.recipe import Recipe, arrived
from bertlens.read.survey import same_numbers, state_names, wide
from bertlens.run.condition import Condition
from bertlens.run.inputs import Batch, Inputs
from bertlens.run.outputs import one_pass
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts, sides
from bertlens.run.tokens import Tokens, tokenise
from bertlens.run.variants import running

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.headed import Headed

TOKENS_AT_ONCE = 2048
"""Padded tokens of the rows that go through the model together."""

MOST_BYTES = 512 * 1024**2
"""What the kept rows may take; those used longest ago go first."""


class Asked(NamedTuple):
    """One row: a text under the condition, prefix and case of a recipe, padded to a width."""

    way: Recipe
    text: int
    width: int


@dataclass(frozen=True)
class Row:
    """The pooled states of one row.

    Attributes
    ----------
    key : what went into the model; two rows with one key are the same row.
    values : (states, poolings, hidden), in the order of `OF_STATES`.
    pooler : pooler_output, (hidden,), or None.
    logits : of the head, (labels,), or None where the bank has none.
    """

    key: bytes
    values: np.ndarray
    pooler: np.ndarray | None
    logits: np.ndarray | None = None


class Bank:
    """Rows of some texts under any condition; see the module.

    Parameters
    ----------
    head : where logits are wanted as well, the model with its head; every row is then run through both.

    Attributes
    ----------
    passed : rows that went through the model.
    """

    def __init__(
        self, checkpoint: Checkpoint, texts: Texts, progress: Progress = silent, *, head: Headed | None = None
    ) -> None:
        self.checkpoint, self.texts, self.progress, self.head = checkpoint, texts, progress, head
        self.passed = 0
        self._rows: OrderedDict[bytes, Row] = OrderedDict()
        self._tokens: dict[tuple[str, bool, str, int], dict[int, Tokens]] = {}
        self._lengths: dict[tuple[str, bool, str], np.ndarray] = {}
        self._bytes = 0
        self._tied: bool | None = None

    def tokens(self, way: Recipe, texts: Sequence[int]) -> list[Tokens]:
        """The tokens of some texts under a recipe, truncated and not padded."""
        condition = way.condition
        limit = self.checkpoint.max_length if condition.max_length == "model" else int(condition.max_length)
        known = self._tokens.setdefault((way.prefix, way.lower, condition.specials, limit), {})
        missing = [text for text in texts if text not in known]
        if missing:
            put = way.texts(tuple(self.texts[text] for text in missing))
            doubled = condition.specials == "doubled"
            rows = tokenise(self.checkpoint, put, specials=condition.specials != "off", limit=limit, doubled=doubled)
            known.update(zip(missing, rows, strict=True))
        return [known[text] for text in texts]

    def cuts(self, way: Recipe, texts: Sequence[int]) -> bool:
        """Whether the texts can be tokenised under a recipe: special tokens may leave no room for a word."""
        try:
            return all(row.ids for row in self.tokens(way, texts))
        except BertlensError:
            return False

    def longest(self, way: Recipe, texts: Sequence[int]) -> int:
        """Tokens of the longest of some texts under a recipe."""
        return max(len(row.ids) for row in self.tokens(way, texts))

    def lengths(self, way: Recipe) -> np.ndarray:
        """Characters and tokens of every text under a recipe: (texts, 2). Texts are tokenised once for all limits."""
        condition, kind = way.condition, (way.prefix, way.lower, way.condition.specials)
        if kind not in self._lengths:
            longest = replace(way, condition=condition.replace(max_length="model"))
            rows = self.tokens(longest, range(len(self.texts)))
            characters = [sum(map(len, sides(text))) for text in way.texts(self.texts)]
            self._lengths[kind] = np.array([characters, [row.full for row in rows]]).T
        limit = self.checkpoint.max_length if condition.max_length == "model" else int(condition.max_length)
        return np.asarray(np.minimum(self._lengths[kind], [np.iinfo(np.int64).max, limit]))

    def widths(self, way: Recipe, rows: Sequence[int | None] | None = None) -> list[int]:
        """The padded length of every text under a recipe.

        Parameters
        ----------
        rows : the row of the vectors that holds each text, for batches in the order of the rows.
        """
        condition, count = way.condition, len(self.texts)
        if isinstance(condition.padding, int):
            return [condition.padding] * count
        lengths = self.lengths(way)
        if condition.batch == "alone":
            return list(map(int, lengths[:, 1].tolist()))
        size = count if condition.batch == "whole" else int(condition.batch)
        order = np.array(arrived(lengths, way.arrival, rows))
        starts = np.arange(0, count, size)
        longest = np.maximum.reduceat(lengths[order, 1], starts)
        widths = np.empty(count, int)
        widths[order] = np.repeat(longest, np.diff([*starts, count]))
        return list(map(int, widths.tolist()))

    @property
    def states(self) -> int:
        """How many hidden states are read, once a row was run: one more than layers + 1 where the last norm stands apart."""
        return self.checkpoint.architecture.layers + (1 if self._tied else 2)

    def read(self, asked: Sequence[Asked], dtype: str | None = None) -> list[Row | None]:
        """The rows that are asked for; None where the model cannot run one (too long, no such segment).

        Parameters
        ----------
        dtype : instead of that of the condition.
        """
        batches = [self._batch(one) for one in asked]
        keys = [
            b"" if batch is None else _key(batch, one.way.condition, dtype) for batch, one in zip(batches, asked, strict=True)
        ]
        found: dict[bytes, Row] = {}
        missing: dict[tuple[str, str, tuple[str, ...], int], list[tuple[bytes, Batch]]] = {}
        for key, batch, one in zip(keys, batches, asked, strict=True):
            if batch is None or key in found:
                continue
            if key in self._rows:
                self._rows.move_to_end(key)
                found[key] = self._rows[key]
                continue
            condition = one.way.condition
            group = (dtype or condition.dtype, condition.attention, tuple(batch.tensors), batch.real.shape[1])
            if all(key != other for other, _ in missing.setdefault(group, [])):
                missing[group].append((key, batch))
        for (number, attention, _, width), rows in missing.items():
            step = max(1, TOKENS_AT_ONCE // width)
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                found |= self._run(number, attention, part)
        return [found.get(key) for key in keys]

    def pooled(self, rows: Sequence[Row]) -> Pooled:
        """Rows of several texts in the form in which any readout can be read: its texts are the rows in their order."""
        depth = self.checkpoint.architecture.layers
        values = {pooling: np.stack([row.values[:, at] for row in rows], 1) for at, pooling in enumerate(OF_STATES)}
        pooler = (
            None
            if any(row.pooler is None for row in rows)
            else np.stack([row.pooler for row in rows if row.pooler is not None])
        )
        logits = [row.logits for row in rows if row.logits is not None]
        return Pooled(state_names(depth, tied=bool(self._tied)), depth, values, pooler, np.stack(logits) if logits else None)

    def _batch(self, one: Asked) -> Batch | None:
        """What goes into the model for one row."""
        way, facts = one.way, self.checkpoint.architecture
        try:
            (tokens,) = self.tokens(way, [one.text])
        except BertlensError:
            return None
        refused = (
            not tokens.ids
            or not len(tokens.ids) <= one.width <= facts.positions
            or (way.condition.segments != "tokenizer" and facts.segments < (2 if way.condition.segments == "ones" else 1))
            or (way.condition.mask == "swapped" and facts.segments < 2)
            or (way.condition.positions == "from-mask" and not facts.takes_positions)
            or (one.width > len(tokens.ids) and self.checkpoint.tokenizer.pad_token_id is None)
        )
        if refused:
            return None
        inputs = Inputs(self.checkpoint, way.condition.replace(rows="slice"), (tokens,), (((0,), one.width),), False)
        batch = next(iter(inputs))
        if way.condition.rows == "index":  # every token is a sequence of its own; sequence 0 is taken for the text
            tensors = {name: tensor[:, :1] for name, tensor in batch.tensors.items()}
            return replace(batch, tensors=tensors, real=batch.real[:, :1], special=batch.special[:, :1])
        return batch

    def _run(self, dtype: str, attention: str, rows: Sequence[tuple[bytes, Batch]]) -> dict[bytes, Row]:
        """Rows of one width in one forward pass."""
        device = "cpu" if dtype == "float64" else self.checkpoint.device
        model = self.checkpoint.instance(dtype, attention, False, device)
        batches = [batch for _, batch in rows]
        tensors = {name: torch.cat([batch.tensors[name] for batch in batches]) for name in batches[0].tensors}
        joined = Batch(
            tuple(range(len(batches))),
            tensors,
            torch.cat([batch.real for batch in batches]),
            torch.cat([batch.special for batch in batches]),
        )
        depth = self.checkpoint.architecture.layers
        with running(dtype, None):
            outputs = one_pass(model, joined, list(range(depth + 1)), device)
            states = [outputs.hidden_states[layer] for layer in range(depth + 1)]
            if self._tied is None:
                self._tied = same_numbers(states[-1], outputs.last_hidden_state)
            states += [] if self._tied else [outputs.last_hidden_state]
            real, special = joined.real.to(states[0].device), joined.special.to(states[0].device)
            read = np.stack([_every_pooling(state, real, special) for state in states], 1)  # (rows, states, poolings, hidden)
            pooler = None if outputs.pooler_output is None else wide(outputs.pooler_output).numpy()
            logits = None if self.head is None else self.head.logits(joined, dtype, attention, device=device).numpy()
        self.passed += len(rows)
        self.progress(self.passed, 0, "rows run through the model")
        found = {}
        for at, (key, _) in enumerate(rows):
            found[key] = self._rows[key] = Row(
                key, read[at], None if pooler is None else pooler[at], None if logits is None else logits[at]
            )
            self._bytes += read[at].nbytes
        while self._bytes > MOST_BYTES and len(self._rows) > len(rows):
            self._bytes -= self._rows.popitem(last=False)[1].values.nbytes
        return found


def way_of(condition: str | Condition = "batch=alone", **besides: object) -> Recipe:
    """A recipe of which only the way into the model counts."""
    return Recipe(Condition.parse(condition), **besides)  # type: ignore[arg-type]


def _every_pooling(state: torch.Tensor, real: torch.Tensor, special: torch.Tensor) -> np.ndarray:
    """(rows, poolings, hidden) of one state."""
    many = averages(state, real, special)
    vectors = [many[pooling] if pooling in AVERAGES else pooled(state, real, special, pooling) for pooling in OF_STATES]
    return wide(torch.stack(vectors, 1)).numpy()


def _key(batch: Batch, condition: Condition, dtype: str | None) -> bytes:
    """What went into the model, and what the poolings see. A mask of ones is the same as none."""
    mask = batch.tensors.get("attention_mask")
    plain = mask is None or bool(mask.all())
    parts = [f"{dtype or condition.dtype} {condition.attention} {batch.real.shape[1]}".encode()]
    for name, tensor in sorted(batch.tensors.items()):
        if not (name == "attention_mask" and plain):
            parts += [name.encode(), tensor.numpy().tobytes()]
    return b"|".join([*parts, batch.real.numpy().tobytes(), batch.special.numpy().tobytes()])
