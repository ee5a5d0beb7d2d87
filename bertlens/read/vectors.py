"""Vectors: the outputs of a model reduced to one vector per text, as a readout says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.read.logits import Logits, read_logits
from bertlens.read.pooling import pooled
from bertlens.read.readout import Readout
from bertlens.read.survey import wide
from bertlens.run.inputs import Inputs
from bertlens.run.outputs import Outputs, made_of
from bertlens.run.progress import Progress, silent

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint


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
    return read_all(inputs, [readout], dtype=dtype, device=device, seed=seed, progress=progress)[readout]


def read_all(
    inputs: Inputs,
    readouts: Sequence[Readout],
    *,
    dtype: str | None = None,
    device: str | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress = silent,
) -> dict[Readout, np.ndarray]:
    """The vectors of several readouts from the same forward passes, each (texts, dimensions), as `read` gives them.

    Parameters
    ----------
    workers : passes that run at once, as `forward` does.

    Raises
    ------
    BertlensError
        For a pooler that the model does not have, or layers beyond its depth; before anything is run.
    """
    layers = {readout: layers_of(inputs.checkpoint, readout) for readout in readouts if not isinstance(readout, Logits)}
    every = sorted({layer for chosen in layers.values() for layer in chosen})
    vectors: dict[Readout, np.ndarray] = {}
    if heads := [readout for readout in readouts if isinstance(readout, Logits)]:
        logits = read_logits(inputs, dtype=dtype, device=device, seed=seed, progress=progress)
        vectors |= {readout: readout.of(logits) for readout in heads}
        if not layers:
            return vectors
    # closed at once when the work is cancelled: a pass that waits would hold the seeded stretch of dropout
    how = {"dtype": dtype, "device": device, "seed": seed, "workers": workers, "progress": progress}
    with closing(made_of(inputs, partial(_rows, layers), layers=every, **how)) as passes:  # type: ignore[arg-type]
        for texts, found in passes:
            for readout, rows in found.items():
                if readout not in vectors:
                    vectors[readout] = np.full((len(inputs.tokens), rows.shape[1]), np.nan, rows.dtype)
                vectors[readout][list(texts)] = rows
    return vectors


def _rows(layers: dict[Readout, tuple[int, ...]], outputs: Outputs) -> tuple[tuple[int, ...], dict[Readout, np.ndarray]]:
    """The texts of one forward pass and their vectors under every readout."""
    found = {readout: wide(vectors_of(outputs, readout, chosen)).numpy() for readout, chosen in layers.items()}
    return outputs.batch.texts, found


def layers_of(checkpoint: Checkpoint, readout: Readout) -> tuple[int, ...]:
    """Indices into hidden_states that a readout combines; () for last_hidden_state and for pooler_output.

    Raises
    ------
    BertlensError
        For a pooler that the model does not have, or layers beyond its depth.
    """
    if readout.pooling == "pooler" and not checkpoint.architecture.pooler:
        raise BertlensError(
            f"cannot read pooler_output of {checkpoint.name}",
            got=f"a model without a pooler ({checkpoint.architecture.kind})",
            do="read cls or mean instead",
        )
    return readout.indices(checkpoint.architecture.layers)


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
