"""Head findings: weights on the way to the logits that nobody trained, or that were trained for something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bertlens.judge.findings import Finding, named
from bertlens.judge.head_steps import Step
from bertlens.judge.weights.untrained import state_of
from bertlens.run.headed import KINDS, Headed

LARGEST_JUDGED = 2_000_000
"""Entries of a weight up to which its spectrum is read; a decoder is the embedding matrix, which the page Checkpoint judges."""

OUTPUTS = ("logits", "probabilities")


def of_head(headed: Headed, model: Any, steps: Sequence[Step]) -> list[Finding]:
    """What must be known before any number of this head is read."""
    found = []
    others = [name for name in headed.report.newly_initialised if name not in headed.drawn]
    if others:
        title = (
            f"{len(others)} weights of the encoder are not in the file and were newly initialised: every number is meaningless"
        )
        found.append(named("weights-not-loaded", "problem", {"examples": others[:3]}, ("everything",), title))
    if headed.drawn:
        modules = list(dict.fromkeys(name.rpartition(".")[0] for name in headed.drawn))
        title = (
            f"{_listed(modules)} of {headed.cls} {'is' if len(modules) == 1 else 'are'} not in the file and newly initialised "
            f"(drawn with seed {headed.seed}): every number of this head comes from a random draw"
        )
        evidence = {"class": headed.cls, "newly_initialised": list(headed.drawn), "seed": headed.seed}
        found.append(named("classifier-untrained", "problem", evidence, OUTPUTS, title))
    elif headed.declared and not headed.declares:
        title = f"The weights of this head were saved by {headed.declared}, not trained for {KINDS[headed.kind].words}"
        found.append(
            named("classifier-untrained", "caution", {"declared": headed.declared, "class": headed.cls}, OUTPUTS, title)
        )
    return [*found, *_never_trained(model, steps)]


def _never_trained(model: Any, steps: Sequence[Step]) -> list[Finding]:
    """Linear layers on the way that came from the file but still fit a fresh draw."""
    found = []
    modules = {step.module for step in steps if step.kind == "linear" and step.module and not step.drawn}
    for name in sorted(modules):
        module = model.get_submodule(name)
        if module.weight.numel() > LARGEST_JUDGED:
            continue
        bias = None if module.bias is None else module.bias.detach()
        state = state_of("linear", module.weight.detach(), bias, thorough=False)
        if state.state == "newly drawn":
            pooler = "pooler" in name
            title = f"{name} was saved but never trained, and the logits go through it"
            evidence = {"module": name, "reason": state.reason, **state.evidence}
            fault = "pooler-untrained" if pooler else "classifier-untrained"
            found.append(named(fault, "caution", evidence, OUTPUTS, title))
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
