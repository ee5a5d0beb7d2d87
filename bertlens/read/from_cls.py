"""From [CLS]: the row of its token in the embedding matrix, and what it attends to in every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from bertlens.run.headed import Headed


@dataclass(frozen=True)
class Row:
    """A special token in the embedding matrix.

    Attributes
    ----------
    token, id : as the tokenizer writes and numbers it; `roles` are its names, such as "cls" and "bos".
    norm : L2 norm of its row.
    rank : 1 for the longest row of the matrix; `of` is how many rows there are.
    """

    token: str
    id: int
    roles: tuple[str, ...]
    norm: float
    rank: int
    of: int


def special_rows(tokenizer: Any, matrix: torch.Tensor) -> tuple[Row, ...]:
    """Every special token with its row, in the order of the ids; `matrix` is (vocabulary, embedding)."""
    norms = torch.linalg.vector_norm(matrix.detach().double(), dim=1).cpu()
    roles: dict[int, list[str]] = {int(token): [] for token in tokenizer.all_special_ids}
    for role in ("cls", "sep", "pad", "mask", "unk", "bos", "eos"):
        token = getattr(tokenizer, f"{role}_token_id", None)
        if token is not None:
            roles.setdefault(int(token), []).append(role)
    return tuple(
        Row(
            token=str(tokenizer.convert_ids_to_tokens(token)),
            id=token,
            roles=tuple(names),
            norm=float(norms[token]),
            rank=1 + int((norms > norms[token]).sum()),
            of=len(norms),
        )
        for token, names in sorted(roles.items())
        if token < len(norms)
    )


class _FirstRows(TorchFunctionMode):
    """The first row of every softmax over (batch, heads, tokens, tokens): what the first token attends to."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens, self.rows = tokens, list[torch.Tensor]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") == "softmax" and out.ndim == 4 and out.shape[2:] == (self.tokens, self.tokens):
            self.rows.append(out[0, :, 0].float().cpu())
        return out


def attention_from_first(headed: Headed, tensors: Mapping[str, torch.Tensor]) -> np.ndarray:
    """What the first token of one text attends to: (layers, heads, tokens); the rows sum to 1.

    Runs with eager attention, whose rounding differs from that of the fused kernels. Only one row of each head is kept.
    """
    model = headed.own_instance("eager")
    with torch.inference_mode(), _FirstRows(tensors["input_ids"].shape[1]) as mode:
        model(**{name: tensor.to(headed.device) for name, tensor in tensors.items()})
    return torch.stack(mode.rows).numpy()
