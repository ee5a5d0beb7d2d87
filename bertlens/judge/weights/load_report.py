"""Load report: what `from_pretrained` would take from a file, what it would draw at random, and which outputs that spoils."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bertlens.run.alignment import Alignment


@dataclass(frozen=True)
class Group:
    """What happens to one module's tensors at loading.

    Attributes
    ----------
    module : "pooler.dense"; `state`: "missing", "mismatched", "unexpected" or "ignored".
    tensors : their names (of an unexpected one the key in the file).
    spoils : outputs whose values depend on them and are therefore random.
    intact : the other outputs.
    """

    module: str
    state: str
    tensors: tuple[str, ...]
    spoils: tuple[str, ...] = ()
    intact: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "module": self.module,
            "state": self.state,
            "tensors": list(self.tensors),
            "spoils": list(self.spoils),
            "intact": list(self.intact),
        }


def groups(alignment: Alignment) -> tuple[Group, ...]:
    """The tensors that are not loaded as they stand, by module, those that spoil most first."""
    mismatched = {mismatch.name for mismatch in alignment.mismatched}
    found: dict[tuple[str, str], list[str]] = {}
    for name in alignment.newly_initialised:
        state = "mismatched" if name in mismatched else "missing"
        found.setdefault((alignment.blueprint.parts[name].module, state), []).append(name)
    for state, keys in (("unexpected", alignment.unexpected), ("ignored", alignment.ignored)):
        for key in keys:
            found.setdefault((key.rpartition(".")[0] or key, state), []).append(key)
    listed = [
        Group(module, state, tuple(names), *_reach(alignment, names if state in ("missing", "mismatched") else ()))
        for (module, state), names in found.items()
    ]
    return tuple(sorted(listed, key=lambda group: -len(group.spoils)))


def _reach(alignment: Alignment, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    spoiled = {output for name in names for output in alignment.blueprint.parts[name].outputs}
    outputs = alignment.blueprint.outputs
    return tuple(o for o in outputs if o in spoiled), tuple(o for o in outputs if o not in spoiled)


def spoiled(alignment: Alignment, names: Sequence[str]) -> tuple[str, ...]:
    """The outputs that depend on any of these tensors; ("everything",) where none is left."""
    lost, intact = _reach(alignment, names)
    return lost if intact else ("everything",)


def is_pooler(name: str) -> bool:
    """Whether a tensor belongs to the pooler."""
    return "pooler" in name.split(".")
