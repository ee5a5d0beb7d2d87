"""Vectors from elsewhere: which recipe made them, and an example with a fault."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bertlens.run.presets import EXAMPLE_TEXTS
from ui.frame import Page
from ui.questions.asked import asked

if TYPE_CHECKING:
    from bertlens.judge.identification import Identification
    from bertlens.run.foreign import Foreign
    from bertlens.run.progress import Progress


def identify(page: Page, vectors: Foreign, prefixes: tuple[str, ...]) -> Identification:
    """The recipe behind vectors of the page's texts."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Identification:
        return diagnose.identify(checkpoint, page.texts, vectors, prefixes=prefixes, progress=progress)

    return asked(page, "Trying recipes", ("identify", page.texts, digest(vectors), prefixes), make)


def digest(vectors: Foreign) -> str:
    """A name for vectors: the same numbers have the same."""
    return hashlib.sha256(f"{vectors.values.shape}".encode() + vectors.values.tobytes()).hexdigest()


def faulty_example(page: Page) -> Foreign:
    """Vectors of the example texts as somebody might have saved them: a mean over padding, float16, two rows exchanged."""
    from bertlens.read.post import Post
    from bertlens.read.readout import Readout
    from bertlens.read.recipe import Recipe, made
    from bertlens.run.foreign import Foreign

    checkpoint = page.checkpoint()
    recipe = Recipe(readout=Readout.parse("mean_all|l2"), post=Post(store="float16"))

    def make(_: Progress) -> Foreign:
        values = made(checkpoint, EXAMPLE_TEXTS, recipe)
        values[[1, 3]] = values[[3, 1]]
        return Foreign(values, "float16", EXAMPLE_TEXTS)

    return asked(page, "Making the example", ("identify example",), make)
