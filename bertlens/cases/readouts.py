"""Readouts: what goes wrong after the forward pass: pooling, layers, fields of the output, export and storage."""

from __future__ import annotations

import json
from typing import Any

import torch

from bertlens.cases.plain import (
    CannotArise,
    alone,
    cls,
    copied,
    encoded,
    has_dropout,
    masked_mean,
    mean_alone,
    padded,
    recorded,
)
from bertlens.judge.reproduction import Outcome


def mean_includes_padding(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The mean over dim=1 of a padded batch counts the vectors of the padding."""
    truth = mean_alone(model, tokenizer, texts)
    batch = padded(tokenizer, texts)
    state = model(**batch).last_hidden_state
    mistaken = state.mean(1)
    mended = masked_mean(state, batch["attention_mask"])
    return truth, mistaken, mended


def special_tokens_in_mean(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The mean leaves out the special tokens; sentence-transformers, with which it is compared, counts them."""
    truth = mean_alone(model, tokenizer, texts)
    batch = encoded(tokenizer, texts, return_special_tokens_mask=True)
    special = batch.pop("special_tokens_mask")
    state, mask = model(**batch).last_hidden_state, batch["attention_mask"]
    mistaken = masked_mean(state, mask * (1 - special))
    mended = masked_mean(state, mask)
    return truth, mistaken, mended


def pooler_as_sentence_vector(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """pooler_output, made for pre-training, is taken as the sentence's vector, and not the mean over its tokens."""
    truth = mean_alone(model, tokenizer, texts)
    batch = encoded(tokenizer, texts)
    output = model(**batch)
    if getattr(output, "pooler_output", None) is None:
        raise CannotArise("its architecture has no pooler")
    mistaken = output.pooler_output
    mended = masked_mean(output.last_hidden_state, batch["attention_mask"])
    return truth, mistaken, mended


def pooling_recipe_not_followed(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The model is meant to be read by its mean, as a file beside the weights says, and is read at [CLS]."""
    truth = mean_alone(model, tokenizer, texts)
    batch = encoded(tokenizer, texts)
    state = model(**batch).last_hidden_state
    mistaken = state[:, 0]
    mended = masked_mean(state, batch["attention_mask"])
    return truth, mistaken, mended


def hidden_states_off_by_one(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """hidden_states[layers - 1] is taken for the last layer, as if index 0 were layer 1 and not the embeddings."""
    truth = alone(model, tokenizer, texts)
    layers = model.config.num_hidden_layers
    states = model(**encoded(tokenizer, texts), output_hidden_states=True).hidden_states
    mistaken = states[layers - 1][:, 0]
    mended = states[layers][:, 0]
    return truth, mistaken, mended


def last_hidden_state_normalised(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """hidden_states[-1], recorded as older versions do it, is read where one more norm follows."""
    older = copied(model)
    older.config.tie_last_hidden_states = False
    truth = alone(model, tokenizer, texts)
    output = older(**encoded(tokenizer, texts), output_hidden_states=True)
    if torch.equal(output.hidden_states[-1], output.last_hidden_state):
        raise CannotArise("no norm follows its last layer: hidden_states[-1] is last_hidden_state")
    mistaken = output.hidden_states[-1][:, 0]
    mended = output.last_hidden_state[:, 0]
    return truth, mistaken, mended


def wrong_output_field(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The output is unpacked like a tuple, which gives the names of its fields: strings."""
    truth = alone(model, tokenizer, texts)
    output = model(**encoded(tokenizer, texts))
    try:
        state, *_ = output
        mistaken = state[:, 0]
    except TypeError as error:
        mistaken = error
    mended = output.last_hidden_state[:, 0]
    return truth, mistaken, mended


def architecture_without_pooler(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """pooler_output is asked of an architecture that has no pooler."""
    truth = alone(model, tokenizer, texts)
    output = model(**encoded(tokenizer, texts))
    try:
        mistaken = output.pooler_output
    except AttributeError as error:
        mistaken = error
    if torch.is_tensor(mistaken):
        raise CannotArise("its architecture has a pooler; DistilBERT, ELECTRA and ModernBERT have none")
    mended = output.last_hidden_state[:, 0]
    return truth, mistaken, mended


def anisotropy(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """High cosines look like a fault; yet distances stay when the direction that all texts share is taken off."""
    if len(texts) < 2:
        raise CannotArise("one text has no other to be alike with")
    vectors = alone(model, tokenizer, texts)
    truth = torch.cdist(vectors, vectors)
    batch = cls(model, tokenizer, texts)
    mistaken = torch.cdist(batch, batch)
    centred = batch - batch.mean(0)  # its cosines are low
    mended = torch.cdist(centred, centred)
    return truth, mistaken, mended


def normalised_vs_raw(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """One side divides its vectors by their lengths, the other does not."""
    truth = torch.nn.functional.normalize(mean_alone(model, tokenizer, texts), dim=-1)
    batch = encoded(tokenizer, texts)
    mistaken = masked_mean(model(**batch).last_hidden_state, batch["attention_mask"])
    mended = mistaken / mistaken.norm(dim=-1, keepdim=True)
    return truth, mistaken, mended


def onnx_export_differs(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The graph for export, run here by PyTorch, is recorded in train mode and keeps its dropout."""
    trained = copied(model).train()
    if not has_dropout(trained):
        raise CannotArise("it has no dropout, so train mode changes nothing in its graph")
    truth = alone(model, tokenizer, texts)
    batch = encoded(tokenizer, texts)
    inputs = batch["input_ids"], batch["attention_mask"]
    mistaken = recorded(trained, batch)(*inputs)["last_hidden_state"][:, 0]
    mended = recorded(trained.eval(), batch)(*inputs)["last_hidden_state"][:, 0]
    return truth, mistaken, mended


def runtime_differs(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A port looks up whole words between blanks, without the tokenizer's own way to split and spell them."""
    truth = alone(model, tokenizer, texts)
    vocabulary, first, last = tokenizer.get_vocab(), tokenizer.cls_token_id, tokenizer.sep_token_id
    rows = []
    for text in texts:
        words = [vocabulary.get(word, tokenizer.unk_token_id) for word in text.split()]
        rows.append([first, *words[: tokenizer.model_max_length - 2], last])
    if rows == tokenizer(texts, truncation=True)["input_ids"]:
        raise CannotArise("the texts are nothing but whole words of the vocabulary")
    mistaken = torch.cat([model(input_ids=torch.tensor([row])).last_hidden_state[:, 0] for row in rows])
    mended = cls(model, tokenizer, texts)
    return truth, mistaken, mended


def storage_precision(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The vectors are stored in 16 bits, as a half-precision column does; written out in full they come back."""
    truth = cls(model, tokenizer, texts)
    mistaken = truth.half()
    written = json.dumps(truth.tolist())
    mended = torch.tensor(json.loads(written), dtype=truth.dtype)
    return truth, mistaken, mended
