"""Dropout runs: how far the logits of one text scatter when dropout is left on, and whether they repeat when it is off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.display import Shown
from bertlens.judge.wording import number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class DropoutRuns(Shown):
    """One text, many draws of dropout.

    Attributes
    ----------
    text : number of the text; `labels` are the names of the classes.
    off : (classes,), the logits without dropout; `repeats` whether a second run gave the same bits.
    on : (runs, classes), the logits with dropout and the seeds 0, 1, 2, …
    rates : dropout rates above zero -> how many modules of the model have them; the attention's own rates are not modules in
        every family and then not counted.
    """

    text: int
    labels: tuple[str, ...]
    off: np.ndarray
    repeats: bool
    on: np.ndarray
    rates: dict[float, int]

    @property
    def active(self) -> bool:
        """Whether dropout changes anything in this model."""
        return bool((self.on != self.on[:1]).any() or (self.on != self.off).any())

    @property
    def spread(self) -> np.ndarray:
        """(classes,), standard deviation of each logit over the runs."""
        return np.asarray(self.on.std(0, ddof=1, dtype=np.float64))

    @property
    def changed(self) -> int:
        """Runs in which another class than without dropout has the largest logit; 0 where there is one class."""
        return int((self.on.argmax(1) != self.off.argmax()).sum())

    @property
    def sentence(self) -> str:
        """Both halves in one sentence."""
        off = f"Off: two runs are {'bit-equal' if self.repeats else 'NOT bit-equal'}."
        if not self.active:
            return f"{off} On: nothing changes, because the config of this model has no dropout above zero."
        runs, widest = len(self.on), int(self.spread.argmax())
        flips = f"; the predicted class changes in {self.changed} of them" if len(self.labels) > 1 else ""
        return (
            f"{off} On: in {runs} seeded runs the logit of “{self.labels[widest]}” has a standard deviation of "
            f"{number(float(self.spread[widest]))}{flips}."
        )

    def to_frame(self) -> pd.DataFrame:
        """One line per run: without dropout first, then by seed."""
        import pandas as pd

        runs = ["off", *(f"on, seed {seed}" for seed in range(len(self.on)))]
        logits = np.vstack([self.off, self.on])
        frame = pd.DataFrame(logits, columns=[f"logit {label}" for label in self.labels])
        frame.insert(0, "dropout", runs)
        frame["predicted"] = [self.labels[at] for at in logits.argmax(1)]
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema": "bertlens.dropout/1",
            "text": self.text,
            "labels": list(self.labels),
            "off": self.off.tolist(),
            "off_repeats": self.repeats,
            "on": self.on.tolist(),
            "spread": self.spread.tolist(),
            "changed": self.changed,
            "rates": {str(rate): count for rate, count in self.rates.items()},
            "sentence": self.sentence,
        }
