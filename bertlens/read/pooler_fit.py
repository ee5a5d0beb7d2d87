"""Pooler fit: a pooler and a classifier trained together on the [CLS] states of labelled texts, the encoder left as it is.

In plain PyTorch, so that a script can show the very function.
"""

from __future__ import annotations

import torch


def fit(
    states: torch.Tensor, targets: torch.Tensor, classes: int, spread: float, seed: int, flat: float
) -> tuple[torch.Tensor, ...]:
    """Train tanh(states @ weight.T + bias) @ rows.T + shift to tell the classes apart, by cross-entropy.

    All texts at once, in float64, by L-BFGS until it is flat, or 300 steps. A penalty of half the squared classifier
    and half the squared way that the pooler went from its draw keeps separable texts from driving weights to infinity.

    Parameters
    ----------
    states : (texts, hidden), float64.
    targets : (texts,), numbers of classes.
    spread : standard deviation of the pooler's draw, the config's initializer_range.
    flat : the steepest slope, of a loss summed over the texts, at which the way down has ended.

    Returns
    -------
    weight (hidden, hidden), bias (hidden,), rows (classes, hidden), shift (classes,), and the steepest slope left.
    """
    hidden = states.shape[1]
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(hidden, hidden, generator=generator, dtype=torch.float64) * spread
    sizes = ((hidden,), (classes, hidden), (classes,))
    parts = [drawn.clone(), *(torch.zeros(size, dtype=torch.float64) for size in sizes)]
    for part in parts:
        part.requires_grad_()
    weight, bias, rows, shift = parts
    how = {"max_iter": 300, "history_size": 10, "tolerance_grad": flat, "line_search_fn": "strong_wolfe"}
    descent = torch.optim.LBFGS(parts, **how)  # type: ignore[arg-type]

    def loss() -> torch.Tensor:
        descent.zero_grad()
        logits = torch.tanh(states @ weight.T + bias) @ rows.T + shift
        wrong = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        found = wrong + ((weight - drawn).square().sum() + rows.square().sum()) / 2
        found.backward()  # type: ignore[no-untyped-call]
        return found

    with torch.enable_grad():
        descent.step(loss)  # type: ignore[no-untyped-call]
        loss()
    steepest = torch.stack([part.grad.abs().max() for part in parts if part.grad is not None]).max()
    return (*(part.detach() for part in parts), steepest)


def predicted(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, rows: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """Logits of a trained pooler with its classifier: (texts, classes)."""
    return torch.tanh(states @ weight.T + bias) @ rows.T + shift
