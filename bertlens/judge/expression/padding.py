"""Padding: positions of [PAD] that are counted in a mean, a sum, a maximum."""

from __future__ import annotations

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
