"""Numerics: what goes wrong in the forward pass itself: train mode, number formats, kernels, lengths."""

from __future__ import annotations

from typing import Any

import torch

from bertlens.cases.plain import (
    CannotArise,
    alone,
    cls,
    copied,
    cut_rows,
    encoded,
    first_position,
    has_dropout,
    in_steps,
    recorded,
)
from bertlens.judge.reproduction import Outcome


def dropout_active(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The model is in train mode, as a trainer leaves it, so every call drops other activations."""
    truth = alone(model, tokenizer, texts)
    trained = copied(model).train()
    if not has_dropout(trained):
        raise CannotArise("it has no dropout, so train mode changes nothing")
    mistaken = cls(trained, tokenizer, texts)
    mended = cls(trained.eval(), tokenizer, texts)
    return truth, mistaken, mended


def half_precision(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The model runs in bfloat16, with 8 significant bits, and its vectors are compared with those of float32."""
    truth = alone(model, tokenizer, texts)
    mistaken = cls(copied(model).to(torch.bfloat16), tokenizer, texts)
    mended = cls(copied(model).to(torch.float32), tokenizer, texts)
    return truth, mistaken, mended


def quantised_weights(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """Every linear layer keeps its weights as whole numbers from -127 to 127, with one scale for each output."""
    truth = alone(model, tokenizer, texts)
    small = copied(model)
    for module in small.modules():
        if isinstance(module, torch.nn.Linear):
            scale = module.weight.abs().amax(1, keepdim=True) / 127
            module.weight = torch.nn.Parameter((module.weight / scale).round() * scale, requires_grad=False)
    mistaken = cls(small, tokenizer, texts)
    mended = cls(model, tokenizer, texts)
    return truth, mistaken, mended


def batch_dependent_quantisation(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """What enters a linear layer is rounded to 255 steps, sized by the largest number of the whole batch."""
    if len(set(texts)) < 2:
        raise CannotArise("only one text, without neighbours in its batch: give several")
    quantised = copied(model)
    for module in quantised.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(in_steps)
    truth = alone(quantised, tokenizer, texts)
    batch = encoded(tokenizer, texts)
    mistaken = quantised(**batch).last_hidden_state[:, 0]
    mended = torch.cat([quantised(**row).last_hidden_state[:, 0] for row in cut_rows(batch)])
    return truth, mistaken, mended


def attention_implementation(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """Attention is computed step by step ("eager"), as for output_attentions=True, and not by SDPA."""
    truth = cls(model, tokenizer, texts)
    other = copied(model)
    usual = other.config._attn_implementation
    other.set_attn_implementation("eager")
    mistaken = cls(other, tokenizer, texts)
    other.set_attn_implementation(usual)
    mended = cls(other, tokenizer, texts)
    return truth, mistaken, mended


def compiled_model(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A graph is recorded from the first text alone and run on a batch of another length."""
    truth = alone(model, tokenizer, texts)
    batch = encoded(tokenizer, texts)
    graph = recorded(copied(model), encoded(tokenizer, texts[:1]))
    mistaken = graph(batch["input_ids"], batch["attention_mask"])["last_hidden_state"][:, 0]
    mended = model(**batch).last_hidden_state[:, 0]
    return truth, mistaken, mended


def sequence_too_long(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """All texts as one, repeated until it is longer than the table of positions, are passed without truncation."""
    if first_position(model) is None:
        raise CannotArise("it has no table of learned positions that could come to an end")
    limit, once = tokenizer.model_max_length, " " + " ".join(texts)
    tokens = max(len(tokenizer.tokenize(once, verbose=False)), 1)
    long = once * (model.config.max_position_embeddings // tokens + 1)
    whole = tokenizer(long, return_tensors="pt", verbose=False)
    kept = torch.cat([whole["input_ids"][:, : limit - 1], whole["input_ids"][:, -1:]], dim=1)
    truth = model(input_ids=kept).last_hidden_state[:, 0]
    try:
        mistaken = model(**whole).last_hidden_state[:, 0]
    except (RuntimeError, IndexError) as error:
        mistaken = error
    mended = model(**tokenizer(long, truncation=True, return_tensors="pt")).last_hidden_state[:, 0]
    return truth, mistaken, mended


def inputs_embeds_twice(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """hidden_states[0], which already has positions and norm, is fed back as inputs_embeds and gets them again."""
    truth = alone(model, tokenizer, texts)
    batch = encoded(tokenizer, texts)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    first = model(**batch, output_hidden_states=True).hidden_states[0]
    try:
        mistaken = model(inputs_embeds=first, attention_mask=mask).last_hidden_state[:, 0]
    except RuntimeError as error:  # where word embeddings are narrower than hidden states
        mistaken = error
    words = model.get_input_embeddings()(ids)
    mended = model(inputs_embeds=words, attention_mask=mask).last_hidden_state[:, 0]
    return truth, mistaken, mended
