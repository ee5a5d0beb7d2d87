"""Narrow: whether the cosines of a model are high for everything, and whether training made them so."""

from __future__ import annotations

from typing import Any

import numpy as np

from bertlens.judge.findings import Finding, named
from bertlens.judge.measures import plain
from bertlens.read.geometry import Anisotropy, Outliers

HIGH = 0.5
"""From this mean cosine of unrelated tokens on, cosines say little by themselves: more than half of them is there anyway."""

ABOVE = 0.1
"""Training is what narrows a state where its mean cosine lies this much above that of freshly drawn weights."""

LEAST = 12
"""Tokens, of two texts that are not the same, below which no mean cosine is judged."""

FEW = 0.05
"""Units are named as outliers where this share of them, or fewer, makes half of the mean cosine."""

ID = "anisotropy"

CODE = """\
# cosines that tell texts apart again: take off what all vectors share (fit once, on many texts)
mean = vectors.mean(0)   # (texts, hidden) -> (hidden,); keep it for new texts
centred = torch.nn.functional.normalize(vectors - mean, dim=-1)
cosines = centred @ centred.T
# for a search nothing is needed: rank by cosine, and do not compare it with a fixed threshold such as 0.8"""


def of_states(
    names: tuple[str, ...],
    found: Anisotropy,
    control: Anisotropy,
    baseline: Anisotropy | None,
    outliers: Outliers,
) -> list[Finding]:
    """The finding `anisotropy`, where unrelated tokens are as good as parallel in some state.

    The rule, state by state: the mean cosine is at least `HIGH` both on the texts given (at least two different ones, `LEAST`
    tokens) and on sentences that have nothing to do with each other, so that texts on one subject accuse nobody. A caution
    where it also lies `ABOVE` what freshly drawn weights give, or where that was not measured; else a note, for then the
    shape of the model makes it, and training did not. NaN accuses nobody.
    """
    if not judged(found):
        return []
    high = np.minimum(found.mean, control.mean) >= HIGH
    made = high if baseline is None else high & ~(found.mean < baseline.mean + ABOVE)
    chosen = made if made.any() else high
    if not chosen.any():
        return []
    state = int(np.argmax(np.where(chosen, found.mean, -np.inf)))
    evidence: dict[str, Any] = {
        "state": names[state],
        "states": [name for name, is_high in zip(names, chosen, strict=True) if is_high],
        "mean_cosine": float(found.mean[state]),
        "mean_cosine_of_unrelated_sentences": float(control.mean[state]),
        "mean_cosine_freshly_initialised": None if baseline is None else plain(float(baseline.mean[state])),
        "mean_cosine_after_centring": float(found.centred[state]),
        "share_of_common_vector": float(found.common[state]),
        "pairs": found.pairs,
    }
    units, share = outliers.making(state)
    if 0 < len(units) <= max(1, FEW * found.hidden):
        evidence |= {"units": list(units), "share_of_units": share}
    title = told(names, found, baseline, state) + _through(outliers, state, found.hidden)
    severity = "caution" if made.any() else "note"
    read = tuple("last_hidden_state" if at == len(names) - 1 else f"hidden_states[{at}]" for at in np.flatnonzero(chosen))
    finding = named(ID, severity, evidence, read, title)
    remedy = "Compare ranks, or take the mean vector off first; a model trained for cosines of sentences needs neither."
    return [Finding(finding.id, severity, title, evidence, read, remedy, CODE)]


def judged(found: Anisotropy) -> bool:
    """Whether there is enough to judge by."""
    return found.texts > 1 and found.tokens >= LEAST and bool(np.isfinite(found.mean).any())


def told(names: tuple[str, ...], found: Anisotropy, baseline: Anisotropy | None, state: int) -> str:
    """The mean cosine of one state beside that of freshly drawn weights, as the beginning of a sentence."""
    mean = f"unrelated tokens have a mean cosine of {found.mean[state]:.2f} in {_place(names, state)}"
    if baseline is None or not np.isfinite(baseline.mean[state]):
        return mean
    return f"{mean}, where a freshly initialised model of the same shape has {baseline.mean[state]:.2f}"


def _place(names: tuple[str, ...], state: int) -> str:
    return "the embeddings" if state == 0 else names[state]


def _through(outliers: Outliers, state: int, hidden: int) -> str:
    """The few units that make it, where it is a few."""
    units, share = outliers.making(state)
    if not units or len(units) > max(1, FEW * hidden):
        return ""
    return f"; {len(units)} of {hidden} units make{'s' * (len(units) == 1)} {100 * share:.0f} % of it"
