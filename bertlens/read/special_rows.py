"""Special rows: the special tokens in the embedding matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


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
