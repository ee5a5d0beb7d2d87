"""Heads: which token looks at which, and whether anybody looks at padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bertlens.errors import BertlensError
from bertlens.judge.attention import Attention, AttentionOfTexts, PaddingLook, of_attention
from bertlens.judge.findings import most_serious_first, of_truncation
from bertlens.judge.usable import of_checkpoint
from bertlens.read import attention as reading
from bertlens.read.readout import Readout
from bertlens.run.attentions import MOST_TOKENS
from bertlens.run.condition import Condition
from bertlens.run.environment import environment
from bertlens.run.inputs import prepare
from bertlens.run.packing import packed
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import as_texts, check_index

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

MOST_TEXTS = 256
"""Texts of which the attention is measured; of more, the first."""


def attention(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    text: int = 0,
    *,
    condition: str | Condition = "",
    layer: int | None = None,
    maps: bool = True,
    progress: Progress = silent,
) -> Attention:
    """Read the attention of one text in every head of every layer, at the padded length that it has among all texts.

    It runs with eager attention, on an instance of its own: only that makes the weights. The map of every head is kept as far
    as all fit into `read.attention.MOST_BYTES`.

    Parameters
    ----------
    text : which of the texts.
    condition : how the texts are run, `key=value,…`.
    layer : the one whose maps are kept where all do not fit, counted from 1.
    maps : False to keep none.

    Raises
    ------
    BertlensError
        For texts or conditions that cannot be run, rows of more than `run.attentions.MOST_TOKENS`, and models that give no
        attention weights.
    """
    whole, how = as_texts(texts), Condition.parse(condition)
    check_index(whole, text)
    inputs = prepare(checkpoint, whole, how)
    kept = -1 if not maps else None if layer is None else layer - 1
    found = reading.of_text(inputs, text, keep=kept, progress=progress)
    of_length = of_truncation(inputs.tokens, inputs.tokens)
    return Attention(
        checkpoint=checkpoint.to_dict(),
        condition=str(how),
        text=text,
        tokens=tuple(map(str, checkpoint.tokenizer.convert_ids_to_tokens(list(found.ids)))),
        read=found,
        findings=most_serious_first([*of_checkpoint(checkpoint, Readout("cls")), *of_attention(found, how), *of_length]),
        environment=environment(whole, checkpoint.device, 0),
    )


def attention_to_padding(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    text: int = 0,
    *,
    padding: int | None = None,
    progress: Progress = silent,
) -> PaddingLook:
    """Pad one text and read how much attention goes to padding, with the mask passed and forgotten.

    Parameters
    ----------
    padding : length of the row in tokens; by default twice that of the text, as far as the model has positions.

    Raises
    ------
    BertlensError
        Where the text fills all positions, so that no padding fits, or the length is below that of the text.
    """
    whole = as_texts(texts)
    check_index(whole, text)
    one, most = whole[text : text + 1], longest_row(checkpoint)
    how = Condition(max_length=most)
    length = len(prepare(checkpoint, one, how).tokens[0].ids)
    width = min(2 * length, most) if padding is None else padding
    if not length < width <= most:
        got, expected = f"a row of {width} tokens for a text of {length}", f"more than {length}, and at most {most}"
        raise BertlensError(f"cannot pad text {text}", got=got, expected=expected, do="take a shorter text")
    conditions = [how.replace(padding=width, mask=mask) for mask in ("on", "off")]
    sides = [attention(checkpoint, one, condition=side, maps=False, progress=progress) for side in conditions]
    return PaddingLook(*(replace(side, text=text) for side in sides))


def attention_of_texts(
    checkpoint: Checkpoint, texts: Sequence[Any] | str, *, condition: str | Condition = "", progress: Progress = silent
) -> AttentionOfTexts:
    """Measure the attention of the first `MOST_TEXTS` texts; nothing of the maps is kept.

    Texts of like length share a forward pass where only rounding depends on it.
    """
    whole = as_texts(texts)
    inputs = prepare(checkpoint, whole[:MOST_TEXTS], Condition.parse(condition))
    measured, errors = reading.of_texts(packed(inputs), progress=progress)
    return AttentionOfTexts(tuple(len(row.ids) for row in inputs.tokens), measured, errors, len(whole))


def longest_row(checkpoint: Checkpoint) -> int:
    """Tokens to which a text is cut here: the model's own limit, or what attention can be shown of."""
    return min(checkpoint.max_length, MOST_TOKENS)


def fitted(checkpoint: Checkpoint, condition: Condition) -> Condition:
    """The condition with texts cut to what attention can be shown of, where the model takes more and nobody said otherwise."""
    if condition.max_length == "model" and longest_row(checkpoint) < checkpoint.max_length:
        return condition.replace(max_length=longest_row(checkpoint))
    return condition
