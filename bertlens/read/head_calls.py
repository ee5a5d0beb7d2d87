"""Calls: the tensor functions that a model calls outside of its layers, recorded while it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

LAYER = re.compile(r"\.\d+$")
"""At the end of the name of a layer itself."""


@dataclass(frozen=True, eq=False)
class Call:
    """One function that was called on the way.

    Attributes
    ----------
    function, args, kwargs : as it was called; `out` is what it returned.
    module : name of the module that called it, "" for the model itself.
    alone : whether that module has no others inside, so that the call is what it is for.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any
    module: str
    alone: bool

    @property
    def name(self) -> str:
        """The function's name in PyTorch, such as "linear" or "__getitem__"."""
        return str(getattr(self.function, "__name__", self.function))

    @cached_property
    def inputs(self) -> list[Tensor]:
        """The tensors that went in, parameters included."""
        return tensors_in((self.args, self.kwargs))

    @cached_property
    def outputs(self) -> list[Tensor]:
        """The tensors that came out."""
        return tensors_in(self.out)


class Recorder(TorchFunctionMode):
    """Every call of a tensor function since the encoder's last state was made, and the state itself.

    Attributes
    ----------
    calls : those of the pass.
    modules : those that run at the moment, the innermost last: name, and whether it has no others inside.
    last, lookup : what the encoder and the embedding matrix returned.
    always : whether calls are recorded from the beginning of a pass; else from the end of the last layer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.always = True
        self.listening = False
        self._forget()

    def _forget(self) -> None:
        self.calls: list[Call] = []
        self.modules: list[tuple[str, bool]] = [("", False)]
        self.last: Tensor | None = None
        self.lookup: Tensor | None = None

    @contextmanager
    def one_pass(self) -> Iterator[None]:
        """Around a forward pass: nothing of the one before is left, and afterwards nothing is recorded."""
        self._forget()
        if self.always:
            self.listen()
        try:
            yield
        finally:
            self.rest()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor | tuple | list) and not isinstance(out, torch.Size):
            self.calls.append(Call(func, args, kwargs or {}, out, *self.modules[-1]))
        return out

    def listen(self, *_: Any) -> None:
        """Calls are recorded from here on."""
        if not self.listening:
            self.listening = True
            self.__enter__()  # type: ignore[no-untyped-call]

    def rest(self, *_: Any) -> None:
        """Inside a layer nothing is recorded: it would cost time and keep its tensors in memory."""
        if self.listening:
            self.listening = False
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def state(self, _: Any, __: Any, out: Any) -> None:
        """A part of the encoder has made another state of every token: what was called before it is no head."""
        first = out[0] if isinstance(out, tuple) and out else out
        if isinstance(first, Tensor) and first.ndim == 3:
            self.calls.clear()

    def layer(self, *_: Any) -> None:
        """The last layer has ended, or one pass through it where it is used again: what follows may be the head."""
        self.calls.clear()
        self.listen()

    def encoded(self, _: Any, __: Any, out: Any) -> None:
        """The encoder has ended."""
        self.last = out[0]

    def looked_up(self, _: Any, __: Any, out: Tensor) -> None:
        """The embedding matrix has been read."""
        self.lookup = out


def hang(model: Any, recorder: Recorder) -> list[RemovableHandle]:
    """Hang on a model with a head every hook that the recorder needs; the handles take them off again."""
    outside = list(_outside(model))
    inside = f"{model.base_model_prefix}."
    layers = [module for name, module in outside if name.startswith(inside) and LAYER.search(name)]
    named = [(name, module) for name, module in outside if not LAYER.search(name)]
    recorder.always = not layers
    if layers:
        begins = _begins(model, outside, inside)
        named = [(name, module) for name, module in named if not (begins and f"{name}.".startswith(begins))]
        # the last one is enough: what is recorded before it ends is forgotten
        handles = [layers[-1].register_forward_pre_hook(recorder.rest), layers[-1].register_forward_hook(recorder.layer)]
    else:
        handles = [module.register_forward_hook(recorder.state) for name, module in outside if name.startswith(inside)]
    for name, module in named:
        handles += _noted(module, name, recorder)
    handles.append(model.base_model.register_forward_hook(recorder.encoded))
    handles.append(model.get_input_embeddings().register_forward_hook(recorder.looked_up))
    return handles


def _outside(module: torch.nn.Module, above: str = "") -> Iterator[tuple[str, torch.nn.Module]]:
    """All modules by their names, the layers among them, but nothing inside of a layer."""
    for own, child in module.named_children():
        name = f"{above}{own}"
        yield name, child
        if not LAYER.search(name):
            yield from _outside(child, f"{name}.")


def _begins(model: Any, outside: list[tuple[str, torch.nn.Module]], inside: str) -> str:
    """How all names begin in the part of the encoder that looks tokens up, which runs before the first layer.

    It is "" where there is no such part, or layers are in it.
    """
    lookup = model.get_input_embeddings()
    found = next((name for name, module in outside if module is lookup), "")
    own = found.removeprefix(inside).split(".")[0]
    layered = any(name.startswith(f"{inside}{own}.") and LAYER.search(name) for name, _ in outside)
    return f"{inside}{own}." if own and not layered else ""


def _noted(module: torch.nn.Module, name: str, recorder: Recorder) -> list[RemovableHandle]:
    """While the module runs, it is the last of the recorder's modules."""
    told = (name, not any(module.children()))
    return [
        module.register_forward_pre_hook(lambda *_: recorder.modules.append(told)),
        module.register_forward_hook(lambda *_: recorder.modules.pop() and None),
    ]


def tensors_in(value: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists and dicts, in their order."""
    if isinstance(value, Tensor):
        return [value]
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
