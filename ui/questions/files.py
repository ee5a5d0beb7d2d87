"""What a checkpoint's files betray, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ui.frame import Page
from ui.questions.asked import asked

if TYPE_CHECKING:
    from bertlens.judge.checkpoint.checkup import Checkup
    from bertlens.judge.weights.matrix import Matrix
    from bertlens.judge.weights.reload import Reload
    from bertlens.remedies.repair import Plan
    from bertlens.run.progress import Progress


def check(page: Page) -> Checkup:
    """What the checkpoint's files betray, with what the page's texts add; the weights are not read again for other texts."""
    from bertlens import diagnose

    def read(progress: Progress) -> Checkup:
        return diagnose.check(page.name, progress=progress)

    checkup = asked(page, f"Reading the files of {page.name}", ("check",), read)

    def tokenise(progress: Progress) -> Checkup:
        return diagnose.check_texts(checkup, page.name, page.texts)

    return asked(page, "Tokenising the texts", ("check", page.texts), tokenise)


def repair_plan(page: Page, finding: str) -> Plan:
    """What a repair of a finding would do, and the code for it."""
    from bertlens.remedies.repair import plan

    checkup = check(page)
    return asked(page, "Planning the repair", ("plan", finding, page.texts), lambda _: plan(page.name, finding, checkup))


def weight_matrix(page: Page, module: str) -> Matrix:
    """One weight with its spectrum."""
    from bertlens import diagnose

    return asked(page, "Decomposing the weight", ("matrix", module), lambda progress: diagnose.weight_matrix(page.name, module))


def reload(page: Page) -> Reload:
    """Two loads of the checkpoint on the page's first texts."""
    from bertlens.judge.weights.reload import MOST_TEXTS, load_twice

    texts = page.texts[:MOST_TEXTS]
    return asked(page, "Loading twice", ("reload", texts), lambda progress: load_twice(page.name, texts, progress))
