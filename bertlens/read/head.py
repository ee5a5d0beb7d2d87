"""Head: everything a model computes between its last hidden state and its logits, call by call, whatever its family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from bertlens.errors import BertlensError
from bertlens.read.by_hand import RULES
from bertlens.read.head_calls import Call, Recorder, hang, tensors_in

Found = dict[int, Tensor]
"""Tensors by the identity of those that they stand for."""


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
            for theirs, ours in zip(call.outputs, tensors_in(out), strict=True):
                found.setdefault(id(theirs), ours)
        return found


Follow = Callable[[Mapping[str, Tensor], Tensor], Trace]
"""What is passed to a model, each (batch, tokens), and what is 1 on real tokens of it -> the head of that pass."""


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
    with following(model) as follow:
        return follow(tensors, real)


@contextmanager
def following(model: Any) -> Iterator[Follow]:
    """While it is open, what it gives does what `trace` does, as often as one likes: hooks are hung once for all passes."""
    recorder = Recorder()
    handles = hang(model, recorder)

    def follow(tensors: Mapping[str, Tensor], real: Tensor) -> Trace:
        with recorder.one_pass():
            out = model(**tensors)
        return _followed(type(model).__name__, recorder, out, real)

    try:
        yield follow
    finally:
        for handle in handles:
            handle.remove()


def _followed(name: str, recorder: Recorder, out: Mapping[str, Any], real: Tensor) -> Trace:
    fields = {name: value for name, value in out.items() if isinstance(value, Tensor) and name != "loss"}
    last = recorder.last
    calls = _between(recorder.calls, last, list(fields.values())) if last is not None else ()
    reached = {id(one) for call in calls for one in call.outputs}
    if last is None or not fields or not all(id(value) in reached for value in fields.values()):
        raise BertlensError(f"cannot follow the head of {name}", got="logits that do not come from its last state")
    assert recorder.lookup is not None
    return Trace(last, real, calls, fields, recorder.lookup)


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
