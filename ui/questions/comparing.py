"""Two conditions against each other, and where they part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from ui.frame import Page
from ui.questions.asked import asked

if TYPE_CHECKING:
    from bertlens.judge.comparison import Comparison
    from bertlens.judge.parting import Parting
    from bertlens.judge.rows import Rows
    from bertlens.judge.sweep import Sweep
    from bertlens.run.progress import Progress
    from bertlens.run.texts import Texts


def compare(page: Page, reference: Condition, candidate: Condition, readout: Readout, texts: Any = None) -> Comparison:
    """The comparison of two conditions on the page's texts, or on some of them."""
    from bertlens import diagnose

    checkpoint, chosen = page.checkpoint(), texts or page.texts

    def make(progress: Progress) -> Comparison:
        conditions = {"reference": reference, "candidate": candidate}
        return diagnose.compare(checkpoint, chosen, **conditions, readout=readout, progress=progress)  # type: ignore[arg-type]

    return asked(page, f"Comparing {len(chosen):,} texts", ("compare", chosen, reference, candidate, readout), make)


def sweep(page: Page, text: int, condition: Condition, readout: Readout) -> Sweep:
    """The padding sweep of one text."""
    from bertlens import diagnose

    checkpoint, chosen = page.checkpoint(), page.texts[text : text + 1]

    def make(progress: Progress) -> Sweep:
        return diagnose.padding_sweep(checkpoint, chosen, condition=condition, readout=readout, progress=progress)

    kept = condition.replace(mask="on", padding="longest", batch="whole", dtype="float32")
    return asked(page, "Sweeping the padded length", ("sweep", chosen, kept, readout), make)


def parting(page: Page, text: int, reference: Condition, candidate: Condition, *, float64: bool) -> Parting:
    """Where two runs of one text part."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Parting:
        conditions = {"reference": reference, "candidate": candidate}
        return diagnose.where_they_part(checkpoint, page.texts, text, **conditions, float64=float64)  # type: ignore[arg-type]

    return asked(page, "Comparing layer by layer", ("parting", page.texts, text, reference, candidate, float64), make)


def index_or_slice(page: Page, texts: Texts, text: int, padding: str | int) -> Rows:
    """Index, slice and batch of the array of some texts."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()
    return asked(
        page,
        "Taking rows by index and by slice",
        ("index", texts, text, padding),
        lambda progress: diagnose.index_or_slice(checkpoint, texts, text, padding=padding, progress=progress),
    )
