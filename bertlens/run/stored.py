"""Stored arrays: what stands in a binary file that may hold vectors: .npy, .npz, .safetensors, .pt."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I8": "i1", "U8": "u1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
"""Number formats of safetensors that numpy has as well."""


@dataclass(frozen=True)
class Stored:
    """An array as it stands in a file.

    Attributes
    ----------
    values : of any shape, in a number format of numpy that holds them exactly.
    dtype : the format it is stored in.
    notes : how it was read, a sentence each.
    """

    values: np.ndarray
    dtype: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """What a file holds.

    Attributes
    ----------
    vectors : what may be vectors, by name; called, it is read, and raises ValueError where it cannot be.
    strings : columns of words by name.
    """

    vectors: dict[str, Callable[[], Stored]] = field(default_factory=dict)
    strings: dict[str, list[Any]] = field(default_factory=dict)


def of_numpy(content: bytes) -> Held:
    """The one array of a .npy file."""
    return Held({"vectors": partial(_named, np.load(io.BytesIO(content), allow_pickle=False))})


def of_archive(content: bytes) -> Held:
    """The arrays of a .npz file; single numbers and single strings are left out."""
    held = Held()
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        for name in file.files:
            array = file[name]
            if array.dtype.kind == "U" and array.ndim == 1:
                held.strings[name] = array.tolist()
            elif array.ndim:
                held.vectors[name] = partial(_named, array)
    return held


def of_safetensors(content: bytes) -> Held:
    """The tensors of a .safetensors file."""
    from safetensors import deserialize

    held = Held()
    for name, tensor in deserialize(content):  # type: ignore[no-untyped-call]
        held.vectors[name] = partial(_tensor, tensor["dtype"], bytes(tensor["data"]), tensor["shape"])
    return held


def of_torch(content: bytes) -> Held:
    """What `torch.save` wrote, read weights-only: a tensor, a list of tensors, or a dictionary with lists of strings beside."""
    import torch

    found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if not isinstance(found, dict):
        return Held({"vectors": partial(_of_torch, found)})
    held = Held()
    for name, value in found.items():
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            held.strings[str(name)] = list(value)
        elif isinstance(value, list | tuple | torch.Tensor):
            held.vectors[str(name)] = partial(_of_torch, value)
    return held


def _named(array: np.ndarray) -> Stored:
    """An array with the name of its format; two bytes that numpy has no name for are bfloat16."""
    if array.dtype.kind == "V" and array.dtype.itemsize == 2 and not array.dtype.names:
        return _bfloat16(array.view(np.uint16))
    if array.dtype.kind not in "iuf":
        raise ValueError(f"an array of {array.dtype.name}")
    return Stored(array, array.dtype.newbyteorder("=").name)


def _bfloat16(halves: np.ndarray) -> Stored:
    """bfloat16 is the upper half of a float32."""
    return Stored((halves.astype(np.uint32) << 16).view(np.float32), "bfloat16")


def _tensor(kind: str, data: bytes, shape: list[int]) -> Stored:
    if kind == "BF16":
        return _bfloat16(np.frombuffer(data, "<u2").reshape(shape))
    if kind not in SAFETENSORS:
        raise ValueError(f"a tensor of {kind}")
    return _named(np.frombuffer(data, SAFETENSORS[kind]).reshape(shape))


def _of_torch(found: Any) -> Stored:
    import torch

    several = isinstance(found, list | tuple)
    rows = list(found) if several else [found]
    if not rows or not all(isinstance(row, torch.Tensor) for row in rows):
        raise ValueError(f"{type(rows[0]).__name__ if rows else 'an empty list'} where a tensor was expected")
    if len({tuple(row.shape) for row in rows}) > 1:
        one, other = sorted({tuple(row.shape) for row in rows})[:2]
        raise ValueError(f"tensors of unequal shapes ({_by(one)} and {_by(other)})")
    tensor = (torch.stack(rows) if several else rows[0]).detach()
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.dtype == torch.bool:
        raise ValueError(f"a tensor of {kind}, layout {str(tensor.layout).removeprefix('torch.')}")
    known = not tensor.is_floating_point() or kind in ("float16", "float32", "float64")
    return Stored((tensor if known else tensor.double()).contiguous().numpy(), kind)


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "a single number"
