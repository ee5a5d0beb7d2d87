"""Documents: the small files of a checkpoint (config, tokenizer, declared recipe), read as data and never executed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bertlens.errors import BertlensError

NAMES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "adapter_config.json",
)
LARGEST = 200 * 1024 * 1024
"""A document of more bytes is not one: the largest vocabularies known take about 40 MB."""


@dataclass(frozen=True, eq=False)
class Documents:
    """The JSON files of a checkpoint by name, with its vocabulary and its declared pooling.

    Attributes
    ----------
    folder : where the transformer's files lie.
    root : the folder that was named; for a sentence-transformers folder modules.json and the pooling lie here.
    """

    folder: Path
    root: Path
    _read: dict[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> dict[str, Any]:
        """A document that is a JSON object; empty where there is none."""
        found = self.json(name)
        return found if isinstance(found, dict) else {}

    def __contains__(self, name: str) -> bool:
        return self._path(name) is not None

    def json(self, name: str) -> Any:
        """A document as it stands, None where there is none.

        Raises
        ------
        BertlensError
            Where it is broken JSON, larger than a document can be, or a link out of the checkpoint.
        """
        if name not in self._read:
            path = self._path(name)
            self._read[name] = None if path is None else _parsed(path, name)
        return self._read[name]

    def _path(self, name: str) -> Path | None:
        for folder in (self.folder, self.root):
            if (folder / name).is_file():
                return inside(folder / name, self.root)
        return None

    @cached_property
    def vocabulary(self) -> tuple[str, ...] | None:
        """The lines of vocab.txt in the order of their ids, None where there is no such file."""
        path = self._path("vocab.txt")
        if path is None:
            return None
        _refuse_large(path, "vocab.txt")
        lines = path.read_text("utf-8", errors="replace").split("\n")
        return tuple(line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines))

    @cached_property
    def modules(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """What modules.json declares, in order: (kind, its config), as ("Transformer", {}), ("Pooling", {…})."""
        listed = self.json("modules.json")
        found = []
        for part in listed if isinstance(listed, list) else []:
            if isinstance(part, dict):
                kind = str(part.get("type", "")).rsplit(".", 1)[-1]
                path = str(part.get("path", ""))
                name = f"{path}/config.json" if path else ""
                inner = self.json(name) if name and _plain(path) and (self.root / name).is_file() else None
                found.append((kind, inner if isinstance(inner, dict) else {}))
        return tuple(found)

    def module(self, kind: str) -> Mapping[str, Any] | None:
        """The config of the first declared module of a kind, None where none is declared."""
        return next((config for name, config in self.modules if name == kind), None)


def read(folder: Path, root: Path | None = None) -> Documents:
    """The documents of a checkpoint; they are read when they are asked for."""
    return Documents(folder, root or folder)


def root_of(folder: Path, name: str) -> Path:
    """The folder that was named, where the transformer lies in a part of it; else where the transformer lies."""
    named = Path(name)
    with contextlib.suppress(RuntimeError):  # a home that nobody has
        named = named.expanduser()
    return named if folder.is_relative_to(named) else folder


def inside(path: Path, root: Path) -> Path:
    """The path itself, where it does not lead out of the checkpoint.

    A download cache keeps its files beside its snapshots and links to them; such a link stays inside.

    Raises
    ------
    BertlensError
        Where it is a link to a place outside.
    """
    home = root.resolve()
    if home.parent.name == "snapshots":
        home = home.parent.parent
    with contextlib.suppress(OSError, RuntimeError):  # links that go round in a circle
        if path.resolve().is_relative_to(home):
            return path
    raise BertlensError(
        f"cannot read {path.name}",
        got="a link that leads out of the checkpoint's folder",
        expected="a file inside it",
        do="copy the file into the folder",
    )


def _plain(path: str) -> bool:
    return ".." not in Path(path).parts and not Path(path).is_absolute()


def _parsed(path: Path, name: str) -> Any:
    _refuse_large(path, name)
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BertlensError(f"cannot read {name}", got=f"broken JSON ({str(error)[:120]})", do="download it again") from None


def _refuse_large(path: Path, name: str) -> None:
    if (size := path.stat().st_size) > LARGEST:
        raise BertlensError(f"cannot read {name}", got=f"{size:,} bytes", expected=f"at most {LARGEST:,}")
