"""Alone: one text run alone in two ways, in float32 and where they differ in float64, with the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bertlens.judge.trial import States, Trial, tried
from bertlens.read.survey import wide
from bertlens.run.condition import Condition
from bertlens.run.embedded import every_state
from bertlens.run.inputs import Batch, prepare
from bertlens.run.outputs import Outputs
from bertlens.run.texts import Texts, check_index

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint


def row_of(checkpoint: Checkpoint, texts: Texts, text: int, condition: Condition | None = None) -> Batch:
    """One text alone, as tensors."""
    check_index(texts, text)
    return next(iter(prepare(checkpoint, texts[text : text + 1], condition or Condition())))


def last_state(outputs: Outputs) -> np.ndarray:
    """last_hidden_state of the real tokens of a single row, (tokens, hidden)."""
    return wide(outputs.last_hidden_state[0])[outputs.batch.real[0].bool()].numpy()


def against(checkpoint: Checkpoint, name: str, usual: Callable[[str], Batch], other: Callable[[str], Batch]) -> Trial:
    """Run two batches, each made for a number format, and judge the difference."""

    def both(dtype: str) -> States:
        left, right = (every_state(checkpoint, make(dtype), dtype=dtype) for make in (usual, other))
        return last_state(left), last_state(right)

    return tried(name, both("float32"), lambda: both("float64"))
