"""Unloaded: what the files of a checkpoint say that cannot be loaded, as a diagnosis in which nothing was run."""

from __future__ import annotations

from bertlens.diagnose.files import check
from bertlens.errors import BertlensError, Unloadable
from bertlens.judge import checks
from bertlens.judge.checkpoint.checkup import Checkup
from bertlens.judge.diagnosis import Check, Diagnosis
from bertlens.run.environment import environment
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts

QUESTION = "Can the model be loaded?"


def unloaded(
    name: str,
    texts: Texts,
    refused: Unloadable,
    *,
    unasked: tuple[str, ...],
    revision: str | None = None,
    offline: bool = False,
    progress: Progress = silent,
) -> Diagnosis:
    """What can be said without running anything.

    Parameters
    ----------
    refused : why the model cannot be loaded.
    unasked : the questions that would have needed it.

    Raises
    ------
    Unloadable
        `refused` itself, where the files cannot be read either.
    """
    try:
        checkup = check(name, texts, revision=revision, offline=offline, progress=progress)
    except BertlensError:
        raise refused from None
    return of_files(checkup, texts, refused, unasked=unasked)


def of_files(checkup: Checkup, texts: Texts, refused: Unloadable, *, unasked: tuple[str, ...]) -> Diagnosis:
    """The same of files that were read already."""
    asked = [Check(QUESTION, refused.sentence, "problem", (), "Checkpoint"), *checks.of_checkup(checkup)]
    asked += [Check(question, "The model could not be loaded.", "not asked") for question in unasked]
    return Diagnosis(checkup.checkpoint, "", tuple(asked), (), texts, environment(texts, "cpu", seed=0))
