"""Rewrite: a changed copy of a checkpoint, written into a folder of its own; the checkpoint itself is never touched.

Only files that a checkpoint is known to have are copied, none of them a link that leads out of it. Weights of any layout
(one file, shards, a pickle) become one model.safetensors; tensors that shared memory in a pickle are written under each of
their keys. The folder appears under its name only when everything in it is complete.
"""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from bertlens.errors import BertlensError
from bertlens.run import documents, tensorfile
from bertlens.run.checkpoint import TOKENIZER_FILES
from bertlens.run.dossier import Dossier
from bertlens.run.tensorfile import Planned

WEIGHTS = "model.safetensors"
TOKENIZER = (
    *TOKENIZER_FILES,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
SENTENCE = tuple(
    f"sentence_{kind}_config.json" for kind in ("roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
KNOWN = (
    *dict.fromkeys((*documents.NAMES, *SENTENCE, *TOKENIZER)),
    "adapter_model.safetensors",
    "README.md",
    "LICENSE",
    "NOTICE",
)
OF_MODULES = ("config.json", "model.safetensors", "pytorch_model.bin")
"""What a folder that modules.json names may hold: the settings and, of a dense layer, the weights."""

Proof = Callable[[Path], None]


@dataclass(eq=False)
class Draft:
    """A checkpoint to be, as a list of changes to one that is there.

    Attributes
    ----------
    source : the checkpoint that it starts from.
    tensors : every tensor that will be written, by key.
    changed : documents with their new content, by name.
    files : files that are copied: {name in the new folder: file}.
    """

    source: Dossier
    tensors: dict[str, Planned] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    rewritten: bool = False

    def rename(self, keys: dict[str, str]) -> None:
        """Give tensors other keys, in their old places; two tensors under one key are a bug."""
        names = [keys.get(key, key) for key in self.tensors]
        assert len(set(names)) == len(names), "two tensors under one key"
        self.tensors = dict(zip(names, self.tensors.values(), strict=True))
        self.rewritten = True

    def drop(self, key: str) -> None:
        """Leave a tensor out."""
        del self.tensors[key]
        self.rewritten = True

    def put(self, key: str, shape: tuple[int, ...], dtype: str, make: Callable[[], torch.Tensor]) -> None:
        """Write a tensor, under a new key or in place of the old one."""
        self.tensors[key] = Planned(shape, dtype, make)
        self.rewritten = True

    def change(self, key: str, make: Callable[[torch.Tensor], torch.Tensor], **planned: Any) -> None:
        """Write what `make` returns for a tensor; `shape` and `dtype` where they are no longer the same."""
        old = self.tensors[key]
        self.tensors[key] = replace(old, make=lambda: make(old.make()), **planned)
        self.rewritten = True

    def look(self, name: str) -> Any:
        """A document as it will be, not to be changed; {} where there is none."""
        found = self.changed.get(name, self.source.documents.json(name))
        return {} if found is None else found

    def document(self, name: str) -> Any:
        """A document that is about to be changed, {} where there was none; it is written anew."""
        return self.changed.setdefault(name, copy.deepcopy(self.look(name)))

    def place(self, name: str) -> str:
        """Where a document belongs in the new folder."""
        papers = self.source.documents
        beside = (papers.folder / name).is_file() or not (papers.root / name).is_file()
        return _relative(papers.folder / name if beside else papers.root / name, papers.root)

    @property
    def weights(self) -> str:
        """Where the weights belong in the new folder."""
        return _relative(self.source.folder / WEIGHTS, self.source.documents.root)

    @property
    def copied(self) -> bool:
        """Whether the weights file is taken over byte by byte."""
        return not self.rewritten and self.source.weights.files == (WEIGHTS,)


def draft(source: Dossier) -> Draft:
    """A draft without any change."""
    weights = source.weights
    tensors = {
        key: Planned(entry.shape, entry.dtype, lambda key=key: weights.tensor(key))  # type: ignore[misc]
        for key, entry in weights.entries.items()
    }
    return Draft(source, tensors, files=dict(_known(source)))


def left_behind(draft: Draft) -> tuple[str, ...]:
    """Files of the checkpoint that are not taken over."""
    root, weights = draft.source.documents.root, draft.source.weights
    own = {_relative(weights.folder / file, root) for file in weights.files}
    found = (_relative(path, root) for path in sorted(root.rglob("*")) if path.is_file())
    kept = {*draft.files, *own, *(draft.place(name) for name in draft.changed)}
    return tuple(name for name in found if name not in kept and not name.startswith("."))


def refuse(out: Path, *sources: Path) -> Path:
    """The folder to write to, with every link resolved; never one that holds something, nor a part of a checkpoint.

    Raises
    ------
    BertlensError
        For a folder that is not free, or lies inside one of the checkpoints.
    """
    place = out.expanduser().resolve()
    what = f"cannot write the repaired checkpoint to {out}"
    for source in sources:
        if place.is_relative_to(source.resolve()):
            raise BertlensError(what, got="a place inside the checkpoint", do="name a folder outside of it")
    if place.exists() and not place.is_dir():
        raise BertlensError(what, got="a file", expected="a new folder")
    if place.is_dir() and any(place.iterdir()):
        raise BertlensError(what, got="a folder that is not empty", expected="a new folder", do="name another one")
    if not place.parent.is_dir():
        raise BertlensError(what, got=f"no folder {place.parent.name}", do="create it first")
    return place


def write(draft: Draft, out: Path, proofs: tuple[Proof, ...] = ()) -> tuple[str, ...]:
    """Write a draft and return the names of the files; on any failure nothing is left of it.

    Parameters
    ----------
    out : a place that `refuse` returned.
    proofs : asked about the complete folder before it gets its name; each raises if something is wrong with it.

    Raises
    ------
    BertlensError
        Where the disk refuses, or a proof fails.
    """
    hidden = out.parent / f".{out.name}.{uuid.uuid4().hex[:8]}"
    try:
        hidden.mkdir()
        _fill(draft, hidden)
        for proof in proofs:
            proof(hidden)
        with contextlib.suppress(FileNotFoundError):
            out.rmdir()  # it is empty, or this fails
        hidden.rename(out)
    except OSError as error:
        raise BertlensError(f"cannot write the repaired checkpoint to {out}", got=str(error.strerror or error)) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return tuple(sorted(_relative(path, out) for path in out.rglob("*") if path.is_file()))


def _fill(draft: Draft, folder: Path) -> None:
    texts = {draft.place(name): content for name, content in draft.changed.items()}
    for name, file in draft.files.items():
        if name not in texts:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / name)
    for name, content in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if draft.copied:
        shutil.copyfile(draft.source.folder / WEIGHTS, folder / draft.weights)
    else:
        tensorfile.save(draft.tensors, folder / draft.weights)


def _known(source: Dossier) -> Iterator[tuple[str, Path]]:
    """The files that a checkpoint is known to have, by their place below its root."""
    papers = source.documents
    wanted = [folder / name for folder in dict.fromkeys((papers.root, papers.folder)) for name in KNOWN]
    listed = papers.json("modules.json")
    for part in listed if isinstance(listed, list) else []:
        path = part.get("path") if isinstance(part, dict) else None
        if isinstance(path, str) and path and not (".." in Path(path).parts or Path(path).is_absolute()):
            wanted += [papers.root / path / name for name in OF_MODULES if papers.root / path != papers.folder]
    for file in wanted:
        if file.is_file():
            yield _relative(file, papers.root), documents.inside(file, papers.root)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
