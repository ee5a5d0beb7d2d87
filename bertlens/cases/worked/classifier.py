"""Classifier: a sequence classifier reads the first token of every row, not the first row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from bertlens.cases.worked.case import MOST, Answer, Case, Choice, Control, Drawing, Step, Table, of_texts
from bertlens.cases.worked.on_labels import Measured, comparing
from bertlens.diagnose import cls_attention, head, head_dropout, token_path, token_shares
from bertlens.diagnose.classifying import on_device
from bertlens.errors import BertlensError
from bertlens.judge.head import Head
from bertlens.judge.reproduction import Side, held_against
from bertlens.judge.wording import number
from bertlens.read.head import following
from bertlens.run.condition import Condition
from bertlens.run.headed import headed
from bertlens.run.inputs import prepare
from bertlens.run.labels import example_labelled
from bertlens.run.variants import running
from bertlens.show import head as pictures
from bertlens.show import head_tables, shares
from bertlens.show import token_layers as layers
from bertlens.show.head_script import head_script

if TYPE_CHECKING:
    from bertlens.judge.cls_attention import ClsAttention
    from bertlens.judge.dropout_runs import DropoutRuns
    from bertlens.judge.token_layers import TokenLayers
    from bertlens.judge.token_shares import TokenShares
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.progress import Progress
    from bertlens.run.texts import Texts

STEPS = 20
"""Points on the path of integrated gradients."""

LONG = 128
"""Tokens from which on the shares of tokens are left to the page of the head: each takes a pass of its own."""

SIZES = ("max_abs", "max_abs_float64", "l2", "max abs", "max abs in float64")
IFS = {
    "mean": "the head read the mean instead of [CLS]",
    "dropout": "dropout was left on",
    "labels": "I compare [CLS] and the mean on labels",
}
ON_LABELS = comparing(5, "what", ("cls", "mean"))


@dataclass(frozen=True, eq=False)
class Logits:
    """The logits of some texts from the first row's tokens, and from each row's first token, against the model's own.

    Attributes
    ----------
    drawn : newly initialised weights on the way to them.
    width : tokens of a row.
    head : the class.
    first_row, first_token : against the model's logits.
    of : one line per text and class with the three logits.
    """

    drawn: tuple[str, ...]
    width: int
    head: str
    first_row: Side
    first_token: Side
    of: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Reasons:
    """The head step by step, and how the sentence gets into [CLS]; shares are None for a long text."""

    head: Head
    attention: ClsAttention
    path: TokenLayers
    shares: TokenShares | None


def two_readings(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Logits:
    """Replay the head on `last_hidden_state[0]` and on `last_hidden_state[:, 0]`.

    Raises
    ------
    BertlensError
        For a head that reads every token.
    """
    one = headed(checkpoint, "sequence")
    rows = prepare(checkpoint, texts[:MOST], Condition()).tokens
    some = texts[: min(len(rows), len(rows[0].ids))]  # row 0 must have a token for every text
    batch = next(iter(prepare(checkpoint, some, Condition())))
    with running("float32", None), following(one.own_instance()) as follow:
        found = follow(on_device(one.device, batch), batch.real.to(one.device))
        vector = found.vector()
        if vector is None:
            raise BertlensError("cannot put another vector into this head", got=f"a head that reads every token ({one.cls})")
        readings = (found.last[0, : len(vector)], found.last[:, 0])
        kept, logits = {id(found.last): found.last}, id(found.logits)
        given = [kept, *({**kept, id(vector): other} for other in readings)]
        as_run = [found.replay(values)[logits] for values in given]
        double = [found.replay(values, double=True)[logits] for values in given]
    first_row, first_token = (held_against(tuple(as_run), tuple(double), at) for at in (1, 2))  # type: ignore[arg-type]
    names = ("the model", "last_hidden_state[0]", "last_hidden_state[:, 0]")
    lines = [
        {"text": text, "class": str(one.instance().config.id2label[label]), **dict(zip(names, values, strict=True))}
        for text, row in enumerate(torch.stack(as_run, -1).tolist())
        for label, values in enumerate(row)
    ]
    return Logits(one.drawn, found.last.shape[1], one.cls, first_row, first_token, pd.DataFrame(lines))


def mistake(found: Logits, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The first row in the head's place."""
    count = len(found.first_row.rows)
    return Answer(
        caution=_drawn(found.drawn),
        verdict=found.first_row.verdict,
        sentence=_told(found.first_row, "last_hidden_state[0]"),
        reason=f"last_hidden_state[0] is all {found.width} tokens of text 0. Put through the head, line i is the logits of its "
        f"token i: only line 0 of the {count} here is right, because token 0 of text 0 is its [CLS].",
        lines="vectors = outputs.last_hidden_state[0]      # the first row: every token of one text\nlogits = head(vectors)",
        tables=(Table("case-5-mistake", "The logits, text by text", found.of),),
    )


def right(found: Logits, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The first token of every row in the head's place."""
    return Answer(
        caution=_drawn(found.drawn),
        verdict=found.first_token.verdict,
        sentence=_told(found.first_token, "last_hidden_state[:, 0]"),
        reason=f"{found.head} takes the first token of every row, as hidden_states[:, 0] says: one vector per text.",
        lines="vectors = outputs.last_hidden_state[:, 0]   # the first token of every row\nlogits = head(vectors)",
        tables=(Table("case-5-right", "Against the model's logits", _frame(found.first_token), SIZES),),
    )


def _told(side: Side, vectors: str) -> str:
    if side.verdict == "identical":
        return f"Identical: the logits from {vectors} are the model's own to the last bit."
    worst = max(side.rows, key=lambda row: row.max_abs)
    again = "" if worst.max_abs_float64 is None else f", in float64 {number(worst.max_abs_float64)}"
    return (
        f"{side.verdict.capitalize()}: the logits from {vectors} lie up to {number(worst.max_abs)} from the model's own "
        f"(text {worst.text}{again})."
    )


def _frame(side: Side) -> pd.DataFrame:
    return pd.DataFrame([row.to_dict() for row in side.rows])


def _drawn(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    parts = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    are = "is not in the file and was" if len(parts) == 1 else "are not in the file and were"
    return f"{', '.join(parts)} {are} drawn just now: these are numbers of a random draw, not of a trained classifier."


def reasons(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Reasons:
    """The head of the first text, what [CLS] attends to, how it moves, and each token's part."""
    found = head(checkpoint, texts, 0, kind="sequence", progress=progress)
    attention = cls_attention(checkpoint, texts, 0)
    path = token_path(checkpoint, texts, 0, condition=Condition())
    short = len(found.tokens) <= LONG
    parts = token_shares(checkpoint, texts, 0, steps=STEPS, progress=progress) if short else None
    return Reasons(found, attention, path, parts)


def reason(found: Reasons, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """[CLS] is a token like any other, and reads the sentence in the layers."""
    one = found.head
    same = "exactly" if one.is_row else "not"
    saturated = [f"{100 * step.saturation:.1f} %" for step in one.steps if step.saturation is not None]
    tanh = f" Of the tanh, {saturated[0]} of the units are above 0.99." if saturated else ""
    table = found.path.to_frame()
    words = "How far [CLS] moves from one hidden state to the next, over its length before."
    drawings = [
        Drawing(
            "case-5-attention",
            "What [CLS] attends to, mean of the heads",
            shares.by_layer(found.attention),
            head_tables.attention(found.attention),
            found.attention.sentence,
        ),
        Drawing(
            "case-5-moves",
            "How far [CLS] moves from layer to layer",
            layers.token_lines(found.path, "change", (0,)),
            table[table["position"] == 0],
            words,
        ),
    ]
    if found.shares is not None:
        picture, frame = shares.parts(found.shares), found.shares.to_frame()
        drawings.append(Drawing("case-5-shares", "Each token's part in the logit", picture, frame, found.shares.sentence))
    return Answer(
        caution=_drawn(one.drawn),
        reason=f"{one.tokens[0]} is an ordinary token, id {one.ids[0]}: what is looked up for it is {same} row {one.ids[0]} of "
        f"the embedding matrix, the same before every text.\n{found.attention.sentence}\n{one.cls} then takes "
        f"{len(one.steps) - 1} steps to the logits; by hand they differ by {number(one.by_hand.gap)}.{tanh}",
        tables=(
            Table("case-5-steps", "From last_hidden_state to the logits", head_tables.steps(one), SIZES),
            Table("case-5-special", "The special tokens", head_tables.special_tokens(one)),
        ),
        drawings=tuple(drawings),
    )


def replaced(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Head | DropoutRuns | Measured:
    """The head on the mean, or with dropout on, of one text; or both vectors on labels."""
    if ON_LABELS.asked(choice):
        measured: Measured = ON_LABELS.work(checkpoint, example_labelled(), progress)
        return measured
    text = int(choice["text"])
    if choice["what"] == "dropout":
        return head_dropout(checkpoint, texts, text, progress=progress)
    return head(checkpoint, texts[:MOST], text, kind="sequence", progress=progress)


def what_if(found: Head | DropoutRuns | Measured, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The mean in the head's place, twenty draws of dropout, or what labels say."""
    if isinstance(found, Measured):
        return ON_LABELS.tell(found, checkpoint, example_labelled())
    caution = _drawn(headed(checkpoint, "sequence").drawn)
    if not isinstance(found, Head):
        picture, frame = pictures.dropout(found), found.to_frame()
        return Answer(
            caution=caution,
            reason=f"{found.sentence} Dropout belongs to training; model.eval() turns it off.",
            tables=(Table("case-5-if", "Without dropout, then seed by seed", frame),),
            drawings=(Drawing("case-5-dropout", "The logits of every run", picture, frame, found.sentence),),
        )
    if not found.replaced or found.predictions is None:
        return Answer(caution=caution, reason="This head reads every token, so there is no vector to replace.")
    changed, count = int(found.predictions.changed.sum()), len(found.predictions.changed)
    apart = float(abs(found.replaced["cls"][-1].astype(float) - found.replaced["mean"][-1]).max())
    takes = {"cls": "[CLS]", "mean": "the mean"}.get(found.taken, "a vector of its own")
    flips = f", and {changed} of {count} texts get another class" if found.activation else ""
    words = "Logits of every class with [CLS] and with the mean of all tokens in the head's place."
    return Answer(
        caution=caution,
        reason=f"Nothing forbids it: with the mean the logits of text {found.text} move by up to {number(apart)}{flips}. This "
        f"head was made for {takes}; which vector is better is measured on labels, with a head trained on each.",
        tables=(Table("case-5-if", "All texts, with [CLS] and with the mean", head_tables.predictions(found, texts)),),
        drawings=(Drawing("case-5-mean", "[CLS] beside the mean", pictures.answer(found), head_tables.answers(found), words),),
    )


def code(found: Reasons, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The whole way from the text to the answer."""
    label = found.head.predicted if found.shares is None else found.shares.label
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    script = head_script(checkpoint.name, texts, found.head, label=label, steps=STEPS, **facts)
    return Answer(
        reason="Every step of the head by hand, dropout on and off, attention from [CLS], and each token's part.",
        scripts={"case_5_head": script},
    )


def refusal(checkpoint: Checkpoint, texts: Texts) -> str:
    """A first row and a first token are the same thing for one text."""
    return (
        ""
        if len(texts) > 1
        else "With one text alone the first row and the first token of every row coincide; give two or more."
    )


CASE = Case(
    number=5,
    title="How a classifier reads [CLS]",
    question="How does a sequence classifier classify on [CLS], and what does hidden_states[:, 0] take?",
    steps=(
        Step("mistake", two_readings, mistake),
        Step("right", two_readings, right),
        Step("reason", reasons, reason),
        Step("if", replaced, what_if),
        Step("code", reasons, code),
    ),
    controls=(
        Control("what", "and now", lambda checkpoint, texts: IFS),
        Control("text", "text", lambda checkpoint, texts: of_texts(texts)),
    ),
    refusal=refusal,
    on_labels=ON_LABELS,
)
