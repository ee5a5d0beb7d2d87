"""Refused: what PyTorch or numpy do not carry out, with the shape that it was asked of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bertlens.judge.expression.correction import Fault
from bertlens.read.expression.calls import spliced
from bertlens.read.expression.explanation import Failure, Trace

OF_AXES = ("IndexError", "RuntimeError", "ValueError", "AxisError")
"""Errors at an axis that is not there or has another length."""

DTYPES = re.compile(r"scalar type|same dtype|should be the same|dtype")
"""Errors of which no axis is the cause."""

SPELLED = {"di": "dim=", "ax": "dim=", "ke": "keepdim="}
"""Arguments by their first letters."""


def faults(trace: Trace) -> Iterator[Fault]:
    """The refusal itself, where no judge has a name for it."""
    failure = trace.failure
    if failure is not None and "invalid combination of arguments" in failure.message:
        yield from _misnamed(trace, failure)
    before = next((step for step in reversed(trace.steps) if step.form in ("tensor", "array", "tuple") and step.shape), None)
    if failure is None or before is None or failure.message.split(":")[0] not in OF_AXES:
        return
    if DTYPES.search(failure.message):
        return
    shape = " × ".join(f"{size} {name}" for size, name in zip(before.shape, before.axes, strict=True))
    title = f"{failure.expression} does not fit {before.expression}, which is {shape}"
    part = failure.expression
    instead = part.replace(".view(", ".reshape(") if "Use .reshape" in failure.message else part
    instead = instead.replace("attention_mask.unsqueeze(1)", "attention_mask.unsqueeze(-1)")
    if "Dimension out of range" in failure.message and "cosine_similarity(" in part and "dim" not in part:
        instead = f"{part[:-1]}, dim=-1)"  # its axis is 1 where nobody names one, and single vectors have none
    if "too many indices" in failure.message and before.axes == ("batch", "hidden"):
        instead = re.sub(r"\[\s*:\s*,\s*0\s*(,\s*:\s*)?\]$", "", part)  # the token has been chosen already
    code = spliced(trace.expression, failure.place, instead) if instead != part else ""
    yield Fault("wrong-axis", "problem", title, {"shape": list(before.shape), "axes": list(before.axes)}, code=code)


def _misnamed(trace: Trace, failure: Failure) -> Iterator[Fault]:
    """`dims=1`, `axes=1`: an argument that PyTorch calls `dim`."""
    instead = re.sub(r"\b(dims|axes|dimension|keep_dims?)\s*=", lambda found: SPELLED[found[1][:2]], failure.expression)
    if instead != failure.expression:
        title = f"{failure.expression} names an argument that there is not: PyTorch says dim and keepdim"
        code = spliced(trace.expression, failure.place, instead)
        yield Fault("wrong-axis", "problem", title, {}, code=code, remedy="Write dim=1, keepdim=True.")
