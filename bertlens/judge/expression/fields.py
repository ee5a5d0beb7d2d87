"""Fields: what the model's output holds, what it does not, and what comes out when it is unpacked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from bertlens.judge.expression.correction import CLS, Fault, bracketed, operand
from bertlens.read.capture import Capture
from bertlens.read.expression.calls import spliced
from bertlens.read.expression.explanation import Event, Trace
from bertlens.read.expression.tracer import Seen

ID = "wrong-output-field"
OFF_BY_ONE = "hidden-states-off-by-one"
NUMPY = "numpy-requires-grad"
UNCALLED = "a function, no tensor"


def faults(trace: Trace, capture: Capture) -> Iterator[Fault]:
    """What is wrong with the fields that were read."""
    for event in trace.events:
        match event.kind:
            case "unpack":
                yield _unpacked(event)
            case "keys" if trace.failure is not None and event.facts["of"] == "fields":
                yield Fault(
                    ID, "problem", "Iterating over the output gives its keys, which are strings", code="outputs.to_tuple()"
                )
            case "not-requested":
                yield _not_requested(event, trace)
            case "no-pooler":
                title = "This architecture has no pooler, so the output has no pooler_output"
                yield Fault("architecture-without-pooler", "problem", title, edits=((event.place, CLS),))
            case "other-class":
                title = f"{event.facts['name']} is returned by a class with a head; the encoder returns last_hidden_state"
                yield Fault(ID, "problem", title, edits=((event.place, "outputs.last_hidden_state"),))
            case "no-field":
                yield _no_field(event)
            case "entry":
                yield from _entry(event, trace, capture)
            case "index":
                yield from _layer(event, capture)
            case "out-of-range":
                yield from _beyond(event, trace, capture)
            case "reduce":
                yield from _all_layers(event, trace, capture)
            case "numpy":
                yield from _numpy(event, trace)
            case "dropout":
                yield _dropout(trace)
    last = trace.result
    if last is not None and trace.failure is None and last.words == UNCALLED:
        name = last.expression.split(".")[-1]
        title = f"{name} is a method that nobody called: without brackets nothing is computed"
        yield Fault(ID, "problem", title, {"method": name}, code=f"{trace.expression.rstrip()}()", remedy="Write the brackets.")


def _unpacked(event: Event) -> Fault:
    text, place = operand(event)
    keys = ", ".join(repr(key) for key in event.facts["keys"])
    title = f"Unpacking the model's output gives its keys, which are strings: {keys}"
    remedy = "Take the fields by name, or a slice of the output: outputs[:2] is a tuple of tensors."
    return Fault(
        ID, "problem", title, {"keys": list(event.facts["keys"])}, ((place, f"{text}[:{event.facts['count']}]"),), "", remedy
    )


def _not_requested(event: Event, trace: Trace) -> Fault:
    name = event.facts["name"]
    title = f"{name} is None unless the model is called with output_{name}=True"
    code = _with_states(trace.expression) if name == "hidden_states" else ""
    remedy = f"Pass output_{name}=True." + ("" if code else " bertlens keeps no attentions here.")
    return Fault(ID, "problem", title, {"field": name}, (), code if code != trace.expression else "", remedy)


def _no_field(event: Event) -> Fault:
    name, fields = event.facts["name"], event.facts["fields"]
    near = next(iter(get_close_matches(name, fields, 1, 0.8)), "last_hidden_state")
    title = f"The output has no {name!r}; it has {', '.join(fields)}"
    return Fault(ID, "problem", title, {"fields": list(fields)}, ((event.place, f"outputs.{near}"),))


def _with_states(expression: str) -> str:
    return re.sub(r"\b(model\((?![^()]*output_hidden_states)[^()]*)\)", r"\1, output_hidden_states=True)", expression)


def _entry(event: Event, trace: Trace, capture: Capture) -> Iterator[Fault]:
    """The embeddings taken for a layer; the second output taken for the pooler's."""
    facts = event.facts
    text, _ = operand(event)
    if facts["of"] == "the model's output":
        if trace.failure and facts["index"] == 1 and capture.pooler_output is None and not isinstance(facts["result"], Seen):
            title = f"{text}[1] is hidden_states here: this architecture has no pooler"
            yield Fault("architecture-without-pooler", "problem", title, edits=((event.place, CLS),))
        return
    if not facts["tensors"] or facts["length"] != len(capture.hidden_states) or not capture.layers:
        return
    found = facts["result"]
    first = found[0] if isinstance(found, tuple) and found else found
    if not isinstance(first, Seen) or first.provenance.layers != (0,):
        return
    index = facts["index"]
    if isinstance(index, slice):
        if index.stop is None:
            return
        code = f"{text}[1:{index.stop + 1 if index.stop > 0 else index.stop}]"
    else:
        code = f"{text}[1]"
    yield _embeddings(event, text, code, index)


def _layer(event: Event, capture: Capture) -> Iterator[Fault]:
    """The same on stacked states."""
    x = event.facts["x"]
    if not x.axes or x.axes[0] != "layers" or x.shape[0] != len(capture.hidden_states) or not capture.layers:
        return
    item = event.facts["items"][0]
    if isinstance(item, int) and event.facts["result"].provenance.layers == (0,):
        text, _ = operand(event)
        rest = [", " + _written(one) for one in event.facts["items"][1:]]
        if not any("?" in one for one in rest):
            yield _embeddings(event, text, f"{bracketed(text)}[1{''.join(rest)}]", item)


def _written(item: Any) -> str:
    from bertlens.judge.expression.positions import written

    return "..." if item is Ellipsis else "None" if item is None else "?" if isinstance(item, Seen) else written(item)


def _embeddings(event: Event, text: str, code: str, index: Any) -> Fault:
    title = f"{text}[{_written(index)}] is the output of the embeddings, before layer 1; layer k is {text}[k]"
    if isinstance(index, slice):
        title = f"{text}[{_written(index)}] begins with the embeddings, which are no layer"
    remedy = "hidden_states has one entry more than the model has layers: 0 is the embeddings, k the output of layer k."
    return Fault(OFF_BY_ONE, "caution", title, {"index": _written(index)}, ((event.place, code),), "", remedy)


def _beyond(event: Event, trace: Trace, capture: Capture) -> Iterator[Fault]:
    """An entry that the output, or its tuple of hidden states, has not."""
    if event.facts["of"] == "the model's output":
        text, _ = operand(event)
        title = f"{text} has {event.facts['length']} fields; {event.facts['index']} is not among them"
        code = "outputs[1]" if event.facts["index"] == 2 and capture.pooler_output is None else "outputs.last_hidden_state"
        called = _with_states(trace.expression)
        remedy = "hidden_states are returned with output_hidden_states=True only." if called != trace.expression else ""
        edits = ((event.place, code),)
        yield Fault(ID, "problem", title, edits=() if remedy else edits, code=called if remedy else "", remedy=remedy)
        return
    if not event.facts["tensors"] or event.facts["length"] != len(capture.hidden_states):
        return
    text, _ = operand(event)
    length = event.facts["length"]
    title = f"{text} has {length} entries, the embeddings and {length - 1} layers; {event.facts['index']} is not among them"
    remedy = f"The last layer is {text}[-1] or {text}[{length - 1}]."
    yield Fault(OFF_BY_ONE, "problem", title, {"length": length}, ((event.place, f"{text}[-1]"),), "", remedy)


def _all_layers(event: Event, trace: Trace, capture: Capture) -> Iterator[Fault]:
    """A mean over all hidden states counts the embeddings as a layer."""
    x = event.facts["x"]
    over = [at for at in event.facts["dims"] if x.axes[at] == "layers"]
    if not over or x.shape[over[0]] != len(capture.hidden_states) or not capture.layers:
        return
    code = re.sub(r"\bhidden_states\b(?!\s*[\[=])", "hidden_states[1:]", trace.expression)
    title = f"The {event.facts['how']} over layers counts the embeddings: {x.shape[over[0]]} states, {capture.layers} layers"
    yield Fault(OFF_BY_ONE, "note", title, {"states": x.shape[over[0]]}, (), code if code != trace.expression else "")


def _numpy(event: Event, trace: Trace) -> Iterator[Fault]:
    """A tensor that hangs on autograd has no numpy array."""
    grad = event.facts["x"].grad
    if grad is False:
        return
    text, place = operand(event)
    title = "A tensor that requires grad has no .numpy(): PyTorch refuses it"
    if grad is None:
        title = "PyTorch refuses .numpy() here if the model ran without torch.no_grad(): its outputs require grad then"
    remedy = "Call .detach() first, or run the model under torch.no_grad()."
    severity = "problem" if grad else "caution"
    otherwise = trace.expression
    for one, where in sorted(
        zip(event.facts["operands"], event.facts["places"], strict=True), key=lambda pair: pair[1], reverse=True
    ):
        otherwise = spliced(otherwise, where, f"{bracketed(one)}.detach()")  # cosine_similarity(a, b) stops at the first
    yield Fault(NUMPY, severity, title, {"part": text}, ((place, f"{bracketed(text)}.detach()"),), "", remedy, otherwise)


def _dropout(trace: Trace) -> Fault:
    code = re.sub(r"nn\.Dropout\([^()]*\)", "nn.Identity()", trace.expression)
    code = re.sub(r"F\.dropout\(([^()]*)\)", r"F.dropout(\1, training=False)", code)
    title = "A fresh dropout layer drops units at random: the result is another one at every run"
    return Fault(
        "dropout-active", "problem", title, code=code, remedy="Call .eval() on it, or leave it out when you read vectors."
    )
