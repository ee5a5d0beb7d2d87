"""Pooled: every pooling of every hidden state from one forward pass, so that any readout is at hand without another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.read.logits import Logits
from bertlens.read.pooling import AVERAGES, averages, pooled
from bertlens.read.readout import POOLINGS, Readout
from bertlens.read.survey import Pass, survey, wide
from bertlens.read.vectors import combined
from bertlens.run.inputs import Inputs
from bertlens.run.progress import Progress, silent

MOST_BYTES = 256 * 1024**2
"""What the pooled vectors of all texts may take in memory."""

OF_STATES = tuple(pooling for pooling in POOLINGS if pooling != "pooler")
"""Poolings that read hidden states."""


@dataclass(frozen=True)
class Pooled:
    """The vectors of some texts under every pooling and in every hidden state.

    Attributes
    ----------
    states : names of the hidden states, "embeddings", "layer 1", …; the last is last_hidden_state.
    depth : layers of the model; hidden_states has one entry more.
    values : pooling -> (states, texts, hidden), float32, or float64 of a float64 run.
    pooler : pooler_output, (texts, hidden), or None where the model has no pooler.
    logits : of the sequence-classification head, (texts, labels), or None where nobody asked for them.
    """

    states: tuple[str, ...]
    depth: int
    values: dict[str, np.ndarray]
    pooler: np.ndarray | None
    logits: np.ndarray | None = None

    @property
    def tied(self) -> bool:
        """Whether `hidden_states[-1]` is `last_hidden_state`."""
        return len(self.states) == self.depth + 1

    @property
    def texts(self) -> int:
        """How many texts there are."""
        return int(next(iter(self.values.values())).shape[1])

    @property
    def hidden(self) -> int:
        """Units of a hidden state."""
        return int(next(iter(self.values.values())).shape[2])

    def vectors(self, readout: str | Readout) -> np.ndarray:
        """The vectors of a readout: (texts, dimensions). Nothing is run.

        Raises
        ------
        BertlensError
            For a pooler that the model does not have, layers beyond its depth, or a pooling that was not gathered.
        """
        chosen = Readout.parse(readout)
        if isinstance(chosen, Logits):
            if self.logits is None:
                raise BertlensError(f"cannot read {chosen} from these passes", got="passes without the head")
            return chosen.of(self.logits)
        if chosen.pooling == "pooler":
            if self.pooler is None:
                raise BertlensError("cannot read pooler_output", got="a model without a pooler", do="read cls or mean instead")
            vectors = torch.from_numpy(self.pooler)
        elif chosen.pooling not in self.values:
            raise BertlensError(
                f"cannot read {chosen.pooling} from these passes", expected=" / ".join(self.values), do="choose one of them"
            )
        else:
            every = torch.from_numpy(self.values[chosen.pooling])
            layers = chosen.indices(self.depth) or (len(self.states) - 1,)
            vectors = combined([every[layer] for layer in layers], chosen.combine)
        return (torch.nn.functional.normalize(vectors, dim=1) if chosen.l2 else vectors).numpy()


class PooledReader:
    """Gathers `Pooled` of the first `texts` texts from the passes of a survey."""

    def __init__(self, texts: int, poolings: Sequence[str] = OF_STATES) -> None:
        self._texts, self._poolings = texts, tuple(poolings)
        self._averages = tuple(pooling for pooling in AVERAGES if pooling in self._poolings)
        self._values: dict[str, np.ndarray] = {}
        self._pooler: np.ndarray | None = None

    def take(self, one: Pass) -> None:
        """Pool every state of one pass."""
        wanted = [row for row, text in enumerate(one.batch.texts) if text < self._texts]
        rows = [one.batch.texts[row] for row in wanted]
        if not rows:
            return
        if len(wanted) < len(one.batch.texts):
            pooler = None if one.pooler_output is None else one.pooler_output[wanted]
            states = tuple(state[wanted] for state in one.states)
            one = Pass(one.batch.of(wanted), states, pooler, one.real[wanted], one.special[wanted])
        if one.pooler_output is not None:
            if self._pooler is None:
                self._pooler = self._empty(wide(one.pooler_output[:0]).numpy())
            self._pooler[rows] = wide(one.pooler_output).numpy()
        for at, state in enumerate(one.states):
            many = averages(state, one.real, one.special, self._averages)
            for pooling in self._poolings:
                vectors = many[pooling] if pooling in many else pooled(state, one.real, one.special, pooling)
                found = wide(vectors).numpy()
                if pooling not in self._values:
                    self._values[pooling] = np.stack([self._empty(found)] * len(one.states))
                self._values[pooling][at, rows] = found

    def _empty(self, like: np.ndarray) -> np.ndarray:
        return np.full((self._texts, like.shape[1]), np.nan, like.dtype)

    def pooled(self, states: tuple[str, ...], depth: int) -> Pooled:
        """What was gathered."""
        return Pooled(states, depth, self._values, self._pooler)


def pool_all(
    inputs: Inputs,
    poolings: Sequence[str] = OF_STATES,
    *,
    dtype: str | None = None,
    device: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Pooled:
    """Every pooling of every hidden state of the texts, each text run once."""
    reader = PooledReader(len(inputs.tokens), poolings)
    states = survey(inputs, [reader], dtype=dtype, device=device, seed=seed, progress=progress)
    return reader.pooled(states, inputs.checkpoint.architecture.layers)


def most_texts(layers: int, hidden: int, poolings: int = len(OF_STATES)) -> int:
    """Of how many texts all poolings of all hidden states fit into memory at once."""
    return max(1, MOST_BYTES // (4 * hidden * ((layers + 1) * poolings + 1)))
