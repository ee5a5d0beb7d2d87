"""Readout: how the outputs of a model become one vector per text.

Written `pooling[@layers][|l2]`, for example `cls`, `mean@-2`, `cls@last4:concat`, `mean|l2`. Pooling modes are called as
sentence-transformers calls them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.run.inputs import Inputs
from bertlens.run.outputs import Outputs, forward
from bertlens.run.progress import Progress, silent

POOLINGS: dict[str, str] = {
    "cls": "the first real token of the row",
    "pooler": "pooler_output: the first token through the pooler's dense layer and tanh",
    "mean": "the mean over real tokens",
    "mean_all": "the mean over all tokens, padding counted",
    "mean_content": "the mean over real tokens without [CLS] and [SEP]",
    "max": "the largest value of each unit over real tokens",
    "mean_sqrt_len_tokens": "the sum over real tokens divided by the square root of their number",
    "weightedmean": "the mean over real tokens, weighed by position 1, 2, 3, …",
    "lasttoken": "the last real token of the row",
    "first_position": "position 0, whatever stands there",
}
"""Every pooling with one sentence."""

COMBINATIONS = ("concat", "concat_reversed", "mean", "sum")
_LAYERS = re.compile(r"(-?\d+)|(last(\d+)|all):(\w+)")


@dataclass(frozen=True)
class Readout:
    """Pooling over tokens, layers read, how layers are combined, and L2 normalisation.

    Attributes
    ----------
    pooling : a key of `POOLINGS`.
    layers : "-1" (last_hidden_state), an index into hidden_states, "lastN" or "all".
    combine : one of `COMBINATIONS` where several layers are read, else "".
    l2 : whether the vector is divided by its length.

    Examples
    --------
    >>> str(Readout.parse("mean@last4:concat|l2"))
    'mean@last4:concat|l2'
    """

    pooling: str = "cls"
    layers: str = "-1"
    combine: str = ""
    l2: bool = False

    @classmethod
    def parse(cls, text: str | Readout) -> Readout:
        """Read `pooling[@layers][|l2]`."""
        if isinstance(text, Readout):
            return text
        body, bar, normalise = (piece.strip() for piece in text.partition("|"))
        pooling, at, layers = (piece.strip() for piece in body.partition("@"))
        match = _LAYERS.fullmatch(layers) if at else _LAYERS.fullmatch("-1")
        wrong = ""
        if pooling not in POOLINGS:
            wrong = f"the pooling '{pooling[:40]}'"
        elif bar and normalise != "l2":
            wrong = f"'|{normalise[:40]}'"
        elif match is None or (match[4] is not None and match[4] not in COMBINATIONS):
            wrong = f"the layers '{layers[:40]}'"
        elif pooling == "pooler" and at and layers != "-1":
            wrong = "a pooler on other layers than the last"
        if wrong or match is None:
            raise BertlensError(
                f"cannot read the readout '{text[:60]}'",
                got=wrong,
                expected=f"pooling[@layers][|l2] with a pooling of {', '.join(POOLINGS)} and layers like -1, 3, "
                f"last4:concat or all:mean ({' / '.join(COMBINATIONS)})",
            )
        return cls(pooling, match[1] or match[2], match[4] or "", bool(bar))

    def __str__(self) -> str:
        layers = f"{self.layers}:{self.combine}" if self.combine else self.layers
        return self.pooling + (f"@{layers}" if layers != "-1" else "") + ("|l2" if self.l2 else "")

    def indices(self, depth: int) -> tuple[int, ...]:
        """Indices into hidden_states (0 … depth) in the order in which they are combined; () for last_hidden_state."""
        if self.layers == "-1":
            return ()
        if self.combine:
            count = depth + 1 if self.layers == "all" else int(self.layers.removeprefix("last"))
            order = [depth - step for step in range(count)]
            chosen = order[::-1] if self.combine == "concat_reversed" else order
        else:
            chosen = [int(self.layers) + (depth + 1 if int(self.layers) < 0 else 0)]
        if not chosen or min(chosen) < 0 or max(chosen) > depth:
            raise BertlensError(
                f"cannot read {self}",
                got=f"layers {self.layers}",
                expected=f"indices 0 (embeddings) … {depth} (last layer), or at most last{depth + 1}",
            )
        return tuple(chosen)


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
    for outputs in forward(inputs, layers=layers, dtype=dtype, device=device, seed=seed, progress=progress):
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
