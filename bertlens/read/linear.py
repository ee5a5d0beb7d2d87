"""Linear: a layer that has just been drawn, as people put it behind a vector to get one number per class."""

from __future__ import annotations

import numpy as np
import torch

from bertlens.run.variants import RANDOM


def fresh_layer(dimensions: int, classes: int, seed: int) -> torch.nn.Linear:
    """What `torch.manual_seed(seed); torch.nn.Linear(dimensions, classes)` gives, without touching the global generator."""
    with RANDOM, torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Linear(dimensions, classes)


def logits(vectors: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """The vectors, (texts, dimensions), through a freshly drawn layer: (texts, classes), float32."""
    with torch.inference_mode():
        found: torch.Tensor = fresh_layer(vectors.shape[1], classes, seed)(torch.from_numpy(vectors).float())
        return found.numpy()
