"""Fitting: lengths that have to agree, of a linear layer and its input, of a mask and the states."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bertlens.judge.expression.correction import Fault, bracketed, operand
from bertlens.read.capture import Capture
from bertlens.read.expression.calls import spliced
from bertlens.read.expression.errors import lines_of
from bertlens.read.expression.explanation import Event, Trace
from bertlens.read.expression.tracer import Seen

ID = "wrong-axis"


def faults(trace: Trace, capture: Capture) -> Iterator[Fault]:
    """What does not fit, or fits by accident."""
    for event in trace.events:
        match event.kind:
            case "linear":
                yield from _linear(event, trace)
            case "broadcast":
                yield from _broadcast(event)
            case "pointwise":
                yield from _misaligned(event)


def _linear(event: Event, trace: Trace) -> Iterator[Fault]:
    """A linear layer that refuses its input, and one that has never been trained."""
    x, features, out = event.facts["x"], event.facts["features"], event.facts["out"]
    if x.shape and x.shape[-1] != features:
        last = f"{x.shape[-1]} = {x.axes[-1]}"
        title = f"Linear({features}, {out}) expects {features} in the last axis and gets {last}"
        code = re.sub(rf"Linear\((\s*(?:in_features\s*=\s*)?){features}\b", rf"Linear(\g<1>{x.shape[-1]}", trace.expression)
        remedy = "Make the layer as wide as the last axis, or reduce that axis first."
        evidence = {"expected": features, "got": x.shape[-1], "axis": x.axes[-1], "shape": list(x.shape)}
        yield Fault(ID, "problem", title, evidence, code=code if code != trace.expression else "", remedy=remedy)
        return
    title = f"This Linear({features}, {out}) was made here and never trained: a real run gives other numbers every time"
    remedy = "Read the vectors before the layer, or train it on labels."
    text, _ = operand(event)
    before = "\n".join([*lines_of(trace.expression)[: event.place[0] - 1], text])
    # what stands around the layer, a softmax or a sum with its scores, means nothing without it
    inside = spliced(trace.expression, event.place, text)
    yield Fault("classifier-untrained", "note", title, {"features": features}, (), before, remedy, inside)


def _broadcast(event: Event) -> Iterator[Fault]:
    """A mask that needs one more axis to be multiplied with states."""
    sides = [event.facts["left"], event.facts["right"]]
    if not all(isinstance(one, Seen) for one in sides):
        return
    wide, flat = sorted(sides, key=lambda one: -len(one.shape))
    if not flat.shape or wide.shape[: len(flat.shape)] != flat.shape or len(flat.shape) == len(wide.shape):
        return
    at = sides.index(flat)
    text, place = operand(event, at)
    missing = len(wide.shape) - len(flat.shape)
    code = bracketed(text) + (
        ".unsqueeze(-1)" * missing if flat.form == "tensor" else f"[..., {', '.join(['None'] * missing)}]"
    )
    last = f"{flat.axes[-1]} against {wide.axes[-1]}"
    title = f"{flat.shape} does not fit {wide.shape}: shapes are matched from the last axis, {last}"
    remedy = "Give it an axis of length 1 at the end."
    yield Fault(
        ID, "problem", title, {"left": list(sides[0].shape), "right": list(sides[1].shape)}, ((place, code),), remedy=remedy
    )


def _misaligned(event: Event) -> Iterator[Fault]:
    """A mask that fits by accident, its tokens along the hidden units of the states."""
    sides = [event.facts["left"], event.facts["right"]]
    if not all(isinstance(one, Seen) and one.shape for one in sides):
        return
    wide, flat = sorted(sides, key=lambda one: -len(one.shape))
    if wide.rank != 2 or flat.rank != 1 or len(wide.shape) == len(flat.shape) or flat.shape[-1] == 1:
        return
    if (wide.axes[-1], flat.axes[-1]) not in (("hidden", "tokens"), ("hidden", "batch"), ("tokens", "batch")):
        return
    text, place = operand(event, sides.index(flat))
    where = f"the {flat.axes[-1]} of one side stand along the {wide.axes[-1]} of the other"
    title = f"It fits by accident: {where}, both {flat.shape[-1]} long"
    code = bracketed(text) + (".unsqueeze(-1)" if flat.form == "tensor" else "[..., None]")
    yield Fault(ID, "problem", title, {"left": list(sides[0].shape), "right": list(sides[1].shape)}, ((place, code),))
