"""Files: what a checkpoint's files betray before anyone trusts a vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bertlens.judge.checkpoint.checkup import Checkup
from bertlens.judge.checkpoint.examine import examine, with_reload, with_texts
from bertlens.judge.weights.matrix import Matrix, matrix_of
from bertlens.judge.weights.modules import module_of
from bertlens.read.readout import Readout
from bertlens.run.dossier import compile_
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import as_texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint


def check(
    checkpoint: str | Checkpoint = "minilm",
    texts: Sequence[Any] | str | None = None,
    *,
    readout: str | Readout | None = None,
    revision: str | None = None,
    offline: bool = False,
    progress: Progress = silent,
) -> Checkup:
    """Say what a checkpoint's files hold, what loading would draw at random, what was never trained, what contradicts what.

    The files are read tensor by tensor; the model is loaded only where texts are given and two loads must be compared.

    Parameters
    ----------
    checkpoint : "minilm", a folder, or a Hub id; or one that is loaded, of which the files are read again.
    texts : what they add: unknown words, truncation, and two loads side by side where something is drawn at random.
    readout : how vectors are read from it, to hold that against what the checkpoint declares.

    Raises
    ------
    BertlensError
        For files that cannot be read at all.
    """
    name = checkpoint if isinstance(checkpoint, str) else checkpoint.name
    dossier = compile_(name, revision=revision, offline=offline, hashed=True, progress=progress)
    chosen = None if readout is None else Readout.parse(readout)
    found = examine(dossier, chosen, progress)
    if texts is None:
        return found
    whole = as_texts(texts)
    return with_reload(with_texts(found, dossier, whole), dossier, whole, progress)


def check_texts(checkup: Checkup, checkpoint: str, texts: Sequence[Any] | str) -> Checkup:
    """A checkup with what texts add: unknown words, truncation, tokens without a trained row."""
    return with_texts(checkup, compile_(checkpoint), as_texts(texts))


def weight_matrix(checkpoint: str | Checkpoint, module: str, *, offline: bool = False) -> Matrix:
    """One weight of a checkpoint with all its singular values, beside the law of independent draws.

    Parameters
    ----------
    module : its name, as `check` lists it: "encoder.layer.0.attention.self.query".

    Raises
    ------
    BertlensError
        For a module that is not there or has no spectrum.
    """
    name = checkpoint if isinstance(checkpoint, str) else checkpoint.name
    dossier = compile_(name, offline=offline)
    return matrix_of(dossier, module_of(dossier, module))
