"""Vocabulary: the table of token vectors, and which of its entries lie nearest to a vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.run.embedded import instance_of, word_table

if TYPE_CHECKING:
    import pandas as pd

    from bertlens.run.checkpoint import Checkpoint

MEASURES = ("cosine", "dot")
ROWS_AT_ONCE = 8_192
"""Entries of the table that are compared at once, in float64: large vocabularies have 250,000."""


@dataclass(frozen=True)
class Entry:
    """One entry of the vocabulary near a vector.

    Attributes
    ----------
    id, token : of the entry; the token as the tokenizer writes it, "" where the table is longer than the vocabulary.
    cosine, dot : of the entry's vector and the given one, in float64; the cosine with a vector of zeros is NaN.
    """

    id: int
    token: str
    cosine: float
    dot: float


@dataclass(frozen=True)
class Nearest:
    """The entries of the vocabulary nearest to some vectors.

    Attributes
    ----------
    measure : "cosine" or "dot", by which they are ranked.
    entries : name of a vector -> its entries, the nearest first; of equals the smaller id. A vector of zeros has none.
    """

    measure: str
    entries: dict[str, tuple[Entry, ...]]

    def to_frame(self) -> pd.DataFrame:
        """One line per vector and rank."""
        import pandas as pd

        lines = [
            {"vector": name, "rank": rank, **asdict(entry)}
            for name, found in self.entries.items()
            for rank, entry in enumerate(found, start=1)
        ]
        return pd.DataFrame(lines, columns=["vector", "rank", "id", "token", "cosine", "dot"])


def nearest_entries(checkpoint: Checkpoint, vectors: Mapping[str, np.ndarray], k: int = 10, measure: str = "cosine") -> Nearest:
    """The k nearest entries of the vocabulary to each vector.

    Parameters
    ----------
    vectors : name -> (width,), as wide as the table.
    measure : "cosine" or "dot".

    Raises
    ------
    BertlensError
        For another measure, or vectors of another width.
    """
    if measure not in MEASURES:
        raise BertlensError("cannot rank the vocabulary", got=f"'{measure}'", expected=" or ".join(MEASURES))
    table = word_table(instance_of(checkpoint)).weight.detach()
    for name, vector in vectors.items():
        if vector.shape != (table.shape[1],):
            got, expected = f"{vector.shape} numbers", f"{table.shape[1]}, the width of the token table"
            raise BertlensError(f"cannot find the entries nearest to {name}", got=got, expected=expected)
    with torch.inference_mode():
        cosine, dot = similarities(table, torch.from_numpy(np.stack(list(vectors.values()))))
    chosen = cosine if measure == "cosine" else dot
    ranked = torch.argsort(-chosen.nan_to_num(nan=-torch.inf), dim=1, stable=True)[:, :k].tolist()
    # a vector without length has no direction, and nothing is near to it
    order = [ids if vector.any() else [] for ids, vector in zip(ranked, vectors.values(), strict=True)]
    names = checkpoint.tokenizer.convert_ids_to_tokens
    found = {
        name: tuple(Entry(at, str(names(at) or ""), float(cosine[row, at]), float(dot[row, at])) for at in ids)
        for row, (name, ids) in enumerate(zip(vectors, order, strict=True))
    }
    return Nearest(measure, found)


def similarities(table: torch.Tensor, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and dot product of every vector with every row of a table, each (vectors, rows), in float64 on the CPU."""
    wide = vectors.double()
    dots, lengths = [], []
    for start in range(0, len(table), ROWS_AT_ONCE):
        rows = table[start : start + ROWS_AT_ONCE].double().cpu()
        dots.append(wide @ rows.T)
        lengths.append(rows.norm(dim=1))
    dot = torch.cat(dots, dim=1)
    return dot / (wide.norm(dim=1, keepdim=True) * torch.cat(lengths)), dot


def entry_of(checkpoint: Checkpoint, dtype: str = "float32") -> Callable[[str], torch.Tensor]:
    """From a token, as the tokenizer writes it or as `#id`, to its row in the table.

    A word that is no token by itself is taken where it becomes a single one ("river" is "Ġriver" in some vocabularies).

    Raises
    ------
    BertlensError
        By the function that is returned: for what is not one entry of the vocabulary.
    """
    table = word_table(instance_of(checkpoint, dtype)).weight.detach()
    return lambda token: table[id_of(checkpoint, token)]


def id_of(checkpoint: Checkpoint, token: str) -> int:
    """The id of a token, as the tokenizer writes it or as `#id`; see `entry_of`."""
    size = word_table(instance_of(checkpoint)).num_embeddings
    what = f"cannot take the vector of '{token[:40]}'"
    if token.startswith("#") and token[1:].isdecimal():
        if int(token[1:]) >= size:
            raise BertlensError(what, got=f"the id {token[1:]}", expected=f"an id up to {size - 1}")
        return int(token[1:])
    vocabulary = checkpoint.tokenizer.get_vocab()
    if token in vocabulary:
        return int(vocabulary[token])
    with checkpoint.tokenizer_lock:
        pieces = checkpoint.tokenizer.tokenize(f" {token}")
    if len(pieces) == 1 and pieces[0] in vocabulary and pieces[0] != checkpoint.tokenizer.unk_token:
        return int(vocabulary[pieces[0]])
    got = f"{len(pieces)} tokens ({', '.join(pieces[:6])})" if len(pieces) > 1 else "no entry of the vocabulary"
    raise BertlensError(what, got=got, expected="one token, as the tokenizer writes it, or # and its id")
