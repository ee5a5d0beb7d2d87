"""Head runs: one text through a classifier many times: with dropout, along a path from a baseline, and token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.diagnose.classifying import labels_of, of_one, on_device
from bertlens.errors import BertlensError
from bertlens.judge.cls_attention import ClsAttention
from bertlens.judge.dropout_runs import DropoutRuns
from bertlens.judge.token_shares import TokenShares
from bertlens.read.shares import hiding, integrated_gradients, occlusion, stand_in
from bertlens.run.attentions import attentions
from bertlens.run.progress import Progress, silent
from bertlens.run.tokens import words
from bertlens.run.variants import running

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

RUNS = 20
"""Seeded runs with dropout on."""

MOST_STEPS = 1000
"""Steps on the path of integrated gradients that may be asked for."""


def head_dropout(
    checkpoint: Checkpoint, texts: Sequence[Any] | str, text: int = 0, *, runs: int = RUNS, progress: Progress = silent
) -> DropoutRuns:
    """Run one text with dropout on, once for each seed 0 … runs - 1, and twice with dropout off."""
    _, one, inputs = of_one(checkpoint, texts, text, "sequence")
    tensors = on_device(one.device, next(iter(inputs)))

    def logits(model: Any, seed: int | None) -> torch.Tensor:
        with running("float32", seed):
            found: torch.Tensor = model(**tensors).logits[0].float().cpu()
            return found

    still, moving = one.instance(), one.instance(dropout=True)
    off = [logits(still, None) for _ in range(2)]
    on = []
    for seed in range(runs):
        progress(seed, runs, "runs with dropout")
        on.append(logits(moving, seed))
    rates: dict[float, int] = {}
    for module in moving.modules():
        if isinstance(module, torch.nn.Dropout) and module.p > 0:
            rates[module.p] = rates.get(module.p, 0) + 1
    repeats = torch.equal(*off)
    return DropoutRuns(text, labels_of(still.config), off[0].numpy(), repeats, torch.stack(on).numpy(), rates)


def cls_attention(checkpoint: Checkpoint, texts: Sequence[Any] | str, text: int = 0) -> ClsAttention:
    """What [CLS] of one text attends to in every layer and head, with eager attention; one row of each head is kept."""
    _, _, inputs = of_one(checkpoint, texts, text, "sequence")
    row = inputs.tokens[0]
    ((_, layers),) = attentions(inputs, lambda _, __, weights: weights[0, :, 0].float().cpu())
    names = tuple(map(str, checkpoint.tokenizer.convert_ids_to_tokens(list(row.ids))))
    return ClsAttention(text, names, row.special, torch.stack(layers).numpy())


def token_shares(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    text: int = 0,
    *,
    label: int | None = None,
    baseline: str = "pad",
    steps: int = 50,
    progress: Progress = silent,
) -> TokenShares:
    """Each token's part in the logit of one class of the sequence classifier, in two ways.

    Parameters
    ----------
    label : number of the class; None for the one with the largest logit.
    baseline : where the path of the gradients begins, a key of `bertlens.read.shares.BASELINES`.
    steps : points on that path, 2 … 1000.
    """
    whole, one, inputs = of_one(checkpoint, texts, text, "sequence")
    batch, row, tokenizer = next(iter(inputs)), inputs.tokens[0], checkpoint.tokenizer
    start = stand_in(tokenizer, baseline)
    if not 2 <= steps <= MOST_STEPS:
        raise BertlensError("cannot integrate the gradients", got=f"{steps} steps", expected=f"2 … {MOST_STEPS}")
    model = one.instance()
    labels = labels_of(model.config)
    if label is None:
        with running("float32", None):
            label = int(model(**on_device(one.device, batch)).logits[0].argmax())
    if not 0 <= label < len(labels):
        raise BertlensError("cannot choose the class", got=f"number {label}", expected=f"0 … {len(labels) - 1}")
    gradients = integrated_gradients(one, batch, label, start, steps, progress)
    hidden_id = hiding(tokenizer)
    content = [[place] for place, special in enumerate(row.special) if not special]
    groups = words(checkpoint, whole[text], row) or []
    several = [group for group in groups if len(group) > 1]  # a word of one piece is that piece
    falls = occlusion(one, batch, label, [*content, *several], hidden_id, progress)
    fall_of = {tuple(group): float(fall) for group, fall in zip([*content, *several], falls, strict=True)}
    names = tuple(map(str, tokenizer.convert_ids_to_tokens(list(row.ids))))
    occluded = np.full(len(names), np.nan, dtype=np.float32)
    occluded[[place for (place,) in content]] = falls[: len(content)]
    told = [str(tokenizer.decode([row.ids[place] for place in group])).strip() for group in groups]
    places = [tuple(group) for group in groups]
    return TokenShares(
        text=text,
        label=label,
        name=labels[label],
        tokens=names,
        segments=row.segments,
        special=row.special,
        gradients=gradients.values,
        logit=gradients.logit,
        baseline_logit=gradients.baseline,
        error=gradients.error,
        baseline=baseline,
        steps=steps,
        at_once=gradients.at_once,
        hidden=str(tokenizer.convert_ids_to_tokens(hidden_id)),
        occluded=occluded,
        words=tuple((name, place, fall_of[place]) for name, place in zip(told, places, strict=True)),
    )
