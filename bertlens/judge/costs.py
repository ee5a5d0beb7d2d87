"""Costs: the time that each readout takes of its own, beside the forward pass that its states come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertlens.judge.display import Shown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Costs(Shown):
    """Seconds of one forward pass and of every readout of its states; the quickest of the repeats, on this machine.

    Attributes
    ----------
    forward : seconds of the forward pass, all hidden states kept.
    seconds : readout -> seconds of its own computation.
    repeats : how often each was timed.
    texts, tokens : shape of the pass.
    """

    forward: float
    seconds: dict[str, float]
    repeats: int
    texts: int
    tokens: int

    def ratio(self, readout: str) -> float:
        """The readout's own time as a share of the forward pass, 0 and up."""
        return self.seconds[readout] / self.forward

    @property
    def sentence(self) -> str:
        """The dearest readout, with its share."""
        dearest = max(self.seconds, key=lambda readout: self.seconds[readout])
        return (
            f"The dearest readout is {dearest}: {1000 * self.seconds[dearest]:.2g} ms, {self.ratio(dearest):.2%} of the "
            f"forward pass of {self.texts} × {self.tokens} tokens ({1000 * self.forward:.3g} ms, best of {self.repeats})."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [{"readout": name, "seconds": value, "ratio": self.ratio(name)} for name, value in self.seconds.items()]
        return {
            "schema": "bertlens.costs/1",
            "sentence": self.sentence,
            "forward_seconds": self.forward,
            "repeats": self.repeats,
            "texts": self.texts,
            "tokens": self.tokens,
            "readouts": rows,
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per readout."""
        import pandas as pd

        return pd.DataFrame(self.to_dict()["readouts"])
