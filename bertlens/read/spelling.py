"""Spelling: a readout as a person writes it with plain PyTorch."""

from __future__ import annotations

from bertlens.read.readout import Readout

INLINE = {"cls": "{}[:, 0]", "first_position": "{}[:, 0]", "mean_all": "{}.mean(1)"}
"""Poolings of a state that need no mask; `cls` only where padding stands on the right."""

BODIES: dict[str, tuple[str, ...]] = {
    "cls": ("vectors = state[torch.arange(len(state)), mask.argmax(1)]",),
    "lasttoken": ("vectors = state[torch.arange(len(state)), mask.shape[1] - 1 - mask.flip(1).argmax(1)]",),
    "max": ("vectors = state.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(1)",),
    "mean": (
        "weights = mask.unsqueeze(-1).to(state.dtype)",
        "vectors = (state * weights).sum(1) / weights.sum(1)",
    ),
    "mean_sqrt_len_tokens": (
        "weights = mask.unsqueeze(-1).to(state.dtype)",
        "vectors = (state * weights).sum(1) / weights.sum(1).sqrt()",
    ),
    "weightedmean": (
        "weights = (mask * mask.cumsum(1)).unsqueeze(-1).to(state.dtype)",
        "vectors = (state * weights).sum(1) / weights.sum(1)",
    ),
}
"""Poolings of a `state`, (batch, tokens, hidden), under a `mask`, (batch, tokens)."""

BODIES["mean_content"] = BODIES["mean"]


def spelled(readout: str) -> str:
    """The lines that make `vectors` of the last layer's `outputs` of a `batch` that is padded on the right.

    Parameters
    ----------
    readout : a pooling of `INLINE` or `BODIES` without special tokens to leave out, with or without "|l2".
    """
    known = Readout.parse(readout)
    if known.pooling in INLINE:
        lines = [f"vectors = {INLINE[known.pooling].format('outputs.last_hidden_state')}"]
    else:
        lines = ['state, mask = outputs.last_hidden_state, batch["attention_mask"]', *BODIES[known.pooling]]
    return "\n".join([*lines, *(["vectors = torch.nn.functional.normalize(vectors, dim=-1)"] if known.l2 else [])])
