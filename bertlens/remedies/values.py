"""Values: numbers that are in the wrong format, random, broken or lost."""

from __future__ import annotations

from typing import Any

import torch

from bertlens.judge.checkpoint.settings import HALF
from bertlens.judge.weights.keys import SLOTS
from bertlens.judge.weights.load_report import is_pooler
from bertlens.judge.weights.modules import BROKEN, HUGE
from bertlens.remedies.work import Work, modules, states


def widen(work: Work) -> None:
    """Write every half-precision tensor, and the config's wish for one, as float32."""
    half = [key for key, planned in work.draft.tensors.items() if planned.dtype in HALF]
    for key in half:
        work.draft.change(key, torch.Tensor.float, dtype="float32")
    if half:
        halves = "(torch.float16, torch.bfloat16)"
        line = f"state = {{key: value.float() if value.dtype in {halves} else value for key, value in state.items()}}"
        work.lines.append(line)
        work.done.append(
            f"Wrote {len(half)} tensors as float32: arithmetic is float32 from now on, whoever loads the file. The bits that "
            "half precision cut off do not come back; only a file from before could restore them."
        )
    config = work.source.documents["config.json"]
    for key in ("dtype", "torch_dtype"):
        if str(config.get(key) or "") in HALF and work.set("config.json", key, to="float32"):
            work.done.append(f"Set {key} in config.json to float32.")


def from_base(work: Work) -> None:
    """Take tensors that are missing, broken or never trained from the base; leave an optimiser's out."""
    source = work.source
    slots = [key for key in (*source.alignment.unexpected, *source.alignment.ignored) if SLOTS.search(key)]
    if slots:
        work.drop(slots)
        work.done.append(f"Left out {len(slots)} tensors of an optimiser, first {slots[0]}.")
    names = _lost(work)
    if not names:
        if slots:
            return
        raise work.refuse(
            "tensors in the file that the model has no place for, and none that it lacks",
            do="convert the checkpoint again with the official script",
        )
    if work.base is None:
        raise work.refuse(
            f"{len(names)} tensors that are lost, first {names[0]}",
            expected="--from BASE, the checkpoint that this one was trained from",
        )
    work.same_make()
    work.take(names)
    whole = len(names) >= sum(not is_pooler(name) for name in source.encoder.parts)
    end = "The result is that model." if whole else "What training changed in them here is lost."
    work.done.append(f"Took {len(names)} tensors from {work.named_base().name}, first {names[0]}. {end}")


def _lost(work: Work) -> list[str]:
    """Tensors of the encoder, by whole modules, that hold nothing worth keeping; the pooler has its own repair."""
    alignment, parts = work.source.alignment, work.source.encoder.parts
    random = work.finding.id == "random-model"
    bad = ("newly drawn", "cannot tell", "missing", "mismatched", *BROKEN) if random else ("newly drawn", *BROKEN)
    of = {m.name for m in work.before.modules if m.state in bad or m.evidence.get("largest_entry", 0.0) > HUGE}
    of -= {m.name for m in work.before.modules if m.state == "all zero" and "token_type" in m.name}
    names = [name for name in parts if parts[name].module in of or name in alignment.newly_initialised]
    names = [name for name in modules(parts, names) if not is_pooler(name)]
    return [*names, *_trained_pooler(work)] if random else names


def _trained_pooler(work: Work) -> list[str]:
    """The pooler, where the base has one that is worth taking along with everything else."""
    poolers = [name for name in work.source.encoder.parts if is_pooler(name)]
    held = work.base is not None and all(name in work.base.alignment.loaded for name in poolers)
    if not held or work.base is None:
        return []
    found = states(work.base, poolers)
    return poolers if all(state.state == "trained" for state in found.values()) else []


def scalars(work: Work) -> None:
    """Take the numbers and functions that no shape reveals from the base's config."""
    base = work.named_base()
    if base.config.model_type != work.source.config.model_type:
        raise work.refuse(f"a base of model_type {base.config.model_type}", expected=str(work.source.config.model_type))
    for key in work.finding.evidence:
        value: Any = getattr(base.config, key)
        if work.set("config.json", key, to=value):
            work.done.append(f"Set {key} in config.json to {value}, as {base.name} has it.")
    if not work.done:
        raise work.refuse(f"the same values in {base.name}", do="make sure that it is the checkpoint this one was trained from")
