"""What a report says in every format: numbers of a finding, sizes of changes, what identifies the run, how to repeat it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bertlens.judge.diagnosis import Change, Diagnosis
from bertlens.judge.redaction import last_name
from bertlens.run.texts import PAIR_MARK, Text, sides
from bertlens.show.figures import floor_of

MOST_LISTED = 12
"""Elements of a list that a table of evidence writes out."""

MOST_TEXTS = 200
"""Texts that a report shows; its JSON has them all."""

LABELS = {
    "name": "checkpoint",
    "model_type": "architecture",
    "hidden": "hidden size",
    "max_length": "longest input, tokens",
    "sha256": "SHA-256 of the weights",
    "newly_initialised": "newly initialised weights",
    "texts": "number of texts",
    "texts_sha256": "SHA-256 of the texts",
}
"""What the keys of a run's fingerprint are called; the others are called by their names."""

STATES = {
    "problem": "problem",
    "undecided": "undecided",
    "caution": "caution",
    "not asked": "could not be asked",
    "passed": "passed",
}
"""How a check ended, in words."""

UNSURE = ("not possible", "undecided")
"""Verdicts that need their reason beside them."""


@dataclass(frozen=True)
class Bar:
    """A change with the length of its bar: 0 for no difference, 1 for the largest, logarithmic between; None for no number."""

    change: Change
    share: float | None

    @property
    def size(self) -> str:
        """The largest difference with every digit."""
        return written(self.change.max_abs)


def bars(diagnosis: Diagnosis) -> list[Bar]:
    """The changes, the largest first; what is no number or not possible comes last."""
    known = [one.max_abs for one in diagnosis.changes if one.max_abs is not None]
    low, high = (math.log10(size) for size in (floor_of([np.array(known)]), max([*known, 1e-16])))
    found = []
    for one in sorted(diagnosis.changes, key=lambda one: -1.0 if one.max_abs is None else one.max_abs, reverse=True):
        size = one.max_abs
        found.append(Bar(one, None if size is None else 0.0 if size == 0 else (math.log10(size) - low) / (high - low)))
    return found


def evidence(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values, those of inner tables under "outer, inner"."""
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}, {inner}", said) for inner, said in evidence(value))
        else:
            yield name, written(value)


def written(value: Any) -> str:
    """A value with every digit; of a long list the beginning."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {written(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        rest = f" and {len(value) - MOST_LISTED:,} more" if len(value) > MOST_LISTED else ""
        between = "; " if any(isinstance(one, Mapping) for one in value) else ", "
        return (between.join(map(written, value[:MOST_LISTED])) or "none") + rest
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    return "not a number" if isinstance(value, float) and math.isnan(value) else str(value)


def fingerprint(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """What identifies the run: checkpoint, readout, versions, device, threads, seed, digests."""
    facts = {**diagnosis.checkpoint, "readout": diagnosis.readout or "none", **diagnosis.environment}
    return [(LABELS.get(key, key.replace("_", " ")), written(value)) for key, value in facts.items()]


def command(diagnosis: Diagnosis, out: str) -> str:
    """The line for a shell that makes the report again; texts and vectors are called `texts` and `vectors`."""
    pairs = any(len(sides(text)) == 2 for text in diagnosis.texts)
    lines = any("\n" in part for text in diagnosis.texts for part in sides(text))
    words = ["bertlens", "report", str(diagnosis.checkpoint["name"])]
    words += ["--texts", "texts.jsonl" if pairs or lines else "texts.txt"]
    words += ["--column", "text", "--pair-column", "pair"] if pairs else []
    words += ["--vectors", "vectors.npy"] if any(check.page == "Identify" for check in diagnosis.checks) else []
    words += ["--readout", diagnosis.readout] if diagnosis.readout else []
    words += ["--out", out]
    device = str(diagnosis.environment.get("device", "cpu"))
    words += ["--device", device] if device != "cpu" else []
    return shlex.join([*words, *([] if diagnosis.texts else ["--redact"])])


def title(diagnosis: Diagnosis) -> str:
    """What the report is about; the last name of a folder is enough for a heading."""
    return f"bertlens report: {last_name(str(diagnosis.checkpoint['name']))}"


def told(diagnosis: Diagnosis) -> str:
    """How many texts there are, and where they are left out how to know them again."""
    run = diagnosis.environment
    many = f"{run['texts']:,} text{'s' * (run['texts'] != 1)}"
    if not diagnosis.texts:
        return f"{many}, redacted; the SHA-256 of all of them is {run['texts_sha256']}."
    shown = f", the first {MOST_TEXTS} of which are shown" if run["texts"] > MOST_TEXTS else ""
    return f"{many}{shown}; the SHA-256 of all of them is {run['texts_sha256']}."


def line(text: Text) -> str:
    """A text as it was given; the two sentences of a pair with a mark between."""
    return f" {PAIR_MARK} ".join(sides(text))


def shell(code: str) -> bool:
    """Whether a remedy is a line for a shell instead of Python."""
    return code.startswith(("bertlens ", "pip "))
