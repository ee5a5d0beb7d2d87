"""Checkpoints made by code: a sound one, and copies of it with one thing changed.

The sound one is the packaged checkpoint with the two things mended that are true of it: a pooler with trained weights in the
place of the one that was never trained, and one length limit instead of three.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from bertlens.run.checkpoint import locate

Tensors = dict[str, torch.Tensor]
Change = Callable[[Tensors], Tensors]
LAYER = "encoder.layer.3."
WEIGHTS = "model.safetensors"


def same(tensors: Tensors) -> Tensors:
    """No change of the weights."""
    return tensors


class Folder:
    """A checkpoint's folder that a test may change, one thing after another."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def weights(self, change: Change) -> Folder:
        """Write the weights anew as `change` returns them."""
        tensors = {key: value.clone().contiguous() for key, value in change(load_file(self.path / WEIGHTS)).items()}
        save_file(tensors, self.path / WEIGHTS, metadata={"format": "pt"})
        return self

    def document(self, name: str, **entries: Any) -> Folder:
        """Set entries of a JSON file; `None` takes an entry out."""
        path = self.path / name
        held = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        held.update(entries)
        path.write_text(json.dumps({key: value for key, value in held.items() if value is not None}), "utf-8")
        return self

    def edit(self, name: str, change: Callable[[Any], Any]) -> Folder:
        """Change a JSON file as a whole."""
        path = self.path / name
        path.write_text(json.dumps(change(json.loads(path.read_text("utf-8")))), "utf-8")
        return self

    def without(self, *names: str) -> Folder:
        """Delete files or folders."""
        for name in names:
            path = self.path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return self

    def config(self, **entries: Any) -> Folder:
        """Set entries of config.json."""
        return self.document("config.json", **entries)


def copied(source: Path, target: Path) -> Folder:
    """A copy of a folder."""
    return Folder(Path(shutil.copytree(source, target)))


def sound(target: Path) -> Folder:
    """The packaged checkpoint without its two true faults."""
    folder = copied(locate("minilm"), target)

    def pooler(tensors: Tensors) -> Tensors:
        for role in ("weight", "bias"):
            tensors[f"pooler.dense.{role}"] = tensors[f"encoder.layer.5.attention.output.dense.{role}"]
        return tensors

    folder.weights(pooler)
    folder.edit("tokenizer.json", lambda held: {**held, "truncation": None, "padding": None})
    return folder.document("sentence_bert_config.json", max_seq_length=512)


def prefixed(prefix: str) -> Change:
    """Every key with something before it."""
    return lambda tensors: {prefix + key: value for key, value in tensors.items()}


def renamed(old: str, new: str) -> Change:
    """A part of every key replaced."""
    return lambda tensors: {key.replace(old, new): value for key, value in tensors.items()}


def dropped(*parts: str) -> Change:
    """Without the keys that hold one of these parts."""
    return lambda tensors: {key: value for key, value in tensors.items() if not any(part in key for part in parts)}


def mapped(part: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    """The tensors whose key holds a part, each changed."""
    return lambda tensors: {key: change(value) if part in key else value for key, value in tensors.items()}


def added(**tensors: torch.Tensor) -> Change:
    """With further tensors; `__` in a name stands for a dot."""
    more = {name.replace("__", "."): value for name, value in tensors.items()}
    return lambda held: {**held, **more}


def both(*changes: Change) -> Change:
    """One change after another."""

    def change(tensors: Tensors) -> Tensors:
        for one in changes:
            tensors = one(tensors)
        return tensors

    return change


def drawn(part: str, std: float = 0.02) -> Change:
    """The tensors whose key holds a part as a new model has them: normal matrices, ones in LayerNorms, zeros in biases."""
    generator = torch.Generator().manual_seed(1)

    def fresh(key: str, value: torch.Tensor) -> torch.Tensor:
        if value.dim() > 1:
            return torch.randn(value.shape, generator=generator) * std
        return torch.ones_like(value) if "norm" in key.lower() and key.endswith("weight") else torch.zeros_like(value)

    return lambda tensors: {key: fresh(key, value) if part in key else value for key, value in tensors.items()}


def as_trained(tensors: Tensors) -> Tensors:
    """Small random weights with what training leaves: rows of unequal length, strong directions, moved vectors."""
    generator = torch.Generator().manual_seed(2)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    def changed(value: torch.Tensor) -> torch.Tensor:
        if not value.is_floating_point():
            return value
        if value.dim() < 2:
            return value + 0.02 * random(*value.shape)
        rows, columns = value.shape
        scaled = value * torch.exp(0.3 * random(rows, 1))  # a padding row of zeros stays one
        directions = 0.03 * random(rows, 2) @ random(2, columns)
        return scaled + torch.where(value.any(1, keepdim=True), directions, 0.0)

    return {key: changed(value) for key, value in tensors.items()}
