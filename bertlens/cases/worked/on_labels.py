"""On labels: what a case measures on labelled texts, the user's own or the example's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertlens.cases.worked.case import Answer, Drawing, OnLabels, Table
from bertlens.cases.worked.labels_script import probe_script, training_script
from bertlens.cases.worked.poolerless import without_pooler
from bertlens.diagnose import probe
from bertlens.remedies.trained_pooler import train_pooler
from bertlens.run.checkpoint import load
from bertlens.show import probing, tables

if TYPE_CHECKING:
    from bertlens.judge.probing import Probe
    from bertlens.remedies.trained_pooler import TrainedPooler
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.labels import Labelled
    from bertlens.run.progress import Progress

P_VALUES = ("p_against_best", "p_against_majority")


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured on labels; `trained` where a pooler was."""

    probe: Probe
    trained: TrainedPooler | None = None


def comparing(case: int, control: str, readouts: tuple[str, ...]) -> OnLabels:
    """Readouts compared, a linear layer on each; when the control is "labels"."""

    def work(checkpoint: Checkpoint, labelled: Labelled, progress: Progress) -> Measured:
        return Measured(probe(checkpoint, labelled.texts, labelled.labels, readouts, progress=progress))

    return OnLabels(control, "labels", work, _telling(case))


def training(case: int, control: str, readouts: tuple[str, ...]) -> OnLabels:
    """A pooler trained with a classifier in the copy without one, beside the readouts of the checkpoint; when "train"."""

    def work(checkpoint: Checkpoint, labelled: Labelled, progress: Progress) -> Measured:
        with without_pooler(checkpoint) as folder:
            copy = load(str(folder))
            trained = train_pooler(copy, labelled.texts, labelled.labels, folder.parent / "trained", progress=progress)
        return Measured(probe(checkpoint, labelled.texts, labelled.labels, readouts, progress=progress), trained)

    return OnLabels(control, "train", work, _telling(case))


def _telling(case: int) -> Callable[[Measured, Checkpoint, Labelled], Answer]:
    def tell(found: Measured, checkpoint: Checkpoint, labelled: Labelled) -> Answer:
        return _told(case, found, checkpoint, labelled)

    return tell


def _told(case: int, measured: Measured, checkpoint: Checkpoint, labelled: Labelled) -> Answer:
    found, trained = measured.probe, measured.trained
    frame = found.to_frame()
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    classes = ", ".join(f"{count} of {label}" for label, count in list(found.classes.items())[:5])
    lines = [f"{len(found.labels):,} texts: {classes}{' …' * (len(found.classes) > 5)}.", *found.notes]
    lines += [f"{one.title}." for one in found.findings]
    lines.append("The encoder stays as it is: this measures what its vectors hold, not what fine-tuning would make of them.")
    scripts = {f"case_{case}_labels": probe_script(checkpoint.name, labelled, found, **facts)}
    given = [Table(f"case-{case}-labels", "Each readout through a linear layer, on texts held out", frame, P_VALUES)]
    if trained is not None:
        spread = float(getattr(checkpoint.model.config, "initializer_range", 0.02))
        how: dict[str, Any] = {"folds": len(trained.learnt.accuracies), "repeats": 1, "seed": 0, "spread": spread}
        scripts = {f"case_{case}_train": training_script(checkpoint.name, labelled, **how, **facts), **scripts}
        place = f"It loads as {trained.cls}. " if trained.cls else "The family's classifier does not read the pooler. "
        lines = [
            trained.sentence,
            f"{place}{trained.reason}",
            *trained.notes,
            f"The checkpoint's own readouts. {found.sentence}",
            *lines,
        ]
        per_text = tables.rows(trained.loads, labelled.texts[: len(trained.loads.rows)])
        given = [
            Table(f"case-{case}-trained", "The new pooler with its classifier, on texts held out", trained.to_frame()),
            *given,
            Table(f"case-{case}-loads", "pooler_output of two loads, text by text", per_text, ("max_abs", "l2"), folded=True),
        ]
    word, rest = trained.loads.sentence.split(":", 1) if trained else found.sentence.split(":", 1)
    return Answer(
        verdict=trained.loads.verdict if trained else found.verdict,
        sentence=f"{word}: pooler_output of two loads:{rest}" if trained else found.sentence,
        reason="\n".join(lines),
        tables=tuple(given),
        drawings=(
            Drawing(f"case-{case}-probe", "Accuracy on texts held out", probing.accuracies(found), frame, found.sentence),
        ),
        scripts=scripts,
    )
