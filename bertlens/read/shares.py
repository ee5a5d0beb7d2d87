"""Shares: what each token has in a logit, by the gradient along a path from a baseline and by leaving tokens out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.run.inputs import Batch
from bertlens.run.progress import Progress, silent

if TYPE_CHECKING:
    from bertlens.run.headed import Headed

BASELINES: dict[str, str] = {
    "pad": "every word piece replaced by the embedding of the padding token",
    "mask": "every word piece replaced by the embedding of the mask token",
    "zero": "every word piece replaced by a vector of zeros",
}
"""Where the path begins; special tokens such as [CLS] and [SEP], positions and segments stay as they are."""

METHOD = "gausslegendre"
"""Rule by which captum places the steps on the path."""

TOKENS = 1024
"""Tokens in one pass forward and backward, which is what a core is fastest with."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """Integrated gradients of one logit (Sundararajan et al. 2017, arXiv:1703.01365).

    Attributes
    ----------
    values : (tokens,), what each token adds to the logit above that of the baseline.
    logit, baseline : the logit of the text, and that of the baseline.
    at_once : rows of the path in one pass.
    """

    values: np.ndarray
    logit: float
    baseline: float
    at_once: int

    @property
    def error(self) -> float:
        """Completeness: the sum of all values, less the difference of the two logits that it should be."""
        return float(self.values.astype(np.float64).sum()) - (self.logit - self.baseline)


def integrated_gradients(
    headed: Headed, batch: Batch, target: int, baseline_id: int | None, steps: int, progress: Progress = silent
) -> Gradients:
    """The gradients of a logit of one text, integrated over the embeddings from a baseline to the text, by captum.

    Parameters
    ----------
    batch : one text without padding.
    target : number of the class.
    baseline_id : token that stands for every word piece in the baseline; None for a vector of zeros.
    steps : points on the path at which the gradient is taken.
    """
    from captum.attr import IntegratedGradients

    model = without_gradients(headed.own_instance())
    ids = batch.tensors["input_ids"].to(headed.device)
    others = {name: tensor.to(headed.device) for name, tensor in batch.tensors.items() if name != "input_ids"}
    at_once, done = max(1, TOKENS // ids.shape[1]), 0
    with torch.no_grad():
        lookup = model.get_input_embeddings()
        there = lookup(ids)
        content = (batch.special == 0).unsqueeze(-1).to(headed.device)
        stand_in = torch.zeros_like(there) if baseline_id is None else lookup(torch.full_like(ids, baseline_id))
        start = torch.where(content, stand_in, there)

    def logit(embeddings: torch.Tensor) -> torch.Tensor:
        nonlocal done
        progress(min(done, steps), steps, "steps of the path")
        done += len(embeddings)
        rows = {name: tensor.expand(len(embeddings), -1) for name, tensor in others.items()}
        found: torch.Tensor = model(inputs_embeds=embeddings, **rows).logits[:, target]
        return found

    integrated = IntegratedGradients(logit)
    values = integrated.attribute(there, start, n_steps=steps, method=METHOD, internal_batch_size=at_once)
    with torch.no_grad():
        ends = [float(logit(side)) for side in (there, start)]
    return Gradients(values.detach().sum(-1)[0].cpu().numpy(), ends[0], ends[1], at_once)


def points(steps: int) -> tuple[list[float], list[float]]:
    """Where on the path, 0 … 1, the gradient is taken, and with which weight each."""
    from captum.attr._utils.approximation_methods import approximation_parameters

    weights, places = approximation_parameters(METHOD)
    return places(steps), weights(steps)


def occlusion(
    headed: Headed, batch: Batch, target: int, groups: Sequence[Sequence[int]], hidden_id: int, progress: Progress = silent
) -> np.ndarray:
    """How far a logit falls when the tokens of a group are replaced: (groups,), float32.

    Parameters
    ----------
    batch : one text without padding.
    groups : positions that are replaced together, such as those of one word.
    hidden_id : the token that is put in their place.
    """
    model = headed.instance()
    ids = batch.tensors["input_ids"]
    rows = ids.repeat(len(groups) + 1, 1)
    for row, group in enumerate(groups, start=1):
        rows[row, list(group)] = hidden_id
    at_once = max(1, TOKENS // ids.shape[1])
    found = []
    with torch.inference_mode():
        for at in range(0, len(rows), at_once):
            progress(at, len(rows), "texts with a token hidden")
            part = rows[at : at + at_once]
            tensors = {name: tensor.expand(len(part), -1) for name, tensor in batch.tensors.items()} | {"input_ids": part}
            found.append(model(**{name: tensor.to(headed.device) for name, tensor in tensors.items()}).logits[:, target].cpu())
    logits = torch.cat(found)
    return (logits[:1] - logits[1:]).numpy()


def stand_in(tokenizer: Any, baseline: str) -> int | None:
    """The id of the token that stands for word pieces in a baseline; None for zeros.

    Raises
    ------
    BertlensError
        For a name that there is not, or a token that the tokenizer does not have.
    """
    if baseline not in BASELINES:
        raise BertlensError("cannot choose the baseline", got=f"'{baseline}'", expected=" / ".join(BASELINES))
    if baseline == "zero":
        return None
    found = tokenizer.pad_token_id if baseline == "pad" else tokenizer.mask_token_id
    if found is None:
        got = f"a tokenizer without a {'padding' if baseline == 'pad' else 'mask'} token"
        raise BertlensError(f"cannot begin at the baseline '{baseline}'", got=got, do="take the baseline 'zero'")
    return int(found)


def stand_in_of(baseline: str) -> str:
    """The same as an expression of a script in which `tokenizer`, `lookup`, `ids` and `end` are known."""
    if baseline == "zero":
        return "torch.zeros_like(end)"
    return f"lookup(torch.full_like(ids, tokenizer.{baseline}_token_id))"


def hiding(tokenizer: Any) -> int:
    """The id of the token that hides another: the mask, or where a tokenizer has none, the unknown token."""
    found = tokenizer.mask_token_id if tokenizer.mask_token_id is not None else tokenizer.unk_token_id
    if found is None:
        raise BertlensError("cannot hide a token", got="a tokenizer without a mask and an unknown token")
    return int(found)


def without_gradients(model: Any) -> Any:
    """The model with the same numbers in parameters that ask for no gradient, so that a pass keeps less in memory."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = torch.nn.Parameter(parameter.detach(), requires_grad=False)
    return model
