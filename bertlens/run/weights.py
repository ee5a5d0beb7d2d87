"""Weights: the tensors of a checkpoint's files, read one by one without building a model."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from bertlens.errors import BertlensError
from bertlens.run import documents
from bertlens.run.checkpoint import WEIGHT_PATTERNS

INDEX = {".safetensors": "model.safetensors.index.json", ".bin": "pytorch_model.bin.index.json"}
OTHER_FORMATS = ("tf_model.h5", "flax_model.msgpack", "model.onnx", "model.ckpt.index", "adapter_model.safetensors")
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: its shape, number format and the file that holds it."""

    shape: tuple[int, ...]
    dtype: str
    file: str


@dataclass(eq=False)
class Weights:
    """All tensors of a checkpoint by key; only what is asked for is read.

    Attributes
    ----------
    entries : every key with its shape and number format, in the order of the files.
    files : names of the files.
    size : bytes of the files.
    """

    folder: Path
    entries: Mapping[str, Entry]
    files: tuple[str, ...]
    size: int
    _held: dict[str, Any] = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def tensor(self, key: str) -> torch.Tensor:
        """One tensor in the number format of the file; safetensors and zipped pickles are mapped, not copied."""
        file = self.entries[key].file
        if file not in self._held:
            self._held[file] = _open(self.folder / file)
        held = self._held[file]
        values: torch.Tensor = held[key] if isinstance(held, dict) else held.get_tensor(key)
        return values

    @cached_property
    def twin(self) -> frozenset[str]:
        """Keys of pytorch_model.bin where it lies beside safetensors; empty where there is none or it cannot be read."""
        path = self.folder / "pytorch_model.bin"
        if path.name in self.files or not path.is_file():
            return frozenset()
        try:
            return frozenset(_pickled(documents.inside(path, self.folder)))
        except BertlensError:
            return frozenset()


def read(folder: Path, name: str, root: Path | None = None) -> Weights:
    """The weights of a folder, by their headers.

    Raises
    ------
    BertlensError
        For no weights, a missing shard, a truncated or corrupted file, a pickle with more than weights in it, or a link
        out of the checkpoint.
    """
    files = _files(folder, name)
    entries: dict[str, Entry] = {}
    held: dict[str, Any] = {}
    for path in files:
        documents.inside(path, root or folder)
        try:
            held[path.name] = _open(path)
        except BertlensError as error:
            raise BertlensError(f"cannot read the weights of {name}", got=error.got, do="download or save it again") from error
        entries |= _entries(held[path.name], path.name)
    size = sum(path.stat().st_size for path in files)
    return Weights(folder, entries, tuple(path.name for path in files), size, held)


def _files(folder: Path, name: str) -> list[Path]:
    """The files that transformers would load, each of them there."""
    for pattern in WEIGHT_PATTERNS:
        suffix = pattern[pattern.rindex(".") :]
        whole = folder / ("model.safetensors" if suffix == ".safetensors" else "pytorch_model.bin")
        if whole.is_file():
            return [whole]
        if (folder / INDEX[suffix]).is_file():
            return _shards(folder, INDEX[suffix], name)
    held = [file for file in OTHER_FORMATS if (folder / file).is_file()]
    raise BertlensError(
        f"cannot read the weights of {name}",
        got=f"only {' and '.join(held)}" if held else "no weight file",
        expected="model.safetensors or pytorch_model.bin beside config.json",
        do="save it with save_pretrained" if held else "copy the weights into the folder",
    )


def _shards(folder: Path, index: str, name: str) -> list[Path]:
    listed = documents.read(folder)[index].get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise BertlensError(f"cannot read the weights of {name}", got=f"{index} without a weight_map")
    shards = sorted({str(file) for file in listed.values()})
    for shard in shards:
        if Path(shard).name != shard:
            raise BertlensError(f"cannot read the weights of {name}", got=f"a shard in another folder ({shard[:80]})")
    lost = [shard for shard in shards if not (folder / shard).is_file()]
    if lost:
        keys = sum(str(file) in lost for file in listed.values())
        raise BertlensError(
            f"cannot read the weights of {name}",
            got=f"{len(lost)} of {len(shards)} shards missing: {', '.join(lost[:3])}, with {keys} tensors",
            expected=f"every file that {index} names",
            do="download the missing files",
        )
    return [folder / shard for shard in shards]


def _open(path: Path) -> Any:
    """A safetensors handle, or the tensors of a pickle; BertlensError with what is wrong with the file."""
    if path.suffix != ".safetensors":
        return _pickled(path)
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError, RuntimeError, struct.error) as error:
        if "mmap" in str(error):
            size = path.stat().st_size / 2**30
            raise BertlensError("cannot open weights", got=f"{path.name} of {size:,.0f} GiB, more than fits here") from error
        reason = str(error).splitlines()[0][:140] if str(error) else type(error).__name__
        raise BertlensError("cannot open weights", got=f"{path.name} that is truncated or corrupted ({reason})") from error


def _pickled(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .bin file, weights only: a pickle that would run code is refused."""
    try:
        try:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the old format is no zip and cannot be mapped
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile and torch each raise their own kinds
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        got = f"{path.name} that is truncated or corrupted ({reason})"
        if any(word in str(error) for word in ("weights_only", "Weights only", "Unsupported")):
            got = "a pickle with more than weights in it, which is not run"
        raise BertlensError("cannot open weights", got=got) from error
    tensors = dict(_flat(found, "")) if isinstance(found, dict) else {}
    if not tensors:
        raise BertlensError("cannot open weights", got=f"{path.name} with {type(found).__name__}, not named tensors")
    return tensors


def _flat(found: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of nested dictionaries (a trainer's {"state_dict": {…}}) under dotted names."""
    for key, value in found.items():
        if isinstance(value, torch.Tensor):
            yield f"{prefix}{key}", value
        elif isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")


def _entries(held: Any, file: str) -> dict[str, Entry]:
    if isinstance(held, dict):
        return {key: Entry(tuple(value.shape), str(value.dtype).removeprefix("torch."), file) for key, value in held.items()}
    slices = {key: held.get_slice(key) for key in held.keys()}  # noqa: SIM118 - a handle is no dictionary
    return {
        key: Entry(tuple(part.get_shape()), DTYPES.get(part.get_dtype(), part.get_dtype().lower()), file)
        for key, part in slices.items()
    }
