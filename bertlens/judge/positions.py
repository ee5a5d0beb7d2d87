"""Positions: those of a padded row that is given as vectors, and of sentences that are each counted from their own start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertlens.judge.display import Shown
from bertlens.judge.trial import Trial
from bertlens.judge.verdict import VERDICTS
from bertlens.judge.wording import number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Padded(Shown):
    """A padded row given as vectors: which positions the model counts when it cannot see the padding ids.

    Attributes
    ----------
    tokens : real tokens of the row, and `padding` how many padding tokens stand beside them.
    positions : (side, "ids" or "vectors") -> the position ids that the model looked up; {} where it looks none up.
    trials : per side "vectors" and, where the model takes position_ids, "vectors and position_ids"; on the real tokens.
    """

    tokens: int
    padding: int
    positions: dict[tuple[str, str], tuple[int, ...]]
    trials: dict[tuple[str, str], Trial]

    @property
    def arises(self) -> bool:
        """Whether the model counts other positions for vectors than for ids."""
        sides = {side for side, _ in self.positions}
        return any(self.positions[side, "ids"] != self.positions[side, "vectors"] for side in sides)

    @property
    def verdict(self) -> str:
        """ "problem" where vectors of a padded row give other outputs, else "sound"."""
        return "problem" if any(_differs(self.trials[side, "vectors"]) for side in ("right", "left")) else "sound"

    @property
    def sentence(self) -> str:
        """Whether the trap is there, and what mends it."""
        right, left = (self.trials[side, "vectors"] for side in ("right", "left"))
        sizes = f"padded on the right {right.size}, on the left {left.size}"
        if self.verdict == "sound" and not self.arises:
            why = (
                "it counts every place of the row, padding or not, either way" if self.positions else "it looks no positions up"
            )
            return f"Sound: this model gives vectors the same positions as ids, because {why}; {sizes}."
        if self.verdict == "sound":
            return f"Sound: vectors get other positions than ids, but only where padding stands; {sizes}."
        mended = [self.trials.get((side, "position_ids")) for side in ("right", "left")]
        cure = "; with position_ids of one's own " + ", ".join(trial.size for trial in mended if trial) if any(mended) else ""
        return f"Faulty: from vectors the model cannot tell padding, and counts it as text; {sizes}{cure}."

    def to_frame(self) -> pd.DataFrame:
        """One line per side and way, with the positions that were looked up."""
        import pandas as pd

        lines = []
        for (side, way), trial in self.trials.items():
            used = self.positions.get((side, "ids" if way == "position_ids" else way), ())
            shown = " ".join(map(str, used))
            lines.append({"padding": side, "passed": WAYS[way], "positions": shown, **trial.to_dict()})
        return pd.DataFrame(lines).drop(columns="name")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "tokens": self.tokens,
            "padding": self.padding,
            "arises": self.arises,
            "positions": [{"side": side, "given": way, "ids": list(ids)} for (side, way), ids in self.positions.items()],
            "trials": [{"side": side, "way": way, **trial.to_dict()} for (side, way), trial in self.trials.items()],
        }


WAYS = {"vectors": "inputs_embeds", "position_ids": "inputs_embeds and position_ids"}
"""The two ways to pass a padded row as vectors."""


def _differs(trial: Trial) -> bool:
    return trial.verdict not in ("identical", "rounding")


@dataclass(frozen=True, eq=False)
class OwnPositions(Shown):
    """Sentence pairs with `position_ids` that count each sentence from its own start, against the model's own counting.

    Attributes
    ----------
    texts : index of every pair that was run.
    positions : text -> the position ids that were passed.
    trials : one per pair, in the order of `texts`.
    left_out : texts that were not run: no pair, a pair cut to one sentence, or beyond the most that are run.
    """

    texts: tuple[int, ...]
    positions: dict[int, tuple[int, ...]]
    trials: tuple[Trial, ...]
    left_out: tuple[int, ...]

    @property
    def verdict(self) -> str:
        """That of the most serious pair."""
        return max((trial.verdict for trial in self.trials), key=VERDICTS.index)

    @property
    def sentence(self) -> str:
        """How far the pairs move, at most."""
        order = [(VERDICTS.index(trial.verdict), trial.row.max_abs) for trial in self.trials]
        worst = order.index(max(order))
        trial, text = self.trials[worst], self.texts[worst]
        stays = trial.row.max_abs_float64
        repeated = "" if stays is None else f"; in float64 {number(stays)}"
        return (
            f"{self.verdict.capitalize()}: with each sentence counted from its own start, last_hidden_state of text {text} "
            f"moves by {number(trial.row.max_abs)}{repeated}, cosine of [CLS] {trial.cls_cosine:.4f}."
        )

    def to_frame(self) -> pd.DataFrame:
        """One line per pair."""
        import pandas as pd

        shown = [" ".join(map(str, self.positions[text])) for text in self.texts]
        lines = [{"text": text, **trial.to_dict()} for text, trial in zip(self.texts, self.trials, strict=True)]
        return pd.DataFrame(lines).drop(columns="name").assign(position_ids=shown)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        places = [list(self.positions[text]) for text in self.texts]
        rows = zip(self.texts, places, self.trials, strict=True)
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "trials": [{"text": text, "position_ids": ids, **trial.to_dict()} for text, ids, trial in rows],
            "left_out": list(self.left_out),
        }
