"""Head script: the way from a text to the answer of a head in torch and transformers alone, with every number of the page."""

from __future__ import annotations

import json
from string import Template
from typing import TYPE_CHECKING

from bertlens.judge.head import AT_ONCE, MOST, Head
from bertlens.judge.head_steps import Step
from bertlens.read.shares import TOKENS, points, stand_in_of
from bertlens.run.condition import Condition
from bertlens.run.headed import KINDS
from bertlens.run.texts import Texts
from bertlens.show.head_script_parts import (
    ANSWERS,
    CONTRIBUTIONS,
    FOLLOWED,
    HAND,
    HEAD,
    HELPERS,
    LOGITS,
    OWN,
    RUNS,
    SETUP,
    SHARES,
)
from bertlens.show.runs import attention_of
from bertlens.show.script import imports, named

if TYPE_CHECKING:
    from bertlens.run.architecture import Architecture


def head_script(
    checkpoint: str,
    texts: Texts,
    found: Head,
    *,
    architecture: Architecture,
    max_length: int,
    label: int = 0,
    baseline: str = "pad",
    steps: int = 50,
    runs: int = 20,
) -> str:
    """The head of one text as a Python file: its steps, dropout, attention from [CLS] and the parts of every token.

    Its numbers are those of `bertlens.head`, `head_dropout`, `cls_attention` and `token_shares`. A head with steps that cannot
    be written in one line each is run and not written out.

    Parameters
    ----------
    found : the head that was followed.
    label, baseline, steps : of the parts of every token, as `bertlens.token_shares` takes them.
    runs : with dropout on.
    """
    auto = KINDS[found.kind].auto
    attention = attention_of(Condition(), architecture)
    values = {
        "seed": found.seed,
        "auto": auto,
        "attention": attention,
        "text": found.text,
        "limit": max_length,
        "no_segments": "" if architecture.segments else "\n    return_token_type_ids=False,",
        "label": label,
        "taken": found.taken,
        "runs": runs,
        "most": MOST,
        "batch": AT_ONCE,
        "position": found.position,
        "activation": {"softmax": ".softmax(-1)", "sigmoid": ".sigmoid()", "": ""}[found.activation],
    }
    parts = [
        f'"""How does {found.cls} get from a text to its answer?"""\n',
        *imports(checkpoint, auto=auto),
        "",
        *named(checkpoint, texts),
        Template(SETUP).substitute(values),
    ]
    if found.kind != "sequence":
        return "\n".join([*parts, Template(ANSWERS[found.kind]).substitute(values)])
    return (
        "\n".join(parts)
        + _followed(found, values)
        + Template(RUNS).substitute(values)
        + _shares(found, values, baseline, steps)
    )


def _followed(found: Head, values: dict[str, object]) -> str:
    """The steps of the head written out, or the logits alone where they cannot be."""
    chain = written(found)
    if chain is None:
        return LOGITS
    own = [f"    x = {f'model.{step.module}(x)' if step.module else OWN[step.kind]}\n    steps.append(x)" for step in chain]
    hand = [f"    x = {HAND[step.kind].format(step.module)}" for step in chain]
    parts = ""
    if found.contributions is not None:
        parts = Template(CONTRIBUTIONS).substitute(values, last=found.steps[-1].module)
    used = {step.kind for step in chain}
    helpers = "".join(text for kind, text in HELPERS.items() if kind in used)
    functions = Template(HEAD).substitute(own="\n".join(own), hand="\n".join(hand))
    return "\n\n" + helpers + functions + Template(FOLLOWED).substitute(values, contributions=parts)


def written(found: Head) -> list[Step] | None:
    """The steps after the vector that the head takes, without dropout; None where one of them cannot be written in a line."""
    if found.taken not in ("cls", "mean"):
        return None
    first = next(at for at, step in enumerate(found.steps) if step.kind in ("linear", "LayerNorm"))
    chain = [step for step in found.steps[first:] if step.kind != "dropout"]
    known = all(step.kind in HAND and (step.module or step.kind in OWN) for step in chain)
    return chain if known else None


def _shares(found: Head, values: dict[str, object], baseline: str, steps: int) -> str:
    places, weights = points(steps)
    return Template(SHARES).substitute(
        values,
        stand_in=stand_in_of(baseline),
        places=_numbers(places),
        weights=_numbers(weights),
        steps=steps,
        at_once=max(1, TOKENS // len(found.tokens)),
        hidden="tokenizer.mask_token_id" if any("mask" in row.roles for row in found.rows) else "tokenizer.unk_token_id",
    )


def _numbers(values: list[float]) -> str:
    """Numbers as literals, four a line."""
    rows = [values[at : at + 4] for at in range(0, len(values), 4)]
    return "\n".join("    " + ", ".join(json.dumps(value) for value in row) + "," for row in rows)
