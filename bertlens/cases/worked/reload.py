"""Reload: a checkpoint without a pooler, whose pooler_output is another one at every load; and what mends it.

The copy is the checkpoint itself, written without its pooler as a masked-language model is saved, and loaded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from bertlens.cases.worked.case import MOST, Answer, Case, Choice, Control, Step, Table
from bertlens.cases.worked.on_labels import Measured, training
from bertlens.cases.worked.poolerless import between, fields, gradients, loaded, states_of, without_pooler
from bertlens.cases.worked.reload_script import reload_script
from bertlens.diagnose import check, pooling, shapes
from bertlens.errors import BertlensError
from bertlens.judge.weights.load_report import is_pooler
from bertlens.judge.weights.reload import Reload, side_by_side
from bertlens.remedies.repair import repair
from bertlens.run.labels import example_labelled
from bertlens.show import checkpoint as pictures
from bertlens.show import tables

if TYPE_CHECKING:
    from bertlens.judge.checkpoint.checkup import Checkup
    from bertlens.judge.comparison import Comparison
    from bertlens.judge.pooling import Poolings
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.progress import Progress
    from bertlens.run.texts import Texts

SIZES = ("max_abs", "max_abs_float64", "l2")
READ = ("pooler", "cls", "mean")
REMEDIES = {
    "cls": "I read last_hidden_state[:, 0] instead",
    "mean": "I read the masked mean instead",
    "base": "I take the pooler of the base checkpoint",
    "train": "I train a pooler with a classifier on labelled texts",
    "saved": "I save the model with the pooler that was drawn, and load that (the trap)",
    "seed": "I load it a third time",
}
"""What people do about it."""

ON_LABELS = training(2, "remedy", READ)


@dataclass(frozen=True, eq=False)
class Loads:
    """Two loads of the copy without a pooler.

    Attributes
    ----------
    reload : every output of both.
    compared : readout -> the comparison of both loads.
    """

    reload: Reload
    compared: dict[str, Comparison]


@dataclass(frozen=True, eq=False)
class Reasons:
    """Why it happens, measured.

    Attributes
    ----------
    without : the check of the copy without a pooler.
    tensors : name, axes and shape of what comes out.
    states : one line per hidden state: how far it lies from last_hidden_state.
    learnt, of : weights that get a gradient from the masked-LM loss, and how many there are; `dead` of the pooler.
    readouts : pooler, [CLS] and mean of the checkpoint itself.
    fields : one line per head class: what it returns.
    """

    without: Checkup
    tensors: pd.DataFrame
    states: pd.DataFrame
    learnt: int
    of: int
    dead: int
    readouts: Poolings
    fields: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Remedied:
    """A remedy that was carried out.

    Attributes
    ----------
    remedy : a key of `REMEDIES`.
    compared : two loads after it; None where it was refused.
    done : what was done, or why it was refused, in sentences.
    checked : what the check says of the files where they changed.
    """

    remedy: str
    compared: Comparison | None
    done: tuple[str, ...] = ()
    checked: Checkup | None = None


def two_loads(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Loads:
    """The copy loaded under two seeds, read in three ways."""
    some = texts[:MOST]
    with without_pooler(checkpoint) as folder:
        progress(0, 2, "loading the copy twice")
        loads = loaded(folder)
        progress(1, 2, "comparing the loads")
        compared = {readout: between(loads, some, readout) for readout in READ}
        return Loads(side_by_side(*loads, some), compared)


def mistake(found: Loads, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The vector that a pooler nobody saved makes."""
    drawn = ", ".join(found.reload.newly_initialised)
    return Answer(
        verdict=found.compared["pooler"].verdict,
        sentence=_told(found.compared["pooler"], "pooler_output of two loads"),
        reason=f"The file has no pooler, as a masked-language model saves it, so every load draws a new one. Newly "
        f"initialised: {drawn}.",
        lines="model = AutoModel.from_pretrained(folder)   # the warning says: newly initialised\n"
        "vector = model(**batch).pooler_output",
        tables=(_per_text("case-2-mistake", "pooler_output of two loads, text by text", found.compared["pooler"], texts),),
    )


def right(found: Loads, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """What does not go through the pooler."""
    same = [row.output for row in found.reload.outputs if row.equal]
    return Answer(
        verdict=found.compared["cls"].verdict,
        sentence=_told(found.compared["cls"], "last_hidden_state[:, 0] of two loads"),
        reason=f"{len(same)} of {len(found.reload.outputs)} outputs are the same to the last bit, the masked mean of the last "
        f"layer as well ({found.compared['mean'].verdict}).",
        lines="vector = model(**batch).last_hidden_state[:, 0]",
        tables=(
            Table("case-2-outputs", "Every output of two loads", found.reload.to_frame(), ("max_abs",)),
            _per_text("case-2-right", "last_hidden_state[:, 0] of two loads, text by text", found.compared["cls"], texts),
        ),
    )


def _told(found: Comparison, what: str) -> str:
    """The comparison's own sentence, with what was compared."""
    word, rest = found.sentence.split(":", 1)
    return f"{word}: {what}:{rest}"


def _per_text(name: str, title: str, found: Comparison, texts: Texts) -> Table:
    return Table(name, title, tables.rows(found, texts[: len(found.rows)]), SIZES)


def reasons(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Reasons:
    """What the load report spoils, what each output holds, and what a loss teaches."""
    some = texts[:MOST]
    progress(0, 4, "checking the copy")
    with without_pooler(checkpoint) as folder:
        without = check(str(folder))
    progress(1, 4, "running every layer")
    tensors = [
        {"tensor": one.name, "axes": " × ".join(one.axes), "shape": " × ".join(map(str, one.shape))}
        for one in shapes(checkpoint, some)
        if one.name in ("last_hidden_state", "hidden_states", "pooler_output")
    ]
    states = states_of(checkpoint, some)
    progress(2, 4, "following the gradient")
    learnt, of, dead = gradients(checkpoint, some)
    readouts = pooling(checkpoint, some, readouts=READ)
    progress(3, 4, "loading the heads")
    return Reasons(without, pd.DataFrame(tensors), states, learnt, of, dead, readouts, fields(checkpoint, some))


def reason(found: Reasons, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The load report, what every output holds, and what the masked-LM loss does not teach."""
    same = found.states.loc[found.states["is last_hidden_state"], "state"].tolist()
    pairs = found.readouts.pairs().dropna(subset="rank_agreement")
    spoilt = [option for option in found.readouts.options if option.readout == "pooler" and option.meaningless]
    ours = pairs[pairs["one"] == "pooler"]
    agree = ", ".join(f"{value:.2f} with {other}" for value, other in zip(ours["rank_agreement"], ours["other"], strict=True))
    state = f"meaningless ({spoilt[0].meaningless})" if spoilt else "not known to be random"
    better = f"pooler_output of this checkpoint is {state}"
    ranks = f"; its ranking of the texts agrees {agree} (Spearman)" if agree else ""
    return Answer(
        reason="What hangs on the pooler is random in every load; what does is read from the graph of a forward pass.\n"
        f"The last layer is not all of them: hidden_states has {len(found.states)} entries, and "
        f"{' and '.join(same) or 'none of them'} is last_hidden_state.\nNor is pooler_output the better vector by its name: "
        f"{better}{ranks}; only labels decide.\nThe masked-LM loss, with its head on an encoder that carries a pooler, "
        f"reaches {found.learnt} of {found.of} of its weights and {'none' if found.dead else 'all'} of the pooler's: trained "
        "on and saved, it stays as it was drawn.",
        tables=(
            Table(
                "case-2-load-report", "What loading draws, and which outputs that spoils", pictures.load_report(found.without)
            ),
            Table("case-2-trust", "Which outputs of the copy may be trusted", pictures.outputs(found.without), folded=True),
            Table("case-2-shapes", "What comes out", found.tensors),
            Table("case-2-states", "Which hidden state is last_hidden_state?", found.states, ("max_abs",)),
            Table("case-2-fields", "What each class returns", found.fields, folded=True),
            *([Table("case-2-readouts", "How far the readouts agree", pairs, folded=True)] if len(pairs) else []),
        ),
    )


def remedied(checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Remedied | Measured:
    """Carry out one remedy, and load twice after it."""
    if ON_LABELS.asked(choice):
        measured: Measured = ON_LABELS.work(checkpoint, example_labelled(), progress)
        return measured
    some, remedy = texts[:MOST], choice["remedy"]
    progress(0, 2, "carrying it out")
    with without_pooler(checkpoint) as folder:
        if remedy == "base":
            out = folder.parent / "mended"
            try:
                done = repair(str(folder), "pooler-missing", out, base=checkpoint.name)
            except BertlensError as refused:  # such as a base whose own pooler was never trained
                return Remedied(remedy, None, (f"Refused: {refused.got}.",))
            return Remedied(remedy, between(loaded(out), some, "pooler"), done.done, done.after)
        loads = loaded(folder, (0, 2) if remedy == "seed" else (0, 1))
        if remedy != "saved":
            return Remedied(remedy, between(loads, some, "pooler" if remedy == "seed" else remedy))
    drawn = {name: value for name, value in loads[0].model.state_dict().items() if is_pooler(name)}
    with without_pooler(checkpoint, drawn) as folder:
        return Remedied(remedy, between(loaded(folder), some, "pooler"), checked=check(str(folder)))


def what_if(found: Remedied | Measured, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """What the remedy does to two loads, and what the check then says of the files."""
    if isinstance(found, Measured):
        return ON_LABELS.tell(found, checkpoint, example_labelled())
    what = {"cls": "last_hidden_state[:, 0]", "mean": "the masked mean"}.get(found.remedy, "pooler_output")
    said = " ".join(found.done)
    if found.checked is not None:
        known = [one.title for one in found.checked.findings if one.id in ("pooler-untrained", "pooler-missing")]
        verdict = f"the check of its files says: {known[0]}." if known else "the check finds no untrained pooler in its files."
        if any(module.state == "newly drawn" and is_pooler(module.name) for module in found.checked.modules) and not known:
            verdict = "the check sees a drawn pooler, in a model of which every part looks drawn."
        said += f" Nothing is newly initialised now, so nothing warns; {verdict}"
    if found.compared is None:
        return Answer(reason=f"{said} The pooler of {checkpoint.name} does not mend the copy.")
    return Answer(
        verdict=found.compared.verdict,
        sentence=_told(found.compared, f"{what} of two loads"),
        reason=said.strip()
        or {"seed": "Another seed draws another pooler."}.get(found.remedy, "It never goes through the pooler."),
        tables=(_per_text("case-2-if", "Two loads, text by text", found.compared, texts),),
    )


def code(found: Loads, checkpoint: Checkpoint, texts: Texts) -> Answer:
    """The copy, two loads of it, and both readouts."""
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    return Answer(
        reason="It writes the copy into a temporary folder, loads it under two seeds, and reads both ways.",
        scripts={"case_2_two_loads": reload_script(checkpoint.name, texts[:MOST], **facts)},
    )


def refusal(checkpoint: Checkpoint, texts: Texts) -> str:
    """Families without a pooler cannot lose it."""
    if checkpoint.architecture.pooler:
        return ""
    kind = checkpoint.architecture.kind
    return f"This model ({kind}) has no pooler and returns no pooler_output, so none can be drawn at random; choose a BERT."


CASE = Case(
    number=2,
    title="Another vector at every load",
    question="My sentence vector changes every time I load the model. Why?",
    steps=(
        Step("mistake", two_loads, mistake),
        Step("right", two_loads, right),
        Step("reason", reasons, reason),
        Step("if", remedied, what_if),
        Step("code", two_loads, code),
    ),
    controls=(Control("remedy", "after the warning", lambda checkpoint, texts: REMEDIES),),
    refusal=refusal,
    on_labels=ON_LABELS,
)
