"""Position rows: a table of positions that was made longer than anybody trained it."""

from __future__ import annotations

from bertlens.judge.findings import Finding, named
from bertlens.judge.weights.untrained import state_of
from bertlens.run.dossier import Dossier

LENGTHS = (64, 128, 256, 384, 512, 1024, 2048, 4096)
"""Tokens up to which published encoders were trained; a table is extended from one of them."""


def of_positions(dossier: Dossier) -> list[Finding]:
    """The finding about the last rows of a trained table, where all from one length on fit a fresh draw."""
    found = dossier.encoder.position_table
    table = None if found is None else dossier.tensor(found[0])
    if found is None or table is None:
        return []
    first = 0 if found[1].padding_idx is None else int(found[1].padding_idx) + 1
    for length in LENGTHS:
        if first + length >= len(table):
            break
        cut = first + length
        if state_of("embedding", table[cut:]).state == "newly drawn" and state_of("embedding", table[:cut]).state == "trained":
            rows = len(table) - first - length
            title = (
                f"The last {rows} of {rows + length} positions were never trained: a text beyond {length} tokens reads noise"
            )
            evidence = {"trained_positions": length, "untrained_positions": rows, "tensor": found[0]}
            return [named("shape-mismatch", "problem", evidence, (f"texts of more than {length} tokens",), title)]
    return []
