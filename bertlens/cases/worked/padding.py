"""Padding: the last four layers averaged for a classifier, where a plain mean takes padding for text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from bertlens.cases.worked.case import MOST, Answer, Case, Choice, Control, Drawing, Step, Table
from bertlens.cases.worked.on_labels import Measured, comparing
from bertlens.diagnose import capture, compare, explain, padding_trap, pooling, pooling_costs
from bertlens.judge.trap import PaddingTrap, steps_between
from bertlens.judge.verdict import VERDICTS
from bertlens.judge.wording import number
from bertlens.read.readout import POOLINGS, Readout
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.labels import example_labelled
from bertlens.show import pooling as pictures
from bertlens.show import tables
from bertlens.show.script import comparison_script
from bertlens.show.steps import steps_frame

if TYPE_CHECKING:
    from bertlens.judge.comparison import Comparison
    from bertlens.judge.costs import Costs
    from bertlens.judge.fresh import Fresh
    from bertlens.judge.trap import Padded
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.progress import Progress
    from bertlens.run.texts import Texts

PLAIN, MASKED = "mean_all@last4:concat", "mean@last4:concat"
READOUTS = (PLAIN, MASKED, "mean@last4:mean", "cls@last4:mean", "cls@last4:concat", "mean")
"""The first idea, and what is to be compared with it; the last one reads a single layer."""

WRITTEN = "torch.cat(hidden_states[-4:], dim=-1).mean(dim=1)"
FARTHEST = 128
"""Tokens to which texts are padded here at most; the page Pooling goes on to the model's limit."""

ON_LABELS = comparing(3, "what", READOUTS)
IFS = {"padding": "the batch was padded further", "labels": "I compare the readouts on labels"}
CLASSES, SEEDS = 5, (0, 1, 2, 3, 4)
SIZES = ("max_abs", "max_abs_float64", "l2")


@dataclass(frozen=True, eq=False)
class Reasons:
    """Why it happens, and what each readout is like.

    Attributes
    ----------
    said, steps : of the expression as it was written: what is wrong with it, and one line per step.
    padding, cells : padded places of the batch, and all of them.
    costs : of each readout beside the forward pass.
    fresh : readout -> logits of freshly drawn linear layers.
    """

    said: str
    steps: pd.DataFrame
    padding: int
    cells: int
    costs: Costs
    fresh: dict[str, Fresh]


@dataclass(frozen=True, eq=False)
class Padding:
    """One readout of texts alone against padded ones, and that readout through fresh linear layers."""

    comparison: Comparison
    fresh: Fresh


def trapped(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> PaddingTrap:
    """Every readout at growing padding, from the longest text on."""
    some = texts[:MOST]
    lengths = [int(length) for length in _lengths(checkpoint, some)]
    return padding_trap(checkpoint, some, poolings=READOUTS, lengths=lengths, progress=progress)


def _lengths(checkpoint: Checkpoint, texts: Texts) -> dict[str, str]:
    """Padded lengths, the largest first."""
    longest = max(len(row.ids) for row in prepare(checkpoint, texts[:MOST], Condition()).tokens)
    limit = min(FARTHEST, checkpoint.max_length)
    steps = steps_between(longest, max(limit, longest))
    return {str(step): f"{step} tokens{' (the longest text)' * (step == longest)}" for step in reversed(steps)}


def mistake(found: PaddingTrap, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The plain mean over all tokens of the last four layers."""
    row = _worst(found, PLAIN)
    return Answer(
        verdict=row.verdict,
        sentence=_told(row),
        reason=f"{PLAIN} averages every position, padding included, so a text gets another vector in every batch that is "
        "padded to another length.",
        lines="features = torch.cat(hidden_states[-4:], dim=-1)   # (batch, tokens, 4 * hidden)\n"
        "vectors = features.mean(dim=1)",
        tables=(_padded("case-3-mistake", found, PLAIN),),
    )


def right(found: PaddingTrap, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The mean over real tokens only."""
    row = _worst(found, MASKED)
    kept = [name for name in READOUTS if _worst(found, name).verdict in ("identical", "rounding")]
    return Answer(
        verdict=row.verdict,
        sentence=_told(row),
        reason=f"The masked mean counts real tokens alone. Of {len(READOUTS)} readouts padding leaves {len(kept)} as they are: "
        f"{', '.join(kept)}.",
        lines="mask = attention_mask.unsqueeze(-1)\nvectors = (features * mask).sum(1) / mask.sum(1)   # (batch, 4 * hidden)",
        tables=(_padded("case-3-right", found, MASKED),),
        drawings=(
            Drawing(
                "case-3-trap",
                "Every readout at growing padding",
                pictures.padding_trap(found),
                found.to_frame(),
                found.sentence,
            ),
        ),
    )


def _worst(found: PaddingTrap, readout: str) -> Padded:
    return max(found.of(readout), key=lambda row: (VERDICTS.index(row.verdict), row.max_abs))


def _told(row: Padded) -> str:
    again = "" if row.max_abs_float64 is None else f", in float64 {number(row.max_abs_float64)}"
    size = "no bit differs" if row.max_abs == 0 else f"text {row.text} is moved by up to {number(row.max_abs)}{again}"
    return (
        f"{row.verdict.capitalize()}: padded to {row.padding} tokens, {size} (cosine {row.cosine:.4f} to itself unpadded, "
        f"{row.pooling})."
    )


def _padded(name: str, found: PaddingTrap, readout: str) -> Table:
    frame = found.to_frame()
    return Table(name, "At every padded length, the worst text", frame[frame["pooling"] == readout], SIZES)


def reasons(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Reasons:
    """The expression with what is wrong in it, the costs, and fresh layers on top."""
    some = texts[:MOST]
    explained = explain(WRITTEN, capture(checkpoint, some))
    real = next(iter(prepare(checkpoint, some, Condition()))).real
    read = pooling(checkpoint, some, readouts=READOUTS)
    fresh = {readout: read.fresh(readout, CLASSES, SEEDS) for readout in READOUTS}
    costs = pooling_costs(checkpoint, some, readouts=READOUTS, progress=progress)
    said = explained.findings[0].title if explained.findings else explained.sentence
    return Reasons(said, steps_frame(explained.steps), int((real == 0).sum()), real.numel(), costs, fresh)


def reason(found: Reasons, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """How much of the batch is padding, what each readout's shape and cost is, and that a fresh layer decides nothing."""
    layers = [
        {
            "readout": name,
            "what it is": POOLINGS[Readout.parse(name).pooling],
            "vectors (batch, dimensions)": " × ".join(map(str, one.steps[-2].shape)),
            "linear layer": one.steps[-1].what,
            "logits (batch, classes)": " × ".join(map(str, one.steps[-1].shape)),
            "another class in a fresh layer": one.changes,
        }
        for name, one in found.fresh.items()
    ]
    return Answer(
        reason=f"{found.padding} of {found.cells} positions of this batch are padding. Of the expression as it was written "
        f"bertlens says: {found.said.rstrip('.')}.\nWhich readout is best no argument tells, only labels: "
        f"{found.fresh[MASKED].sentence[:1].lower()}{found.fresh[MASKED].sentence[1:]}",
        tables=(
            Table("case-3-steps", f"{WRITTEN}, step by step", found.steps),
            Table("case-3-layers", f"Each readout into a linear layer of {CLASSES} classes", pd.DataFrame(layers)),
            Table("case-3-costs", found.costs.sentence, found.costs.to_frame()),
        ),
    )


def padded(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Padding | Measured:
    """One readout at one padded length, or all of them on labels."""
    if ON_LABELS.asked(choice):
        measured: Measured = ON_LABELS.work(checkpoint, example_labelled(), progress)
        return measured
    some, readout = texts[:MOST], choice["readout"]
    candidate = f"padding={choice['padding']}"
    comparison = compare(checkpoint, some, reference="batch=alone", candidate=candidate, readout=readout, progress=progress)
    read = pooling(checkpoint, some, condition=candidate, readouts=(readout,))
    return Padding(comparison, read.fresh(readout, CLASSES, SEEDS))


def what_if(found: Padding | Measured, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The readout and the padded length of one's own, or what labels say."""
    if isinstance(found, Measured):
        return ON_LABELS.tell(found, checkpoint, example_labelled())
    comparison, steps = found.comparison, found.fresh.steps
    shapes = " → ".join(" × ".join(map(str, step.shape)) for step in steps)
    frame = tables.rows(comparison, texts[: len(comparison.rows)])
    return Answer(
        verdict=comparison.verdict,
        sentence=comparison.sentence,
        reason=f"Shapes on the way to {CLASSES} classes: {shapes}. {found.fresh.sentence}",
        tables=(Table("case-3-if", f"{comparison.readout}, alone against {comparison.candidate}", frame, SIZES),),
        drawings=(
            Drawing(
                "case-3-fresh",
                "The logits of text 0 under fresh layers",
                pictures.fresh(found.fresh, texts),
                found.fresh.to_frame(),
                found.fresh.sentence,
            ),
        ),
    )


def code(found: PaddingTrap, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """Both means, alone against padded."""
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    length = max(found.lengths)
    scripts = {
        f"case_3_{name}": comparison_script(
            checkpoint.name,
            texts[:MOST],
            Condition(batch="alone"),
            Condition.parse(f"padding={length}"),
            Readout.parse(readout),
            **facts,
        )
        for name, readout in (("mistake", PLAIN), ("right_way", MASKED))
    }
    return Answer(
        reason=f"Both means, each text alone against padded to {length} tokens.",
        scripts=scripts,
    )


def refusal(checkpoint: Checkpoint, texts: Texts) -> str:
    """Four layers, and something to pad with."""
    if checkpoint.architecture.layers < 3:
        return f"This model has {checkpoint.architecture.layers} layers, so there are no four hidden states to join."
    if checkpoint.tokenizer.pad_token_id is None:
        return "This tokenizer has no padding token, so nothing can be padded."
    return ""


CASE = Case(
    number=3,
    title="The last four layers for a classifier",
    question="I join the last four layers, (12, 200, 3072), and the linear layer wants two dimensions. "
    "Is torch.mean(dim=1) right?",
    steps=(
        Step("mistake", trapped, mistake),
        Step("right", trapped, right),
        Step("reason", reasons, reason),
        Step("if", padded, what_if),
        Step("code", trapped, code),
    ),
    controls=(
        Control("what", "and now", lambda checkpoint, texts: IFS),
        Control("padding", "the batch was padded to", _lengths),
        Control("readout", "the vector was read by", lambda checkpoint, texts: {name: name for name in READOUTS}),
    ),
    refusal=refusal,
    on_labels=ON_LABELS,
)
