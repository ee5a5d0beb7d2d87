"""Reproducing: a fault that people reported, made on purpose and mended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bertlens.cases import gallery
from bertlens.judge.reproduction import Reproduction
from bertlens.run.texts import as_texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint


def reproduce(fault: str, checkpoint: Checkpoint, texts: Sequence[Any] | str) -> Reproduction:
    """Make a reported fault on purpose with a checkpoint and texts, mend it, and judge both against the truth.

    Parameters
    ----------
    fault : an id of the catalogue, such as "attention-mask-missing"; `bertlens reproduce --list` names them.
    texts : strings, or pairs of which the first sentence is taken; the first 8 are used.

    Raises
    ------
    BertlensError
        For an unknown fault, texts that cannot be run, and where the fault cannot be made with them or this checkpoint.
    """
    return gallery.reproduce(fault, checkpoint, as_texts(texts))
