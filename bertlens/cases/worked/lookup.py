"""Lookup: hidden_states[0] is not the embedding lookup, and fed back it is embedded a second time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertlens.cases.worked.case import MOST, Answer, Case, Choice, Control, Drawing, Step, Table, of_texts
from bertlens.diagnose import compare, edit, lookup, lookup_cost
from bertlens.errors import BertlensError
from bertlens.judge.comparison import Comparison
from bertlens.judge.trial import Trial, frame_of
from bertlens.judge.wording import number
from bertlens.show import edits as edit_pictures
from bertlens.show import lookup as pictures
from bertlens.show import tables
from bertlens.show.lookup_script import lookup_script

if TYPE_CHECKING:
    from bertlens.judge.edits import Effect
    from bertlens.judge.lookup import Lookup, LookupCost
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.progress import Progress
    from bertlens.run.texts import Texts

EDITS = {
    "1:scale=2": "I double the first word's vector",
    "1:noise=0.5@0": "I add noise to it",
    "1:zero": "I set it to zero",
    "1:token={other}": "I swap it for the vector of “{other}”",
    "1:average=right": "I average it with its neighbour",
}
"""What people do with a looked-up vector; `{other}` is a word piece of the vocabulary."""

SEGMENTS = "segments=ones"
SIZES = ("max_abs", "max_abs_float64", "cls_max_abs", "l2")


@dataclass(frozen=True, eq=False)
class Reasons:
    """The parts of the embeddings, what the lookup costs, and what segments of ones do; None where there are none."""

    found: Lookup
    cost: LookupCost
    segments: Comparison | None


def taken_apart(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Lookup:
    """The first text's embeddings part by part, and fed back.

    Raises
    ------
    BertlensError
        Where nothing but the lookup can be fed back.
    """
    found = lookup(checkpoint, texts, 0, progress=progress)
    if len(found.fed) < 2:
        raise BertlensError(
            "cannot feed hidden_states[0] back here", got=f"embeddings of a kind of their own ({checkpoint.architecture.kind})"
        )
    return found


def _wrong(found: Lookup) -> Trial:
    return found.fed[1]


def mistake(found: Lookup, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """hidden_states[0] as inputs_embeds."""
    roles = " and ".join(part.role for part in found.embedding.parts if part.role != "word")
    again = f" adds {roles} a second time and" if roles else ""
    return Answer(
        verdict=_wrong(found).verdict,
        sentence=_told(_wrong(found)),
        reason=f"{_wrong(found).name} is what the model makes of the lookup; passed where a lookup belongs, the model{again} "
        "normalises once more.",
        lines="vectors = model(**batch, output_hidden_states=True).hidden_states[0]\n"
        "outputs = model(inputs_embeds=vectors, attention_mask=batch['attention_mask'])",
        tables=(Table("case-4-mistake", "Fed back as inputs_embeds", frame_of(found.fed[1:]), SIZES),),
    )


def right(found: Lookup, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The lookup itself."""
    return Answer(
        verdict=found.fed[0].verdict,
        sentence=_told(found.fed[0]),
        reason="The lookup needs no pass through the encoder, and fed back unchanged it gives the original outputs.",
        lines="vectors = model.get_input_embeddings()(batch['input_ids'])   # change these\n"
        "rest = {name: x for name, x in batch.items() if name != 'input_ids'}\n"
        "outputs = model(inputs_embeds=vectors, **rest)",
        tables=(Table("case-4-right", "Fed back as inputs_embeds", frame_of(found.fed[:1]), SIZES),),
    )


def _told(trial: Trial) -> str:
    row = trial.row
    if row.equal:
        return f"Identical: {trial.name} as inputs_embeds gives the original outputs to the last bit."
    again = "" if row.max_abs_float64 is None else f", in float64 {number(row.max_abs_float64)}"
    return (
        f"{row.verdict.capitalize()}: {trial.name} as inputs_embeds moves last_hidden_state by up to {number(row.max_abs)}"
        f"{again}; cosine of [CLS] {trial.cls_cosine:.4f}, of the worst token {trial.least_cosine:.4f}."
    )


def reasons(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Reasons:
    """The parts, the costs, and segments of ones."""
    found = taken_apart(checkpoint, texts, choice, progress)
    cost = lookup_cost(checkpoint, texts[:MOST], progress=progress)
    segments = _segments(checkpoint, texts[:MOST]) if checkpoint.architecture.segments > 1 else None
    return Reasons(found, cost, segments)


def _segments(checkpoint: Checkpoint, texts: Texts) -> Comparison:
    return compare(checkpoint, texts, reference="batch=alone", candidate=f"batch=alone,{SEGMENTS}", readout="cls")


def reason(found: Reasons, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """What is added to a lookup, token by token, and what that costs."""
    whole = found.found
    parts = " + ".join(part.role for part in whole.embedding.parts)
    then = "".join(f", then {step.name}" for step in whole.embedding.steps[1:])
    alone = "" if whole.alone is None else f" The embedding module run alone gives the same (max abs {number(whole.alone)})."
    second = "\ntoken_type_ids of ones say that a sentence is a second one."
    ones = "" if found.segments is None else f"{second} {found.segments.sentence}"
    said = (
        f"hidden_states[0] is {parts}{then}; added up by hand and held against the model: max abs "
        f"{number(whole.embedding.max_abs)}.{alone}{ones}\n{found.cost.sentence}"
    )
    words = "L2 length of every vector that is added, of their sum, and of what follows it."
    segments = () if found.segments is None else (found.segments,)
    return Answer(
        reason=said,
        tables=(
            Table("case-4-parts", "Token by token: rows, lengths, cosines", whole.to_frame()),
            Table("case-4-cost", "The lookup against a full pass, in seconds", found.cost.to_frame()),
            *(
                Table("case-4-segments", "Segments all ones, text by text", tables.rows(one, texts[: len(one.rows)]), SIZES)
                for one in segments
            ),
        ),
        drawings=(Drawing("case-4-norms", "How long each vector is", pictures.norms(whole), whole.to_frame(), words),),
    )


def edited(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Effect | Comparison:
    """The edit that was chosen, fed back."""
    text = int(choice["text"])
    if choice["edit"] == SEGMENTS:
        return _segments(checkpoint, texts[text : text + 1])
    return edit(checkpoint, texts, text, edits=choice["edit"], progress=progress)


def what_if(found: Effect | Comparison, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """What it does to every layer and to [CLS]."""
    if isinstance(found, Comparison):
        return Answer(
            verdict=found.verdict,
            sentence=found.sentence,
            reason="token_type_ids of ones say: everything here is the second sentence.",
            tables=(Table("case-4-if", "Segments all ones", found.to_frame(), SIZES),),
        )
    changed = ", ".join(f"{at} {found.tokens[at]}" for at in found.changed)
    shown, words = found.of_cls(), f"How far tokens are moved in every state. {found.sentence}"
    return Answer(
        verdict=found.verdict,
        sentence=found.sentence,
        reason=f"Edited: {changed}; {found.edits}, fed back as inputs_embeds.",
        tables=(Table("case-4-if", "[CLS] in every state, before against after", shown, SIZES),),
        drawings=(
            Drawing(
                "case-4-moved", "How far tokens are moved", edit_pictures.effect_lines(found, "change"), found.to_frame(), words
            ),
        ),
    )


def code(found: Lookup, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The parts, both ways to feed them back, and an edit."""
    edits = next(iter(_edits(checkpoint, texts)))
    script = lookup_script(
        checkpoint.name,
        texts,
        found,
        architecture=checkpoint.architecture,
        max_length=checkpoint.max_length,
        edits=edits,
    )
    return Answer(
        reason="Every part and its sum, the lookup and hidden_states[0] fed back, and one edit.",
        scripts={"case_4_lookup": script},
    )


def _edits(checkpoint: Checkpoint, texts: Texts) -> dict[str, str]:
    other = _word(checkpoint)
    found = {each.format(other=other): words.format(other=other) for each, words in EDITS.items() if other or "{" not in each}
    if checkpoint.architecture.segments > 1:
        found[SEGMENTS] = "I set token_type_ids to ones"
    return found


def _word(checkpoint: Checkpoint) -> str:
    """A word of the vocabulary that most have, as the tokenizer writes it; "" where it has none of them."""
    vocabulary = checkpoint.tokenizer.get_vocab()
    return next((word for word in ("river", "Ġriver", "▁river", "the", "Ġthe", "▁the") if word in vocabulary), "")


CASE = Case(
    number=4,
    title="The result of the embedding lookup",
    question="I want the vectors right after the lookup, change them, and feed them back. Is hidden_states[0] the place?",
    steps=(
        Step("mistake", taken_apart, mistake),
        Step("right", taken_apart, right),
        Step("reason", reasons, reason),
        Step("if", edited, what_if),
        Step("code", taken_apart, code),
    ),
    controls=(Control("edit", "to its lookup", _edits), Control("text", "text", lambda checkpoint, texts: of_texts(texts))),
)
