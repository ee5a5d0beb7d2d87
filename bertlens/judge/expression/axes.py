"""Axes: one text instead of all, texts or hidden units averaged, an axis squeezed away, elements cut across axes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bertlens.judge.expression.correction import CLS, MASKED_MEAN, Fault, bracketed, mask_for, operand, whole_line
from bertlens.judge.expression.positions import placed, written
from bertlens.read.capture import Capture
from bertlens.read.expression.calls import spliced
from bertlens.read.expression.errors import lines_of
from bertlens.read.expression.explanation import Event, Trace
from bertlens.read.expression.grammar import segment
from bertlens.read.expression.tracer import Seen

ID = "wrong-axis"
OVER_TOKENS = (
    "The axes are batch, tokens, hidden: one vector per text is a mean over the tokens, axis 1, with the attention mask."
)
AVERAGING = ("mean", "sum", "max", "min", "median")


def faults(trace: Trace, capture: Capture) -> Iterator[Fault]:
    """What is wrong with the axes."""
    for event in trace.events:
        match event.kind:
            case "index":
                yield from _one_text(event, trace, capture)
                yield from _one_unit(event, trace)
            case "reduce":
                yield from _averaged(event, trace, capture)
            case "squeeze":
                yield from _squeezed(event, trace)
            case "cut":
                yield from _cut(event, capture)
            case "sequence-index" | "tuple":
                yield from _tuple(event, trace)
            case "normalize":
                yield from _normalised(event, trace.expression)
    yield from _beneath(trace)


def _one_text(event: Event, trace: Trace, capture: Capture) -> Iterator[Fault]:
    """A whole number on the batch axis, where the result then lacks the other texts."""
    x: Seen = event.facts["x"]
    result = trace.result
    at = next((at for at, name in enumerate(x.axes) if "batch" in name.split("·")), None)
    if x.rank != 2 or at is None or result is None or not result.provenance.texts or not result.shape or trace.failure:
        return
    items = placed(event.facts["items"], len(x.axes))
    if items is None or not isinstance(items[at], int) or x.shape[at] < 2:
        return
    missing = capture.batch - len(result.provenance.texts)
    text = event.facts["result"].provenance.texts
    if not missing or "batch" in result.axes or not set(text) <= set(result.provenance.texts):
        return
    title = f"This is text {text[0]} only, 1 of {capture.batch}: axis {at} is the batch"
    if x.axes[at] != "batch":
        title = f"This is one place of {x.shape[at]} along {x.axes[at]}: text {text[0]} only, not every text"
        yield Fault(ID, "caution", title, {"texts": list(result.provenance.texts), "of": capture.batch}, code=CLS)
        return
    if "tokens" in event.facts["result"].axes and event.facts["result"].provenance.every_token:
        title = f"Axis {at} is the batch: this is every token of text {text[0]}, not a vector for each of {x.shape[at]} texts"
    evidence = {"texts": list(result.provenance.texts), "of": capture.batch, "shape": list(result.shape)}
    words = [written(item) for item in items]
    edits, code = _every_text(event, trace, words, at, x)
    otherwise = _one_after_the_other(event, trace, words, at, x)
    remedy = "Keep the batch axis: [:, 0] is the first token of every text, [0] is every token of the first text."
    yield Fault(ID, "caution", title, evidence, edits, code, remedy, otherwise)


def _one_unit(event: Event, trace: Trace) -> Iterator[Fault]:
    """A whole number on the axis of the hidden units, where the tokens stay: one number per token in place of vectors."""
    x, result = event.facts["x"], trace.result
    items = placed(event.facts["items"], len(x.axes))
    if x.rank != 2 or items is None or "hidden" not in x.axes or result is None or trace.failure:
        return
    if x.axes == ("batch", "hidden") == (*result.axes, "hidden") and isinstance(items[1], int) and items[0] == slice(None):
        text, _ = operand(event)
        title = f"This is hidden unit {items[1]} of every vector: {text} has one vector per text and no axis of tokens"
        yield Fault(ID, "caution", title, {"unit": items[1]}, ((event.place, text),), remedy="Leave the index out.")
        return
    if "tokens" not in x.axes:
        return
    tokens, at = x.axes.index("tokens"), x.axes.index("hidden")
    if not isinstance(items[at], int) or isinstance(items[tokens], int) or "tokens" not in result.axes:
        return
    words = [written(item) for item in items]
    words[tokens], words[at] = words[at], ":"
    while words[-1] == ":":
        words.pop()
    text, _ = operand(event)
    title = f"This is hidden unit {items[at]} of every token: the tokens are axis {tokens}, the hidden units axis {at}"
    yield Fault(ID, "problem", title, {"unit": items[at]}, ((event.place, f"{bracketed(text)}[{', '.join(words)}]"),))


def _beneath(trace: Trace) -> Iterator[Fault]:
    """Layers put one beneath the other along the batch: rows that are no texts."""
    result = trace.result
    if result is None or trace.failure or "layers·batch" not in result.axes or result.provenance.layers == ():
        return
    rows = result.shape[result.axes.index("layers·batch")]
    title = f"The layers stand one beneath the other: {rows} rows for {len(result.provenance.texts)} texts"
    join = next(step for step in trace.steps if "layers·batch" in step.axes)  # whatever is done with it comes later
    code = ""
    if re.match(r"(torch\.(cat|concat|concatenate)|np\.concatenate)\(.*\)$", join.expression, re.DOTALL):
        inner = re.sub(r",\s*((dim|axis)\s*=\s*)?0\s*$", "", join.expression[:-1])
        named = f"{inner.rstrip().rstrip(',')}, {'axis' if inner.startswith('np') else 'dim'}=-1)"
        code = spliced(trace.expression, join.place, named)
    remedy = "Name the axis: dim=-1 puts the layers side by side, torch.stack gives them an axis of their own."
    otherwise = "torch.cat(hidden_states[-4:], dim=-1)"
    yield Fault(ID, "problem", title, {"rows": rows}, code=code, remedy=remedy, otherwise=otherwise)


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
    return (), _one_after_the_other(event, trace, words, at, x)


def _one_after_the_other(event: Event, trace: Trace, words: list[str], at: int, x: Seen) -> str:
    """What was written of one text, for every text; "" where it is not the last line that picks the text."""
    lines = lines_of(trace.expression)
    line, column, end_line, end_column = event.place
    assigned = re.match(r"\s*\w+\s*=(?!=)\s*", lines[-1])
    start = assigned.end() if assigned else 0
    if not end_line == line == len(lines) or column < start:
        return ""
    indexed = f"{bracketed(operand(event)[0])}[{', '.join([*words[:at], 'i', *words[at + 1 :]])}]"
    one = lines[-1][start:column] + indexed + lines[-1][end_column:]
    lines[-1] = f"{lines[-1][:start]}torch.stack([{one} for i in range({x.shape[at]})])"
    return "\n".join(lines)


def _after(event: Event, expression: str) -> str:
    """What follows a part on its line."""
    return lines_of(expression)[event.place[2] - 1][event.place[3] :]


def _averaged(event: Event, trace: Trace, capture: Capture) -> Iterator[Fault]:
    """Texts mixed into one vector, or the hidden units of a token into one number."""
    x: Seen = event.facts["x"]
    how, dims, result = event.facts["how"], event.facts["dims"], trace.result
    if (
        how == "norm"
        and x.rank == 2
        and [x.axes[at] for at in dims] == ["batch"]
        and "hidden" in x.axes
        and x.shape[dims[0]] > 1
    ):
        title = f"The norm runs over the {x.shape[dims[0]]} texts of the batch, not over the hidden units of each vector"
        code = f"{bracketed(operand(event)[0])}.norm(dim=-1, keepdim=True)"
        remedy = "Say dim=-1, and keepdim=True where vectors are divided by it."
        yield Fault(ID, "problem", title, {"axis": "batch"}, ((event.place, code),), remedy=remedy)
    if x.rank != 2 or how not in AVERAGING or result is None or trace.failure:
        return
    names = [x.axes[at] for at in dims]
    if any("batch" in name.split("·") and name != "batch" for name in names) and len(x.provenance.texts) > 1:
        if not any("batch" in name.split("·") for name in result.axes):
            title = f"The {how} runs over the tokens of all {len(x.provenance.texts)} texts: the texts are mixed"
            yield Fault(ID, "problem", title, {"axis": "batch", "texts": len(x.provenance.texts)}, code=MASKED_MEAN)
        return
    over = {name: x.shape[at] for at, name in zip(dims, names, strict=True)}
    instead = _tokens_instead(event, x, trace.expression, capture)
    if "batch" in names and over["batch"] > 1 and "batch" not in result.axes:
        whole = "tokens" in x.axes
        title = f"The {how} runs over the {over['batch']} texts of the batch: the texts are mixed"
        code = "" if instead else (MASKED_MEAN if whole else "")
        edits = instead if whole else ((event.place, operand(event)[0]),)
        evidence = {"axis": "batch", "texts": over["batch"]}
        otherwise = MASKED_MEAN if whole and how == "mean" else ""
        yield Fault(
            ID, "problem" if whole else "caution", title, evidence, edits, code, OVER_TOKENS if whole else "", otherwise
        )
    elif names == ["hidden"] and how != "sum" and over["hidden"] == capture.hidden > 1 and event.facts["single"]:
        if "hidden" in result.axes:
            return
        title = f"The {how} runs over the {over['hidden']} hidden units: one number is left of each vector"
        code = "" if instead else (MASKED_MEAN if "tokens" in x.axes else operand(event)[0])
        whole, evidence = "tokens" in x.axes, {"axis": "hidden", "units": over["hidden"]}
        otherwise = MASKED_MEAN if whole and how == "mean" else ""
        yield Fault(ID, "problem", title, evidence, instead, code, OVER_TOKENS if whole else "", otherwise)


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
        yield Fault(ID, "note", title, evidence, edits, remedy=remedy)


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


def _tuple(event: Event, trace: Trace) -> Iterator[Fault]:
    """A tuple of tensors taken for one tensor."""
    if event.kind == "sequence-index" and not event.facts["tensors"]:
        return
    text, place = operand(event)
    whole = event.place if event.facts.get("name") in ("tensor", "as_tensor") else place  # stack makes the tensor by itself
    title = (
        f"{text} is a tuple of tensors, one per layer, not one tensor"
        if "hidden_states" in text
        else f"{text} is a {'list' if text.startswith('[') else 'tuple'}, not a tensor"
    )
    remedy = "Take one of its entries, or stack them into one tensor: (layers, batch, tokens, hidden)."
    # whoever writes [:, 0] thinks of one tensor (batch, tokens, hidden), whoever writes mean(0) or [-1, :, 0] of all layers
    rest = lines_of(trace.expression)[place[2] - 1][place[3] :]
    one = re.match(r"\s*\[\s*(:|\.\.\.)", rest)
    yield Fault(
        ID, "problem", title, {"part": text}, ((whole, f"{text}[-1]" if one else f"torch.stack({text})"),), remedy=remedy
    )


def _normalised(event: Event, expression: str) -> Iterator[Fault]:
    """Vectors brought to length 1 along another axis than their own."""
    x, axis = event.facts["x"], event.facts["axis"]
    if x.rank != 2 or "hidden" in axis or not any("hidden" in one for one in x.axes):
        return
    text, _ = operand(event)
    title = f"normalize runs over the {axis}, its axis {event.facts['at']}, not over the hidden units of each vector"
    called = segment(expression, event.place)
    named, times = re.subn(r"\bdim\s*=\s*-?\d+(?=[^()]*\)$)", "dim=-1", called)
    code = named if times else f"F.normalize({text}, dim=-1)"
    yield Fault(ID, "problem", title, {"axis": axis}, ((event.place, code),), remedy="Say dim=-1.")
