"""Probing: the readouts compared on labels, each through one linear layer, by cross-validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.diagnose.vectors import BATCH, pool
from bertlens.errors import BertlensError
from bertlens.judge import usable
from bertlens.judge.findings import most_serious_first
from bertlens.judge.probing import BASELINE, Probe, Scores, scores
from bertlens.read.folds import STEPS, Splits, held_out, put_back, splits
from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from bertlens.run.labels import as_labels, fitting_folds
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import as_texts

if TYPE_CHECKING:
    from bertlens.judge.pooled_texts import PooledTexts
    from bertlens.run.checkpoint import Checkpoint


FEW, OFTEN = 1000, 5
"""Up to how many texts they are dealt to the folds several times, and how often."""


def usual_readouts(checkpoint: Checkpoint) -> tuple[str, ...]:
    """What the checkpoint declares, [CLS], the mean and, where there is one, the pooler."""
    recipe = usable.recipe_of(checkpoint)
    declared = [recipe.readout] if recipe and recipe.readout else []
    return tuple(dict.fromkeys([*declared, "cls", "mean", *(["pooler"] if checkpoint.architecture.pooler else [])]))


def probe(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    labels: Iterable[Any],
    readouts: Sequence[str | Readout] | None = None,
    *,
    folds: int = 5,
    repeats: int | None = None,
    seed: int = 0,
    condition: str | Condition = "",
    progress: Progress = silent,
) -> Probe:
    """Train one linear layer on every readout of the same forward passes, and compare them on texts held out.

    The layer is scikit-learn's logistic regression on standardised vectors; mean and deviation are taken from the training
    folds alone. The encoder stays as it is, so this measures what its vectors hold, not what fine-tuning would make of them
    (Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016).

    Parameters
    ----------
    labels : the class of every text, words or numbers.
    readouts : in their own notation; by default what the checkpoint declares, cls, mean and pooler.
    folds : in each of them every class is tested; as many as the smallest class has texts where that is fewer.
    repeats : how often the texts are dealt to the folds anew, which says more about few texts than one dealing does; by
        default 5 times, or once where there are more than 1,000 texts.
    seed : of the shuffling before the texts are dealt to the folds; nothing else is random.
    condition : how the texts are run; more than 32 run in batches of 32 where their neighbours count.

    Raises
    ------
    BertlensError
        For labels that do not fit the texts, fewer than two classes or two texts of one, and for texts, conditions or
        readouts that cannot be run.
    """
    whole = as_texts(texts)
    classes = as_labels(labels, whole)
    fitting, dealings = fitting_folds(classes, folds), dealings_for(len(whole), repeats)
    wanted = Condition.parse(condition)
    ran = wanted.replace(batch=BATCH) if wanted.batch == "whole" and len(whole) > BATCH else wanted
    pooled = pool(
        checkpoint,
        whole,
        usual_readouts(checkpoint) if readouts is None else readouts,
        condition=ran,
        progress=progress,
    )
    _refuse_holes(pooled)
    notes = [*pooled.notes]
    if fitting < folds:
        notes.insert(0, f"{fitting} folds instead of {folds}: the smallest class has {fitting} texts.")
    dealt = splits(classes, fitting, dealings, seed)
    known, found = np.asarray(classes), []
    for name, vectors in pooled.vectors.items():
        said = held_out(vectors, classes, dealt, progress)
        found.append(scores(name, known, said.labels, dealt))
        if not said.converged:
            notes.append(f"The layer on {name} had not converged after {STEPS:,} steps.")
    meaningless = usable.of_weights(checkpoint, [Readout.parse(name) for name in pooled.vectors])
    # what spoils some readouts is no problem for who reads another
    severity = "problem" if len(meaningless) == len(found) else "caution"
    return Probe(
        checkpoint=pooled.checkpoint,
        condition=pooled.condition,
        readouts=tuple(found),
        baseline=majority(known, dealt),
        labels=classes,
        dealt=dealt,
        seed=seed,
        meaningless={str(readout): finding.id for readout, finding in meaningless.items()},
        findings=most_serious_first(
            [
                *(replace(finding, severity=severity) for finding in meaningless.values()),
                # that some readout is not the declared one is no fault where readouts are compared
                *(one for one in pooled.findings if one.id in ("mean-includes-padding", "silent-truncation")),
            ]
        ),
        notes=tuple(notes),
        environment={**pooled.environment, "seed": seed},
        vectors=pooled.vectors,
    )


def dealings_for(texts: int, repeats: int | None) -> int:
    """How often so many texts are dealt to the folds, where nobody says it."""
    dealings = repeats if repeats is not None else OFTEN if texts <= FEW else 1
    if dealings < 1:
        raise BertlensError("cannot cross-validate", got=f"{dealings} repeats", expected="1 or more")
    return dealings


def majority(labels: np.ndarray, dealt: Splits) -> Scores:
    """Always the commonest label of the texts learnt from; of equally common ones the first in the alphabet."""
    said = []
    for learn, test in dealt:
        classes, counts = np.unique(labels[learn], return_counts=True)
        said.append(np.repeat(classes[counts.argmax()], len(test)))
    return scores(BASELINE, labels, put_back(said, dealt, len(labels)), dealt)


def _refuse_holes(pooled: PooledTexts) -> None:
    """A text without a vector, such as the mean of no token, can be put into no layer."""
    for name, vectors in pooled.vectors.items():
        holes = np.flatnonzero(~np.isfinite(vectors).all(1))
        if len(holes):
            raise BertlensError(
                f"cannot train on {name}",
                got=f"NaN or Inf in the vectors of {len(holes)} text{'s' * (len(holes) > 1)}, the first is text {holes[0]}",
                do="leave those texts out, or read another way",
            )
