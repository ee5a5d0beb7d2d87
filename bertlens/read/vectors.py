"""Vectors: the outputs of a model reduced to one vector per text, as a readout says."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.read.readout import Readout
from bertlens.run.inputs import Inputs
from bertlens.run.outputs import Outputs, forward
from bertlens.run.progress import Progress, silent


def read(
    inputs: Inputs,
    readout: Readout,
    *,
    dtype: str | None = None,
    device: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> np.ndarray:
    """One vector per text: (texts, dimensions), float64 for a float64 run and float32 otherwise.

    Each forward pass is reduced to its vectors before the next one starts. Texts that `inputs` leaves out are NaN.
    """
    depth = inputs.checkpoint.architecture.layers
    if readout.pooling == "pooler" and not inputs.checkpoint.architecture.pooler:
        raise BertlensError(
            f"cannot read pooler_output of {inputs.checkpoint.name}",
            got=f"a model without a pooler ({inputs.checkpoint.architecture.kind})",
            do="read cls or mean instead",
        )
    layers = readout.indices(depth)
    vectors: np.ndarray | None = None
    # closed at once when the work is cancelled: a pass that waits would hold the seeded stretch of dropout
    with closing(forward(inputs, layers=layers, dtype=dtype, device=device, seed=seed, progress=progress)) as passes:
        for outputs in passes:
            rows = vectors_of(outputs, readout, layers)
            wide = rows.to("cpu", torch.float64 if rows.dtype == torch.float64 else torch.float32).numpy()
            if vectors is None:
                vectors = np.full((len(inputs.tokens), wide.shape[1]), np.nan, wide.dtype)
            vectors[list(outputs.batch.texts)] = wide
    assert vectors is not None, "inputs always hold at least one text"
    return vectors


def vectors_of(outputs: Outputs, readout: Readout, layers: tuple[int, ...]) -> torch.Tensor:
    """The vectors of one forward pass: (texts of the pass, dimensions), in the number format of the model.

    Where the batch axis was lost (rows=index), the vector that a person takes for their text is that of sequence 0.
    """
    rows = len(outputs.batch.texts)
    real = outputs.batch.real[:rows].to(outputs.last_hidden_state.device)
    special = outputs.batch.special[:rows].to(real.device)
    if readout.pooling == "pooler":
        assert outputs.pooler_output is not None
        vectors = outputs.pooler_output[:rows]
    else:
        states = [outputs.hidden_states[layer] for layer in layers] or [outputs.last_hidden_state]
        vectors = _combined([_pooled(state[:rows], real, special, readout.pooling) for state in states], readout.combine)
    return torch.nn.functional.normalize(vectors, dim=1) if readout.l2 else vectors


def _combined(vectors: list[torch.Tensor], combine: str) -> torch.Tensor:
    if combine.startswith("concat"):
        return torch.cat(vectors, dim=1)
    if combine == "":
        return vectors[0]
    stacked = torch.stack(vectors)
    return stacked.mean(0) if combine == "mean" else stacked.sum(0)


def _pooled(state: torch.Tensor, real: torch.Tensor, special: torch.Tensor, pooling: str) -> torch.Tensor:
    """(batch, tokens, hidden) to (batch, hidden). A row without a token to read gives NaN, which is named later."""
    rows = torch.arange(len(state), device=state.device)
    if pooling == "first_position":
        return state[:, 0]
    if pooling == "mean_all":
        return state.mean(1)
    kept = real * (1 - special) if pooling == "mean_content" else real
    if pooling in ("cls", "lasttoken"):
        first = kept.argmax(1)
        token = first if pooling == "cls" else kept.shape[1] - 1 - kept.flip(1).argmax(1)
        return state[rows, token].masked_fill(kept.sum(1, keepdim=True) == 0, torch.nan)
    if pooling == "max":
        hidden = state.masked_fill(kept.unsqueeze(-1) == 0, -torch.inf).amax(1)
        return hidden.masked_fill(kept.sum(1, keepdim=True) == 0, torch.nan)
    weights = kept.to(state.dtype)
    if pooling == "weightedmean":
        weights = weights * torch.arange(1, kept.shape[1] + 1, device=state.device, dtype=state.dtype)
    total = (state * weights.unsqueeze(-1)).sum(1)
    count = weights.sum(1, keepdim=True)
    return total / (count.sqrt() if pooling == "mean_sqrt_len_tokens" else count)
