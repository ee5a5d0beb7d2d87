"""Token rows: added tokens whose rows of the word embeddings were never trained."""

from __future__ import annotations

from collections.abc import Mapping

from bertlens.errors import BertlensError
from bertlens.judge.findings import Finding, named
from bertlens.judge.tokenizer.numbering import added_rows
from bertlens.judge.weights.added_rows import untrained_rows
from bertlens.judge.weights.untrained import WeightState
from bertlens.run.dossier import Dossier

UNTRAINED = ("newly drawn", "near the mean", "duplicate", "zero")
"""States of a row that no training ever reached."""


def untrained_tokens(dossier: Dossier) -> dict[str, tuple[int, WeightState]]:
    """{token: (its row, the state)} of the added tokens whose rows were never trained."""
    table = dossier.word_embeddings
    try:
        added = added_rows(dossier)
    except BertlensError:
        return {}  # a tokenizer that cannot be loaded is told as such
    if table is None or not added:
        return {}
    spread = getattr(dossier.config, "initializer_range", None)
    states = untrained_rows(table, list(added.values()), spread)
    return {token: (row, states[row]) for token, row in added.items() if states[row].state in UNTRAINED}


def of_rows(dossier: Dossier, untrained: Mapping[str, tuple[int, WeightState]]) -> list[Finding]:
    """The finding about added tokens without training, with the first few of them."""
    if not untrained:
        return []
    token, (row, state) = next(iter(untrained.items()))
    shown = {name: {"row": at, "state": found.state} for name, (at, found) in list(untrained.items())[:5]}
    many = f"{len(untrained)} added tokens have" if len(untrained) > 1 else f"The added token {token!r} has"
    whose = "rows that were" if len(untrained) > 1 else "a row that was"
    title = f"{many} {whose} never trained: {token!r} (row {row}) is {state.state}"
    evidence = {"tokens": shown, "count": len(untrained), "reason": state.reason}
    return [named("untrained-token-rows", "problem", evidence, ("texts with these tokens",), title)]
