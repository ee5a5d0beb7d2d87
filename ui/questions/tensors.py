"""Every tensor in and out, and what expressions hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertlens.run.condition import Condition
from ui import memory
from ui.frame import Page
from ui.questions.asked import asked

if TYPE_CHECKING:
    from bertlens.judge.expression.explained import Explained
    from bertlens.read.capture import Capture
    from bertlens.read.slicing import Tensor
    from bertlens.run.progress import Progress


def shapes(page: Page, condition: Condition) -> tuple[Tensor, ...]:
    """Every tensor in and out."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()
    return asked(
        page,
        "Running the model",
        ("shapes", page.texts, condition),
        lambda progress: diagnose.shapes(checkpoint, page.texts, condition=condition),
    )


def capture(page: Page, condition: Condition) -> Capture:
    """All outputs of the first forward pass, for expressions; another expression does not run the model again."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Capture:
        return diagnose.capture(checkpoint, page.texts, condition=condition)

    return asked(page, "Running the model", ("capture", page.texts, condition), make, memory.huge)


def explain(page: Page, expression: str, condition: Condition) -> Explained:
    """An expression on these outputs, step by step."""
    from bertlens import diagnose

    outputs = capture(page, condition)
    values = ("explain", page.texts, condition, expression)
    return asked(page, "Evaluating", values, lambda progress: diagnose.explain(expression, outputs), memory.large)
