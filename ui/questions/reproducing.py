"""Worked cases, and faults made on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ui import memory
from ui.frame import Page
from ui.questions.asked import asked

if TYPE_CHECKING:
    from bertlens.cases.worked.case import Answer, Case
    from bertlens.judge.reproduction import Reproduction
    from bertlens.run.labels import Labelled
    from bertlens.run.progress import Progress


def step_of_case(page: Page, case: Case, name: str, choice: Mapping[str, str]) -> Answer:
    """What a step of a worked case says; its work is kept and shared with the case's other steps."""
    checkpoint, step = page.checkpoint(), case.step(name)

    def make(progress: Progress) -> Any:
        return step.work(checkpoint, page.texts, choice, progress)

    values = ("case", case.number, step.work.__name__, page.texts, tuple(choice.items()))
    found = asked(page, f"Working on case {case.number}", values, make, memory.large)
    return step.tell(found, checkpoint, page.texts)


def case_on_labels(page: Page, case: Case, labelled: Labelled) -> Answer:
    """What a case measures on labelled texts."""
    checkpoint, on_labels = page.checkpoint(), case.on_labels
    assert on_labels is not None

    def make(progress: Progress) -> Any:
        return on_labels.work(checkpoint, labelled, progress)

    values = ("case on labels", case.number, labelled.texts, labelled.labels)
    found = asked(page, f"Training on {len(labelled.texts):,} labelled texts", values, make, memory.large)
    return on_labels.tell(found, checkpoint, labelled)


def reproduction(page: Page, fault: str) -> Reproduction:
    """A fault made on purpose with the page's checkpoint and first texts, and mended."""
    from bertlens.cases.gallery import reproduce
    from bertlens.cases.reproduction import MOST

    checkpoint, texts = page.checkpoint(), page.texts[:MOST]

    def make(progress: Progress) -> Reproduction:
        progress(0, 1, "making it in float32 and in float64")
        return reproduce(fault, checkpoint, texts)

    return asked(page, f"Making {fault}", ("reproduction", texts, fault), make)
