"""Recipe: everything needed to make a vector again: the text as it is put in, condition, readout and post-processing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.read.post import Post
from bertlens.read.readout import Readout
from bertlens.read.vectors import read
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.packing import packed
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Text, Texts, sides

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

ARRIVALS = {
    "given": "the batches are filled in the order of the texts",
    "rows": "the batches are filled in the order of the rows of the vectors",
    "most tokens first": "the batches are filled by the number of tokens, the longest text first",
    "fewest tokens first": "the batches are filled by the number of tokens, the shortest text first",
    "most characters first": "the batches are filled by the number of characters, the longest text first",
    "fewest characters first": "the batches are filled by the number of characters, the shortest text first",
}
"""In which order texts come into their batches."""


@dataclass(frozen=True)
class Recipe:
    """How a vector is made.

    Attributes
    ----------
    condition : how texts are run.
    readout : which outputs are read, and how.
    post : what is done to the vectors afterwards.
    prefix : text put before each text.
    lower : whether texts are lower-cased before they are tokenised.
    arrival : a key of `ARRIVALS`; it matters only where the vector depends on the other texts of the batch.
    """

    condition: Condition = field(default_factory=Condition)
    readout: Readout = field(default_factory=Readout)
    post: Post = field(default_factory=Post)
    prefix: str = ""
    lower: bool = False
    arrival: str = "given"

    def texts(self, texts: Texts) -> Texts:
        """The texts as they are tokenised."""
        return tuple(prepared(text, self.prefix, lower=self.lower) for text in texts)

    def to_dict(self) -> dict[str, Any]:
        """Every key of the condition, the readout, and what is done besides, in the contract's names."""
        besides: dict[str, Any] = {"prefix": self.prefix} if self.prefix else {}
        besides |= {"lower": True} if self.lower else {}
        besides |= {"arrival": self.arrival} if self.arrival != "given" else {}
        return {**self.condition.to_dict(), "readout": str(self.readout), **besides, **self.post.to_dict()}

    @property
    def words(self) -> str:
        """The recipe on one line: what differs from the defaults, comma by comma, the readout first."""
        said = [str(self.readout)]
        said += [f"prefix {self.prefix!r}"] if self.prefix else []
        said += ["lower-cased"] if self.lower else []
        said += [self.condition.words] if str(self.condition) else []
        said += [self.arrival] if self.arrival != "given" else []
        return ", ".join([*said, *self.post.words])


def prepared(text: Text, prefix: str, *, lower: bool) -> Text:
    """A text with its prefix, lower-cased where that is asked for; of a pair the first sentence gets the prefix."""
    first, *rest = (text,) if isinstance(text, str) else text
    sides = [prefix + first, *rest]
    sides = [side.lower() for side in sides] if lower else sides
    return sides[0] if isinstance(text, str) else (sides[0], sides[1])


def arrived(lengths: Any, arrival: str, rows: Sequence[int | None] | None = None) -> list[int]:
    """The texts in the order in which they come into their batches.

    Parameters
    ----------
    lengths : characters and tokens of each text, (texts, 2).
    arrival : a key of `ARRIVALS`.
    rows : the row of the vectors that holds each text, for "rows"; texts without one come last.
    """
    count = len(lengths)
    if arrival == "rows" and rows is not None:
        return sorted(range(count), key=lambda text: (rows[text] is None, rows[text] or 0))
    if arrival in ("given", "rows"):
        return list(range(count))
    which, sign = int("tokens" in arrival), -1 if arrival.startswith("most") else 1
    return list(map(int, np.argsort(sign * np.asarray(lengths)[:, which], kind="stable").tolist()))


def made(
    checkpoint: Checkpoint,
    texts: Texts,
    recipe: Recipe,
    *,
    rows: Sequence[int | None] | None = None,
    dtype: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> np.ndarray:
    """The vectors that a recipe makes of texts, in the order of the texts: (texts, dims), float64.

    Parameters
    ----------
    rows : the row of each text in the vectors that are held against these, for an arrival in the order of the rows.
    dtype : instead of that of the condition.

    Raises
    ------
    BertlensError
        Where the model cannot run the condition or has nothing to read.
    """
    return recipe.post.apply(read_out(checkpoint, texts, recipe, rows=rows, dtype=dtype, seed=seed, progress=progress))


def read_out(
    checkpoint: Checkpoint,
    texts: Texts,
    recipe: Recipe,
    *,
    rows: Sequence[int | None] | None = None,
    dtype: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> np.ndarray:
    """The same before post-processing: (texts, dimensions), float64 of a float64 run and float32 otherwise."""
    put, device = recipe.texts(texts), "cpu" if dtype == "float64" else None
    inputs = prepare(checkpoint, put, recipe.condition)
    lengths = [(sum(map(len, sides(text))), len(row.ids)) for text, row in zip(put, inputs.tokens, strict=True)]
    order = arrived(lengths, recipe.arrival, rows)
    if order != list(range(len(put))):
        inputs = prepare(checkpoint, tuple(put[text] for text in order), recipe.condition)
    # texts whose neighbours do not count run together with others of their length
    inputs = packed(inputs, recipe.readout.pooling)
    raw = read(inputs, recipe.readout, dtype=dtype, device=device, seed=seed, progress=progress)
    back = np.empty_like(raw)
    back[order] = raw
    return back
