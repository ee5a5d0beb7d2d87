"""Which token looks at which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertlens.run.condition import Condition
from ui import memory
from ui.frame import Page
from ui.questions.asked import asked

if TYPE_CHECKING:
    from bertlens.judge.attention import Attention, AttentionOfTexts, PaddingLook
    from bertlens.run.progress import Progress


def longest(page: Page) -> int:
    """Tokens to which attention cuts a text."""
    from bertlens import diagnose

    return diagnose.longest_row(page.checkpoint())


def attentions(page: Page, *sides: tuple[int, Condition]) -> tuple[Attention, ...]:
    """A text's attention under a condition, or two of them, with the maps of all heads as far as they fit into memory."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> tuple[Attention, ...]:
        fitted = [(text, diagnose.fitted(checkpoint, condition)) for text, condition in sides]
        return tuple(diagnose.attention(checkpoint, page.texts, text, condition=how, progress=progress) for text, how in fitted)

    return asked(page, "Reading the attention", ("attention", page.texts, sides), make, memory.huge)


def attention_of_layer(page: Page, text: int, condition: Condition, layer: int) -> Attention:
    """The same with the maps of one layer, for a text of which not all are kept."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Attention:
        chosen = diagnose.fitted(checkpoint, condition)
        return diagnose.attention(checkpoint, page.texts, text, condition=chosen, layer=layer, progress=progress)

    values = ("attention of a layer", page.texts, text, condition, layer)
    return asked(page, "Reading the attention of a layer", values, make, memory.large)


def attention_to_padding(page: Page, text: int, padding: int | None) -> PaddingLook:
    """How much attention goes to padding with the mask and without it."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> PaddingLook:
        return diagnose.attention_to_padding(checkpoint, page.texts, text, padding=padding, progress=progress)

    return asked(page, "Padding the text", ("attention to padding", page.texts, text, padding), make)


def attention_of_texts(page: Page) -> AttentionOfTexts:
    """Where the attention of every text rests."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> AttentionOfTexts:
        condition = diagnose.fitted(checkpoint, Condition())
        return diagnose.attention_of_texts(checkpoint, page.texts, condition=condition, progress=progress)

    return asked(page, f"Reading the attention of {len(page.texts):,} texts", ("attention of texts", page.texts), make)
