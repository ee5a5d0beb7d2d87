"""Vectors: the outputs of a model reduced to one vector per text, as a readout says."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.read.pooling import pooled
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
        vectors = combined([pooled(state[:rows], real, special, readout.pooling) for state in states], readout.combine)
    return torch.nn.functional.normalize(vectors, dim=1) if readout.l2 else vectors


def combined(vectors: list[torch.Tensor], combine: str) -> torch.Tensor:
    """Vectors of several layers, each (texts, hidden), as one: one of `COMBINATIONS`, or "" for a single layer."""
    if combine.startswith("concat"):
        return torch.cat(vectors, dim=1)
    if combine == "":
        return vectors[0]
    stacked = torch.stack(vectors)
    return stacked.mean(0) if combine == "mean" else stacked.sum(0)
