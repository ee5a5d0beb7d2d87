"""Padding: positions of [PAD] that are counted in a mean, a sum, a maximum."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from bertlens.judge.expression.correction import MASKED_MEAN, Fault, bracketed, mask_for, operand, whole_line
from bertlens.read.capture import Capture
from bertlens.read.expression.explanation import Event, Provenance, Trace
from bertlens.read.expression.tracer import Seen

ID = "mean-includes-padding"
MIXING = ("mean", "sum", "max", "min", "median", "standard deviation", "variance", "logsumexp", "product")
REMEDY = "Multiply by the attention mask, sum over the tokens, and divide by the number of real tokens of each text."


def faults(trace: Trace, capture: Capture) -> Iterator[Fault]:
    """Reductions over the tokens in which padding has a part."""
    if capture.real is None:
        return
    for event in trace.events:
        if event.kind == "reduce":
            yield from _reduced(event, trace, capture)
        elif event.kind == "contract":
            yield from _contracted(event, capture)
        elif event.kind == "pointwise" and event.facts["how"] == "div":
            yield from _divided(event, capture)


def _reduced(event: Event, trace: Trace, capture: Capture) -> Iterator[Fault]:
    x, how, dims = event.facts["x"], event.facts["how"], event.facts["dims"]
    names = [name for at in dims for name in x.axes[at].split("·")]
    if x.rank != 2 or how not in MIXING or not {"tokens", "batch·tokens"} & {*names, *(x.axes[at] for at in dims)}:
        return
    found = x.provenance
    if found.padding:
        title = f"The {how} over tokens counts padding: {found.padding:,} of {found.positions:,} positions are [PAD]"
        if found.padding == found.positions and "attention_mask" in found.sources:
            title = f"The {how} over tokens counts padding alone: the mask is the wrong way round"
    elif how in ("mean", "max", "min") and not event.facts["ignored"] and _diluted(x, capture, found):
        side = "below" if how == "max" else "above"
        title = f"The {how} over tokens sees the zeros that stand on padding: 0 where all values are {side} 0"
        if how == "mean":
            title = f"The mean over tokens divides by {capture.width} for every text, also where there is padding"
    else:
        return
    evidence = {"how": how, "positions": found.positions, "padding": found.padding}
    edits = _edits(event, x, how, dims, trace.expression, capture)
    yield Fault(ID, "problem", title, evidence, edits, "" if edits else MASKED_MEAN, REMEDY)


def _diluted(x: Seen, capture: Capture, found: Provenance) -> bool:
    """Whether padding was set to zero and still has its places on the axis."""
    if "tokens" not in x.axes or x.shape[x.axes.index("tokens")] != capture.width:
        return False
    real = np.asarray(capture.real)[list(found.texts)]
    return bool((real == 0).any()) and found.positions == int(real.sum())


def _edits(event: Event, x: Seen, how: str, dims: tuple[int, ...], expression: str, capture: Capture) -> tuple:  # type: ignore[type-arg]
    mask = mask_for(x, capture)
    if not mask or len(dims) != 1:
        return ()
    text, place = operand(event)
    text = bracketed(text)
    if how in ("max", "min"):
        library = "torch" if x.form == "tensor" else "np"
        return ((place, f"{library}.where({mask} == 1, {text}, {'-1e9' if how == 'max' else '1e9'})"),)
    if how == "sum":
        return ((place, f"({text} * {mask})"),)
    if how != "mean":
        return ()
    keep = (", keepdim=True" if x.form == "tensor" else ", keepdims=True") if event.facts["keep"] else ""
    mean = f"({text} * {mask}).sum({dims[0]}{keep}) / {mask}.sum({dims[0]}{keep})"
    return ((event.place, mean if whole_line(event, expression) else f"({mean})"),)


def _divided(event: Event, capture: Capture) -> Iterator[Fault]:
    """A sum over the real tokens, divided by a number that is not theirs."""
    x, by = event.facts["left"], event.facts["right"]
    if not isinstance(x, Seen) or x.rank != 2 or not {("tokens", "sum"), ("tokens", "weighted sum")} & set(x.reduced):
        return
    real = np.asarray(capture.real)[list(x.provenance.texts)]
    if x.provenance.padding or x.provenance.positions != real.sum() or (real == 1).all():
        return
    if isinstance(by, Seen):
        over = {name for name, _ in by.reduced}
        if by.provenance.sources != ("attention_mask",) or by.shape or over != {"batch", "tokens"} or len(real) == 1:
            return
        title = f"The sum over tokens is divided by the tokens of all {capture.batch} texts, not by those of its own text"
    elif by == capture.width:
        title = f"The sum over tokens is divided by {capture.width} for every text, also where there is padding"
    else:
        return
    counts = "attention_mask.sum(1, keepdim=True)" if x.form == "tensor" else "attention_mask.numpy().sum(1, keepdims=True)"
    edits = ((operand(event, 1)[1], counts),) if x.axes == ("batch", "hidden") else ()
    yield Fault(ID, "problem", title, {"positions": x.provenance.positions}, edits, "" if edits else MASKED_MEAN, REMEDY)


def beneath(trace: Trace, capture: Capture) -> Iterator[Fault]:
    """Padding in a result that came there by no reduction: Python's own sum, a norm, a running sum, one turn of a long loop."""
    result = trace.result
    if capture.real is None or trace.failure or result is None or not result.provenance.padding:
        return
    found, grid = result.provenance, trace.cells.any(axis=0)
    counts = grid.sum(axis=1)[list(found.texts)]
    if not grid.any() or not any("hidden" in name.split("·") for name in result.axes):
        return
    if (counts == 1).all() and capture.width > 1:
        padded = np.flatnonzero((grid & (np.asarray(capture.real) == 0)).any(axis=1)).tolist()
        count = f"text {padded[0]}" if len(padded) == 1 else f"{len(padded)} of {len(found.texts)} texts"
        yield Fault("cls-read-at-padding", "problem", f"The token that is read is padding in {count}", {"texts": padded})
    elif not any(part in ("tokens", "parts") for name in result.axes for part in re.split("[·×]", name)):
        title = f"The result counts padding: {found.padding:,} of {found.positions:,} positions are [PAD]"
        yield Fault(ID, "problem", title, {"positions": found.positions, "padding": found.padding}, (), MASKED_MEAN, REMEDY)


def _contracted(event: Event, capture: Capture) -> Iterator[Fault]:
    """A matrix product over the tokens with weights that are not zero on padding."""
    if not any(name == "tokens" for name, _ in event.facts["gone"]):
        return
    found = event.facts["result"].provenance
    if not found.padding:
        return
    title = f"The sum over tokens counts padding: {found.padding:,} of {found.positions:,} positions are [PAD]"
    edits = []
    states = [one for one in event.facts["operands_seen"] if one.rank == 2 and "hidden" in one.axes and one.provenance.padding]
    for at, x in enumerate(event.facts["operands_seen"]):
        mask = mask_for(x, capture)
        start = len(event.facts["operands"]) - len(event.facts["operands_seen"])
        if x in states and mask:
            text, place = operand(event, at + start)
            edits.append((place, f"({bracketed(text)} * {mask})"))
    evidence = {"positions": found.positions, "padding": found.padding}
    yield Fault(ID, "problem", title, evidence, tuple(edits), "" if edits else MASKED_MEAN, REMEDY)
