"""Wording: what a value holds, as a person would say it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bertlens.read.capture import Capture
from bertlens.read.expression.explanation import Provenance

PLAIN = {"sum": "the sum", "mean": "the mean", "max": "the maximum", "min": "the minimum", "product": "the products"}


def words(capture: Capture, found: Provenance, grid: np.ndarray) -> str:
    """What is held, in a phrase: "the mean over tokens of all 10 tokens of both texts, last layer (6); 4 of 20 are padding".

    Parameters
    ----------
    grid : (batch, tokens), the positions that are held.
    """
    if not found.sources:
        return "a constant"
    if "hidden_states" in found.sources:
        what = f"{_positions(capture, grid)}{_layers(capture, found)}"
        if "pooler_output" in found.sources:
            what += ", and the pooler output"
    elif "pooler_output" in found.sources:
        what = f"the pooler output of {_texts(capture, found.texts)}"
    else:
        names = " and ".join(found.sources)
        what = f"{names} of {_positions(capture, grid)}" if grid.any() else names
    what = _reduced(found) + what + _units(capture, found)
    return what + _padding(found)


def _reduced(found: Provenance) -> str:
    """The reductions, the last one first; one word for axes that were reduced in the same way."""
    by_how: dict[str, list[str]] = {}
    for name, how in found.how:
        by_how.setdefault(how, []).append(name)
    said = [f"{PLAIN.get(how, f'the {how}')} over {' and '.join(names)} of " for how, names in by_how.items()]
    return "".join(reversed(said))


def _positions(capture: Capture, grid: np.ndarray) -> str:
    """Which tokens of which texts."""
    texts = np.flatnonzero(grid.any(axis=1))
    if not len(texts):
        return "nothing of the states"
    of = _texts(capture, texts.tolist())
    held = grid[texts]
    if held.all():
        return f"all {capture.width} tokens of {of}" if capture.width > 1 else f"the only token of {of}"
    counts = held.sum(axis=1)
    if (counts == 1).all():
        return f"{_one_each(capture, texts, held)} of {of}"
    if capture.real is not None:
        real = np.asarray(capture.real)[texts] == 1
        if (held == real).all():
            return f"all {_span(counts)} real tokens of {of}"
        if capture.special is not None and (held == (real & (np.asarray(capture.special)[texts] == 0))).all():
            return f"all {_span(counts)} tokens between the special ones of {of}"
    columns = np.flatnonzero(held.any(axis=0))
    if (held == held.any(axis=0)).all():
        return f"tokens {ranges(columns.tolist())} of {of}"
    return f"{_span(counts)} tokens of {of}"


def _one_each(capture: Capture, texts: np.ndarray, held: np.ndarray) -> str:
    """A single position per text: the token that stands there, where it is one and the same."""
    places = held.argmax(axis=1)
    same = len(set(places.tolist())) == 1
    at = f"token {places[0]}" if same else "one token each"
    if capture.tokens is None:
        return at
    named = [capture.tokens[text][place] for text, place in zip(texts, places, strict=True)]
    if len(set(named)) == 1:
        return f"the {named[0]} token" if named[0] in (capture.cls, capture.sep) else f"{at} ({named[0]})"
    listed = ", ".join(named[:4]) + (" …" if len(named) > 4 else "")
    return f"{at} ({listed})"


def _texts(capture: Capture, texts: Sequence[int]) -> str:
    count = len(texts)
    if count == capture.batch:
        return {1: "the text", 2: "both texts"}.get(count, f"all {count} texts")
    return f"text {texts[0]}" if count == 1 else f"texts {ranges(list(texts))}"


def _layers(capture: Capture, found: Provenance) -> str:
    layers, last = list(found.layers), capture.layers
    if not layers or not last:
        return ""
    if layers == [last]:
        return f", last layer ({last})"
    if layers == [0]:
        return ", the embeddings (before layer 1)"
    if layers[0] == 0:
        rest = f"layer {layers[1]}" if len(layers) == 2 else f"layers {ranges(layers[1:])}"
        return f", the embeddings and {rest}"
    return f", layer {layers[0]} of {last}" if len(layers) == 1 else f", layers {ranges(layers)}"


def _units(capture: Capture, found: Provenance) -> str:
    if found.every_hidden or not found.hidden:
        return ""
    return f", hidden unit{'s' * (len(found.hidden) > 1)} {ranges(list(found.hidden))} of {capture.hidden}"


def _padding(found: Provenance) -> str:
    if not found.padding:
        return ""
    if found.positions == found.padding:
        return "; all of it is padding" if found.positions > 1 else "; it is padding"
    return f"; {found.padding:,} of {found.positions:,} {'are' if found.padding > 1 else 'is'} padding"


def _span(counts: np.ndarray) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def ranges(numbers: Sequence[int], most: int = 4) -> str:
    """`0–3, 7`: runs of consecutive numbers."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number, number])
    said = [str(a) if a == b else f"{a}–{b}" if b - a > 1 else f"{a}, {b}" for a, b in runs]
    return ", ".join(said[:most]) + (f" … ({len(numbers)} in all)" if len(said) > most else "")
