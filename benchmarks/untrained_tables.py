"""The tables of `docs/untrained-weights.md`, from the lines that the benchmark measured."""

from __future__ import annotations

import math

import pandas as pd

COUNTS = ["draws", "newly_drawn", "cannot_tell", "trained"]


def interval(hits: int, draws: int) -> tuple[float, float]:
    """95 % interval of a rate (Wilson 1927)."""
    z, rate = 1.96, hits / draws
    middle, half = rate + z * z / 2 / draws, z * math.sqrt(rate * (1 - rate) / draws + (z / 2 / draws) ** 2)
    low, high = (middle - half) / (1 + z * z / draws), (middle + half) / (1 + z * z / draws)
    return (low if hits else 0.0), (high if hits < draws else 1.0)


def summary(table: pd.DataFrame) -> str:
    """Every table of the document, as Markdown."""
    fresh, changed = table[table.study == "fresh"], table[table.study == "changed"]
    pooler, rest = table[table.study == "pooler"], ["nn.Linear", "look-alike", "added rows", "all-MiniLM-L6-v2"]
    parts = {
        "fresh draws by shape": counted(fresh, ["shape"]),
        "fresh draws by law": counted(fresh, ["what"]),
        "fresh draws by format": counted(fresh, ["dtype"]),
        "changed by rank 1, newly drawn": crossed(changed[changed["what"] == "rank 1"]),
        "changed by rank 8, newly drawn": crossed(changed[changed["what"] == "rank 8"]),
        "pooler": counted(pooler, ["what", "rate", "steps"]),
        **{name: counted(table[table.study == name], ["what", "shape", "steps"]) for name in rest},
    }
    return "\n".join(f"\n### {name}\n\n{part}" for name, part in parts.items())


def counted(table: pd.DataFrame, by: list[str]) -> str:
    """Counts of the states per group, with the 95 % intervals of two rates."""
    head = [*by, *(name.replace("_", " ") for name in COUNTS), "newly drawn, 95 %", "trained, 95 %"]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for key, group in table.groupby(by, sort=False, dropna=False):
        counts = [int(group[name].sum()) for name in COUNTS]
        spans = [percent(interval(count, counts[0])) for count in (counts[1], counts[3])]
        names = [
            "" if isinstance(part, float) and math.isnan(part) else f"{part:g}" if isinstance(part, float) else part
            for part in key
        ]
        lines.append(f"| {' | '.join(map(str, [*names, *counts, *spans]))} |")
    return "\n".join(lines)


def crossed(table: pd.DataFrame) -> str:
    """Share called newly drawn, strengths down and shapes across."""
    shapes = list(dict.fromkeys(table["shape"]))
    lines = [f"| change | {' | '.join(shapes)} |", "| --- " * (len(shapes) + 1) + "|"]
    for strength, group in table.groupby("strength"):
        cells = [f"{new} of {draws}" for new, draws in zip(group.newly_drawn, group.draws, strict=True)]
        lines.append(f"| {strength:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def percent(span: tuple[float, float]) -> str:
    """An interval of rates, in percent."""
    return f"{span[0] * 100:.3g} – {span[1] * 100:.3g} %"
