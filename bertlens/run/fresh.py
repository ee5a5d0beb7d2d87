"""Fresh: the architecture of a checkpoint with newly drawn weights, to tell what training made from what was there before."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
import transformers

from bertlens.run import loading
from bertlens.run.checkpoint import ONE_LOAD_AT_A_TIME, Checkpoint, LoadReport
from bertlens.run.condition import Condition
from bertlens.run.inputs import Inputs, prepare
from bertlens.run.keep import Keep
from bertlens.run.texts import Texts
from bertlens.run.variants import RANDOM

TEXTS, TOKENS = 16, 256
"""Texts and tokens that are run through a fresh model: thousands of pairs, at little cost beside the texts themselves."""

UNRELATED: Texts = (
    "The glacier had retreated two kilometres since the first survey.",
    "She tuned the violin while the audience was still taking their seats.",
    "Interest rates were raised by a quarter of a percent on Thursday.",
    "Peel the potatoes, cut them into cubes and boil them in salted water.",
    "A compiler turns source code into instructions for one processor.",
    "The goalkeeper was sent off shortly before half-time.",
    "Roman law knew several forms of marriage and of divorce.",
    "Our neighbour's dog is afraid of thunder and hides under the stairs.",
)
"""Sentences that have nothing to do with each other: what one model finds alike in them, it finds alike in everything."""


def fresh(checkpoint: Checkpoint, seed: int = 0) -> Checkpoint:
    """The same architecture and tokenizer with weights drawn from their config's own initialisation; nothing keeps it.

    The state of PyTorch's generators is as before afterwards, and `checkpoint` is not touched.
    """
    config = copy.deepcopy(checkpoint.model.config)  # from_config writes the number format into it
    # always in this order: whoever seeds a load of weights takes the locks in it as well
    with RANDOM, ONE_LOAD_AT_A_TIME, torch.random.fork_rng(devices=[]), loading.quiet():
        torch.manual_seed(seed)
        model = transformers.AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
    return replace(
        checkpoint,
        name=f"{checkpoint.name}, freshly initialised",
        model=model.eval().to(checkpoint.device),
        report=LoadReport(),
        kept=Keep(),
    )


def few(checkpoint: Checkpoint, texts: Texts, condition: Condition) -> Inputs:
    """The beginnings of the first `TEXTS` texts, at most `TOKENS` tokens together, unpadded where the model cannot pad.

    What a condition does to tokens is kept (special tokens, segments); what it does to batches and numbers is not.
    """
    chosen = texts[:TEXTS]
    limit = checkpoint.max_length if condition.max_length == "model" else int(condition.max_length)
    batch = "alone" if checkpoint.tokenizer.pad_token_id is None else "whole"
    short = Condition(
        batch=batch,
        specials=condition.specials,
        segments=condition.segments,
        max_length=min(limit, TOKENS // len(chosen)),
    )
    return prepare(checkpoint, chosen, short)
