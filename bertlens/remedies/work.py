"""Work: a checkpoint under repair; what a remedy does to it is noted as a sentence and as the Python that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bertlens.errors import BertlensError
from bertlens.judge.checkpoint.checkup import Checkup
from bertlens.judge.findings import Finding
from bertlens.judge.weights.untrained import WeightState, state_of
from bertlens.run.alignment import Alignment
from bertlens.run.blueprint import Part
from bertlens.run.dossier import Dossier
from bertlens.run.rewrite import Draft, Proof


@dataclass(eq=False)
class Work:
    """What a remedy is given and what it leaves.

    Attributes
    ----------
    source : the checkpoint; its files are only read.
    before : what the check says of it; `finding` is the one to be mended.
    base : another checkpoint to take tensors or settings from, None where none was named.
    max_length : tokens that the caller wants to let through, None where he left it open.
    draft : the new checkpoint.
    done : what was done, in sentences.
    lines : the same for the tensors, as Python on a dictionary called `state`.
    edits : the same for the documents, as Python on what `json.loads` returned: {name: lines}.
    replaced : files that come from the base.
    proofs : what must hold of the new folder before it gets its name.
    """

    source: Dossier
    before: Checkup
    finding: Finding
    base: Dossier | None
    max_length: int | None
    draft: Draft
    done: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    edits: dict[str, list[str]] = field(default_factory=dict)
    replaced: dict[str, Path] = field(default_factory=dict)
    proofs: list[Proof] = field(default_factory=list)

    def refuse(self, got: str, do: str = "", expected: str = "") -> BertlensError:
        """The error of a remedy that cannot be carried out here."""
        return BertlensError(f"cannot repair {self.finding.id} of {self.source.name}", got=got, expected=expected, do=do)

    def set(self, document: str, *path: str | int, to: Any) -> bool:
        """Set a value in a document, at a path of keys and indices; False where it stands there already."""
        *way, last = path
        found = _inner(self.draft.look(document), way)
        there = isinstance(found, list) or last in found
        if there and found[last] == to and type(found[last]) is type(to):
            return False
        _inner(self.draft.document(document), way)[last] = to
        where = "".join(f"[{key!r}]" for key in path)
        self.edits.setdefault(document, []).append(f"document{where} = {to!r}")
        return True

    def rename(self, keys: Mapping[str, str], line: str) -> None:
        """Give tensors other keys; refused where two would get the same one."""
        after = [keys.get(key, key) for key in self.draft.tensors]
        if len(set(after)) < len(after):
            twice = next(key for key in after if after.count(key) > 1)
            raise self.refuse(f"two tensors that would both be {twice}", do="decide which one is right, and drop the other")
        self.draft.rename(dict(keys))
        self.lines.append(line)

    def drop(self, keys: Sequence[str]) -> None:
        """Leave tensors out."""
        for key in keys:
            self.draft.drop(key)
        self.lines.append(f"for key in {list(keys)!r}:\n    del state[key]")

    def key_of(self, name: str) -> str:
        """The key under which the file holds, or should hold, a tensor of the encoder."""
        alignment = self.source.alignment
        held = dict(alignment.loaded) | {mismatch.name: mismatch.key for mismatch in alignment.mismatched}
        if name in held:
            return held[name]
        prefix = f"{self.source.encoder.model.base_model_prefix}."
        inside = sum(key == f"{prefix}{own}" for own, key in held.items())
        return f"{prefix}{name}" if inside > len(held) / 2 else name

    def replace(self, name: str, file: Path | None) -> None:
        """Put a file of the base in the place of one of the checkpoint's, or leave it out."""
        place = self.draft.place(name)
        self.draft.files.pop(place, None)
        if file is not None:
            self.draft.files[place] = self.replaced[place] = file

    def take(self, names: Iterable[str], proven: bool = False) -> None:
        """Take tensors of the encoder from the base, if they fit and were trained there; `proven`: beyond doubt."""
        base, parts = self.named_base(), self.source.encoder.parts
        wanted = list(names)
        for name in wanted:
            key = base.alignment.loaded.get(name)
            if key is None:
                raise self.refuse(f"a base without {name}", expected="a base that holds it")
            if (held := base.weights.entries[key].shape) != parts[name].shape:
                raise self.refuse(f"{name} of shape {list(held)} in the base", expected=str(list(parts[name].shape)))
        for name, state in states(base, wanted).items():
            bad = state.state in ("newly drawn", "not finite") or (state.state == "all zero" and "token_type" not in name)
            if bad or (proven and state.state != "trained"):
                got = f"a base whose own {name} is no better ({state.state}: {state.reason})"
                raise self.refuse(got, do="name another base")
        self._put({self.key_of(name): base.alignment.loaded[name] for name in wanted})

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the checkpoint; refused where there is none."""
        if self.source.tokenizer is None:
            raise self.refuse("no tokenizer in the folder", do="copy the one saved with the weights into it")
        return self.source.tokenizer

    def named_base(self) -> Dossier:
        """The base; refused where none was named."""
        if self.base is None:
            raise self.refuse("no base", expected="--from BASE, the checkpoint that this one was trained from")
        return self.base

    def same_make(self) -> Dossier:
        """The base, where it computes as the checkpoint does, so that its tensors mean the same in both."""
        base = self.named_base()
        for key in ("model_type", "num_attention_heads", "hidden_size"):
            here, there = (getattr(dossier.config, key, None) for dossier in (self.source, base))
            if here != there:
                raise self.refuse(f"a base with {key} {there}", expected=f"{key} {here}, as in the checkpoint")
        return base

    def _put(self, keys: Mapping[str, str]) -> None:
        base = self.named_base()
        dtype = self.dtype
        for key, taken in keys.items():
            make = _cast(base, taken, dtype)
            self.draft.put(key, base.weights.entries[taken].shape, dtype, make)
        self.lines.append(f"for key, taken in {dict(keys)!r}.items():\n    state[key] = base[taken].to(torch.{dtype})")

    @property
    def dtype(self) -> str:
        """The number format that most tensors of the file have."""
        formats = [planned.dtype for planned in self.draft.tensors.values() if planned.dtype.startswith(("float", "bfloat"))]
        return max(dict.fromkeys(formats), key=formats.count, default="float32")


def _cast(base: Dossier, key: str, dtype: str) -> Callable[[], torch.Tensor]:
    return lambda: base.weights.tensor(key).to(getattr(torch, dtype))


def _inner(document: Any, path: Sequence[str | int]) -> Any:
    for key in path:
        document = document[key]
    return document


def states(dossier: Dossier, names: Sequence[str]) -> dict[str, WeightState]:
    """The state of the weights among tensors of the encoder, each with its bias."""
    found, parts = {}, dossier.encoder.parts
    for name in names:
        part = parts[name]
        weight = dossier.tensor(name)
        if part.role == "weight" and part.kind in ("linear", "embedding", "norm") and weight is not None:
            bias = dossier.tensor(f"{part.module}.bias") if f"{part.module}.bias" in parts else None
            found[name] = state_of(part.kind, weight, bias, padding_row=part.padding_row)
    return found


def shapes(alignment: Alignment) -> dict[str, tuple[int, ...]]:
    """The shape that the file holds for every tensor that has a place in the model, of whatever shape."""
    held = {name: alignment.entries[key].shape for name, key in alignment.loaded.items()}
    return held | {mismatch.name: mismatch.held for mismatch in alignment.mismatched}


def modules(parts: Mapping[str, Part], names: Iterable[str]) -> list[str]:
    """Every tensor of the modules that the names belong to."""
    owners = {parts[name].module for name in names}
    return [name for name, part in parts.items() if part.module in owners]
