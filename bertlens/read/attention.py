"""Attention: what the weights of a head say, by where the tokens of a text look.

Rows are the tokens that look, columns those that are looked at. Rows of padding are left out everywhere: nobody reads what
stands there, and in local windows they may have nothing to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bertlens.run.attentions import attentions
from bertlens.run.inputs import Batch, Inputs
from bertlens.run.progress import Progress, silent

MEASURES: dict[str, str] = {
    "entropy": "entropy of what a token looks at, in nats: 0 where it looks at one token, ln n where at n tokens alike",
    "to_cls": "share of the attention that goes to [CLS]",
    "to_sep": "share of the attention that goes to [SEP]",
    "to_padding": "share of the attention that goes to padding",
    "to_self": "share that a token gives to itself",
    "to_previous": "share that a token gives to the one before it",
    "to_next": "share that a token gives to the one after it",
    "distance": "mean distance, in tokens, of what a token looks at",
}
"""Every measure of a head with its meaning; each is a mean over the real tokens of the text."""

MOST_BYTES = 256 * 2**20
"""Weights of one text that are kept whole: 12 layers of 12 heads at 512 tokens are 151 MB. Of more, one layer is kept."""

IDENTITY = 0.5
"""Share of the residual stream in rollout, as Abnar and Zuidema set it."""


@dataclass(frozen=True)
class Places:
    """What stands where in the rows of a batch, each (batch, tokens), bool.

    Attributes
    ----------
    real : tokens of the text, special ones included.
    cls, sep : the tokenizer's own [CLS] and [SEP], whatever their names are.
    """

    real: torch.Tensor
    cls: torch.Tensor
    sep: torch.Tensor


def places(batch: Batch, tokenizer: Any) -> Places:
    """Where [CLS], [SEP] and padding stand; a tokenizer without such a token has it nowhere."""
    ids, real = batch.tensors["input_ids"], batch.real.bool()
    named = [(ids == (-1 if token is None else token)) & real for token in (tokenizer.cls_token_id, tokenizer.sep_token_id)]
    return Places(real, *named)


def measures(weights: torch.Tensor, where: Places) -> dict[str, torch.Tensor]:
    """Every measure of every head, (batch, heads), float64, and as `row_error` how far a row's sum lies from 1, (batch,).

    NaN where a text has no token before or after another.

    Parameters
    ----------
    weights : (batch, heads, from, to), each row a distribution.
    """
    real = where.real
    targets = torch.stack([where.cls, where.sep, ~real], dim=-1).to(weights.dtype)
    shares = _mean((weights @ targets[:, None]).double(), real[:, None, :, None])
    at = torch.arange(real.shape[1])
    far = torch.einsum("bhij,ij->bhi", weights, (at[:, None] - at).abs().to(weights.dtype))
    # a weight of 0 adds 0, and not the NaN of 0 times the logarithm of 0
    surprise = weights.clamp_min(torch.finfo(weights.dtype).tiny).log().neg_()
    entropy = torch.einsum("bhij,bhij->bhi", weights, surprise)
    sums = weights.sum(-1, dtype=torch.float64)
    beside = {"to_self": 0, "to_previous": -1, "to_next": 1}
    return {
        "entropy": _mean(entropy.double(), real[:, None]),
        **dict(zip(("to_cls", "to_sep", "to_padding"), shares.unbind(-1), strict=True)),
        **{name: _diagonal(weights, real, offset) for name, offset in beside.items()},
        "distance": _mean(far.double(), real[:, None]),
        "row_error": (sums - 1).abs().masked_fill(~real[:, None], 0).amax((1, 2)),
    }


def _mean(values: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mean over the tokens that look, the third axis."""
    return values.masked_fill(~real, 0).sum(2) / real.sum(2)


def _diagonal(weights: torch.Tensor, real: torch.Tensor, offset: int) -> torch.Tensor:
    """The mean weight of the token so many places on, over the tokens that have one."""
    both = real[:, : len(real[0]) - abs(offset)] & real[:, abs(offset) :]
    return _mean(weights.diagonal(offset, dim1=2, dim2=3).double(), both[:, None])


def cropped(matrix: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """The rows and columns of the real tokens, and last, where there is padding, a column with the sum of what goes there.

    Parameters
    ----------
    matrix : (…, from, to).
    real : (to,), False on padding.
    """
    if real.all():
        return matrix
    rows = matrix[..., real, :]
    return torch.cat([rows[..., real], rows[..., ~real].sum(-1, keepdim=True)], dim=-1)


def rollout(means: torch.Tensor, identity: float = IDENTITY) -> torch.Tensor:
    """Attention rollout after each layer (Abnar and Zuidema 2020): (layers, from, to), rows sum to 1.

    Each layer passes on `identity` of a token's own stream and mixes the rest as its heads look on average; the product of
    all layers up to one says how much of each input token is in each output token, if attention were all that moves it.

    Parameters
    ----------
    means : (layers, from, to), the weights averaged over heads, rows and columns of the same positions.
    identity : share of the residual stream, 0 … 1.
    """
    mixed = (1 - identity) * means + identity * torch.eye(means.shape[-1], dtype=means.dtype)
    found = [mixed[0]]
    for layer in mixed[1:]:
        found.append(layer @ found[-1])
    return torch.stack(found)


@dataclass(frozen=True, eq=False)
class Attended:
    """One text's attention weights, reduced layer by layer.

    Attributes
    ----------
    ids : of the real tokens.
    padding : padding tokens of the row.
    measures : measure -> (layers, heads), float64.
    row_error : how far the sum of a row lies from 1, at most.
    means : (layers, tokens, columns), averaged over heads; the columns are the tokens and, where there is padding, all of it.
    rollout : (layers, tokens, columns), after each layer.
    maps : layer -> (heads, tokens, columns), float32, of the layers that are kept.
    """

    ids: tuple[int, ...]
    padding: int
    measures: dict[str, np.ndarray]
    row_error: float
    means: np.ndarray
    rollout: np.ndarray
    maps: dict[int, np.ndarray]


class _Maps:
    """The maps that are kept, in one block: many small ones between the layers' own tensors would leave holes in memory."""

    def __init__(self, keep: int | None) -> None:
        self.found: dict[int, np.ndarray] = {}
        self._keep, self._block = keep, np.empty(0, np.float32)

    def take(self, layer: int, depth: int, map_: torch.Tensor) -> None:
        """Copy the map of a layer, (heads, tokens, columns), if it is wanted."""
        whole = 4 * depth * map_.numel() <= MOST_BYTES
        if self._keep == -1 or not (whole or layer == self._keep):
            return
        if not self.found:
            self._block = np.empty((depth if whole else 1, *map_.shape), np.float32)
        self.found[layer] = self._block[layer if whole else 0]
        self.found[layer][:] = map_.numpy()


def of_text(inputs: Inputs, text: int, *, keep: int | None = None, progress: Progress = silent) -> Attended:
    """Run one text, at the padded length it has among all, and read every layer as it appears.

    Parameters
    ----------
    keep : the layer that is kept whole where all do not fit into `MOST_BYTES`, 0 … layers - 1; -1 for none in any case.
    """
    depth, tokenizer, maps = inputs.checkpoint.architecture.layers, inputs.checkpoint.tokenizer, _Maps(keep)

    def reduce(batch: Batch, layer: int, weights: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        there, real = _at_least_float32(weights), batch.real[0].bool()
        maps.take(layer, depth, cropped(there[0], real))
        return measures(there, places(batch, tokenizer)), there[0].mean(0)

    with closing(attentions(inputs.select([text]), reduce, progress=progress)) as passes:
        batch, layers = next(passes)
    real = batch.real[0].bool()
    wide = torch.stack([mean for _, mean in layers])
    return Attended(
        ids=tuple(batch.tensors["input_ids"][0][real].tolist()),
        padding=int((~real).sum()),
        measures={name: torch.cat([found[name] for found, _ in layers]).numpy() for name in MEASURES},
        row_error=float(max(found["row_error"].max() for found, _ in layers)),
        means=_float32(cropped(wide, real)),
        rollout=_float32(cropped(rollout(wide), real)),
        maps=maps.found,
    )


def of_texts(inputs: Inputs, *, progress: Progress = silent) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Every measure of every text, (texts, layers, heads), and how far a row's sum lies from 1 at most, (texts,)."""
    tokenizer = inputs.checkpoint.tokenizer

    def reduce(batch: Batch, _: int, weights: torch.Tensor) -> dict[str, torch.Tensor]:
        return measures(_at_least_float32(weights), places(batch, tokenizer))

    found: dict[int, dict[str, np.ndarray]] = {}
    with closing(attentions(inputs, reduce, progress=progress)) as passes:
        for batch, layers in passes:
            stacked = {name: torch.stack([layer[name] for layer in layers], dim=1).numpy() for name in layers[0]}
            for row, text in enumerate(batch.texts):
                found[text] = {name: values[row] for name, values in stacked.items()}
    order = sorted(found)
    measured = {name: np.stack([found[text][name] for text in order]) for name in MEASURES}
    return measured, _largest([found[text]["row_error"] for text in order])


def _largest(errors: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([error.max() for error in errors])


def _at_least_float32(weights: torch.Tensor) -> torch.Tensor:
    """What is summed up here must not be rounded to the run's half precision again."""
    return weights.cpu() if weights.dtype == torch.float64 else weights.cpu().float()


def _float32(tensor: torch.Tensor) -> np.ndarray:
    """Maps of a run in float64 would take twice the place."""
    return tensor.numpy().astype(np.float32, copy=False)
