"""Accuse: the faults of a recipe and of vectors, each with its number and what to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bertlens.judge.findings import FAULT_OF, Finding, most_serious_first, named
from bertlens.judge.identify.given import Given
from bertlens.judge.usable import of_checkpoint, of_recipe
from bertlens.read.logits import Logits
from bertlens.read.recipe import Recipe
from bertlens.run.packing import READS_FIRST
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.tokens import Tokens


def of_vectors(given: Given) -> list[Finding]:
    """What is wrong with the vectors whatever made them."""
    facts, found = given.facts(), []
    if facts["not_finite"]:
        rows = facts["not_finite"]
        title = f"{len(rows)} of {facts['rows']} rows hold NaN or Inf"
        found.append(named("fully-masked-row", "problem", {"rows": rows[:20]}, ("these rows",), title))
    if facts["zeros"]:
        rows = facts["zeros"]
        title = f"{len(rows)} of {facts['rows']} rows are zeros: nothing was stored there"
        found.append(named("fully-masked-row", "problem", {"zero_rows": rows[:20]}, ("these rows",), title))
    return found


def of_order(rows: Sequence[int | None], words: str, count: int) -> list[Finding]:
    """Rows that stand for other texts than their own."""
    if not words:
        return []
    moved = sum(row is not None and row != text for text, row in enumerate(rows))
    evidence = {"moved": moved, "without_row": sum(row is None for row in rows), "rows": count}
    severity = "problem" if moved else "caution"
    return [named("rows-reordered", severity, evidence, ("the order of the vectors",), f"{words[0].upper()}{words[1:]}")]


def of_ways(recipe: Recipe, checkpoint: Checkpoint, tokens: Sequence[Tokens], evidence: dict[str, Any]) -> list[Finding]:
    """What a careful person would have done otherwise."""
    found, condition = [], recipe.condition
    for key, value in condition.to_dict().items():
        fault = FAULT_OF.get((key, str(value)))
        if fault == "left-padding-positions" and condition.positions == "from-mask":
            continue
        if fault is not None:
            found.append(named(fault, "problem", {key: value, **evidence}, (str(recipe.readout),)))
    if recipe.readout.pooling in READS_FIRST and condition.side == "left":
        found.append(named("cls-read-at-padding", "problem", evidence, (str(recipe.readout),)))
    if recipe.readout.pooling == "mean_all":
        found.append(named("mean-includes-padding", "problem", evidence, (str(recipe.readout),)))
    if condition.dtype in ("float16", "bfloat16"):
        title = f"The model ran in {condition.dtype}: the vectors differ from float32 in the third decimal"
        found.append(named("half-precision", "note", {"dtype": condition.dtype, **evidence}, (), title))
    cut = [row.cut for row in tokens if row.cut]
    if cut:
        kept = max(len(row.ids) for row in tokens)
        title = f"{len(cut)} of {len(tokens)} texts were truncated to {kept} tokens: {sum(cut):,} tokens are not in the vectors"
        severity = "note" if condition.max_length == "model" else "caution"
        found.append(named("silent-truncation", severity, {"texts": len(cut), "tokens": sum(cut)}, (), title))
    if recipe.prefix:
        title = f"{recipe.prefix!r} stands before every text"
        found.append(named("prompt-prefix", "note", {"prefix": recipe.prefix}, (), title))
    if recipe.lower:
        title = "The texts were lower-cased before they were tokenised, and this tokenizer keeps capitals"
        found.append(named("lowercased-cased-model", "problem", evidence, (str(recipe.readout),), title))
    return found


def of_readout(recipe: Recipe, checkpoint: Checkpoint) -> list[Finding]:
    """What speaks against what was read, and what was done to it."""
    found = [finding for finding in of_checkpoint(checkpoint, recipe.readout) if finding.severity == "problem"]
    found += of_recipe(checkpoint, recipe.readout) if not isinstance(recipe.readout, Logits) else []
    depth = checkpoint.architecture.layers
    if recipe.readout.layers == str(depth - 1) and not recipe.readout.combine:
        title = f"hidden_states[{depth - 1}] was read, the layer before the last; the last is hidden_states[{depth}], or -1"
        found.append(
            named("hidden-states-off-by-one", "caution", {"layer": depth - 1, "depth": depth}, (str(recipe.readout),), title)
        )
    post = recipe.post
    if post.store:
        words = post.words[-1]
        title = f"The vectors were {words}: digits that are gone do not come back"
        found.append(named("storage-precision", "note", {"store": post.format}, (), title))
    if post.dims is not None and not post.again:
        title = f"Only the first {post.dims} components were kept and not divided by the length again: lengths differ by text"
        found.append(named("normalised-vs-raw", "caution", {"dims": post.dims}, (str(recipe.readout),), title))
    if post.scale != 1.0 and post.store != "int8":
        title = f"Every component is {post.scale:.6g} times what the model gives: cosines stay, dot products do not"
        found.append(named("normalised-vs-raw", "note", {"scale": post.scale}, (), title))
    return found


def accuse(
    recipe: Recipe,
    checkpoint: Checkpoint,
    given: Given,
    texts: Texts,
    tokens: Sequence[Tokens],
    rows: Sequence[int | None],
    words: str,
    evidence: dict[str, Any],
) -> tuple[Finding, ...]:
    """Every fault of a recipe that was found, the most serious first."""
    found = [
        *of_vectors(given),
        *of_order(rows, words, len(given.values)),
        *of_ways(recipe, checkpoint, tokens, evidence),
        *of_readout(recipe, checkpoint),
    ]
    return most_serious_first([replace(finding, evidence=dict(finding.evidence)) for finding in found])
