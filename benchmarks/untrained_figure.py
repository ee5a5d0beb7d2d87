"""The figure of `docs/untrained-weights.md`, drawn as SVG from the table: how strong training must be to be seen."""

from __future__ import annotations

import math

import pandas as pd

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")  # Okabe and Ito: told apart by everybody
DASHES = ("", "7 4", "2 3", "9 3 2 3")
LEFT, TOP, WIDTH, HEIGHT, GAP = 60, 46, 360, 220, 90

Curve = tuple[str, list[float], list[float]]


def figure(table: pd.DataFrame) -> str:
    """Two panels: a change of one direction by its size, and a pooler by its steps of fine-tuning."""
    strengths = table[(table.study == "changed") & (table["what"] == "rank 1") & (table.strength >= 0.01)]
    sizes = [curve(group, str(shape), "strength") for shape, group in strengths.groupby("shape", sort=False)]
    tuned = table[(table.study == "pooler") & (table.steps > 0)]
    steps = []
    for bias in ("matrix alone", "with its bias"):
        for rate in (2e-5, 1e-4):
            runs = tuned[tuned["what"].str.endswith(bias) & (tuned.rate == rate)]
            both = runs.groupby("steps", as_index=False)[["draws", "newly_drawn"]].sum()  # both kinds of label
            steps.append(curve(both, f"{bias}, {rate:g}", "steps"))
    panels = [
        panel(0, "A draw with one direction more", "size of the change over the weight", sizes, (0.01, 1)),
        panel(LEFT + WIDTH + GAP, "A pooler (384 x 384), fine-tuned", "steps of AdamW", steps, (1, 3000)),
    ]
    size = f'width="{2 * (LEFT + WIDTH) + GAP + 20}" height="{TOP + HEIGHT + 66 + 16 * len(sizes)}"'
    style = 'font-family="sans-serif" font-size="12"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>', '<rect width="100%" height="100%" fill="white"/>']
    return "\n".join([*lines, *panels, "</svg>\n"])


def curve(lines: pd.DataFrame, name: str, axis: str) -> Curve:
    """Share that is called newly drawn, over an axis."""
    return name, lines[axis].tolist(), (lines.newly_drawn / lines.draws).tolist()


def panel(left: float, title: str, axis: str, curves: list[Curve], ends: tuple[float, float]) -> str:
    """One pair of axes with its curves; the horizontal axis is logarithmic."""
    low, high = (math.log10(end) for end in ends)

    def place(x: float, y: float) -> str:
        return f"{left + LEFT + (math.log10(x) - low) / (high - low) * WIDTH:.1f},{TOP + (1 - y) * HEIGHT:.1f}"

    corner, bottom = left + LEFT, TOP + HEIGHT
    parts = [
        f'<text x="{corner}" y="{TOP - 22}" font-size="14" font-weight="bold">{title}</text>',
        f'<text x="{corner}" y="{TOP - 7}">share called newly drawn</text>',
        f'<text x="{corner + WIDTH / 2}" y="{bottom + 42}" text-anchor="middle">{axis}</text>',
    ]
    for share in (0, 0.5, 1):
        y = TOP + (1 - share) * HEIGHT
        parts.append(f'<line x1="{corner}" x2="{corner + WIDTH}" y1="{y}" y2="{y}" stroke="#ccc"/>')
        parts.append(f'<text x="{corner - 8}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
    for power in range(math.ceil(low), math.floor(high) + 1):
        x = place(10**power, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{bottom + 20}" text-anchor="middle">{10.0**power:g}</text>')
    for index, (name, xs, ys) in enumerate(curves):
        look = f'stroke="{COLOURS[index % len(COLOURS)]}" stroke-width="2" stroke-dasharray="{DASHES[index % len(DASHES)]}"'
        points = " ".join(place(x, y) for x, y in zip(xs, ys, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" {look}/>')
        y = bottom + 62 + 16 * index
        parts.append(f'<line x1="{corner + 10}" x2="{corner + 40}" y1="{y}" y2="{y}" {look}/>')
        parts.append(f'<text x="{corner + 46}" y="{y + 4}">{name}</text>')
    return "\n".join(parts)
