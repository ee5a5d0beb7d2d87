"""Rows: a row of an array by index, by slice and in the batch: which of their vectors are equal, and how nearly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.comparison import Comparison
from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding, most_serious_first
from bertlens.judge.measures import Row, measure
from bertlens.judge.pair import FLOAT64
from bertlens.judge.verdict import VERDICTS, judge
from bertlens.judge.wording import number
from bertlens.read.access import KERAS, REPAIR, Access
from bertlens.read.readout import Readout
from bertlens.read.vectors import read
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.progress import Progress
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    import pandas as pd

    from bertlens.run.checkpoint import Checkpoint

MOST = 3
"""Rows of the largest batch in the table of equalities."""

FIXED = 256
"""Tokens that rows are padded to besides their longest; the model's limit where that is smaller, or a row is longer."""


@dataclass(frozen=True)
class Equality:
    """The first token's vector of one row against another vector that might be the same.

    Attributes
    ----------
    padding, tokens : what the rows are padded to, as a condition says it ("longest" or a number), and in tokens.
    batch : rows of the batch.
    way : "slice", "index" or "batch": how the row is taken.
    against : "batch" for the same row of the batch, "row 0" for row 0 taken in the same way.
    same_text : whether both rows hold the same tokens.
    row : the measures and the verdict; `row.text` is the row.
    """

    padding: str
    tokens: int
    batch: int
    way: str
    against: str
    same_text: bool
    row: Row

    def to_dict(self) -> dict[str, Any]:
        """The contract's names, measures included."""
        shown = {"padding": self.padding, "tokens": self.tokens, "batch": self.batch, "way": self.way}
        measured = self.row.to_dict()
        return {**shown, "row": measured.pop("text"), "against": self.against, "same_text": self.same_text, **measured}


@dataclass(frozen=True)
class Rows(Shown):
    """Rows of a tokenised array taken in every way.

    Attributes
    ----------
    accesses : what index, slice and batch return for one text.
    by_slice, by_index : [CLS] of the whole batch against [CLS] of each row by slice, and by index.
    distinct_by_index, distinct_by_slice : how many different vectors all texts get, bit for bit.
    equalities : the first rows against their batch and each other: two rows and three, padded to 256 and to the longest.
    """

    accesses: tuple[Access, ...]
    by_slice: Comparison
    by_index: Comparison
    distinct_by_index: int
    distinct_by_slice: int
    equalities: tuple[Equality, ...]

    @property
    def verdict(self) -> str:
        """The more serious one of index and slice against the batch."""
        return max(self.by_index.verdict, self.by_slice.verdict, key=VERDICTS.index)

    @property
    def sentence(self) -> str:
        """What an index does to the texts and what a slice does, with the numbers."""
        index, piece = self.by_index.worst, self.by_slice.worst
        count = len(self.by_index.rows)
        kept = {
            "identical": "equal to the batch's to the last bit",
            "rounding": f"which differ from the batch's by rounding, {number(piece.max_abs)}",
        }.get(self.by_slice.verdict, f"which lie up to {number(piece.max_abs)} from the batch's ({self.by_slice.verdict})")
        apart = f"up to {number(index.max_abs)} from those of the batch"
        if count == 1:
            one = kept.replace("differ", "differs").replace("lie", "lies")
            return (
                f"{self.verdict.capitalize()}: by index the text's vector lies {number(index.max_abs)} from that of the "
                f"batch; by slice it gets one {one}."
            )
        got = "the same vector" if self.distinct_by_index == 1 else f"{self.distinct_by_index} vectors"
        many = f"{self.distinct_by_slice} vectors" if self.distinct_by_slice > 1 else "one vector"
        return f"{self.verdict.capitalize()}: by index, {count} texts get {got}, {apart}; by slice they get {many}, {kept}."

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the index, and with the slice where something is."""
        return most_serious_first(
            [*self.by_index.findings, *(finding for finding in self.by_slice.findings if finding.severity == "problem")]
        )

    @property
    def repair(self) -> Row | None:
        """What Keras reads against `ids[i][:, None]` in PyTorch; None where the model refuses one of them."""
        keras, column = (next(one.vector for one in self.accesses if one.way == way) for way in (KERAS, REPAIR))
        if keras is None or column is None:
            return None
        dtype = "float64" if keras.dtype == np.float64 else "float32"
        return measure(keras[None], column[None], (dtype, dtype))[0]

    def to_dict(self) -> dict[str, Any]:
        """The document of the contract `bertlens.rows/1`."""
        repair = self.repair
        return {
            "schema": "bertlens.rows/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "accesses": [access.to_dict() for access in self.accesses],
            "distinct_by_index": self.distinct_by_index,
            "distinct_by_slice": self.distinct_by_slice,
            "equalities": [equality.to_dict() for equality in self.equalities],
            "keras_against_repair": None if repair is None else {"equal": repair.equal, "max_abs": repair.max_abs},
            "by_slice": self.by_slice.to_dict(),
            "by_index": self.by_index.to_dict(),
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per equality."""
        import pandas as pd

        return pd.DataFrame([equality.to_dict() for equality in self.equalities])


class Taken:
    """First tokens' vectors of the first rows, by slice, by index and in the batch; nothing is run twice.

    What a comparison of all texts has run already is put in with `know`.
    """

    def __init__(self, checkpoint: Checkpoint, texts: Texts, progress: Progress) -> None:
        self._checkpoint, self._texts, self._progress = checkpoint, texts, progress
        self._known: dict[tuple[str, int, int, bool], np.ndarray] = {}
        self.ids = [row.ids for row in prepare(checkpoint, texts[:MOST], Condition()).tokens]

    def know(self, way: str, tokens: int, vectors: np.ndarray, *, double: bool = False) -> None:
        """Take over the vectors of all texts; rows of NaN were not run."""
        self._known[way, tokens, len(self._texts) if way == "batch" else 0, double] = vectors

    def vectors(
        self, way: str, tokens: int, batch: int, *, double: bool = False, needed: Sequence[int] | None = None
    ) -> np.ndarray:
        """(batch, hidden) of the first rows, padded to so many tokens.

        Parameters
        ----------
        double : in float64.
        needed : the rows that are read; others may be NaN.
        """
        key = (way, tokens, batch if way == "batch" else 0, double)
        found = self._known.get(key)
        if found is None or np.isnan(found[list(range(batch) if needed is None else needed)]).any():
            self._known[key] = found = self._run(way, tokens, batch, double)
        return found[:batch]

    def _run(self, way: str, tokens: int, batch: int, double: bool) -> np.ndarray:
        conditions = {
            "batch": Condition(padding=tokens),
            "slice": Condition(padding=tokens, batch="alone"),
            "index": Condition(padding=tokens, rows="index"),
        }
        where = FLOAT64 if double else {}
        # one by one, the rows of a larger batch are run along where this length holds them
        count = batch if way == "batch" else len(list(takewhile(lambda ids: len(ids) <= tokens, self.ids)))
        inputs = prepare(self._checkpoint, self._texts[:count], conditions[way])
        key = ("rows", inputs.condition, inputs.tokens, inputs.groups, double)
        return self._checkpoint.kept.get(key, lambda: read(inputs, Readout(), progress=self._progress, **where))


def equalities(checkpoint: Checkpoint, taken: Taken) -> tuple[Equality, ...]:
    """Rows by slice and by index against their batch, and against row 0 taken in the same way.

    Two rows and three, each padded to a fixed length and to the longest; with one text, that one alone. The rows of the batch
    against its row 0 are the healthy twin of the rows by index: other texts, other vectors.
    """
    ids, found = taken.ids, []
    for padding in paddings(checkpoint, max(map(len, ids))):
        for batch in tuple(count for count in (2, MOST) if count <= len(ids)) or (1,):
            tokens = max(map(len, ids[:batch])) if padding == "longest" else int(padding)
            for way, against in (("slice", "batch"), ("index", "batch"), ("index", "row 0"), ("batch", "row 0")):
                for row in _rows(taken, way, against, tokens, batch):
                    same = against == "batch" or ids[row.text] == ids[0]
                    found.append(Equality(padding, tokens, batch, way, against, same, row))
    return tuple(found)


def paddings(checkpoint: Checkpoint, longest: int) -> tuple[str, ...]:
    """Lengths that rows are padded to: a fixed one that holds them, and their own longest."""
    if checkpoint.tokenizer.pad_token_id is None:
        return ("longest",)
    fixed = min(FIXED, checkpoint.max_length)
    return (str(fixed if fixed >= longest else checkpoint.max_length), "longest")


def _rows(taken: Taken, way: str, against: str, tokens: int, batch: int) -> list[Row]:
    """The measures of each row, repeated in float64 where a bit differs."""
    first = 0 if against == "batch" else 1
    if first == batch:
        return []

    def pair(needed: Sequence[int], *, double: bool = False) -> tuple[np.ndarray, np.ndarray]:
        left = taken.vectors(way, tokens, batch, double=double, needed=needed)
        if against == "batch":
            return left, taken.vectors("batch", tokens, batch, double=double)
        return left[1:], np.repeat(left[:1], batch - 1, axis=0)

    as_run, dtypes = pair(range(batch)), ("float32", "float32")
    rows = measure(*as_run, dtypes)
    unequal = [row.text + first for row in rows if not row.equal]
    in_float64 = pair([0, *unequal] if first else unequal, double=True) if unequal else None
    return [replace(row, text=row.text + first) for row in judge(rows, as_run, in_float64, dtypes)]
