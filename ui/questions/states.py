"""Hidden states, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertlens.run.condition import Condition
from ui import memory
from ui.frame import Page
from ui.questions.asked import asked

if TYPE_CHECKING:
    from bertlens.judge.layers import Layers
    from bertlens.judge.token_layers import TokenLayers
    from bertlens.run.progress import Progress


def layers(page: Page) -> Layers:
    """Every hidden state of the texts, measured in one pass; what is drawn from it runs nothing."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Layers:
        return diagnose.layers(checkpoint, page.texts, progress=progress)

    return asked(page, f"Reading every layer of {len(page.texts):,} texts", ("layers", page.texts), make, memory.huge)


def token_path(page: Page, text: int, condition: Condition) -> TokenLayers:
    """One text in every hidden state, token by token."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> TokenLayers:
        return diagnose.token_path(checkpoint, page.texts, text, condition=condition)

    return asked(page, "Reading one text", ("tokens", page.texts, text, condition), make, memory.large)
