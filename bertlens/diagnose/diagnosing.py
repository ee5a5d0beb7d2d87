"""Diagnosing: every question at once about a checkpoint, texts and, where there are some, vectors from elsewhere.

The questions come in steps, so that a page can show what is ready while the rest goes on; who answers them is left open, so
that a page can keep the answers for the pages that hold the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from bertlens.diagnose.comparing import compare
from bertlens.diagnose.files import check
from bertlens.diagnose.identifying import identify
from bertlens.diagnose.unloaded import unloaded
from bertlens.errors import BertlensError, Unloadable
from bertlens.judge import checks
from bertlens.judge.checkpoint.checkup import Checkup
from bertlens.judge.comparison import Comparison
from bertlens.judge.diagnosis import Change, Check, Diagnosis
from bertlens.judge.identification import Identification
from bertlens.judge.usable import recipe_of
from bertlens.read.readout import Readout
from bertlens.read.vectors import read
from bertlens.run.checkpoint import Checkpoint, load
from bertlens.run.condition import Condition
from bertlens.run.environment import environment
from bertlens.run.inputs import prepare
from bertlens.run.presets import PRESETS, Preset
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts, as_texts
from bertlens.run.tokens import Tokens

TRIED_ON = 8
"""Texts that everyday situations are tried on; the first ones."""

COMPARED = 500
"""Texts of which the similarities are compared."""

HEALTHY = {
    "Is a vector the same when its text runs alone and in a batch?": ("batch=alone", ""),
    "Does the same run twice give the same vectors?": ("", ""),
    "Does padding to a fixed length leave the vectors alone?": ("batch=alone", "padding={limit}"),
    "Do both implementations of attention give the same vectors?": ("batch=alone", "batch=alone,attention=eager"),
}
"""What must not matter: a reference and a candidate."""

LIKENESS = "Can the texts be told apart by their vectors?"
FOREIGN = "Which recipe made the vectors that you were given?"

ASKED = ("alone against the batch", "padded to a fixed length", "eager attention")
"""Presets that are checks already."""


class Answers(Protocol):
    """Who answers the single questions."""

    def check(self) -> Checkup:
        """What the files betray, with the texts."""
        ...

    def compare(self, reference: Condition, candidate: Condition, readout: Readout, texts: Texts) -> Comparison:
        """Two conditions on some of the texts."""
        ...

    def vectors(self, readout: Readout) -> tuple[np.ndarray, tuple[Tokens, ...]]:
        """The vectors of the first texts, (texts, dimensions), and their tokens."""
        ...

    def identify(self) -> Identification:
        """The recipe behind the vectors from elsewhere."""
        ...


@dataclass(frozen=True)
class Direct:
    """Answers from the core itself, nothing kept."""

    checkpoint: Checkpoint
    texts: Texts
    given: Any
    progress: Progress

    def check(self) -> Checkup:
        """What the files betray, with the texts."""
        return check(self.checkpoint, self.texts, progress=self.progress)

    def compare(self, reference: Condition, candidate: Condition, readout: Readout, texts: Texts) -> Comparison:
        """Two conditions on some of the texts."""
        conditions: dict[str, Any] = {"reference": reference, "candidate": candidate}
        return compare(self.checkpoint, texts, **conditions, readout=readout, progress=self.progress)

    def vectors(self, readout: Readout) -> tuple[np.ndarray, tuple[Tokens, ...]]:
        """The vectors of the first texts, (texts, dimensions), and their tokens."""
        return vectors_of(self.checkpoint, self.texts, readout, self.progress)

    def identify(self) -> Identification:
        """The recipe behind the vectors from elsewhere."""
        return identify(self.checkpoint, self.texts, self.given, progress=self.progress)


def vectors_of(
    checkpoint: Checkpoint, texts: Texts, readout: Readout, progress: Progress = silent
) -> tuple[np.ndarray, tuple[Tokens, ...]]:
    """The vectors of the first texts in float64, (texts, dimensions), and their tokens."""
    inputs = prepare(checkpoint, texts[:COMPARED], Condition(batch=32))
    return read(inputs, readout, progress=progress).astype(np.float64), tuple(inputs.tokens)


def diagnosis(
    checkpoint: Checkpoint | str,
    texts: Sequence[Any] | str,
    *,
    vectors: Any = None,
    readout: str | Readout | None = None,
    progress: Progress = silent,
) -> Diagnosis:
    """Ask everything about a checkpoint and texts: files, runs, what would change the vectors, and where vectors come from.

    Parameters
    ----------
    checkpoint : one that is loaded; or its name, of which the files are diagnosed where it cannot be loaded.
    texts : strings, or pairs of strings.
    vectors : made elsewhere, (texts, dimensions), to be identified; what `bertlens.identify` takes.
    readout : how vectors are read; by default what the checkpoint declares, and [CLS] where it declares nothing.

    Raises
    ------
    BertlensError
        For texts, vectors or a readout that cannot be used at all.
    """
    whole = as_texts(texts)
    if isinstance(checkpoint, str):
        try:
            checkpoint = load(checkpoint, progress=progress)
        except Unloadable as refused:
            unasked = needing_the_model(foreign=vectors is not None)
            return unloaded(str(checkpoint), whole, refused, unasked=unasked, progress=progress)
    chosen = usual_readout(checkpoint) if readout is None else Readout.parse(readout)
    fixed = fixed_length(checkpoint, whole)
    answers = Direct(checkpoint, whole, vectors, progress)
    asked = [one for step in steps(chosen, whole, fixed, foreign=vectors is not None) for one in step(answers)]
    changes = [situation(answers, preset, chosen, whole, fixed) for preset in situations()]
    return told(checkpoint, whole, chosen, asked, changes)


def usual_readout(checkpoint: Checkpoint) -> Readout:
    """What the checkpoint declares as far as a readout can carry it out, [CLS] where it declares nothing."""
    recipe = recipe_of(checkpoint)
    return Readout.parse(recipe.readout) if recipe and recipe.readout else Readout()


def fixed_length(checkpoint: Checkpoint, texts: Texts) -> int:
    """Tokens to pad to where padding to a fixed length is tried: a power of two, more than the texts have, 64 at least.

    Rounding and faults show at any length; the cost grows with it.
    """
    try:
        longest = max(len(row.ids) for row in prepare(checkpoint, texts[:TRIED_ON], Condition()).tokens)
    except BertlensError:  # the model cannot run these texts, which every question says for itself
        longest = 1
    return min(checkpoint.max_length, max(64, 1 << longest.bit_length()))


def steps(readout: Readout, texts: Texts, fixed: int, *, foreign: bool) -> Iterator[Callable[[Answers], list[Check]]]:
    """What is asked, the quickest and gravest first; each step gives one check or several.

    Parameters
    ----------
    fixed : tokens that rows are padded to where they are padded to a fixed length.
    foreign : whether there are vectors from elsewhere.
    """
    yield lambda answers: checks.of_checkup(answers.check())
    for question in HEALTHY:
        yield partial(_healthy, question=question, readout=readout, texts=texts, fixed=fixed)
    yield lambda answers: [_likeness(answers, readout)]
    if foreign:
        yield lambda answers: [checks.of_identification(FOREIGN, answers.identify())]


def needing_the_model(*, foreign: bool) -> tuple[str, ...]:
    """The questions that only a loaded model can answer."""
    return (*HEALTHY, LIKENESS, *([FOREIGN] if foreign else []))


def _healthy(answers: Answers, question: str, readout: Readout, texts: Texts, fixed: int) -> list[Check]:
    """One thing that must not matter, tried; the first question on all texts, the others on some."""
    sides = [Condition.parse(one.format(limit=fixed)) for one in HEALTHY[question]]
    chosen = texts if question == next(iter(HEALTHY)) else texts[:TRIED_ON]
    try:
        return [checks.of_comparison(question, answers.compare(sides[0], sides[1], readout, chosen))]
    except BertlensError as error:
        return [Check(question, error.sentence, "not asked", (), "Batch_and_padding", {})]


def _likeness(answers: Answers, readout: Readout) -> Check:
    try:
        vectors, tokens = answers.vectors(readout)
    except BertlensError as error:
        return Check(LIKENESS, error.sentence, "not asked", (), "Pooling", {})
    return checks.of_likeness(LIKENESS, vectors, tokens, str(readout))


def situations() -> list[Preset]:
    """Everyday situations that no check has tried."""
    return [preset for preset in PRESETS if preset.name not in ASKED]


def situation(answers: Answers, preset: Preset, readout: Readout, texts: Texts, fixed: int) -> Change:
    """What an everyday situation would do to the first texts, read as they are unless the mistake is in the reading."""
    conditions = preset.fitted(fixed)
    reference, candidate = (Condition.parse(one) for one in conditions)
    chosen = readout if preset.readout == Preset.readout else Readout.parse(preset.readout)
    try:
        found: Comparison | str = answers.compare(reference, candidate, chosen, texts[:TRIED_ON])
    except BertlensError as error:
        found = error.sentence
    return checks.of_situation(preset, conditions, chosen, found)


def told(
    checkpoint: Checkpoint, texts: Texts, readout: Readout, asked: Sequence[Check], changes: Sequence[Change]
) -> Diagnosis:
    """Everything that was asked, with what identifies the run."""
    run = {**environment(texts, checkpoint.device, seed=0), "dtype": "float32"}
    return Diagnosis(checkpoint.to_dict(), str(readout), tuple(asked), tuple(changes), texts, run)
