"""Tensor file: safetensors written one tensor at a time, so that memory holds no more than the largest of them.

`safetensors.torch.save_file` takes all tensors at once; the format is a JSON header followed by the numbers, so here the
header is written from shapes and number formats alone and every tensor is made only when its turn has come. The bytes are
those that `save_file` would write (a test compares them).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bertlens.errors import BertlensError
from bertlens.run.weights import DTYPES

ORDER = ("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "F16", "BF16", "I32", "F32", "F64", "I64")
"""Number formats in safetensors' own order; it stores the last first, so that every tensor is aligned."""

FORMATS = {word: code for code, word in DTYPES.items()}


@dataclass(frozen=True)
class Planned:
    """A tensor that is to be written.

    Attributes
    ----------
    shape, dtype : as it will stand in the file; the dtype by its name in torch, "float32".
    make : returns its values; called once, when its turn has come.
    """

    shape: tuple[int, ...]
    dtype: str
    make: Callable[[], torch.Tensor]


def save(tensors: Mapping[str, Planned], path: Path) -> None:
    """Write tensors into a new safetensors file.

    Raises
    ------
    BertlensError
        For a number format that safetensors does not know.
    """
    codes = {key: _code(key, planned) for key, planned in tensors.items()}
    keys = sorted(tensors, key=lambda key: (-ORDER.index(codes[key]), key))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for key in keys:
        begin, end = end, end + _bytes(tensors[key])
        header[key] = {"dtype": codes[key], "shape": list(tensors[key].shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("xb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key in keys:
            file.write(_numbers(tensors[key]))


def _code(key: str, planned: Planned) -> str:
    code = FORMATS.get(planned.dtype, "")
    if code not in ORDER:
        raise BertlensError(f"cannot write {key}", got=planned.dtype, expected=", ".join(FORMATS))
    return code


def _bytes(planned: Planned) -> int:
    size: int = torch.tensor([], dtype=getattr(torch, planned.dtype)).element_size()
    for length in planned.shape:
        size *= length
    return size


def _numbers(planned: Planned) -> Any:
    values = planned.make()
    got = (tuple(values.shape), str(values.dtype).removeprefix("torch."))
    assert got == (planned.shape, planned.dtype), f"planned {planned.shape} {planned.dtype}, got {got}"
    return values.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data
