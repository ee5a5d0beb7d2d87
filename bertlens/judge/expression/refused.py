"""Refused: what PyTorch or numpy do not carry out, with the shape that it was asked of."""

from __future__ import annotations

from collections.abc import Iterator

from bertlens.judge.expression.correction import Fault
from bertlens.read.expression.calls import spliced
from bertlens.read.expression.explanation import Trace

OF_AXES = ("IndexError", "RuntimeError", "ValueError", "AxisError")
"""Errors at an axis that is not there or has another length."""


def faults(trace: Trace) -> Iterator[Fault]:
    """The refusal itself, where no judge has a name for it."""
    failure = trace.failure
    before = next((step for step in reversed(trace.steps) if step.form in ("tensor", "array", "tuple") and step.shape), None)
    if failure is None or before is None or failure.message.split(":")[0] not in OF_AXES:
        return
    shape = " × ".join(f"{size} {name}" for size, name in zip(before.shape, before.axes, strict=True))
    title = f"{failure.expression} does not fit {before.expression}, which is {shape}"
    part = failure.expression
    instead = part.replace(".view(", ".reshape(") if "Use .reshape" in failure.message else part
    instead = instead.replace("attention_mask.unsqueeze(1)", "attention_mask.unsqueeze(-1)")
    code = spliced(trace.expression, failure.place, instead) if instead != part else ""
    yield Fault("wrong-axis", "problem", title, {"shape": list(before.shape), "axes": list(before.axes)}, code=code)
