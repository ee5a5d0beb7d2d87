"""Labels: whether given vectors may be the logits of a checkpoint's classification head, and what to say where they may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge.identify.given import Given
from bertlens.read.logits import ACTIVATIONS, Logits
from bertlens.run.headed import Headed, headed, kind_of

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

FEW = 16
"""Up to so many components vectors look like logits, and it is said why they were not compared with any."""

NUMBERS = 8
"""Numbers that the texts which recipes are tried on have at least, where each has but a few."""

ONES = (
    "Every number is 1, which is what softmax makes of a single label whatever its logit: nothing of the texts is left in them."
)


class Labels(NamedTuple):
    """The head whose logits the vectors may be.

    Attributes
    ----------
    head : None where there is none.
    readouts : its logits, and what may have been done to them.
    note : why logits were not compared although the vectors look like some, or what cannot be told from them, or "".
    """

    head: Headed | None = None
    readouts: tuple[Logits, ...] = ()
    note: str = ""


def labels(checkpoint: Checkpoint, given: Given) -> Labels:
    """The head of a checkpoint, where all of it is in the file and it has as many labels as the vectors have components."""
    config, small = checkpoint.model.config, given.dims <= FEW
    count, said = int(config.num_labels), f"the vectors have {given.dims} component{'s' * (given.dims != 1)}"
    if given.dims != count:
        declared = kind_of(config) == "sequence"
        what = f"has {count} label{'s' * (count != 1)}" if declared else "is not declared"
        note = f"Logits were not compared: {said}, and a head that classifies sequences {what}." if small else ""
        return Labels(note=note)
    try:
        head = headed(checkpoint, "sequence")
    except BertlensError:  # an architecture without one
        return Labels()
    if head.drawn:
        drawn = f"{', '.join(head.drawn[:2])}{' …' if len(head.drawn) > 2 else ''}"
        gone = f"the head that classifies sequences is not in the file ({drawn} would be drawn at random at every load)"
        return Labels(note=f"Logits were not compared: {said}, and {gone}." if small else "")
    kept = given.values[given.usable]
    note = ONES if count == 1 and (kept == 1).all() else ""
    may = [name for name in ACTIVATIONS if not name or ((kept >= 0).all() and (name != "softmax" or count > 1))]
    return Labels(head, tuple(Logits(activation=name) for name in may), note)


def probes_for(given: Given, least: int) -> int:
    """How many texts recipes are tried on: two numbers are too few to tell recipes apart."""
    return max(least, -(-NUMBERS // given.dims))


def in_column(vectors: object, texts: int) -> object:
    """One number for each of several texts, as a regression or a ranking gives them, as a column: (texts, 1); others as is."""
    array = np.asarray(vectors)
    return array[:, None] if array.ndim == 1 and len(array) == texts > 1 else vectors
