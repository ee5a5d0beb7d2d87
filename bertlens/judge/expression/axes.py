"""Axes: one text instead of all, texts or hidden units averaged, an axis squeezed away, elements cut across axes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bertlens.judge.expression.correction import CLS, MASKED_MEAN, Fault, bracketed, mask_for, operand, whole_line
from bertlens.judge.expression.positions import placed, written
from bertlens.read.capture import Capture
from bertlens.read.expression.explanation import Event, Trace
from bertlens.read.expression.tracer import Seen

ID = "wrong-axis"
AVERAGING = ("mean", "sum", "max", "min", "median")


def faults(trace: Trace, capture: Capture) -> Iterator[Fault]:
    """What is wrong with the axes."""
    for event in trace.events:
        match event.kind:
            case "index":
                yield from _one_text(event, trace, capture)
            case "reduce":
                yield from _averaged(event, trace, capture)
            case "squeeze":
                yield from _squeezed(event, trace)
            case "cut":
                yield from _cut(event, capture)
            case "linear":
                yield from _linear(event, trace)
            case "broadcast":
                yield from _broadcast(event)
            case "pointwise":
                yield from _misaligned(event)
            case "sequence-index" | "tuple":
                yield from _tuple(event)
            case "normalize":
                yield from _normalised(event)


def _one_text(event: Event, trace: Trace, capture: Capture) -> Iterator[Fault]:
    """A whole number on the batch axis, where the result then lacks the other texts."""
    x: Seen = event.facts["x"]
    result = trace.result
    if x.rank != 2 or "batch" not in x.axes or result is None or result.provenance.texts == () or trace.failure:
        return
    at = x.axes.index("batch")
    items = placed(event.facts["items"], len(x.axes))
    if items is None or not isinstance(items[at], int) or x.shape[at] < 2:
        return
    missing = capture.batch - len(result.provenance.texts)
    if not missing or "batch" in result.axes:
        return
    text = event.facts["result"].provenance.texts
    title = f"This is text {text[0]} only, 1 of {x.shape[at]}: the first axis is the batch"
    if "tokens" in event.facts["result"].axes:
        title = f"Axis 0 is the batch: this is every token of text {text[0]}, not a vector for each of {x.shape[at]} texts"
    evidence = {"texts": list(result.provenance.texts), "of": capture.batch, "shape": list(result.shape)}
    words = [written(item) for item in items]
    edits, code = _every_text(event, trace, words, at, x)
    remedy = "Keep the batch axis: [:, 0] is the first token of every text, [0] is every token of the first text."
    yield Fault(ID, "caution", title, evidence, edits, code, remedy)


def _every_text(event: Event, trace: Trace, words: list[str], at: int, x: Seen) -> tuple[tuple, str]:  # type: ignore[type-arg]
    """The same for all texts: the index moved behind the batch axis, or the whole line for one text after the other."""
    text, _ = operand(event)
    expression = trace.expression
    rest = words[at + 1 :]
    while rest and rest[-1] == ":":
        rest.pop()
    before = words[:at]
    follows = re.match(r"\[([^\[\]]*)\]", _after(event, expression))
    if not rest and follows:
        end = (event.place[0], event.place[1], event.place[2], event.place[3] + follows.end())
        return ((end, f"{bracketed(text)}[{', '.join([*before, ':', follows.group(1)])}]"),), ""
    if rest or not _after(event, expression).strip():
        if not rest and "tokens" in x.axes:
            rest = ["0"]
        inner = [*before, ":", *rest]
        return ((event.place, f"{bracketed(text)}[{', '.join(inner)}]" if rest or before else text),), ""
    lines = expression.split("\n")
    line, column, end_line, end_column = event.place
    if end_line == line == len(lines) and "=" not in lines[-1][:column]:
        indexed = f"{bracketed(text)}[{', '.join([*before, 'i', *rest])}]"
        one = lines[-1][:column] + indexed + lines[-1][end_column:]
        lines[-1] = f"torch.stack([{one} for i in range({x.shape[at]})])"
        return (), "\n".join(lines)
    return (), CLS


def _after(event: Event, expression: str) -> str:
    """What follows a part on its line."""
    return expression.split("\n")[event.place[2] - 1][event.place[3] :]


def _averaged(event: Event, trace: Trace, capture: Capture) -> Iterator[Fault]:
    """Texts mixed into one vector, or the hidden units of a token into one number."""
    x: Seen = event.facts["x"]
    how, dims, result = event.facts["how"], event.facts["dims"], trace.result
    if x.rank != 2 or how not in AVERAGING or result is None or trace.failure:
        return
    names = [x.axes[at] for at in dims]
    over = {name: x.shape[at] for at, name in zip(dims, names, strict=True)}
    instead = _tokens_instead(event, x, trace.expression, capture)
    if "batch" in names and over["batch"] > 1 and "batch" not in result.axes:
        whole = "tokens" in x.axes
        title = f"The {how} runs over the {over['batch']} texts of the batch: the texts are mixed"
        code = "" if instead else (MASKED_MEAN if whole else "")
        edits = instead if whole else ((event.place, operand(event)[0]),)
        yield Fault(ID, "problem" if whole else "caution", title, {"axis": "batch", "texts": over["batch"]}, edits, code)
    elif names == ["hidden"] and how != "sum" and over["hidden"] == capture.hidden > 1 and event.facts["single"]:
        if "hidden" in result.axes:
            return
        title = f"The {how} runs over the {over['hidden']} hidden units: one number is left of each vector"
        code = "" if instead else (MASKED_MEAN if "tokens" in x.axes else operand(event)[0])
        yield Fault(ID, "problem", title, {"axis": "hidden", "units": over["hidden"]}, instead, code)


def _tokens_instead(event: Event, x: Seen, expression: str, capture: Capture) -> tuple:  # type: ignore[type-arg]
    """The masked mean over the tokens in the place of a reduction over another axis."""
    mask = mask_for(x, capture)
    if not mask:
        return ()
    at = x.axes.index("tokens")
    text = bracketed(operand(event)[0])
    mean = f"({text} * {mask}).sum({at}) / {mask}.sum({at})"
    return ((event.place, mean if whole_line(event, expression) else f"({mean})"),)


def _squeezed(event: Event, trace: Trace) -> Iterator[Fault]:
    """`squeeze()` without an axis takes every axis of length 1, the batch of a single text among them."""
    x: Seen = event.facts["x"]
    if event.facts["dim"] is not None or x.rank != 2 or "batch" not in x.axes:
        return
    at = x.axes.index("batch")
    gone = event.facts["gone"]
    others = [one for one in gone if one != at]
    text, _ = operand(event)
    kept = f"{bracketed(text)}.squeeze({', '.join(map(str, others))})" if len(others) == 1 else text
    evidence = {"shape": list(x.shape), "without": list(event.facts["result"].shape)}
    remedy = "Name the axis, squeeze(1), or leave squeeze out: a batch of one text keeps its axis then."
    edits = ((event.place, kept),)
    if at in gone:
        title = f"squeeze() took the batch axis away: {x.shape} became {event.facts['result'].shape}, because there is one text"
        yield Fault(ID, "problem", title, evidence, edits, remedy=remedy)
    else:
        does = "takes nothing away here" if not gone else "takes an axis of length 1 away"
        title = f"squeeze() {does}, and takes the batch axis as well as soon as there is one text"
        yield Fault(ID, "caution", title, evidence, edits, remedy=remedy)


def _cut(event: Event, capture: Capture) -> Iterator[Fault]:
    """A view or reshape whose new rows hold parts of several old ones."""
    x, result = event.facts["x"], event.facts["result"]
    if x.rank != 2:
        return
    text, _ = operand(event)
    left = list(range(len(x.shape)))
    order = [next((one for one in left if x.shape[one] == size and not left.remove(one)), None) for size in result.shape]  # type: ignore[func-returns-value]
    name = "permute" if x.form == "tensor" else "transpose"
    if None not in order and len(order) == len(x.shape):
        code = f"{bracketed(text)}.{name}({', '.join(map(str, order))})"
    else:
        code = f"{bracketed(text)}.reshape(-1, {x.shape[-1]})"
    words = " × ".join(f"{size} {axis}" for size, axis in zip(x.shape, x.axes, strict=True))
    title = f"The new shape {result.shape} cuts across axes: a row of it holds parts of several rows of {words}"
    remedy = "A view keeps the order of the elements; permute or transpose exchanges axes."
    yield Fault(
        ID, "problem", title, {"before": list(x.shape), "after": list(result.shape)}, ((event.place, code),), remedy=remedy
    )


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
    yield Fault(
        "classifier-untrained", "note", title, {"features": features}, ((event.place, operand(event)[0]),), remedy=remedy
    )


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


def _tuple(event: Event) -> Iterator[Fault]:
    """A tuple of tensors taken for one tensor."""
    if event.kind == "sequence-index" and not event.facts["tensors"]:
        return
    text, place = operand(event)
    title = (
        f"{text} is a tuple of tensors, one per layer, not one tensor"
        if "hidden_states" in text
        else f"{text} is a tuple, not a tensor"
    )
    remedy = "Take one of its entries, or stack them into one tensor: (layers, batch, tokens, hidden)."
    yield Fault(ID, "problem", title, {"part": text}, ((place, f"torch.stack({text})"),), remedy=remedy)


def _normalised(event: Event) -> Iterator[Fault]:
    """Vectors brought to length 1 along another axis than their own."""
    x, axis = event.facts["x"], event.facts["axis"]
    if x.rank != 2 or "hidden" in axis or not any("hidden" in one for one in x.axes):
        return
    text, _ = operand(event)
    title = f"normalize runs over the {axis}, its axis 1, not over the hidden units of each vector"
    yield Fault(ID, "problem", title, {"axis": axis}, ((event.place, f"F.normalize({text}, dim=-1)"),), remedy="Say dim=-1.")
