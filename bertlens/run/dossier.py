"""Dossier: everything that can be known of a checkpoint without loading its model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bertlens.run import alignment, blueprint, documents, hashing, weights
from bertlens.run.alignment import Alignment
from bertlens.run.blueprint import Blueprint
from bertlens.run.checkpoint import TOKENIZER_FILES, locate
from bertlens.run.documents import Documents
from bertlens.run.progress import Progress, silent
from bertlens.run.weights import Weights

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(eq=False)
class Dossier:
    """The files of a checkpoint against the model that its config describes.

    Attributes
    ----------
    name : what was asked for: "minilm", a folder, or a Hub id.
    folder : where its files lie.
    documents : its small files.
    weights : its tensors, by their headers.
    config : its config, as transformers reads it.
    encoder : what `AutoModel` makes of the config.
    head : the class with a head that the config names, None where it names none.
    """

    name: str
    folder: Path
    documents: Documents
    weights: Weights
    config: Any
    encoder: Blueprint
    head: Blueprint | None

    @cached_property
    def sha256(self) -> str | None:
        """Digest of the weight files; None where there are too many of them."""
        return hashing.finish(self.folder)

    @cached_property
    def alignment(self) -> Alignment:
        """What loading the file into the encoder would do."""
        return alignment.align(self.encoder, self.weights)

    @cached_property
    def head_alignment(self) -> Alignment | None:
        """The same for the class with a head."""
        return None if self.head is None else alignment.align(self.head, self.weights)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast | None:
        """The tokenizer as `AutoTokenizer` loads it; None where the folder holds no file of one.

        Raises
        ------
        BertlensError
            Where it cannot be loaded, or has no vocabulary.
        """
        from bertlens.run import loading

        if not any((self.folder / file).is_file() for file in TOKENIZER_FILES):
            return None
        return loading.tokenizer(self.folder, self.name)  # type: ignore[no-any-return]

    def tensor(self, name: str) -> torch.Tensor | None:
        """The values that the file holds for a tensor of the encoder, None where it holds none of that shape."""
        return self.alignment.read(name, self.weights) if name in self.alignment.loaded else None

    @cached_property
    def word_embeddings(self) -> torch.Tensor | None:
        """The word embedding matrix of the file (rows, hidden), whatever number of rows the config asks for."""
        name = self.encoder.word_embeddings
        held = [mismatch.key for mismatch in self.alignment.mismatched if mismatch.name == name]
        return self.weights.tensor(held[0]) if held else self.tensor(name)


def compile_(
    name: str, *, revision: str | None = None, offline: bool = False, hashed: bool = False, progress: Progress = silent
) -> Dossier:
    """Compile the dossier of a checkpoint: "minilm", a folder, or a Hub id.

    Parameters
    ----------
    hashed : begin with the digest of the weight files at once, beside everything else.

    Raises
    ------
    BertlensError
        For anything about the files or the network that a person can put right.
    """
    from bertlens.run import loading
    from bertlens.run.architecture import refuse_others

    folder = locate(name, revision=revision, offline=offline, progress=progress)
    root = documents.root_of(folder, name)
    papers = documents.read(folder, root)
    config = loading.config(folder, name)
    refuse_others(config, name)
    held = weights.read(folder, name, root)
    if hashed:
        hashing.begin(folder)
    encoder = blueprint.base(config, name)
    return Dossier(name, folder, papers, held, config, encoder, blueprint.declared(config, name))
