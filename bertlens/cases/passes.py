"""Passes: what goes wrong between the tokenizer and the model: batches, slices, padding, masks, positions."""

from __future__ import annotations

from typing import Any

import torch

from bertlens.cases.plain import CannotArise, alone, cls, cut_rows, encoded, first_position, from_mask, left_padded, padded
from bertlens.judge.reproduction import Outcome


def rounding_only(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The vectors of a batch are compared by == with those of each text alone; the same shape gives the same bits."""
    truth = alone(model, tokenizer, texts)
    batch = encoded(tokenizer, texts)
    mistaken = model(**batch).last_hidden_state[:, 0]
    mended = torch.cat([model(**row).last_hidden_state[:, 0] for row in cut_rows(batch)])
    return truth, mistaken, mended


def attention_mask_missing(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """Only input_ids are passed, so every token also attends to the padding."""
    truth = alone(model, tokenizer, texts)
    batch = padded(tokenizer, texts)
    mistaken = model(input_ids=batch["input_ids"]).last_hidden_state[:, 0]
    mended = model(**batch).last_hidden_state[:, 0]
    return truth, mistaken, mended


def attention_mask_inverted(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The mask says where the padding is, as PyTorch's key_padding_mask does, and not where the tokens are."""
    truth = alone(model, tokenizer, texts)
    ids = padded(tokenizer, texts)["input_ids"]
    padding = ids == tokenizer.pad_token_id
    mistaken = model(input_ids=ids, attention_mask=padding.long()).last_hidden_state[:, 0]
    mended = model(input_ids=ids, attention_mask=(~padding).long()).last_hidden_state[:, 0]
    return truth, mistaken, mended


def arguments_swapped(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The tokenizer's tensors are passed by position, so its all-zero segment ids land in attention_mask."""
    batch = encoded(tokenizer, texts)
    if list(batch)[1] != "token_type_ids":
        raise CannotArise("its tokenizer gives no token_type_ids that could take the place of the mask")
    truth = alone(model, tokenizer, texts)
    mistaken = model(*batch.values()).last_hidden_state[:, 0]
    mended = model(**batch).last_hidden_state[:, 0]
    return truth, mistaken, mended


def left_padding_positions(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The padding stands on the left and is counted, so the first token of a short text is at position 5, not 0."""
    if first_position(model) != 0:
        raise CannotArise("its positions are not counted from the left edge, so left padding is harmless")
    truth = alone(model, tokenizer, texts)
    batch = padded(tokenizer, texts, padding_side="left")
    rows, first = torch.arange(len(texts)), batch["attention_mask"].argmax(1)
    mistaken = model(**batch).last_hidden_state[rows, first]
    mended = model(**batch, position_ids=from_mask(batch["attention_mask"])).last_hidden_state[rows, first]
    return truth, mistaken, mended


def cls_read_at_padding(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The padding stands on the left, mask and positions are right, and the vector is read at index 0: a [PAD]."""
    truth = alone(model, tokenizer, texts)
    batch = left_padded(model, tokenizer, texts)
    state = model(**batch).last_hidden_state
    mistaken = state[:, 0]
    mended = state[torch.arange(len(texts)), batch["attention_mask"].argmax(1)]
    return truth, mistaken, mended


def pad_id_conflict(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The mask is made from a pad id written down elsewhere: 1 where the tokenizer pads with 0, otherwise 0."""
    truth = alone(model, tokenizer, texts)
    ids = padded(tokenizer, texts)["input_ids"]
    elsewhere = 1 if tokenizer.pad_token_id == 0 else 0
    mistaken = model(input_ids=ids, attention_mask=ids.ne(elsewhere).long()).last_hidden_state[:, 0]
    mended = model(input_ids=ids, attention_mask=ids.ne(tokenizer.pad_token_id).long()).last_hidden_state[:, 0]
    return truth, mistaken, mended


def segment_ids_wrong(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """Single sentences are marked as sentence B: segment ids of 1 made by hand, as old tutorials do."""
    if getattr(model.config, "type_vocab_size", 0) < 2:
        raise CannotArise("its architecture has no second segment")
    truth = alone(model, tokenizer, texts)
    batch = encoded(tokenizer, texts)
    segments = torch.ones_like(batch["input_ids"])
    mistaken = model(**{**batch, "token_type_ids": segments}).last_hidden_state[:, 0]
    mended = model(**{**batch, "token_type_ids": torch.zeros_like(segments)}).last_hidden_state[:, 0]
    return truth, mistaken, mended


def batch_axis_missing(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The ids of one text are passed as they are, (tokens), without the batch axis that the model expects."""
    truth = alone(model, tokenizer, texts)
    rows = [torch.tensor(tokenizer(text, truncation=True)["input_ids"]) for text in texts]
    try:
        mistaken = model(input_ids=rows[0]).last_hidden_state
    except (ValueError, IndexError, RuntimeError) as error:
        mistaken = error
    mended = torch.cat([model(input_ids=row.unsqueeze(0)).last_hidden_state[:, 0] for row in rows])
    return truth, mistaken, mended


def rows_reordered(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """Texts are sorted by length, longest first, to save padding, and the vectors are handed out in that order."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
    if order == list(range(len(texts))):
        raise CannotArise("the texts are sorted by length already: give a short one before a longer one")
    truth = alone(model, tokenizer, texts)
    mistaken = cls(model, tokenizer, [texts[i] for i in order])
    mended = mistaken[torch.tensor(order).argsort()]
    return truth, mistaken, mended


def fully_masked_row(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """All texts are filled up to equally many pieces of 8 tokens, and pieces of mere padding enter the mean."""
    options = {"max_length": 8, "truncation": True, "padding": "max_length", "return_overflowing_tokens": True}
    pieces = [tokenizer(text, return_tensors="pt", **options) for text in texts]
    most = max(len(piece["input_ids"]) for piece in pieces)
    if all(len(piece["input_ids"]) == most for piece in pieces):
        raise CannotArise("all texts give equally many pieces: give a short one and a longer one")
    truth, mistaken, mended = [], [], []
    for piece in pieces:
        ids, mask = piece["input_ids"], piece["attention_mask"]
        truth.append(model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0].mean(0))
        empty = (most - len(ids), ids.shape[1])
        ids = torch.cat([ids, ids.new_full(empty, tokenizer.pad_token_id)])
        mask = torch.cat([mask, mask.new_zeros(empty)])
        state = model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        mistaken.append(state.mean(0))
        mended.append(state[mask.any(1)].mean(0))
    return torch.stack(truth), torch.stack(mistaken), torch.stack(mended)


def wrong_axis(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """output[0][0] is taken for the first token of every text; it is every token of the first text."""
    truth = alone(model, tokenizer, texts)
    output = model(**encoded(tokenizer, texts))
    mistaken = output[0][0]
    mended = output[0][:, 0]
    return truth, mistaken, mended


def positions_wrong(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A port counts positions as the other family does: from 0 in a RoBERTa, or from 2 in a BERT."""
    first = first_position(model)
    if first is None:
        raise CannotArise("it has no table of learned positions")
    shorter = {"max_length": tokenizer.model_max_length - 2}  # so that two positions more still exist
    truth = alone(model, tokenizer, texts, **shorter)
    batch = encoded(tokenizer, texts, **shorter)
    count = from_mask(batch["attention_mask"])
    mistaken = model(**batch, position_ids=count + (2 if first == 0 else 0)).last_hidden_state[:, 0]
    mended = model(**batch, position_ids=count + first).last_hidden_state[:, 0]
    return truth, mistaken, mended
