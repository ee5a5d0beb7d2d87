"""Symptoms: the faults of the catalogue that fit what a person says of their vectors, best first."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from bertlens.judge.findings import catalogue

LINE, WHOLE = 1.0, 0.5
"""What the likest single line of a fault counts, and what all that is said of it counts together."""


@dataclass(frozen=True)
class _Index:
    """What is said of every fault, as vectors of length 1.

    Attributes
    ----------
    words : the two vectorisers, of words and of parts of words.
    lines, wholes : (lines, terms) and (faults, terms), sparse.
    fault_of_line : index of the fault to which a line belongs.
    """

    words: Any
    lines: Any
    wholes: Any
    fault_of_line: np.ndarray


def matching(query: str, most: int = 12) -> list[str]:
    """Ids of the faults that fit a description in everyday words, best first.

    Words and parts of words are compared with the catalogue's name, symptom and cause of every fault and with
    phrases in which people say it, weighted by how rare they are (TF-IDF).

    Parameters
    ----------
    query : such as "changes every time"; nothing gives the whole catalogue in its order.
    most : how many ids at most; faults that share no word with the query are left out.
    """
    ids = list(catalogue())
    if not query.strip():
        return ids
    index = _index()
    asked = index.words.transform([query])
    by_line = (index.lines @ asked.T).toarray().ravel()
    score = WHOLE * (index.wholes @ asked.T).toarray().ravel()
    best = np.zeros(len(ids))
    np.maximum.at(best, index.fault_of_line, by_line)
    score += LINE * best
    order = np.argsort(-score, kind="stable")
    return [ids[at] for at in order[:most] if score[at] > 0]


@cache
def phrases() -> dict[str, list[str]]:
    """How people say it, a few short phrases per fault."""
    file = resources.files("bertlens").joinpath("data/symptoms.json")
    return dict(json.loads(file.read_text("utf-8")))


def _lines(fault: str, entry: dict[str, Any]) -> list[str]:
    """What is said of a fault, piece by piece: its id, its name, the parts of its symptom, and the phrases."""
    return [fault.replace("-", " "), entry["name"], *re.split(r"[;.] ", entry["symptom"]), *phrases()[fault]]


@cache
def _index() -> _Index:
    """Fitted at the first question and kept: the catalogue does not change."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    faults = catalogue()
    lines = {fault: _lines(fault, entry) for fault, entry in faults.items()}
    told = [" ".join([entry["root_cause"], *lines[fault]]) for fault, entry in faults.items()]
    words = FeatureUnion(
        [
            ("words", TfidfVectorizer(sublinear_tf=True, stop_words="english", ngram_range=(1, 2))),
            ("parts", TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 5))),
        ]
    )
    wholes = words.fit_transform(told)
    flat = [line for fault in faults for line in lines[fault]]
    owner = np.repeat(np.arange(len(faults)), [len(lines[fault]) for fault in faults])
    return _Index(words, words.transform(flat), wholes, owner)
