"""Logits: what a sequence-classification head says of each text, read like a vector whose components are the labels.

They belong to no hidden state, so the notation of readouts that people type does not know them: only a search that was given
such numbers does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.read.readout import Readout
from bertlens.run.headed import headed
from bertlens.run.inputs import Inputs
from bertlens.run.progress import Progress, silent
from bertlens.run.variants import running

ACTIVATIONS = {
    "": "the logits of the sequence-classification head",
    "softmax": "the logits of the sequence-classification head as probabilities that sum to one (softmax)",
    "sigmoid": "the logits of the sequence-classification head as one probability per label (sigmoid)",
}
"""What may be done to logits, with one sentence each."""


@dataclass(frozen=True)
class Logits(Readout):
    """The logits of the sequence-classification head, one component per label.

    Attributes
    ----------
    activation : a key of `ACTIVATIONS`.

    Examples
    --------
    >>> str(Logits(activation="softmax"))
    'logits|softmax'
    """

    pooling: str = "logits"
    activation: str = ""

    def __str__(self) -> str:
        return f"logits|{self.activation}" if self.activation else "logits"

    @property
    def meaning(self) -> str:
        """The activation in one sentence."""
        return ACTIVATIONS[self.activation]

    def in_every_layer(self) -> Readout:
        """Logits are of the last layer alone.

        Raises
        ------
        BertlensError
            Always.
        """
        raise BertlensError(
            f"cannot follow {self} through the layers", got="the head, which reads the last layer alone", do="read cls or mean"
        )

    def of(self, logits: np.ndarray) -> np.ndarray:
        """Raw logits, (texts, labels), after the activation."""
        if not self.activation:
            return logits
        raw = torch.from_numpy(logits)
        return (raw.softmax(1) if self.activation == "softmax" else raw.sigmoid()).numpy()


def read_logits(
    inputs: Inputs, *, dtype: str | None = None, device: str | None = None, seed: int = 0, progress: Progress = silent
) -> np.ndarray:
    """The logits of every text: (texts, labels), float64 for a float64 run and float32 otherwise.

    Raises
    ------
    BertlensError
        For an architecture without such a head, a head of which weights are not in the file, or inputs that the model refuses.
    """
    condition, checkpoint = inputs.condition, inputs.checkpoint
    head = headed(checkpoint, "sequence")
    if head.drawn:
        raise BertlensError(
            f"cannot read the logits of {checkpoint.name}",
            got=f"{len(head.drawn)} weights of the head that are not in the file, such as {head.drawn[0]}",
            expected="a checkpoint that was trained and saved with its head",
        )
    number, dropout = dtype or condition.dtype, condition.dropout == "on"
    found: np.ndarray | None = None
    with running(number, seed if dropout else None):
        progress(0, len(inputs), f"{number} forward passes with the head")
        for done, batch in enumerate(inputs, start=1):
            logits = head.logits(batch, number, condition.attention, dropout=dropout, device=device).numpy()
            if found is None:
                found = np.full((len(inputs.tokens), logits.shape[1]), np.nan, logits.dtype)
            found[list(batch.texts)] = logits[: len(batch.texts)]
            progress(done, len(inputs), f"{number} forward passes with the head")
    assert found is not None
    return found
