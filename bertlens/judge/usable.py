"""Usable: what speaks against a readout of a checkpoint, before anybody builds on its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from bertlens.judge.checkpoint.recipe import Recipe, declared, followed, how, without_pooler
from bertlens.judge.findings import Finding, named
from bertlens.judge.measures import cosine
from bertlens.judge.pooling import Option
from bertlens.judge.weights.untrained import state_of
from bertlens.judge.wording import number
from bertlens.read.pooled import Pooled
from bertlens.read.readout import Readout
from bertlens.run import documents
from bertlens.run.inputs import Inputs

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

UNPADDED = {"mean_all": "mean", "first_position": "cls"}
"""Poolings that read padding where there is some, and what they are without it."""


def recipe_of(checkpoint: Checkpoint) -> Recipe | None:
    """What a checkpoint's modules.json declares, None where it declares nothing."""
    recipe = declared(documents.read(checkpoint.folder, documents.root_of(checkpoint.folder, checkpoint.name)))
    return recipe if recipe and (recipe.modes or recipe.normalised or recipe.dense) else None


def of_recipe(checkpoint: Checkpoint, readout: Readout | None) -> list[Finding]:
    """Whether a readout is what the checkpoint declares; without a readout, what it declares."""
    recipe = recipe_of(checkpoint)
    return [] if recipe is None else followed(recipe, readout, how(checkpoint, recipe))


def of_checkpoint(checkpoint: Checkpoint, readout: Readout) -> list[Finding]:
    """What loading reported about the weights behind a readout: newly initialised ones make it meaningless."""
    drawn = checkpoint.report.newly_initialised
    pooler = tuple(key for key in drawn if "pooler" in key)
    others = tuple(key for key in drawn if "pooler" not in key)
    found = []
    if others:
        evidence = {"newly_initialised": len(drawn), "examples": list(others[:3])}
        title = f"{len(drawn)} weights are not in the file and were newly initialised: every output is meaningless"
        found.append(named("weights-not-loaded", "problem", evidence, ("everything",), title))
    elif pooler:
        severity = "problem" if readout.pooling == "pooler" else "note"
        missing = named("pooler-missing", severity, {"newly_initialised": list(pooler)}, ("pooler_output",))
        found.append(without_pooler(missing, checkpoint, recipe_of(checkpoint)))
    elif readout.pooling == "pooler":
        found += _untrained_pooler(checkpoint)
    return found


def _untrained_pooler(checkpoint: Checkpoint) -> list[Finding]:
    """A pooler that is in the file and was never trained, for somebody who reads `pooler_output`."""
    for name, module in checkpoint.model.named_modules():
        if "pooler" in name.split(".") and isinstance(module, torch.nn.Linear):
            bias = None if module.bias is None else module.bias.detach()
            state = state_of("linear", module.weight.detach(), bias)
            if state.state == "newly drawn":
                evidence = {"module": name, "reason": state.reason, **state.evidence}
                drawn = named("pooler-untrained", "problem", evidence, ("pooler_output",))
                return [without_pooler(drawn, checkpoint, recipe_of(checkpoint))]
    return []


def of_weights(checkpoint: Checkpoint, readouts: Sequence[Readout]) -> dict[Readout, Finding]:
    """The finding that makes a readout meaningless, for those that have one: its weights were drawn, not trained."""
    of_pooling: dict[str, Finding | None] = {}
    for readout in readouts:
        if readout.pooling not in of_pooling:
            found = of_checkpoint(checkpoint, readout)
            of_pooling[readout.pooling] = next((one for one in found if one.severity == "problem"), None)
    known = {readout: of_pooling[readout.pooling] for readout in readouts}
    return {readout: finding for readout, finding in known.items() if finding is not None}


def padded_texts(inputs: Inputs) -> list[int]:
    """The texts that stand in a row longer than they are."""
    return [text for texts, width in inputs.groups for text in texts if len(inputs.tokens[text].ids) < width]


def reads_padding(inputs: Inputs, readout: Readout) -> bool:
    """Whether the readout takes padding for text where there is some."""
    return readout.pooling == "mean_all" or (readout.pooling == "first_position" and inputs.condition.side == "left")


def by_padding(pooled: Pooled, inputs: Inputs, readout: Readout) -> float | None:
    """How far the padding that a readout takes for text moves it: largest absolute difference to the same states without it.

    None where it reads no padding.
    """
    rows = padded_texts(inputs)
    if not rows or not reads_padding(inputs, readout):
        return None
    without = pooled.vectors(replace(readout, pooling=UNPADDED[readout.pooling]))
    return float(np.abs(pooled.vectors(readout)[rows] - without[rows]).max())


def option(
    pooled: Pooled, inputs: Inputs, readout: Readout, recipe: Recipe | None, meaningless: dict[Readout, Finding]
) -> Option:
    """One readout with what speaks against it."""
    vectors = pooled.vectors(readout)
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    reason = meaningless.get(readout)
    return Option(
        readout=str(readout),
        texts=len(vectors),
        dimensions=vectors.shape[1],
        norm_mean=float(lengths.mean()),
        norm_min=float(lengths.min()),
        norm_max=float(lengths.max()),
        declared=recipe is not None and str(readout) == recipe.readout,
        meaningless=reason.id if reason else "",
        by_padding=by_padding(pooled, inputs, readout),
    )


def of_padding(options: Sequence[Option], padded: int) -> list[Finding]:
    """Readouts that move with the padding on these texts."""
    moved = [option for option in options if option.by_padding]
    if not moved:
        return []
    worst = max(moved, key=lambda option: option.by_padding or 0.0)
    title = (
        f"{worst.readout} takes padding for text: {padded} of {worst.texts} texts are padded here, which moves it by up to "
        f"{number(worst.by_padding)}"
    )
    evidence = {"padded_texts": padded, **{option.readout: option.by_padding for option in moved}}
    return [named("mean-includes-padding", "caution", evidence, tuple(option.readout for option in moved), title)]


def of_specials(pooled: Pooled, readouts: Sequence[Readout]) -> list[Finding]:
    """How far special tokens turn the mean, where both means are among the readouts."""
    if not {"mean", "mean_content"} <= {readout.pooling for readout in readouts}:
        return []
    cosines = cosine(pooled.vectors("mean"), pooled.vectors("mean_content"))
    known = cosines[np.isfinite(cosines)]
    if not known.size:
        return []
    title = (
        "mean counts special tokens such as [CLS] and [SEP], mean_content does not: their vectors have a cosine of "
        f"{known.mean():.3f} on average and {known.min():.3f} at the least"
    )
    evidence = {"cosine_mean": float(known.mean()), "cosine_min": float(known.min())}
    return [named("special-tokens-in-mean", "note", evidence, (), title)]
