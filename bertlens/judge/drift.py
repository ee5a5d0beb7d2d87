"""Drift: what lies between two checkpoints that give other vectors for the same texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bertlens.judge.causes import Cause
from bertlens.judge.findings import Finding, named

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

SILENT = {"_name_or_path", "name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype", "use_cache"}
"""Entries of a config that no vector depends on once the weights are loaded."""


def between(reference: Checkpoint, candidate: Checkpoint, cause: Cause) -> Finding:
    """The finding for two checkpoints: the config entries that differ, and whether the weights are the same file."""
    same = reference.digest == candidate.digest
    entries = differing_entries(reference, candidate)
    evidence: dict[str, Any] = {
        "max_abs": cause.max_abs,
        "weights": "the same file" if same else "another file",
        "sha256": [reference.digest, candidate.digest],
        "config": entries,
    }
    words = ", ".join(f"{key} {old} → {new}" for key, (old, new) in list(entries.items())[:4])
    if same and entries:
        return named(
            _fault(entries), "problem", evidence, ("everything",), f"The weights are the same, the config is not: {words}"
        )
    title = "The weights are another file" + (f", and the config differs: {words}" if entries else ", the config is the same")
    return named("checkpoint-drift", "problem", evidence, ("everything",), title)


def differing_entries(reference: Checkpoint, candidate: Checkpoint) -> dict[str, tuple[Any, Any]]:
    """Config entries that differ, name -> (reference, candidate)."""
    left, right = (checkpoint.model.config.to_dict() for checkpoint in (reference, candidate))
    return {
        key: (left.get(key), right.get(key))
        for key in sorted(left.keys() | right.keys())
        if key not in SILENT and left.get(key) != right.get(key)
    }


def _fault(entries: dict[str, tuple[Any, Any]]) -> str:
    if "model_type" in entries:
        return "wrong-architecture-class"
    return "head-count-wrong" if "num_attention_heads" in entries else "config-scalar-differs"
