"""Correction: from what is wrong at a place to the expression that is right."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bertlens.judge.findings import Finding, catalogue
from bertlens.read.capture import Capture
from bertlens.read.expression.calls import spliced
from bertlens.read.expression.errors import lines_of
from bertlens.read.expression.explanation import Event, Trace
from bertlens.read.expression.tracer import MOST_EVENTS, Place, Seen

CLS = "outputs.last_hidden_state[:, 0]"
MASKED_MEAN = "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)"
SEVERITIES = ("problem", "caution", "note")
SIMPLE = re.compile(r"[\w.]+(\[[^\[\]]*\]|\([^()]*\)|\.\w+)*")
"""A text that needs no brackets around it."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and what would put it right.

    Attributes
    ----------
    id, severity, title, evidence : of the finding.
    edits : places of the expression with the text that belongs there.
    code : the whole expression instead, where no edit would do.
    otherwise : the whole expression where the first correction does not mend it.
    remedy : in words; that of the catalogue where it is empty.
    """

    id: str
    severity: str
    title: str
    evidence: dict[str, Any] = field(default_factory=dict)
    edits: tuple[tuple[Place, str], ...] = ()
    code: str = ""
    remedy: str = ""
    otherwise: str = ""


LAST_RESORT = {
    "mean-includes-padding": (MASKED_MEAN,),
    "cls-read-at-padding": ("last_hidden_state[torch.arange(len(input_ids)), attention_mask.argmax(1)]",),
    "wrong-axis": (CLS, MASKED_MEAN),
    "special-tokens-missing": (MASKED_MEAN,),
    "wrong-output-field": (CLS,),
    "hidden-states-off-by-one": ("hidden_states[-1][:, 0]",),
    "architecture-without-pooler": (CLS,),
    "classifier-untrained": (CLS, MASKED_MEAN),
}
"""What people mean by expressions that cannot be mended piece by piece."""


def findings_of(trace: Trace, faults: Sequence[Fault], mends: Callable[[str, str], bool]) -> list[Finding]:
    """One finding per id: the gravest title first, and one corrected expression for all its places.

    Parameters
    ----------
    mends : whether an expression runs and is free of a fault; a correction that does not is passed over for the next.
    """
    found = []
    for fault in dict.fromkeys(one.id for one in faults):
        same = sorted((one for one in faults if one.id == fault), key=lambda one: SEVERITIES.index(one.severity))
        first = same[0]
        others = list(dict.fromkeys(one.title for one in same if one.title != first.title))
        evidence = {**first.evidence, **({"also": others} if others else {})}
        remedy = first.remedy or catalogue().get(fault, {}).get("fix", "")
        candidates = [_corrected(trace, same), *(one.otherwise for one in same), *last_resort(fault, trace)]
        code = next((one for one in dict.fromkeys(candidates) if one and mends(one, fault)), "")
        found.append(Finding(fault, first.severity, first.title, evidence, ("the expression",), remedy, code))
    return found


def last_resort(fault: str, trace: Trace) -> tuple[str, ...]:
    """Whole expressions instead; the mean first for who reduced the tokens."""
    found = LAST_RESORT.get(fault, ())
    reduced = any("tokens" in step.provenance.reduced for step in trace.steps)
    return tuple(reversed(found)) if fault == "wrong-axis" and reduced else found


def _corrected(trace: Trace, faults: Sequence[Fault]) -> str:
    expression = trace.expression
    whole = next((one.code for one in faults if one.code), "")
    if whole:
        return whole
    edits = {place: text for one in faults for place, text in one.edits}
    if any(_differs(place, trace, faults) for place in edits):
        return ""
    outermost = [place for place in edits if not any(_within(place, other) for other in edits)]
    for place in sorted(outermost, reverse=True):
        expression = spliced(expression, place, edits[place])
    return expression if edits else ""


def _differs(place: Place, trace: Trace, faults: Sequence[Fault]) -> bool:
    """Whether a place in a loop needs another text at every turn, or at some of them only."""
    around = [step for step in trace.steps if place == step.place or _within(place, step.place)]
    inmost = [step for step in around if not any(_within(other.place, step.place) for other in around)]
    times = inmost[0].times if inmost else 1
    texts = [text for one in faults for where, text in one.edits if where == place]
    return times > 1 and (len(set(texts)) > 1 or len(texts) < min(times, MOST_EVENTS))


def _within(place: Place, other: Place) -> bool:
    return place != other and other[:2] <= place[:2] and place[2:] <= other[2:]


def bracketed(text: str) -> str:
    """A text as an operand."""
    return text if SIMPLE.fullmatch(text) else f"({text})"


def operand(event: Event, at: int = 0) -> tuple[str, Place]:
    """The text and the place of what an event happened to."""
    return event.facts["operands"][at], event.facts["places"][at]


def whole_line(event: Event, expression: str) -> bool:
    """Whether an event's part is a line by itself, so that it needs no brackets."""
    lines = lines_of(expression)
    line, column, end_line, end_column = event.place
    return not lines[line - 1][:column].strip() and not lines[end_line - 1][end_column:].strip()


def mask_for(x: Seen, capture: Capture) -> str:
    """The attention mask in the shape of a value, `attention_mask.unsqueeze(-1)`; "" where it cannot be written down."""
    if "attention_mask" not in capture.inputs or "tokens" not in x.axes or x.axes.count("tokens") > 1:
        return ""
    found, base = x.provenance, "attention_mask" if x.form == "tensor" else "attention_mask.numpy()"
    at = x.axes.index("tokens")
    tokens = _part(found.tokens, x.shape[at], capture.width)
    if "batch" in x.axes:
        texts = _part(found.texts, x.shape[x.axes.index("batch")], capture.batch)
    else:
        texts = str(found.texts[0]) if len(found.texts) == 1 else ""
    if not tokens or not texts:
        return ""
    if "batch" in x.axes and x.axes.index("batch") > at:
        base, order = base + ".T", {"batch": texts, "tokens": tokens}
        items = [order.get(name, "None") for name in x.axes]
    elif "batch" in x.axes:
        items = [{"batch": texts, "tokens": tokens}.get(name, "None") for name in x.axes]
    else:
        items = [*(["None"] * at), texts, tokens, *(["None"] * (len(x.axes) - at - 1))]
    if items == [":", ":", "None"] and x.form == "tensor":
        return f"{base}.unsqueeze(-1)"
    return base if set(items) == {":"} else f"{base}[{', '.join(items)}]"


def _part(places: Sequence[int], size: int, whole: int) -> str:
    """`:` for all places, `2:5` for a run of them."""
    if size == whole:
        return ":"
    run = len(places) == size and list(places) == list(range(places[0], places[0] + size)) if places else False
    return f"{places[0]}:{places[-1] + 1}" if run else ""
