"""Alignment: which tensor of the file goes into which tensor of the model, by transformers' own rules of renaming."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import Chunk, LoadStateDictInfo, WeightConverter, WeightRenaming, rename_source_key

from bertlens.run.blueprint import Blueprint
from bertlens.run.weights import Entry, Weights


@dataclass(frozen=True)
class Mismatch:
    """A tensor of another shape than the config asks for: newly initialised as a whole, if the loading goes on at all."""

    name: str
    key: str
    held: tuple[int, ...]
    asked: tuple[int, ...]


@dataclass(frozen=True)
class Rename:
    """A change of keys that would bring tensors of the file to where the model looks for them.

    Attributes
    ----------
    drop, add : components to take off and to put on, "_orig_mod.module." and "".
    keys : {key in the file: name in the model}.
    """

    drop: str
    add: str
    keys: Mapping[str, str]

    @property
    def words(self) -> str:
        """What it does, for a person."""
        number = f"{len(self.keys)} keys" if len(self.keys) > 1 else "1 key"
        if self.drop and self.add:
            return f"replace “{self.drop}” by “{self.add}” in {number}"
        return f"strip “{self.drop}” from {number}" if self.drop else f"put “{self.add}” before {number}"


@dataclass(frozen=True, eq=False)
class Alignment:
    """What loading a file into a model class would do.

    Attributes
    ----------
    loaded : {name in the model: key in the file}, of the same shape; a key that holds several tensors on top of each other, as
        NomicBERT's `Wqkv` does, stands for each of them, and `read` takes it apart.
    missing : names that no key of the file goes to.
    unexpected : keys that go nowhere; heads and buffers that the class itself ignores are in `ignored`.
    mismatched : keys of another shape.
    named : {key: the name that the class's own rules give it}.
    stacked : parts of names whose tensors the file holds as one, in their order: ("self_attn.q_proj", "self_attn.k_proj", …).
    """

    blueprint: Blueprint
    entries: Mapping[str, Entry]
    loaded: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    ignored: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    named: Mapping[str, str]
    stacked: tuple[tuple[str, ...], ...] = ()

    @property
    def newly_initialised(self) -> tuple[str, ...]:
        """Names whose values do not come from the file."""
        return tuple(sorted({*self.missing, *(mismatch.name for mismatch in self.mismatched)}))

    @cached_property
    def renames(self) -> tuple[Rename, ...]:
        """The changes of keys that would load what is missing, the one that mends most first."""
        return _renames(self)

    @property
    def mended(self) -> set[str]:
        """Names that these changes would fill."""
        first = (name for rename in self.renames for name in rename.keys.values())
        return {name for one in first for name in _siblings(one, self.stacked)}

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of what a key holds for one name."""
        return _piece(self.entries[key].shape, len(_siblings(self.named[key], self.stacked)))

    def read(self, name: str, weights: Weights) -> torch.Tensor:
        """The values that the file holds for a name."""
        key = self.loaded[name]
        tensor, siblings = weights.tensor(key), _siblings(self.named[key], self.stacked)
        return tensor if len(siblings) == 1 else tensor.chunk(len(siblings))[siblings.index(name)]


def align(blueprint: Blueprint, weights: Weights) -> Alignment:
    """Follow `from_pretrained`, key by key, without reading a value."""
    asked = blueprint.model.state_dict()
    rules = get_model_conversion_mapping(blueprint.model)
    renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
    converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
    prefix = blueprint.model.base_model_prefix
    stacked = tuple(tuple(rule.target_patterns) for rule in converters if _splits(rule))
    named: dict[str, str] = {}
    target: dict[str, str] = {}
    for key in weights:
        name, _ = rename_source_key(key, renamings, converters, prefix, asked)
        if name not in asked and key in asked:
            name, _ = rename_source_key(key, [], [], prefix, asked)
        named[key] = name
        for one in _siblings(name, stacked) if name in asked else ():
            target.setdefault(one, key)
    strangers = {key: name for key, name in named.items() if name not in asked}
    shapes = {name: _piece(weights.entries[key].shape, len(_siblings(named[key], stacked))) for name, key in target.items()}
    mismatched = tuple(
        Mismatch(name, key, shapes[name], blueprint.parts[name].shape)
        for name, key in target.items()
        if shapes[name] != blueprint.parts[name].shape
    )
    apart = {mismatch.name for mismatch in mismatched}
    missing, unexpected = _excused(blueprint, set(asked) - set(target), strangers)
    return Alignment(
        blueprint,
        weights.entries,
        {name: key for name, key in target.items() if name not in apart},
        tuple(sorted(missing)),
        tuple(sorted(unexpected)),
        tuple(sorted(set(strangers) - unexpected)),
        mismatched,
        named,
        stacked,
    )


def _splits(rule: WeightConverter) -> bool:
    """Whether a rule cuts one tensor of the file into equal parts, row after row."""
    return len(rule.target_patterns) > 1 and [(type(op), getattr(op, "dim", None)) for op in rule.operations] == [(Chunk, 0)]


def _siblings(name: str, stacked: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The names that one tensor of the file fills, given the first of them."""
    parts = next((parts for parts in stacked if parts[0] in name), ())
    return tuple(name.replace(parts[0], part) for part in parts) or (name,)


def _piece(shape: tuple[int, ...], number: int) -> tuple[int, ...]:
    return (shape[0] // number, *shape[1:]) if number > 1 and shape and shape[0] % number == 0 else shape


def _excused(blueprint: Blueprint, missing: set[str], strangers: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """Missing names and unexpected keys without those that the class forgives, or that are tied to another tensor."""
    report = LoadStateDictInfo(
        missing_keys=set(missing),
        unexpected_keys=set(strangers.values()),
        mismatched_keys=set(),
        error_msgs=[],
        conversion_errors={},
        skipped_pp_keys=set(),
    )
    blueprint.model._adjust_missing_and_unexpected_keys(report)
    left = set(report.missing_keys)
    for copy, source in blueprint.tied.items():  # either of the two fills both
        if copy not in missing or source not in missing:
            left -= {copy, source}
    return left, {key for key, name in strangers.items() if name in report.unexpected_keys}


def _renames(alignment: Alignment) -> tuple[Rename, ...]:
    wanted = {name: alignment.blueprint.parts[name].shape for name in alignment.missing}
    strangers = (*alignment.unexpected, *alignment.ignored)
    by_tail: dict[str, list[str]] = {}
    for name in wanted:
        by_tail.setdefault(_modern(name).rsplit(".", 1)[-1], []).append(name)
    found: dict[tuple[str, str], dict[str, str]] = {}
    for key in strangers:
        modern = _modern(alignment.named[key])
        fitting = (name for name in by_tail.get(modern.rsplit(".", 1)[-1], []) if alignment.shape(key) == wanted[name])
        names = list(fitting)
        change = min((edit for name in names if (edit := _edit(modern, name))), default=None)
        inner = [edit for name in names if (edit := _inner_edit(modern, name))]
        if change is None and len(inner) == 1:  # a change inside a name is taken only where no other one is possible
            change = inner[0]
        if change is not None:
            _, drop, add, name = change
            found.setdefault((drop, add), {})[key] = name
    renames = [Rename(drop, add, keys) for (drop, add), keys in found.items()]
    return _largest_first(renames)


def _largest_first(renames: Iterable[Rename]) -> tuple[Rename, ...]:
    """The renames without those that lead to a name which a larger one already fills."""
    kept, filled = [], set[str]()
    for rename in sorted(renames, key=lambda rename: (-len(rename.keys), rename.drop)):
        fresh = {key: name for key, name in rename.keys.items() if name not in filled}
        twice = {name for name, count in Counter(fresh.values()).items() if count > 1}
        fresh = {key: name for key, name in fresh.items() if name not in twice}
        if fresh:
            filled |= set(fresh.values())
            kept.append(Rename(rename.drop, rename.add, fresh))
    return tuple(kept)


def _edit(key: str, name: str) -> tuple[int, str, str, str] | None:
    """The smallest change from a key to a name: (components changed, dropped, added, name); None where they differ inside.

    Components may be dropped anywhere ("query.base_layer.weight"), and a beginning may be exchanged for another one.
    """
    held, asked = key.split("."), name.split(".")
    dropped = _beyond(held, asked)
    if dropped is not None:
        return len(dropped), _joined(dropped), "", name
    same = _alike(held[::-1], asked[::-1])
    begins, wants = held[: len(held) - same], asked[: len(asked) - same]
    distinct = any(part.isdigit() for part in held[len(held) - same :]) or same >= 3 or not begins
    if same >= 2 and distinct and not any(part.isdigit() for part in (*begins, *wants)):
        return len(begins) + len(wants), _joined(begins), _joined(wants), name
    return None


def _inner_edit(key: str, name: str) -> tuple[int, str, str, str] | None:
    """A change in the middle: both begin alike up to a layer's number, and end alike in at least two components."""
    held, asked = key.split("."), name.split(".")
    before = _alike(held, asked)
    after = _alike(held[before:][::-1], asked[before:][::-1])
    middle, wanted = held[before : len(held) - after], asked[before : len(asked) - after]
    numbered = any(part.isdigit() for part in held[:before])
    if numbered and after >= 2 and middle and wanted and not any(part.isdigit() for part in (*middle, *wanted)):
        return len(middle) + len(wanted), _joined(middle), _joined(wanted), name
    return None


def _alike(left: list[str], right: list[str]) -> int:
    """How many components two names share from their beginning."""
    return next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def _beyond(held: list[str], asked: list[str]) -> list[str] | None:
    """The components of a key that are left when those of the name are taken out in order; None if they do not all occur.

    Taken from the end, where names are most telling, so that what is left stands as far in front as it can.
    """
    left, at = [], len(asked) - 1
    for part in reversed(held):
        if at >= 0 and part == asked[at]:
            at -= 1
        else:
            left.append(part)
    return None if at >= 0 else left[::-1]


def _joined(parts: list[str]) -> str:
    return ".".join(parts) + "." if parts else ""


def _modern(key: str) -> str:
    """A key with the names that LayerNorms have today."""
    if key.endswith(".gamma"):
        return key.removesuffix("gamma") + "weight"
    return key.removesuffix("beta") + "bias" if key.endswith(".beta") else key
