"""Examine: a dossier becomes a checkup, each of the judges asked once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bertlens.judge.checkpoint import settings
from bertlens.judge.checkpoint.checkup import Asked, Checkup
from bertlens.judge.checkpoint.facts import facts
from bertlens.judge.checkpoint.lengths import of_lengths
from bertlens.judge.checkpoint.recipe import of_recipe
from bertlens.judge.findings import Finding, most_serious_first
from bertlens.judge.tokenizer.corpus import of_texts
from bertlens.judge.tokenizer.judges import of_tokenizer
from bertlens.judge.weights import keys, never_trained
from bertlens.judge.weights import modules as weights
from bertlens.judge.weights.load_report import groups
from bertlens.judge.weights.position_rows import of_positions
from bertlens.judge.weights.reload import load_twice
from bertlens.judge.weights.token_rows import of_rows, untrained_tokens
from bertlens.read.readout import Readout
from bertlens.run.dossier import Dossier
from bertlens.run.progress import Progress, silent

WHOLE = frozenset({"everything", "every output"})
"""How a finding says that no output is left out."""


def examine(dossier: Dossier, readout: Readout | None = None, progress: Progress = silent) -> Checkup:
    """Ask every judge about one checkpoint; causes come before what follows from them."""
    modules = weights.modules_of(dossier, progress)
    asked = _asked(dossier, modules, readout)
    findings = most_serious_first([finding for one in asked for finding in one.findings])
    outputs = trusted(dossier, findings)
    return Checkup(_identity(dossier), findings, modules, groups(dossier.alignment), outputs, facts(dossier), asked=asked)


def _asked(dossier: Dossier, modules: Sequence[weights.Module], readout: Readout | None) -> tuple[Asked, ...]:
    """Questions in the order of their reach: what spoils everything, then single outputs, then what lies in wait."""
    tokens = untrained_tokens(dossier)
    return (
        Asked("Does the file hold every weight of the model, under its name and in its shape?", tuple(keys.of_keys(dossier))),
        Asked("Was every module trained?", tuple(never_trained.of_modules(dossier, modules))),
        Asked("Was every position trained?", tuple(of_positions(dossier))),
        Asked("Does the config say what the weights say?", tuple(settings.of_config(dossier))),
        Asked("Is the tokenizer the one that the weights were trained with?", tuple(of_tokenizer(dossier))),
        Asked("Was the head trained?", tuple(never_trained.of_head(dossier, modules))),
        Asked("Was the row of every token trained?", tuple(of_rows(dossier, tokens))),
        Asked("Was the pooler trained?", tuple(never_trained.of_pooler(dossier, modules))),
        Asked("Do all files name the same longest input?", tuple(of_lengths(dossier))),
        Asked("Are the vectors read as the checkpoint declares?", tuple(of_recipe(dossier, readout))),
    )


def with_texts(checkup: Checkup, dossier: Dossier, texts: Sequence[Any]) -> Checkup:
    """A checkup with what the tokenizer does to texts."""
    states = untrained_tokens(dossier)
    rows = {token: number for token, (number, _) in states.items()}
    told = tuple(of_texts(dossier, texts, rows))
    findings = most_serious_first([*checkup.findings, *told])
    asked = (*checkup.asked, Asked("Does the tokenizer keep all of the texts?", told))
    return replace(checkup, findings=findings, outputs=trusted(dossier, findings), asked=asked)


def with_reload(checkup: Checkup, dossier: Dossier, texts: Sequence[Any], progress: Progress = silent) -> Checkup:
    """A checkup with two loads side by side, where something is drawn at random and loading goes on at all."""
    if not dossier.alignment.missing or dossier.alignment.mismatched:
        return checkup
    return replace(checkup, reload=load_twice(str(dossier.folder), texts, progress))


def trusted(dossier: Dossier, findings: Sequence[Finding]) -> dict[str, tuple[str, ...]]:
    """For every output of the encoder and its head the findings that make it meaningless.

    Those are the problems of all outputs, and the problems and cautions that name this one.
    """
    outputs = list(dict.fromkeys((*dossier.encoder.outputs, *(dossier.head.outputs if dossier.head else ()))))
    return {
        output: tuple(
            finding.id
            for finding in findings
            if (finding.severity == "problem" and not WHOLE.isdisjoint(finding.affects))
            or (finding.severity != "note" and output in finding.affects)
        )
        for output in outputs
    }


def _identity(dossier: Dossier) -> dict[str, Any]:
    """What identifies the checkpoint; no path of the machine."""
    parts = dossier.encoder.parts.values()
    return {
        "name": dossier.name,
        "model_type": dossier.config.model_type,
        "class": dossier.encoder.name,
        "head": dossier.head.name if dossier.head else None,
        "layers": dossier.encoder.layers,
        "hidden": int(dossier.config.hidden_size),
        "parameters": sum(math.prod(part.shape) for part in parts),
        "files": list(dossier.weights.files),
        "bytes": dossier.weights.size,
        "sha256": dossier.sha256,
    }
