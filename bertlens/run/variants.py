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
                instances[attention, dropout] = self._instance(base, dtype, attention, dropout, device)
            self._forget()
            return instances[attention, dropout]

    def own(self, dtype: str, attention: str, dropout: bool, device: str) -> PreTrainedModel:
        """An instance that nobody else ever sees, so that hooks may hang on it; its parameters are the shared ones."""
        base = self.get(dtype, attention, dropout, device)
        with self._lock:
            return self._instance(base, dtype, attention, dropout, device)

    def _instance(
        self, base: PreTrainedModel | None, dtype: str, attention: str, dropout: bool, device: str
    ) -> PreTrainedModel:
        # the tree is always that of the loaded model, which nobody runs: transformers hangs hooks on a model at its first
        # forward pass, and a copy made in that moment would have half of them
        instance = _copy(self._loaded, getattr(torch, dtype), device, base)
        instance.set_attn_implementation(attention)
        return instance.train() if dropout else instance.eval()

    def _forget(self) -> None:
        own = (str(self._loaded.dtype).removeprefix("torch."), str(self._loaded.device))
        others = [key for key in self._casts if key != own]
        for key in others[: max(0, len(others) - CASTS_KEPT)]:
            del self._casts[key]


def _copy(model: PreTrainedModel, dtype: torch.dtype, device: str, base: PreTrainedModel | None) -> PreTrainedModel:
    """A new module tree with the parameters of `base`; without one they are shared or converted one by one."""
    if base is not None:
        pairs = zip(model.parameters(), base.parameters(), strict=True)
        memo: dict[int, Any] = {id(parameter): shared for parameter, shared in pairs}
    else:
        memo = {id(parameter): _moved(parameter, dtype, device) for parameter in model.parameters()}
    twin: PreTrainedModel = copy.deepcopy(model, memo)
    for module in twin.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device))
    return twin


def _moved(parameter: torch.nn.Parameter, dtype: torch.dtype, device: str) -> torch.nn.Parameter:
    """The parameter itself where number format and device stay."""
    wanted = dtype if parameter.is_floating_point() else parameter.dtype
    moved = parameter.detach().to(device=device, dtype=wanted)
    shared = moved.data_ptr() == parameter.data_ptr()
    return parameter if shared else torch.nn.Parameter(moved, requires_grad=False)


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


class EveryFormatDouble(TorchFunctionMode):
    """Answer every conversion to another floating format in float64.

    For code that rounds on purpose: repeated like this, what its number formats did falls away and what else it did stays.
    Weights that such code draws are drawn in float32 and widened: in float64 one seed gives other numbers.
    """

    FORMATS = (torch.float32, torch.float16, torch.bfloat16)
    DRAWS = ("normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_")
    """Methods of a tensor, and functions of torch.nn.init that hide them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16):
            return args[0].double()
        if getattr(func, "__name__", "") in self.DRAWS:
            return self._drawn(func, *args, **(kwargs or {}))
        args = tuple(torch.float64 if any(arg is one for one in self.FORMATS) else arg for arg in args)
        kwargs = dict(kwargs or {})
        if any(kwargs.get("dtype") is one for one in self.FORMATS):
            kwargs["dtype"] = torch.float64
        return func(*args, **kwargs)

    @staticmethod
    def _drawn(func: Any, *args: Any, **kwargs: Any) -> Any:
        """The tensor, filled with what its float32 twin draws. torch.nn.init names it, methods do not."""
        tensor = kwargs.pop("tensor") if "tensor" in kwargs else args[0]
        with torch.no_grad():
            tensor.copy_(func(torch.empty_like(tensor, dtype=torch.float32), *args[1:], **kwargs))
        return tensor


@contextmanager
def running(dtype: str, seed: int | None, repeat: type[TorchFunctionMode] = DoubleThroughout) -> Iterator[None]:
    """Everything around forward passes: no autograd, float64 kept as `repeat` does, and one seeded stretch of dropout."""
    with torch.inference_mode(), repeat() if dtype == "float64" else nullcontext():
        if seed is None:
            yield
            return
        with RANDOM, torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
