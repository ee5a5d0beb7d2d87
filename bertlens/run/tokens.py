"""Tokens: a text as the tokenizer cuts it, truncated but not padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertlens.errors import BertlensError
from bertlens.run.texts import Texts, sides

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text.

    Attributes
    ----------
    ids : token ids, special tokens included where they were asked for.
    segments : token type ids as the tokenizer returns them (zeros where it returns none).
    special : 1 where a special token stands.
    full : how many tokens the text has without truncation.
    cut_at : character of the (first) sentence at which truncation cut it; None where nothing was cut or the tokenizer
        does not tell.
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


def tokenise(checkpoint: Checkpoint, texts: Texts, *, specials: bool, limit: int) -> tuple[Tokens, ...]:
    """Tokenise texts and truncate them to `limit` tokens (pairs: the longer sentence first).

    Raises
    ------
    BertlensError
        Where the limit leaves no room for a token, or an id lies beyond the embedding matrix.
    """
    from bertlens.run.loading import quiet

    tokenizer = checkpoint.tokenizer
    needed = tokenizer.num_special_tokens_to_add(pair=any(not isinstance(text, str) for text in texts)) if specials else 0
    if limit <= needed:
        raise BertlensError(
            f"cannot truncate to {limit} tokens",
            got=f"{needed} special tokens alone",
            do=f"choose {needed + 1} or more",
        )
    with checkpoint.tokenizer_lock, quiet():
        whole = _call(tokenizer, texts, specials, None)
        long = [index for index, row in enumerate(whole) if len(row.ids) > limit]
        cut = _call(tokenizer, tuple(texts[index] for index in long), specials, limit) if long else []
    for index, row in zip(long, cut, strict=True):
        whole[index] = Tokens(row.ids, row.segments, row.special, len(whole[index].ids), row.cut_at)
    _check_ids(checkpoint, whole)
    return tuple(whole)


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
            return_attention_mask=False,
            return_token_type_ids=True,
            return_special_tokens_mask=True,
            return_offsets_mapping=bool(tokenizer.is_fast and limit is not None),
        )
        for at, index in enumerate(chosen):
            found[index] = _row(tokenizer, rows, at, limit is not None)
    return [found[index] for index in range(len(texts))]


def _row(tokenizer: Any, rows: Any, at: int, truncated: bool) -> Tokens:
    ids = tuple(rows["input_ids"][at])
    cut_at = None
    if truncated and tokenizer.is_fast:
        first = [end for (_, end), side in zip(rows["offset_mapping"][at], rows.sequence_ids(at), strict=True) if side == 0]
        cut_at = max(first, default=0)
    return Tokens(ids, tuple(rows["token_type_ids"][at]), tuple(rows["special_tokens_mask"][at]), len(ids), cut_at)


def _check_ids(checkpoint: Checkpoint, tokens: list[Tokens]) -> None:
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
