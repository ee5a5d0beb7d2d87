"""The way from [CLS] to the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ui import memory
from ui.frame import Page
from ui.questions.asked import asked

if TYPE_CHECKING:
    from bertlens.judge.cls_attention import ClsAttention
    from bertlens.judge.dropout_runs import DropoutRuns
    from bertlens.judge.head import Head
    from bertlens.judge.token_shares import TokenShares
    from bertlens.run.progress import Progress


def head(page: Page, text: int, kind: str, token: int) -> Head:
    """One text through the head of the model, step by step, and what it says about the others."""
    from bertlens import diagnose

    checkpoint, of_token = page.checkpoint(), 0 if kind in ("", "sequence") else token

    def make(progress: Progress) -> Head:
        return diagnose.head(checkpoint, page.texts, text, kind=kind, token=of_token, progress=progress)

    return asked(page, "Following the head", ("head", page.texts, text, kind, of_token), make, memory.large)


def head_dropout(page: Page, text: int) -> DropoutRuns:
    """One text with dropout on, many times."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> DropoutRuns:
        return diagnose.head_dropout(checkpoint, page.texts, text, progress=progress)

    return asked(page, "Drawing dropout", ("dropout", page.texts[text]), make)


def cls_attention(page: Page, text: int) -> ClsAttention:
    """What [CLS] of one text attends to."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> ClsAttention:
        return diagnose.cls_attention(checkpoint, page.texts, text)

    return asked(page, "Reading the attention", ("cls attention", page.texts[text]), make, memory.large)


def token_shares(page: Page, text: int, label: int, baseline: str, steps: int) -> TokenShares:
    """Each token's part in one logit."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()
    choices = {"label": label, "baseline": baseline, "steps": steps}

    def make(progress: Progress) -> TokenShares:
        return diagnose.token_shares(checkpoint, page.texts, text, **choices, progress=progress)  # type: ignore[arg-type]

    return asked(page, "Sharing out the logit", ("shares", page.texts[text], *choices.values()), make)
