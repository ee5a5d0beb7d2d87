"""Head: everything a model computes between its last hidden state and its logits, call by call, whatever its family."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from bertlens.errors import BertlensError
from bertlens.read.by_hand import RULES

LAYER = re.compile(r"\.\d+$")
"""At the end of the name of a layer itself."""

Found = dict[int, Tensor]
"""Tensors by the identity of those that they stand for."""


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

    @property
    def inputs(self) -> list[Tensor]:
        """The tensors that went in, parameters included."""
        return _tensors((self.args, self.kwargs))

    @property
    def outputs(self) -> list[Tensor]:
        """The tensors that came out."""
        return _tensors(self.out)


@dataclass(frozen=True, eq=False)
class Trace:
    """The head of one forward pass.

    Attributes
    ----------
    last : last_hidden_state, (batch, tokens, hidden).
    mask : (batch, tokens), 1 on real tokens.
    calls : every call that depends on it and on which the outputs depend, in the order in which they were made.
    fields : the model's own outputs by name, such as logits (batch, classes).
    lookup : what the embedding matrix returned, (batch, tokens, embedding).
    """

    last: Tensor
    mask: Tensor
    calls: tuple[Call, ...]
    fields: dict[str, Tensor]
    lookup: Tensor

    @property
    def logits(self) -> Tensor:
        """The first output: (batch, classes), (batch, tokens, …), or the start logits (batch, tokens)."""
        return next(iter(self.fields.values()))

    def vector(self) -> Tensor | None:
        """The vector that the head takes from the states, (batch, hidden); None for a head that reads every token.

        It is what goes into the first weights of the head after the axis of tokens is gone, before any dropout.
        """
        # dropout that is off returns the very tensor that it was given, which somebody else has made
        made = {id(out): call for call in reversed(self.calls) for out in call.outputs}
        followed = {id(self.last), *made}
        for call in self.calls:
            weights = [one for one in call.inputs if isinstance(one, torch.nn.Parameter)]
            taken = [one for one in call.inputs if id(one) in followed]
            if weights and taken and taken[0].ndim == 2:
                vector = taken[0]
                while (maker := made.get(id(vector))) is not None and maker.name == "dropout" and maker.inputs[0] is not vector:
                    vector = maker.inputs[0]
                return vector
        return None

    def readouts(self) -> dict[str, Tensor]:
        """What could be taken instead: "cls", the first token's state, and "mean", that of all real tokens; (batch, hidden)."""
        real = self.mask.unsqueeze(-1).to(self.last.dtype)
        return {"cls": self.last[:, 0], "mean": (self.last * real).sum(1) / real.sum(1)}

    def taken(self) -> str:
        """Which of `readouts` the head takes, "other" for none of them, "" for a head that reads every token."""
        vector = self.vector()
        if vector is None:
            return ""
        near = {name: torch.allclose(vector, other, rtol=1e-5, atol=1e-6) for name, other in self.readouts().items()}
        return next((name for name, same in near.items() if same), "other")

    def replay(self, given: Found, *, by_hand: bool = False, double: bool = False) -> Found:
        """Carry out the calls again: what stands in `given` is not computed but taken from there.

        Parameters
        ----------
        given : for example {id(trace.last): states}, or the head's vector replaced by another.
        by_hand : write the functions of `bertlens.read.by_hand` out instead of calling PyTorch's.
        double : with weights and inputs in float64.
        """
        found = {name: value.double() if double else value for name, value in given.items()}
        for call in self.calls:
            if all(id(out) in found for out in call.outputs):
                continue
            function = RULES.get(call.name, call.function) if by_hand else call.function

            def own(value: Any) -> Any:
                if not isinstance(value, Tensor):
                    return value
                return found.get(id(value), value.double() if double and value.is_floating_point() else value)

            out = function(*tree_map(own, call.args), **tree_map(own, call.kwargs))
            for theirs, ours in zip(call.outputs, _tensors(out), strict=True):
                found.setdefault(id(theirs), ours)
        return found


def trace(model: torch.nn.Module, tensors: Mapping[str, Tensor], real: Tensor) -> Trace:
    """Run a model with a head once and follow what happens after its last hidden state.

    Parameters
    ----------
    model : an instance of the caller's own (`Headed.own_instance`), because hooks hang on it until the end.
    tensors : what is passed to it, each (batch, tokens); `real` is 1 on real tokens.

    Raises
    ------
    BertlensError
        Where no output depends on the last hidden state in a way that can be followed.
    """
    with recording(model) as recorder:
        out = model(**tensors)
    fields = {name: value for name, value in out.items() if isinstance(value, Tensor) and name != "loss"}
    last = recorder.last
    calls = _between(recorder.calls, last, list(fields.values())) if last is not None else ()
    reached = {id(one) for call in calls for one in call.outputs}
    if last is None or not fields or not all(id(value) in reached for value in fields.values()):
        raise BertlensError(
            f"cannot follow the head of {type(model).__name__}", got="logits that do not come from its last state"
        )
    assert recorder.lookup is not None
    return Trace(last, real, tuple(calls), fields, recorder.lookup)


class _Recorder(TorchFunctionMode):
    """Every call of a tensor function since the encoder's last state was made, and the state itself."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.modules: list[tuple[str, bool]] = [("", False)]
        self.last: Tensor | None = None
        self.lookup: Tensor | None = None
        self.listening = False

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

    def layer(self, module: Any, given: Any, out: Any) -> None:
        """A layer has ended: a state is made, and what follows may be the head."""
        self.state(module, given, out)
        self.listen()

    def encoded(self, _: Any, __: Any, out: Any) -> None:
        self.last = out[0]

    def looked_up(self, _: Any, __: Any, out: Tensor) -> None:
        self.lookup = out


@contextmanager
def recording(model: Any) -> Iterator[_Recorder]:
    """While it is open, the calls of the model's head are recorded; what layers compute inside is not."""
    recorder = _Recorder()
    layered = any(LAYER.search(name) for name, _ in _outside(model.base_model))
    begins = _begins(model) if layered else None  # what runs before the first layer is no head
    with ExitStack() as stack:
        for name, module in _outside(model, without=begins):
            if not LAYER.search(name):
                _name(stack, module, name, recorder)
        for name, module in _outside(model.base_model, without=begins):
            if LAYER.search(name):
                stack.callback(module.register_forward_pre_hook(recorder.rest).remove)
                stack.callback(module.register_forward_hook(recorder.layer).remove)
            else:
                stack.callback(module.register_forward_hook(recorder.state).remove)
        stack.callback(model.base_model.register_forward_hook(recorder.encoded).remove)
        stack.callback(model.get_input_embeddings().register_forward_hook(recorder.looked_up).remove)
        stack.callback(recorder.rest)
        if not layered:  # else the first layer that ends begins it, which spares the embeddings and the mask
            recorder.listen()
        yield recorder


def _outside(
    module: torch.nn.Module, above: str = "", *, without: torch.nn.Module | None = None
) -> Iterator[tuple[str, torch.nn.Module]]:
    """All modules by their names, the layers among them, but nothing inside of a layer, nor a module that is left out."""
    for own, child in module.named_children():
        name = f"{above}{own}"
        if child is without:
            continue
        yield name, child
        if not LAYER.search(name):
            yield from _outside(child, f"{name}.", without=without)


def _begins(model: Any) -> torch.nn.Module | None:
    """The part of the encoder that looks tokens up; None where layers are in it as well."""
    lookup = model.get_input_embeddings()
    for _, part in model.base_model.named_children():
        if any(module is lookup for module in part.modules()):
            return None if any(LAYER.search(name) for name, _ in part.named_modules()) else part
    return None


def _name(stack: ExitStack, module: torch.nn.Module, name: str, recorder: _Recorder) -> None:
    """Note while a module runs that it does."""
    told = (name, not any(module.children()))
    stack.callback(module.register_forward_pre_hook(lambda *_: recorder.modules.append(told)).remove)
    stack.callback(module.register_forward_hook(lambda *_: recorder.modules.pop() and None).remove)


def _between(calls: list[Call], last: Tensor, ends: list[Tensor]) -> tuple[Call, ...]:
    """The calls that depend on the last state and on which an end depends."""
    reached, forward = {id(last)}, []
    for call in calls:
        if any(id(one) in reached for one in call.inputs):
            forward.append(call)
            reached.update(id(one) for one in call.outputs)
    needed, found = {id(end) for end in ends}, []
    for call in reversed(forward):
        if any(id(one) in needed for one in call.outputs):
            found.append(call)
            needed.update(id(one) for one in call.inputs)
    return tuple(reversed(found))


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
