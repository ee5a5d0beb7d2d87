"""The tables of `benchmarks.identify`, as Markdown."""

from __future__ import annotations

import pandas as pd

from bertlens.judge.identification import VERDICTS


def tables(results: pd.DataFrame, seed: int) -> str:
    """Everything that was measured, the failures last."""
    recipes, controls = results[results.kind == "recipe"], results[results.kind == "control"]
    parts: list[str] = []
    if len(recipes):
        spread = recipes.assign(deviation=recipes.deviations.map(lambda names: list(names) or ["none"])).explode("deviation")
        counted = recipes.assign(count=recipes.deviations.map(len))
        parts += [
            f"{len(recipes)} recipes, seed {seed}: {overall(recipes)}",
            grouped(counted, "count", "deviations"),
            grouped(spread, "deviation", "deviation"),
            grouped(recipes, "family", "checkpoint"),
        ]
    if len(controls):
        parts += [f"{len(controls)} negative controls, seed {seed}", of_controls(controls)]
    parts += [times(results), failures(results)]
    return "\n\n".join(parts)


def overall(recipes: pd.DataFrame) -> str:
    """The headline in one sentence, and how clearly right and wrong recipes are told apart."""
    right, sound = recipes.right.sum(), recipes[~recipes.dropout]
    gaps = sound[sound.same].gap.max(), sound[~sound.same].gap.min()
    return (
        f"{right} right ({100 * right / len(recipes):.1f} %), {recipes.wrong_found.sum()} wrong `found`. "
        f"In float64 the right recipes are at most {gaps[0]:.1g} away from the truth, the wrong ones at least {gaps[1]:.1g}."
    )


def grouped(results: pd.DataFrame, by: str, title: str) -> str:
    """One line per group: what is right, and the verdicts."""
    names = ["recipes", "right", "computation", "order", "format and storage", *VERDICTS, "error", "wrong found"]
    lines = [f"| {title} | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
    for name, group in results.groupby(by):
        verdicts = [(group.verdict == word).sum() for word in (*VERDICTS, "error")]
        kept = [group[key].sum() for key in ("right", "same", "ordered", "format")]
        cells = [len(group), *kept, *verdicts, group.wrong_found.sum()]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def of_controls(controls: pd.DataFrame) -> str:
    """Verdicts per kind of control."""
    lines = [f"| control | vectors | {' | '.join(VERDICTS)} | error |", "| --- " * (len(VERDICTS) + 3) + "|"]
    for name, group in controls.groupby("control"):
        verdicts = [(group.verdict == word).sum() for word in (*VERDICTS, "error")]
        lines.append(f"| {name} | {len(group)} | {' | '.join(map(str, verdicts))} |")
    return "\n".join(lines)


def times(results: pd.DataFrame) -> str:
    """Seconds of a search, apart for the packaged checkpoint."""
    names = "searches | median | 90 % | largest | of one core: median | 90 % | largest"
    lines = [f"| seconds per search | {names} |", "| --- " * 8 + "|"]
    for kind, words in (("recipe", "recipes"), ("control", "controls")):
        for packaged, checkpoint in ((True, "minilm"), (False, "small")):
            taken = results[(results.kind == kind) & ((results.family == "minilm") == packaged)]
            cells = [
                f"{part.median():.1f} | {part.quantile(0.9):.1f} | {part.max():.1f}" for part in (taken.seconds, taken.work)
            ]
            lines += [f"| {words}, {checkpoint} | {len(taken)} | {' | '.join(cells)} |"] if len(taken) else []
    return "\n".join(lines)


def failures(results: pd.DataFrame) -> str:
    """Every answer that is not right, with the number that repeats it."""
    wrong = results[~results.right]
    if not len(wrong):
        return "Nothing failed."
    lines = ["| repeat with | truth | answer | verdict | what is wrong |", "| --- " * 5 + "|"]
    for row in wrong.itertuples():
        option = "--only" if row.kind == "recipe" else "--control"
        parts = (("same", f"computation, {row.gap:.1g}"), ("ordered", "order"), ("format", "format or storage"))
        said = ", ".join(words for key, words in parts if not getattr(row, key))
        said = (
            "found" if row.kind == "control" else (said or "the verdict") + (", the right one is listed" if row.listed else "")
        )
        cells = [f"`{option} {row.number}`", row.truth, row.answer or row.sentence, row.verdict, said]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)
