"""Tokens: a text as the tokenizer cuts it, truncated but not padded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertlens.errors import BertlensError
from bertlens.run.texts import Text, Texts, sides

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint


TOKENS_KEPT = 4
"""Sets of tokenised texts kept per checkpoint: the conditions of one comparison ask for the same tokens again and again."""


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text.

    Attributes
    ----------
    ids : token ids, special tokens included where they were asked for.
    segments : token type ids as the tokenizer returns them (zeros where it returns none).
    special : 1 where a special token stands.
    full : how many tokens the text has without truncation.
    cut_at : character of the (first) sentence at which truncation cut it; None where it was not cut there (only the second
        sentence of a pair was, or the tokenizer cuts on the left) or the tokenizer does not tell.
    """

    ids: tuple[int, ...]
    segments: tuple[int, ...]
    special: tuple[int, ...]
    full: int
    cut_at: int | None = None

    @property
    def cut(self) -> int:
        """Tokens lost to truncation."""
        return max(0, self.full - len(self.ids))


def tokenise(checkpoint: Checkpoint, texts: Texts, *, specials: bool, limit: int, doubled: bool = False) -> tuple[Tokens, ...]:
    """Tokenise texts and truncate them to `limit` tokens (pairs: the longer sentence first).

    Parameters
    ----------
    specials : whether special tokens are added; `doubled`, once more around those, as to "[CLS] text [SEP]".

    Raises
    ------
    BertlensError
        Where the limit leaves no room for a token, or an id lies beyond the embedding matrix.
    """
    tokenizer = checkpoint.tokenizer
    needed = tokenizer.num_special_tokens_to_add(pair=any(not isinstance(text, str) for text in texts)) if specials else 0
    needed *= 1 + doubled
    if limit <= needed:
        raise BertlensError(
            f"cannot truncate to {limit} tokens",
            got=f"{needed} special tokens alone",
            do=f"choose {needed + 1} or more",
        )
    key = (texts, specials, limit, doubled)
    with checkpoint.tokenizer_lock:
        if key not in checkpoint.tokens_kept:
            with _state_kept(tokenizer):
                checkpoint.tokens_kept[key] = _doubled(tokenizer, texts, limit) if doubled else _truncated(tokenizer, *key[:3])
            while len(checkpoint.tokens_kept) > TOKENS_KEPT:
                checkpoint.tokens_kept.pop(next(iter(checkpoint.tokens_kept)))
        tokens = checkpoint.tokens_kept[key]
    _check_ids(checkpoint, tokens)
    return tokens


def _truncated(tokenizer: Any, texts: Texts, specials: bool, limit: int) -> tuple[Tokens, ...]:
    whole = _call(tokenizer, texts, specials, None)
    long = [index for index, row in enumerate(whole) if len(row.ids) > limit]
    cut = _call(tokenizer, tuple(texts[index] for index in long), specials, limit) if long else []
    for index, row in zip(long, cut, strict=True):
        whole[index] = Tokens(row.ids, row.segments, row.special, len(whole[index].ids), row.cut_at)
    return tuple(whole)


def _doubled(tokenizer: Any, texts: Texts, limit: int) -> tuple[Tokens, ...]:
    """Rows with their special tokens written out in the text and added again: the outer ones survive truncation."""
    found = []
    for row in _call(tokenizer, texts, True, None):
        length = len(row.ids)
        before = next((at for at, special in enumerate(row.special) if not special), 0)
        after = next((at for at, special in enumerate(reversed(row.special)) if not special), 0)
        kept = max(0, limit - before - after)

        def around(values: tuple[int, ...], kept: int = kept, before: int = before, after: int = after) -> tuple[int, ...]:
            return values[:before] + values[:kept] + values[len(values) - after :]

        segments = around(tuple(0 if special else value for value, special in zip(row.segments, row.special, strict=True)))
        found.append(Tokens(around(row.ids), segments, around(row.special), length + before + after))
    return tuple(found)


def _call(tokenizer: Any, texts: Texts, specials: bool, limit: int | None) -> list[Tokens]:
    """One call of the tokenizer per kind of text (single, pair), in the order of the texts."""
    found: dict[int, Tokens] = {}
    for kind in (1, 2):
        chosen = [index for index, text in enumerate(texts) if len(sides(text)) == kind]
        if not chosen:
            continue
        columns = [[sides(texts[index])[side] for index in chosen] for side in range(kind)]
        rows = tokenizer(
            *columns,
            add_special_tokens=specials,
            padding=False,
            truncation=limit is not None,
            max_length=limit,
            verbose=False,
            return_attention_mask=False,
            return_token_type_ids=True,
            return_special_tokens_mask=True,
            return_offsets_mapping=bool(tokenizer.is_fast and limit is not None),
        )
        for at, index in enumerate(chosen):
            ids = tuple(rows["input_ids"][at])
            cut_at = _cut_at(tokenizer, rows, at, texts[index]) if limit is not None else None
            found[index] = Tokens(
                ids, tuple(rows["token_type_ids"][at]), tuple(rows["special_tokens_mask"][at]), len(ids), cut_at
            )
    return [found[index] for index in range(len(texts))]


def words(checkpoint: Checkpoint, text: Text, tokens: Tokens) -> list[list[int]] | None:
    """Positions of the tokens of each word without special tokens; None where the tokenizer does not tell or cut the text."""
    tokenizer = checkpoint.tokenizer
    if not tokenizer.is_fast:
        return None
    with checkpoint.tokenizer_lock, _state_kept(tokenizer):
        rows = tokenizer(*sides(text), verbose=False)
    if tuple(rows["input_ids"]) != tokens.ids:
        return None
    found: dict[tuple[int | None, int], list[int]] = {}
    for place, (side, word) in enumerate(zip(rows.sequence_ids(), rows.word_ids(), strict=True)):
        if word is not None and not tokens.special[place]:
            found.setdefault((side, word), []).append(place)
    return list(found.values())


def _cut_at(tokenizer: Any, rows: Any, at: int, text: Text) -> int | None:
    if not tokenizer.is_fast or tokenizer.truncation_side != "right":
        return None
    ends = [end for (_, end), side in zip(rows["offset_mapping"][at], rows.sequence_ids(at), strict=True) if side == 0]
    whole = tokenizer(sides(text)[0], add_special_tokens=False) if len(sides(text)) == 2 else None
    if whole is not None and len(whole["input_ids"]) <= len(ends):
        return None
    return max(ends, default=0)


@contextlib.contextmanager
def _state_kept(tokenizer: Any) -> Iterator[None]:
    """A fast tokenizer keeps the padding and truncation of its last call; whoever else uses it finds its own again."""
    if not tokenizer.is_fast:
        yield
        return
    backend = tokenizer.backend_tokenizer
    truncation, padding = backend.truncation, backend.padding
    try:
        yield
    finally:
        backend.no_truncation()
        backend.no_padding()
        if truncation is not None:
            backend.enable_truncation(**truncation)
        if padding is not None:
            backend.enable_padding(**padding)


def _check_ids(checkpoint: Checkpoint, tokens: Sequence[Tokens]) -> None:
    rows = checkpoint.model.get_input_embeddings().num_embeddings
    for index, row in enumerate(tokens):
        if row.ids and max(row.ids) >= rows:
            token = checkpoint.tokenizer.convert_ids_to_tokens(max(row.ids))
            raise BertlensError(
                f"text {index} holds a token that {checkpoint.name} has no row for",
                got=f"id {max(row.ids)} ({token!r})",
                expected=f"ids below {rows}, the rows of the embedding matrix",
                do="resize the embeddings to the tokenizer and train the new rows",
            )
