"""One vector per text, in every way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertlens.run.condition import Condition
from ui import memory
from ui.frame import Page
from ui.questions.asked import asked

if TYPE_CHECKING:
    from bertlens.judge.costs import Costs
    from bertlens.judge.pooling import Poolings
    from bertlens.judge.trap import PaddingTrap
    from bertlens.run.progress import Progress
    from bertlens.run.texts import Texts


def pooling(page: Page, condition: Condition) -> Poolings:
    """The usual readouts of the texts, all from one pass."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Poolings:
        return diagnose.pooling(checkpoint, page.texts, condition=condition, progress=progress)

    return asked(page, f"Pooling {len(page.texts):,} texts", ("pooling", page.texts, condition), make, memory.huge)


def other_readouts(page: Page, condition: Condition, readouts: tuple[str, ...]) -> Poolings:
    """Readouts of one's own from the pass that `pooling` made; nothing is run."""
    from bertlens import diagnose

    known = pooling(page, condition)
    if readouts in ((), known.readouts):
        return known
    return diagnose.pooling(page.checkpoint(), page.texts, condition=condition, readouts=readouts, known=known)


def padding_trap(page: Page, texts: Texts, poolings: tuple[str, ...]) -> PaddingTrap:
    """Poolings at growing padding."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> PaddingTrap:
        return diagnose.padding_trap(checkpoint, texts, poolings=poolings, progress=progress)

    return asked(page, "Padding the texts", ("trap", texts, poolings), make)


def pooling_costs(page: Page, condition: Condition, readouts: tuple[str, ...]) -> Costs:
    """What each readout costs beside the forward pass."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Costs:
        return diagnose.pooling_costs(checkpoint, page.texts, condition=condition, readouts=readouts, progress=progress)

    return asked(page, "Timing the readouts", ("costs", page.texts, condition, readouts), make)
