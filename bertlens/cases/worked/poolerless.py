"""Poolerless: a copy of a checkpoint without its pooler, two loads of it, and what the pooler's absence touches.

The copy is written as a masked-language model is saved, whose class has no pooler.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from safetensors.torch import save_file

from bertlens.diagnose import compare, head
from bertlens.errors import BertlensError
from bertlens.judge.weights.load_report import is_pooler
from bertlens.judge.weights.reload import seeded
from bertlens.run.condition import Condition
from bertlens.run.headed import KINDS, headed
from bertlens.run.inputs import prepare
from bertlens.run.outputs import forward

if TYPE_CHECKING:
    from bertlens.judge.comparison import Comparison
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.texts import Texts


@contextmanager
def without_pooler(checkpoint: Checkpoint, extra: Mapping[str, torch.Tensor] | None = None) -> Iterator[Path]:
    """A folder with the checkpoint but for its pooler; `extra` tensors are written along."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "without-pooler"
        copy.deepcopy(checkpoint.model.config).save_pretrained(folder)
        with checkpoint.tokenizer_lock:
            checkpoint.tokenizer.save_pretrained(folder)
        state = {name: value for name, value in checkpoint.model.state_dict().items() if not is_pooler(name)}
        state = {name: value.detach().cpu().clone().contiguous() for name, value in {**state, **(extra or {})}.items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        yield folder


def loaded(folder: Path, seeds: tuple[int, int] = (0, 1)) -> tuple[Checkpoint, Checkpoint]:
    """Two loads of a folder, named so: the folder is gone when somebody reads of them."""
    one, other = (replace(seeded(str(folder), seed), name=f"load {at}") for at, seed in enumerate(seeds, start=1))
    return one, other


def between(loads: tuple[Checkpoint, Checkpoint], texts: Texts, readout: str) -> Comparison:
    """One readout of both loads."""
    return compare(loads[0], texts, reference="", candidate="", readout=readout, against=loads[1])


def states_of(checkpoint: Checkpoint, texts: Texts) -> pd.DataFrame:
    """One line per hidden state: how far it lies from last_hidden_state."""
    depth = checkpoint.architecture.layers
    outputs = next(iter(forward(prepare(checkpoint, texts, Condition()), layers=range(depth + 1))))
    last = outputs.last_hidden_state
    lines = []
    for layer, state in sorted(outputs.hidden_states.items()):
        apart = float((state - last).abs().max())
        lines.append({"state": f"hidden_states[{layer}]", "max_abs": apart, "is last_hidden_state": bool(state.equal(last))})
    return pd.DataFrame(lines)


def gradients(checkpoint: Checkpoint, texts: Texts) -> tuple[int, int, int]:
    """Weights that the masked-LM loss reaches, all weights, and those of the pooler that it does not reach.

    The head is that of the family's masked-LM class, put on an encoder that carries a pooler: what somebody trains who wants
    to save one along. Every second token is to be guessed.

    Raises
    ------
    BertlensError
        For a family without that class.
    """
    inputs = prepare(checkpoint, texts[:1], Condition())
    tensors = {name: one.to(checkpoint.device) for name, one in next(iter(inputs)).tensors.items()}
    model, one = checkpoint.own_instance("float32", "sdpa", False), headed(checkpoint, "masked-lm")
    named = dict(model.named_parameters())
    assert all(value.requires_grad for value in named.values()), "a loaded model's weights can be trained"
    whole = one.own_instance()
    setattr(whole, one.base, model)
    labels = tensors["input_ids"].clone()
    labels[:, ::2] = -100  # the loss leaves these out
    with torch.enable_grad():
        loss = whole(**tensors, labels=labels).loss
        found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    reached = {name for name, gradient in zip(named, found, strict=True) if gradient is not None}
    return len(reached), len(named), len([name for name in named if is_pooler(name) and name not in reached])


def fields(checkpoint: Checkpoint, texts: Texts) -> pd.DataFrame:
    """One line per class, the encoder's and those of its heads: what it returns, and whether it has a pooler."""
    base = type(checkpoint.model).__name__
    lines = [{"class": base, "returns": "last_hidden_state, pooler_output", "has a pooler": True}]
    for kind in KINDS:
        with suppress(BertlensError):  # not every family has every head
            found = head(checkpoint, texts[:1], kind=kind)
            pooler = any(is_pooler(step.name) for step in found.steps)
            lines.append({"class": found.cls, "returns": ", ".join(one.name for one in found.fields), "has a pooler": pooler})
    return pd.DataFrame(lines)
