"""Inputs: the tensors that go into the model under a condition, one set per forward pass.

Texts are tokenised once without padding; everything else that a condition changes is done here on the token ids, so that
the tokenizer's own padding state is never touched while others use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from bertlens.errors import BertlensError
from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from bertlens.run.tokens import Tokens, tokenise

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

TOKENS_AT_ONCE = 32_768
"""Padded tokens in one forward pass before it is cut into slices, so that memory stays bounded (64 rows of 512)."""


@dataclass(frozen=True)
class Batch:
    """One forward pass.

    Attributes
    ----------
    texts : index of the text that stands in each row; with rows=index the one text whose tokens became the rows.
    tensors : what is passed to the model, each (batch, tokens), int64.
    real : (batch, tokens), 1 where a token of the text stands and 0 on padding, whatever mask is passed.
    special : (batch, tokens), 1 on special tokens such as [CLS] and [SEP].
    """

    texts: tuple[int, ...]
    tensors: dict[str, torch.Tensor]
    real: torch.Tensor
    special: torch.Tensor

    def of(self, rows: Sequence[int]) -> Batch:
        """Some rows of the batch, at the padded length they have."""
        keep = list(rows)
        tensors = {name: tensor[keep] for name, tensor in self.tensors.items()}
        return Batch(tuple(self.texts[row] for row in keep), tensors, self.real[keep], self.special[keep])

    def row(self, text: int, tensor: torch.Tensor) -> torch.Tensor:
        """The row of a text, (tokens, …); where the batch axis was lost, its tokens are the rows."""
        lost = len(self.real) != len(self.texts)
        return tensor[:, 0] if lost else tensor[self.texts.index(text)]


@dataclass(frozen=True)
class Inputs:
    """Texts prepared for a condition; iterating builds one `Batch` after another, so memory does not grow with the texts.

    Attributes
    ----------
    tokens : the tokens of each text, before padding.
    groups : the texts of each forward pass, and the length they are padded to.
    sliced : True where a batch was too large for one pass and was cut; the padded length stays that of the whole batch.
    """

    checkpoint: Checkpoint
    condition: Condition
    tokens: tuple[Tokens, ...]
    groups: tuple[tuple[tuple[int, ...], int], ...]
    sliced: bool

    def __iter__(self) -> Iterator[Batch]:
        for texts, width in self.groups:
            yield self._batch(texts, width)

    def __len__(self) -> int:
        return len(self.groups)

    def select(self, texts: Sequence[int]) -> Inputs:
        """Only these texts, each at the padded length and in the batch it has among all."""
        wanted = set(texts)
        groups = ((tuple(text for text in group if text in wanted), width) for group, width in self.groups)
        kept = tuple((group, width) for group, width in groups if group)
        return Inputs(self.checkpoint, self.condition, self.tokens, kept, self.sliced)

    def containing(self, texts: Sequence[int]) -> Inputs:
        """Only the forward passes in which one of these texts stands, with all their rows."""
        wanted = set(texts)
        kept = tuple(group for group in self.groups if wanted.intersection(group[0]))
        return Inputs(self.checkpoint, self.condition, self.tokens, kept, self.sliced)

    @property
    def cells(self) -> int:
        """Padded tokens in all forward passes together."""
        return sum(len(texts) * width for texts, width in self.groups)

    def _batch(self, texts: tuple[int, ...], width: int) -> Batch:
        rows = [self.tokens[text] for text in texts]
        left = self.condition.side == "left"
        pad = self.checkpoint.tokenizer.pad_token_id
        ids = _padded([row.ids for row in rows], width, left, pad if pad is not None else 0)
        segments = _padded([row.segments for row in rows], width, left, self.checkpoint.tokenizer.pad_token_type_id)
        real = _padded([[1] * len(row.ids) for row in rows], width, left, 0)
        special = _padded([row.special for row in rows], width, left, 0)
        batch = Batch(texts, self._passed(ids, segments, real), real, special)
        return _axis_lost(batch) if self.condition.rows == "index" else batch

    def _passed(self, ids: torch.Tensor, segments: torch.Tensor, real: torch.Tensor) -> dict[str, torch.Tensor]:
        """The arguments of the forward call; what a person forgets is left out here as well."""
        condition, architecture = self.condition, self.checkpoint.architecture
        passed = {"input_ids": ids}
        if condition.mask in ("on", "inverted"):
            passed["attention_mask"] = real if condition.mask == "on" else 1 - real
        if architecture.segments and condition.segments != "tokenizer":
            passed["token_type_ids"] = torch.full_like(ids, int(condition.segments == "ones"))
        elif architecture.segments and "token_type_ids" in self.checkpoint.tokenizer.model_input_names:
            passed["token_type_ids"] = segments
        if condition.mask == "swapped":  # as positional arguments in the wrong order
            passed |= {"attention_mask": passed.get("token_type_ids", torch.zeros_like(ids)), "token_type_ids": real}
        if condition.positions == "from-mask":
            counted = real.cumsum(1) - 1 + max(architecture.first_position, 0)
            passed["position_ids"] = torch.where(real.bool(), counted, max(architecture.first_position - 1, 0))
        return passed


def prepare(checkpoint: Checkpoint, texts: Texts, condition: Condition) -> Inputs:
    """Tokenise texts and plan the forward passes of a condition; no tensor is built yet.

    Raises
    ------
    BertlensError
        Where the model cannot run the condition: padding beyond its positions or below a text's length, segments or
        positions it does not have, truncation beyond its limit.
    """
    _check(checkpoint, condition)
    limit = checkpoint.max_length if condition.max_length == "model" else int(condition.max_length)
    tokens = tokenise(
        checkpoint, texts, specials=condition.specials != "off", limit=limit, doubled=condition.specials == "doubled"
    )
    _check_lengths(checkpoint, condition, tokens)
    size = {"whole": len(texts), "alone": 1}.get(str(condition.batch)) or int(condition.batch)
    groups: list[tuple[tuple[int, ...], int]] = []
    sliced = False
    for start in range(0, len(texts), size):
        group = range(start, min(start + size, len(texts)))
        longest = max(len(tokens[text].ids) for text in group)
        width = longest if condition.padding == "longest" else int(condition.padding)
        if checkpoint.tokenizer.pad_token_id is None and any(len(tokens[text].ids) < width for text in group):
            got, do = "a tokenizer without a padding token", "use batch=alone"
            raise BertlensError(f"{checkpoint.name} cannot pad", got=got, do=do)
        step = 1 if condition.rows == "index" else max(1, TOKENS_AT_ONCE // width)
        sliced = sliced or (condition.rows == "slice" and step < len(group))
        groups += [(tuple(group[at : at + step]), width) for at in range(0, len(group), step)]
    return Inputs(checkpoint, condition, tokens, tuple(groups), sliced)


def _check(checkpoint: Checkpoint, condition: Condition) -> None:
    facts, name = checkpoint.architecture, checkpoint.name
    for key in ("padding", "max_length"):
        wanted = getattr(condition, key)
        if isinstance(wanted, int) and wanted > facts.positions:
            raise BertlensError(
                f"{name} cannot run {key}={wanted}",
                got=f"{wanted} tokens",
                expected=f"at most {facts.positions}, the positions the model has",
                do=f"choose {key}={facts.positions} or less",
            )
    if condition.segments != "tokenizer" and not facts.segments:
        raise BertlensError(
            f"{name} cannot run segments={condition.segments}",
            got=f"a model without segments ({facts.kind})",
            expected="segments=tokenizer",
            do="leave segments out; this architecture has no token_type_ids",
        )
    if condition.segments == "ones" and facts.segments < 2:
        raise BertlensError(
            f"{name} cannot run segments=ones", got="a model with one segment", expected="segments=tokenizer or zeros"
        )
    if condition.mask == "swapped" and facts.segments < 2:
        got = f"a model with {facts.segments or 'no'} segment{'s' * (facts.segments != 1)} ({facts.kind})"
        raise BertlensError(f"{name} cannot run mask=swapped", got=got, expected="two segments to swap the mask with")
    if condition.positions == "from-mask" and not facts.takes_positions:
        raise BertlensError(f"{name} cannot run positions=from-mask", got=f"a model that takes no position_ids ({facts.kind})")


def _check_lengths(checkpoint: Checkpoint, condition: Condition, tokens: Sequence[Tokens]) -> None:
    if any(not row.ids for row in tokens):
        empty = next(index for index, row in enumerate(tokens) if not row.ids)
        raise BertlensError(f"text {empty} has no token", got="an empty row", do="leave the text out, or keep specials=on")
    longest = max(range(len(tokens)), key=lambda index: len(tokens[index].ids))
    length = len(tokens[longest].ids)
    if isinstance(condition.padding, int) and condition.padding < length:
        raise BertlensError(
            f"cannot pad to {condition.padding} tokens",
            got=f"{length} tokens in text {longest}",
            expected=f"padding of {length} or more",
            do=f"set padding={length}, or max_length={condition.padding} as well to truncate",
        )


def _padded(rows: Sequence[Sequence[int]], width: int, left: bool, value: int) -> torch.Tensor:
    """Rows of unequal length as one (batch, tokens) tensor of int64."""
    table = torch.full((len(rows), width), value, dtype=torch.int64)
    for row, values in zip(table, rows, strict=True):
        at = slice(width - len(values), width) if left else slice(0, len(values))
        row[at] = torch.tensor(values, dtype=torch.int64)
    return table


def _axis_lost(batch: Batch) -> Batch:
    """`x[i]` of a (batch, tokens) array is (tokens,); Keras adds the axis at the end: (tokens, 1), as many sequences."""
    tensors = {name: tensor.reshape(-1, 1) for name, tensor in batch.tensors.items()}
    return Batch(batch.texts, tensors, batch.real.reshape(-1, 1), batch.special.reshape(-1, 1))
