"""Pooling: (batch, tokens, hidden) becomes (batch, hidden), one vector per text, called as sentence-transformers calls it."""

from __future__ import annotations

import torch

AVERAGES = ("mean", "mean_all", "mean_content", "mean_sqrt_len_tokens", "weightedmean")
"""Poolings that are a weighted sum over tokens, divided by a number."""


def pooled(state: torch.Tensor, real: torch.Tensor, special: torch.Tensor, pooling: str) -> torch.Tensor:
    """One vector per text: (batch, hidden). A row without a token to read gives NaN, which is named later.

    Parameters
    ----------
    state : (batch, tokens, hidden), one hidden state.
    real, special : (batch, tokens), 1 on tokens of the text and 1 on special tokens, on the device of the state.
    pooling : a key of `POOLINGS`, except "pooler".
    """
    if pooling == "first_position":
        return state[:, 0]
    if pooling == "mean_all":
        return state.mean(1)
    if pooling == "max":
        hidden = state.masked_fill(real.unsqueeze(-1) == 0, -torch.inf).amax(1)
        return hidden.masked_fill(real.sum(1, keepdim=True) == 0, torch.nan)
    if pooling in ("cls", "lasttoken"):
        rows, last = torch.arange(len(state), device=state.device), real.shape[1] - 1
        token = real.argmax(1) if pooling == "cls" else last - real.flip(1).argmax(1)
        return state[rows, token].masked_fill(real.sum(1, keepdim=True) == 0, torch.nan)
    weights, divisor = _average(pooling, real, special, state.dtype)
    return (state * weights.unsqueeze(-1)).sum(1) / divisor


def averages(
    state: torch.Tensor, real: torch.Tensor, special: torch.Tensor, poolings: tuple[str, ...] = AVERAGES
) -> dict[str, torch.Tensor]:
    """Several poolings of `AVERAGES` at once, each (batch, hidden): one matrix product reads the state a single time.

    Equal to `pooled` up to the order of the sums.
    """
    if not poolings:
        return {}
    parts = [_average(pooling, real, special, state.dtype) for pooling in poolings]
    sums = torch.stack([weights for weights, _ in parts], dim=1) @ state  # (batch, poolings, hidden)
    return {pooling: sums[:, at] / divisor for at, (pooling, (_, divisor)) in enumerate(zip(poolings, parts, strict=True))}


def _average(pooling: str, real: torch.Tensor, special: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight of every token, (batch, tokens), and what their sum is divided by, (batch, 1)."""
    if pooling == "mean_all":
        weights = torch.ones_like(real, dtype=dtype)
    else:
        weights = (real * (1 - special) if pooling == "mean_content" else real).to(dtype)
    if pooling == "weightedmean":
        # counted from the first token of the text, as sentence-transformers does: padding in front of it moves nothing
        weights = weights * real.cumsum(1).to(dtype)
    count = weights.sum(1, keepdim=True)
    return weights, count.sqrt() if pooling == "mean_sqrt_len_tokens" else count
