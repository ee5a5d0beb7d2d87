"""The vectors before the first layer, and edits of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ui import memory
from ui.frame import Page
from ui.questions.asked import asked

if TYPE_CHECKING:
    import numpy as np

    from bertlens.judge.edits import Effect
    from bertlens.judge.lookup import Lookup, LookupCost
    from bertlens.judge.positions import OwnPositions, Padded
    from bertlens.read.vocabulary import Nearest
    from bertlens.run.progress import Progress


def lookup(page: Page, text: int) -> Lookup:
    """The embeddings of one text, part by part, and fed back."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Lookup:
        return diagnose.lookup(checkpoint, page.texts, text, progress=progress)

    return asked(page, "Taking the embeddings apart", ("lookup", page.texts, text), make, memory.large)


def padded_vectors(page: Page, text: int) -> Padded:
    """A padded row as ids and as vectors."""
    from bertlens import diagnose

    checkpoint, one = page.checkpoint(), page.texts[text : text + 1]
    return asked(page, "Padding the text", ("padded", one), lambda _: diagnose.padded_vectors(checkpoint, one))


def lookup_cost(page: Page) -> LookupCost:
    """The lookup alone against a full pass."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> LookupCost:
        return diagnose.lookup_cost(checkpoint, page.texts, progress=progress)

    return asked(page, "Timing the lookup", ("lookup cost", page.texts), make)


def edit(page: Page, text: int, edits: str, vectors: Mapping[str, np.ndarray]) -> Effect:
    """What edits of looked-up vectors do; another measure, token or pooling runs nothing again."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()
    key = ("edit", page.texts, text, edits, tuple((name, vector.tobytes()) for name, vector in vectors.items()))

    def make(progress: Progress) -> Effect:
        return diagnose.edit(checkpoint, page.texts, text, edits=edits, vectors=vectors, progress=progress)

    return asked(page, "Running the edited text", key, make, memory.large)


def nearest_entries(page: Page, vectors: Mapping[str, np.ndarray], measure: str) -> Nearest:
    """The entries of the vocabulary nearest to some vectors."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()
    key = ("nearest", measure, tuple((name, vector.tobytes()) for name, vector in vectors.items()))

    def make(progress: Progress) -> Nearest:
        return diagnose.nearest_entries(checkpoint, vectors, measure=measure)

    return asked(page, "Searching the vocabulary", key, make)


def own_positions(page: Page) -> OwnPositions:
    """Sentence pairs, each sentence counted from its own start."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> OwnPositions:
        return diagnose.own_positions(checkpoint, page.texts, progress=progress)

    return asked(page, "Counting sentences apart", ("own positions", page.texts), make)
