"""Variants: the same weights as other instances, so that the shared model is never touched.

Dropout, attention implementation and number format are states of a model object. Every combination that somebody asks for
becomes an object of its own; those of one number format and device share their parameters.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CASTS_KEPT = 2
"""Number formats kept in memory besides the loaded one; the one used longest ago goes first."""

RANDOM = threading.Lock()
"""Dropout draws from PyTorch's one global generator: whoever seeds it holds this lock until the draws are made."""


class Variants:
    """Instances of one model by number format, attention implementation, dropout and device."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._loaded = model
        self._lock = threading.Lock()
        self._casts: OrderedDict[tuple[str, str], dict[tuple[str, bool], PreTrainedModel]] = OrderedDict()

    def get(self, dtype: str, attention: str, dropout: bool, device: str) -> PreTrainedModel:
        """The instance for these choices, made at its first use; never to be changed by the caller."""
        with self._lock:
            instances = self._casts.setdefault((dtype, device), {})
            self._casts.move_to_end((dtype, device))
            if (attention, dropout) not in instances:
                base = next(iter(instances.values()), None)
                source = base if base is not None else self._loaded
                instance = _copy(source, None if base is not None else getattr(torch, dtype), device)
                instance.set_attn_implementation(attention)
                instances[attention, dropout] = instance.train() if dropout else instance.eval()
            self._forget()
            return instances[attention, dropout]

    def _forget(self) -> None:
        own = (str(self._loaded.dtype).removeprefix("torch."), str(self._loaded.device))
        others = [key for key in self._casts if key != own]
        for key in others[: max(0, len(others) - CASTS_KEPT)]:
            del self._casts[key]


def _copy(model: PreTrainedModel, dtype: torch.dtype | None, device: str) -> PreTrainedModel:
    """A new module tree; parameters are shared where number format and device stay, converted one by one elsewhere."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        wanted = dtype if dtype is not None and parameter.is_floating_point() else parameter.dtype
        moved = parameter.detach().to(device=device, dtype=wanted)
        shared = moved.data_ptr() == parameter.data_ptr()
        memo[id(parameter)] = parameter if shared else torch.nn.Parameter(moved, requires_grad=False)
    twin: PreTrainedModel = copy.deepcopy(model, memo)
    for module in twin.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device))
    return twin


class DoubleThroughout(TorchFunctionMode):
    """Keep float64 where a model's code asks for float32.

    Several families compute softmax or rotary angles in float32 whatever their weights are. A float64 repeat with float32
    inside would show rounding of 1e-8 and call it a fault, so the request is answered in float64.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.float:
            return args[0].double()
        args = tuple(torch.float64 if arg is torch.float32 else arg for arg in args)
        if kwargs.get("dtype") is torch.float32:
            kwargs = {**kwargs, "dtype": torch.float64}
        return func(*args, **kwargs)


@contextmanager
def running(dtype: str, seed: int | None) -> Iterator[None]:
    """Everything around forward passes: no autograd, float64 kept, and one seeded stretch of dropout."""
    double = DoubleThroughout() if dtype == "float64" else nullcontext()
    with torch.inference_mode(), double:
        if seed is None:
            yield
            return
        with RANDOM, torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
