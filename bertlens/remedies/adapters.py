"""Adapters: a low-rank adapter that lies in the file, or beside it, is added to the matrices it belongs to."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import partial

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from bertlens.remedies.work import Work
from bertlens.run import documents
from bertlens.run.tensorfile import Planned

LORA = re.compile(r"\.lora_(?P<which>[AB])(?:\.[^.]+)?\.weight$")
FOREIGN = re.compile(r"lora_embedding|lora_magnitude|modules_to_save|adapter_|ia3_|lora_[AB].*\.bias$")
ADAPTER = "adapter_model.safetensors"
PREFIX = "base_model.model."


@dataclass(frozen=True)
class Low:
    """One adapted matrix: the key of the matrix, and of the two narrow ones whose product is added to it."""

    matrix: str
    a: str
    b: str


def merge(work: Work) -> None:
    """Write every adapted matrix as W + alpha / r · B A, under its plain key, and leave the adapter out."""
    scale, stabilised = _scale(work), work.source.documents["adapter_config.json"].get("use_rslora")
    beside = _beside(work)
    tensors = {**work.draft.tensors, **beside}
    odd = [key for key in tensors if FOREIGN.search(key)]
    if odd:
        raise work.refuse(f"{odd[0]}, which is more than a low-rank product", do="load it with peft, then merge_and_unload()")
    pairs = _pairs(work, tensors)
    for low in pairs:
        a, b = tensors[low.a], tensors[low.b]
        factor = scale / (math.sqrt(a.shape[0]) if stabilised else a.shape[0])
        work.draft.change(low.matrix, partial(_merged, a=a, b=b, factor=factor))
        work.lines.append(
            f"old, a, b = state[{low.matrix!r}], adapter[{low.a!r}].float(), adapter[{low.b!r}].float()\n"
            f"state[{low.matrix!r}] = (old.float() + {factor!r} * (b @ a)).to(old.dtype)"
        )
    _open_adapter(work, bool(beside))
    gone = [key for key in work.draft.tensors if LORA.search(key)]
    if gone:
        work.drop(gone)
    plain = {key: key.removeprefix(PREFIX).replace(".base_layer.", ".") for key in work.draft.tensors}
    if any(old != new for old, new in plain.items()):
        line = f"state = {{key.removeprefix({PREFIX!r}).replace('.base_layer.', '.'): value for key, value in state.items()}}"
        work.rename(plain, line)
    for name in (ADAPTER, "adapter_config.json"):
        work.replace(name, None)
    root = "the root of " if stabilised else ""
    many = f"{len(pairs)} matrices, first" if len(pairs) > 1 else "one matrix,"
    work.done.append(
        f"Added the adapter's products, scaled by alpha {scale:g} over {root}the rank, to {many} {plain[pairs[0].matrix]}; the "
        "adapter itself is left out, so that nobody adds it twice."
    )


def _scale(work: Work) -> float:
    declared = work.source.documents["adapter_config.json"]
    alpha = declared.get("lora_alpha")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool):
        raise work.refuse(
            "no lora_alpha: how strongly the adapter counts stands in no tensor",
            expected="adapter_config.json with r and lora_alpha beside the weights",
            do="copy it from where the adapter was trained",
        )
    for key in ("alpha_pattern", "rank_pattern", "use_dora", "fan_in_fan_out", "layer_replication"):
        if declared.get(key):
            raise work.refuse(f"an adapter with {key}", expected="one alpha for all matrices", do="merge it with peft")
    if str(declared.get("peft_type") or "LORA").upper() != "LORA":
        raise work.refuse(f"an adapter of the kind {declared['peft_type']}", expected="LORA", do="merge it with peft")
    return float(alpha)


def _beside(work: Work) -> dict[str, Planned]:
    """The tensors of an adapter file beside the weights."""
    file = work.source.folder / ADAPTER
    if not file.is_file():
        return {}
    documents.inside(file, work.source.documents.root)
    try:
        held = load_file(file)
    except (SafetensorError, OSError) as error:
        raise work.refuse(f"{ADAPTER} that is truncated or corrupted", do="download it again") from error
    return {
        key: Planned(tuple(value.shape), str(value.dtype).removeprefix("torch."), partial(torch.Tensor.detach, value))
        for key, value in held.items()
    }


def _pairs(work: Work, tensors: dict[str, Planned]) -> list[Low]:
    """The adapted matrices, each with both factors, of shapes that fit."""
    sides: dict[str, dict[str, str]] = {}
    for key in tensors:
        if found := LORA.search(key):
            sides.setdefault(key[: found.start()], {})[found["which"]] = key
    if not sides:
        raise work.refuse("no lora_A and lora_B among the tensors", do="load the adapter with peft, then merge_and_unload()")
    pairs = []
    for stem, both in sides.items():
        ends = [f"{stem.removeprefix(PREFIX)}{inner}.weight" for inner in (".base_layer", "")]
        matrix = next(
            (key for end in ends for key in work.draft.tensors if key in (end, f"{PREFIX}{end}", _bare(work, end))), None
        )
        if matrix is None or len(both) < 2:
            raise work.refuse(f"{stem} without {'its matrix' if len(both) == 2 else 'both factors'}")
        low, (a, b) = Low(matrix, both["A"], both["B"]), (tensors[both["A"]].shape, tensors[both["B"]].shape)
        if (b[0], a[1]) != work.draft.tensors[matrix].shape or b[1] != a[0]:
            raise work.refuse(f"factors of shapes {list(b)} and {list(a)} for {matrix}", do="merge it with peft")
        pairs.append(low)
    return pairs


def _bare(work: Work, key: str) -> str:
    """The key without, or with, the prefix of a class with a head, which adapter and weights need not share."""
    prefix = f"{work.source.encoder.model.base_model_prefix}."
    return key.removeprefix(prefix) if key.startswith(prefix) else f"{prefix}{key}"


def _merged(old: torch.Tensor, a: Planned, b: Planned, factor: float) -> torch.Tensor:
    return (old.float() + factor * (b.make().float() @ a.make().float())).to(old.dtype)


def _open_adapter(work: Work, beside: bool) -> None:
    """The line that brings the factors in stands before those that use them."""
    place = work.draft.place(ADAPTER)
    work.lines.insert(0, f"adapter = load_file(source / {place!r})" if beside else "adapter = dict(state)")
