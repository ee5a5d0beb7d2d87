"""Conversion: the same numbers in another format, another library, or another Python type; and what is known about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.operations.reductions import to_array
from bertlens.read.expression.operations.registry import LEGAL, operation
from bertlens.read.expression.tracer import Refused, Tracer
from bertlens.read.expression.values import Kind, Stand, Traced

KINDS = {
    **{name: getattr(torch, name) for name in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "bool", "uint8")},
    "float": torch.float32,
    "double": torch.float64,
    "half": torch.float16,
    "long": torch.int64,
    "int": torch.int32,
}
NUMPY_KINDS = {name: getattr(np, name) for name in ("float32", "float64", "float16", "int64", "int32", "uint8", "bool_")}


def kept(t: Tracer, x: Traced, value: Any) -> Traced:
    """The same cells with other values."""
    return t.made(value, x.axes, x.where, x.unit, (x,))


@operation("tensor.clone", "torch.clone", "array.copy", "np.copy")
def copied(t: Tracer, input: Traced, /) -> Traced:
    """The same in memory of its own: what is written into one is not in the other."""
    return replace(input, value=t.real(lambda x: x.clone() if isinstance(x, torch.Tensor) else x.copy(), input))


@operation("tensor.contiguous", "tensor.cpu")
def same(t: Tracer, input: Traced, /) -> Traced:
    """The tensor itself, everything being on the CPU; contiguous copies where the axes were exchanged."""
    return replace(input, value=t.real(torch.Tensor.contiguous, input)) if t.called == "contiguous" else input


@operation("tensor.data", read=True)
@operation("tensor.detach", "tensor.requires_grad_off")
def detach(t: Tracer, input: Traced, /) -> Traced:
    """Without autograd."""
    return Traced(input.value, input.form, input.axes, input.where, input.unit, input.sources, input.reduced, False)


@operation("tensor.numpy")
def numpy(t: Tracer, input: Traced, /, *, force: bool = False) -> Traced:
    """As a numpy array; PyTorch refuses where autograd would be lost."""
    return to_array(t, detach(t, input) if force else input)


@operation("tensor.to", "tensor.type", "tensor.type_as", "array.astype")
def to(t: Tracer, input: Traced, kind: Any = None, /, *, dtype: Any = None, device: Any = None) -> Traced:
    """Another number format; a device changes nothing here."""
    wanted = kind if dtype is None else dtype
    if isinstance(wanted, Stand) and input.form == "tensor":
        return input  # x.to(device): the device of a person's own program
    if isinstance(wanted, Traced):
        wanted = Kind(wanted.value.dtype, "")
    if wanted is None or isinstance(wanted, str):
        if isinstance(wanted, str) and input.form == "array":
            return kept(t, input, t.real(lambda x: x.astype(wanted), input))
        if wanted is not None and wanted.split(":")[0] not in ("cpu", "cuda", "mps"):
            raise Refused(f"RuntimeError: Expected one of cpu, cuda, mps device type at start of device string: {wanted}")
        return input
    if input.form == "array":
        return kept(t, input, t.real(lambda x, k: x.astype(k), input, wanted))
    return kept(t, input, t.real(lambda x, k: x.to(k), input, wanted))


def _cast(name: str) -> Any:
    def cast(t: Tracer, input: Traced, /) -> Traced:
        return kept(t, input, t.real(lambda x: x.to(KINDS[name]), input))

    return cast


for _name in ("float", "double", "half", "long", "int", "bool", "bfloat16"):
    LEGAL[f"tensor.{_name}"] = _cast(_name)


@operation("tensor.item", "array.item")
def item(t: Tracer, input: Traced, /) -> Traced:
    """The one number of a tensor of one element."""
    t.real(lambda x: x.item(), input)
    labels = [getattr(input, name).reshape(()) for name, _ in t.both()]
    return t.made(input.value.reshape(()), (), labels[0], labels[1], (input,), form="number")


@operation("tensor.tolist", "array.tolist")
def tolist(t: Tracer, input: Traced, /) -> Traced:
    """As lists of numbers."""
    return Traced(
        input.value, "list" if input.shape else "number", input.axes, input.where, input.unit, input.sources, input.reduced
    )


@operation("tensor.size")
def size(t: Tracer, input: Traced, dim: int | None = None, /) -> Any:
    """The shape, or one length of it."""
    return input.shape if dim is None else t.real(lambda x: x.size(dim), input)


@operation("tensor.shape", "array.shape", read=True)
def shape(t: Tracer, input: Traced, /) -> Any:
    """The lengths of all axes."""
    return input.shape


@operation("np.shape")
def shape_of(t: Tracer, input: Any, /) -> Any:
    """The lengths of all axes."""
    return t.real(np.shape, input)


@operation("tensor.dim", "tensor.ndimension")
def dim(t: Tracer, input: Traced, /) -> int:
    """How many axes."""
    return len(input.shape)


@operation("tensor.ndim", "array.ndim", read=True)
def ndim(t: Tracer, input: Traced, /) -> int:
    """How many axes."""
    return len(input.shape)


@operation("tensor.numel", "torch.numel")
@operation("array.size", read=True)
def numel(t: Tracer, input: Traced, /) -> int:
    """How many elements."""
    return int(np.prod(input.shape))


@operation("tensor.dtype", "array.dtype", read=True)
def dtype(t: Tracer, input: Traced, /) -> Kind:
    """The number format."""
    return Kind(input.value.dtype, str(input.value.dtype))


@operation("tensor.device", read=True)
def device(t: Tracer, input: Traced, /) -> str:
    """Where it is."""
    return "cpu"


@operation("tensor.requires_grad", read=True)
def requires_grad(t: Tracer, input: Traced, /) -> bool:
    """Whether it hangs on autograd, as far as that is known."""
    return input.grad is not False


@operation("torch.is_tensor")
def is_tensor(t: Tracer, input: Any, /) -> bool:
    """Whether it is a tensor."""
    return isinstance(input, Traced) and input.form == "tensor"


@operation("torch.device")
def new_device(t: Tracer, name: Any = "cpu", index: Any = 0) -> Stand:
    """A device, which changes nothing here."""
    return Stand("device")


@operation("torch.cuda.is_available")
def has_cuda(t: Tracer) -> bool:
    """No: what is looked at is held in memory."""
    return False
