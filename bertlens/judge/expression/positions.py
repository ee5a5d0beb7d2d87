"""Positions: a single place read out of every row, and what really stands there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bertlens.judge.expression.correction import Fault, bracketed, operand
from bertlens.read.capture import Capture
from bertlens.read.expression.explanation import Event, Trace
from bertlens.read.expression.tracer import Seen

ID = "cls-read-at-padding"
REMEDY = "Read the first real token of each row, which is [CLS]: position 0 under right padding."


def faults(trace: Trace, capture: Capture) -> Iterator[Fault]:
    """Padding, [SEP] or a word read where [CLS] was meant."""
    if capture.real is None or trace.result is None:
        return
    for event in trace.events:
        if event.kind == "index" and event.facts["x"].rank == 2 and "tokens" in event.facts["x"].axes:
            yield from _read(event, capture)
            yield from _counted(event, capture)


def _counted(event: Event, capture: Capture) -> Iterator[Fault]:
    """The sum of the mask taken for a position: under left padding it is one only where nothing is padded."""
    x: Seen = event.facts["x"]
    by_mask = [
        item for item in event.facts["items"] if isinstance(item, Seen) and item.provenance.sources == ("attention_mask",)
    ]
    held = event.facts["result"].gathered.states().any(axis=0)
    real = np.asarray(capture.real) == 1
    if (
        not by_mask
        or x.axes[:2] != ("batch", "tokens")
        or not (held.sum(axis=1) == 1).all()
        or not (real[:, -1] > real[:, 0]).any()
    ):
        return
    place, first = held.argmax(axis=1), real.argmax(axis=1)
    wrong = np.flatnonzero((place != first) & (place != capture.width - 1) & real[np.arange(capture.batch), place])
    if len(wrong):
        text = int(wrong[0])
        token = f" ({capture.tokens[text][place[text]]})" if capture.tokens else ""
        title = f"Under left padding the sum of the mask is no position: of text {text} this is token {place[text]}{token}"
        last = f"{bracketed(operand(event)[0])}[torch.arange({capture.batch}), attention_mask.cumsum(1).argmax(1)]"
        remedy = "cumsum(1).argmax(1) of the mask is the last real token on either side of the padding."
        yield Fault(ID, "problem", title, {"positions": place.tolist()[:20]}, ((event.place, last),), remedy=remedy)


def _read(event: Event, capture: Capture) -> Iterator[Fault]:
    x: Seen = event.facts["x"]
    at = x.axes.index("tokens")
    items = placed(event.facts["items"], len(x.axes))
    place = single(items[at], x.shape[at]) if items is not None and len(items) > at else None
    found = event.facts["result"].provenance
    if place is None or x.shape[at] != capture.width or not found.texts:
        return
    real = np.asarray(capture.real)[list(found.texts), place]
    tokens = [capture.tokens[text][place] for text in found.texts] if capture.tokens else []
    padded = [text for text, one in zip(found.texts, real, strict=True) if one == 0]
    evidence = {"position": place, "tokens": tokens[:20], "texts": list(found.texts)[:20]}
    edits = _edits(event, x, items, at, capture, found.texts)
    if padded:
        count = f"text {padded[0]}" if len(padded) == 1 else f"{len(padded)} of {len(found.texts)} texts"
        title = f"Position {place} is padding in {count}, not [CLS]"
        yield Fault(ID, "problem", title, evidence, edits, remedy=REMEDY)
    elif capture.sep and place == capture.width - 1 > 0 and tokens and set(tokens) == {capture.sep}:
        title = f"Position {place} is {capture.sep}, the last token, not {capture.cls or 'the first'}"
        yield Fault(ID, "caution", title, evidence, edits, remedy=REMEDY)
    elif place == 0 and tokens and capture.cls and all(token != capture.cls for token in tokens):
        title = f"Position 0 is not {capture.cls} but “{tokens[0]}”: the texts were tokenised without special tokens"
        yield Fault("special-tokens-missing", "problem", title, evidence, code="last_hidden_state.mean(1)")


def placed(items: tuple[Any, ...], depth: int) -> list[Any] | None:
    """One item per axis; None where arrays or new axes are among them."""
    if any(item is None or isinstance(item, (Seen, list)) for item in items):
        return None
    found = list(items)
    if any(item is Ellipsis for item in found):
        where = next(at for at, item in enumerate(found) if item is Ellipsis)
        found[where : where + 1] = [slice(None)] * (depth - len(found) + 1)
    return [*found, *[slice(None)] * (depth - len(found))]


def single(item: Any, length: int) -> int | None:
    """The one place that an index or a slice picks, counted from 0."""
    if isinstance(item, slice):
        places = range(*item.indices(length)) if all(p is None or isinstance(p, int) for p in (item.start, item.stop)) else ()
        return places[0] if len(places) == 1 and length > 1 else None
    return int(item) % length if isinstance(item, int) and -length <= item < length else None


def _edits(
    event: Event, x: Seen, items: list[Any] | None, at: int, capture: Capture, texts: tuple[int, ...]
) -> tuple[Any, ...]:
    """The first real token instead: `[:, 0]` where it stands at 0 in every row, and else the place that the mask names."""
    assert items is not None, "a single place was read"
    first = np.asarray(capture.real).argmax(axis=1)[list(texts)]
    words = [written(item) for item in items]
    if (first == 0).all() and capture.tokens and all(capture.tokens[text][0] == capture.cls for text in texts):
        words[at] = "0"
    elif len(texts) == 1:
        words[at] = str(first[0])
    elif "batch" in x.axes and words[x.axes.index("batch")] == ":" and x.axes.index("batch") == at - 1:
        words[at - 1], words[at] = f"torch.arange({capture.batch})", "attention_mask.argmax(1)"
    else:
        return ()
    text, _ = operand(event)
    while words and words[-1] == ":":
        words.pop()
    return ((event.place, f"{bracketed(text)}[{', '.join(words)}]"),)


def written(item: Any) -> str:
    """An index as it is written."""
    if isinstance(item, slice):
        parts = ["" if part is None else str(part) for part in (item.start, item.stop)]
        return ":".join(parts) + (f":{item.step}" if item.step is not None else "")
    return str(item)
