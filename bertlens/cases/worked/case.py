"""Case: a question that people keep asking, answered step by step on one checkpoint and some texts.

A step has two halves: its work runs the model and is worth keeping, its telling makes sentences, tables and pictures of what
the work found and costs nothing. Steps that share their work run it once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.labels import Labelled
    from bertlens.run.progress import Progress
    from bertlens.run.texts import Texts

MOST = 8
"""Texts that a case is shown on; the first ones."""

Choice = Mapping[str, str]
"""Name of a control -> its value; empty for steps without controls."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table.

    Attributes
    ----------
    name, title : of files, and above it.
    numbers : columns that are sizes, to be written in scientific notation.
    folded : whether it is for who wants to know more.
    """

    name: str
    title: str
    frame: pd.DataFrame
    numbers: tuple[str, ...] = ()
    folded: bool = False


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture with the table that it was drawn from, and what it says in a sentence."""

    name: str
    title: str
    figure: Figure
    frame: pd.DataFrame
    words: str


@dataclass(frozen=True, eq=False)
class Answer:
    """What a step says.

    Attributes
    ----------
    verdict : "identical", "rounding", "undecided", "different"; "" where nothing is judged.
    sentence : the verdict with its number; it begins with the verdict's word and a colon.
    reason : a line or a few, each of one or two sentences with the numbers of this run.
    caution : what stands before every number, such as that the weights behind them were just drawn.
    lines : what a person writes.
    tables, drawings : to look at.
    scripts : name of a file -> Python that needs only torch and transformers, and prints the same numbers.
    """

    sentence: str = ""
    verdict: str = ""
    reason: str = ""
    caution: str = ""
    lines: str = ""
    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"verdict": self.verdict, "sentence": self.sentence, "reason": self.reason, "caution": self.caution}


Work = Callable[["Checkpoint", "Texts", Choice, "Progress"], Any]
Telling = Callable[[Any, "Checkpoint", "Texts"], Answer]


@dataclass(frozen=True)
class Step:
    """One step of a case.

    Attributes
    ----------
    name : a key of `TITLES`.
    work : runs the model; may be shared by several steps.
    tell : what was found, the checkpoint and the texts -> the answer; runs nothing.
    """

    name: str
    work: Work
    tell: Telling

    @property
    def title(self) -> str:
        """As it stands above the step."""
        return TITLES[self.name]

    def answer(self, checkpoint: Checkpoint, texts: Texts, choice: Choice, progress: Progress) -> Answer:
        """Both halves."""
        return self.tell(self.work(checkpoint, texts, choice, progress), checkpoint, texts)


TITLES = {
    "mistake": "The mistake",
    "right": "The right way",
    "reason": "The reason",
    "if": "What would happen if",
    "code": "The code to take away",
}
"""Every step, in the order in which all cases have them."""


@dataclass(frozen=True)
class Control:
    """One choice of "what would happen if".

    Attributes
    ----------
    name, label : in a link, and on the page.
    options : the checkpoint and the texts -> value -> words; the first is the default.
    """

    name: str
    label: str
    options: Callable[[Checkpoint, Texts], Mapping[str, str]]


@dataclass(frozen=True)
class OnLabels:
    """What a choice of "what would happen if" measures on labelled texts instead of the page's.

    Attributes
    ----------
    control, value : the name of a control, and its value that asks for it.
    work, tell : the two halves, as a `Step` has them, from labelled texts.
    """

    control: str
    value: str
    work: Callable[[Checkpoint, Labelled, Progress], Any]
    tell: Callable[[Any, Checkpoint, Labelled], Answer]

    def asked(self, choice: Choice) -> bool:
        """Whether a choice asks for it."""
        return choice.get(self.control) == self.value


@dataclass(frozen=True)
class Case:
    """A question with its steps.

    Attributes
    ----------
    number : 1 … 5.
    title : a few words.
    question : as the person asked it.
    steps : one for every key of `TITLES`, in that order.
    controls : of the step "if".
    refusal : why the case cannot be shown with this checkpoint and these texts, in one sentence; "" where it can.
    on_labels : what one choice of the controls measures on labels; the step "if" itself then takes the example's.
    """

    number: int
    title: str
    question: str
    steps: tuple[Step, ...]
    controls: tuple[Control, ...]
    refusal: Callable[[Checkpoint, Texts], str] = lambda checkpoint, texts: ""
    on_labels: OnLabels | None = None

    def step(self, name: str) -> Step:
        """The step of a name of `TITLES`."""
        return next(step for step in self.steps if step.name == name)

    def choice(self, checkpoint: Checkpoint, texts: Texts, asked: Choice) -> dict[str, str]:
        """A value for every control: the one that was asked for where it is an option, else the default."""
        found = {}
        for control in self.controls:
            options = control.options(checkpoint, texts)
            wanted = asked.get(control.name, "")
            found[control.name] = wanted if wanted in options else next(iter(options))
        return found


def of_texts(texts: Texts) -> dict[str, str]:
    """The options of a control that chooses one of the texts."""
    from bertlens.run.texts import sides

    return {str(at): f"{at}: {' ||| '.join(sides(text))[:60]}" for at, text in enumerate(texts[:MOST])}
