"""Fresh: what a linear layer that was just drawn makes of vectors, and that it makes something else in every run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge.display import Shown
from bertlens.judge.measures import plain
from bertlens.judge.wording import number
from bertlens.read.linear import logits
from bertlens.read.readout import Readout

if TYPE_CHECKING:
    import pandas as pd

MOST_CLASSES = 10_000
MOST_SEEDS = 100


@dataclass(frozen=True)
class Step:
    """A tensor on the way from the model to the logits.

    Attributes
    ----------
    what : how it is made, in words.
    axes, shape : its axes and their lengths.
    """

    what: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Fresh(Shown):
    """The logits of the same vectors under freshly drawn linear layers.

    Attributes
    ----------
    readout : what was read.
    steps : shapes from the hidden states to the logits.
    seeds : one layer each: `torch.manual_seed(seed); torch.nn.Linear(dimensions, classes)`.
    logits : (seeds, texts, classes), float32.
    """

    readout: str
    steps: tuple[Step, ...]
    seeds: tuple[int, ...]
    logits: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """The class with the largest logit: (seeds, texts)."""
        return np.asarray(self.logits.argmax(2))

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of each logit over the seeds: (texts, classes)."""
        return np.asarray(self.logits.astype(np.float64).std(0))

    @property
    def changes(self) -> float:
        """How often two layers give a text another class, 0 … 1, over all pairs of seeds and all texts; NaN for one seed."""
        pairs = list(combinations(self.classes, 2))
        return float(np.mean([one != other for one, other in pairs])) if pairs else float("nan")

    @property
    def sentence(self) -> str:
        """That a fresh layer decides nothing, with its number."""
        texts, classes = self.logits.shape[1:]
        if len(self.seeds) < 2:
            return f"A fresh linear layer is another one in every run: seed {self.seeds[0]} gives one of them."
        return (
            f"A fresh linear layer is another one in every run: over {len(self.seeds)} seeds a logit of {self.readout} spreads "
            f"by {number(float(self.spread.mean()))} (standard deviation), and two layers give a text another one of "
            f"{classes} classes in {self.changes:.0%} of cases ({texts} text{'s' * (texts > 1)})."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        steps = [{"what": step.what, "axes": list(step.axes), "shape": list(step.shape)} for step in self.steps]
        return {
            "readout": self.readout,
            "sentence": self.sentence,
            "steps": steps,
            "seeds": list(self.seeds),
            "logits": [[[plain(float(value)) for value in row] for row in layer] for layer in self.logits],
            "spread": [[plain(float(value)) for value in row] for row in self.spread],
            "changes": plain(self.changes),
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per seed and text: the class, and all logits."""
        import pandas as pd

        lines = []
        for seed, layer, chosen in zip(self.seeds, self.logits, self.classes, strict=True):
            for text, (row, best) in enumerate(zip(layer, chosen, strict=True)):
                values = {f"logit {at}": float(value) for at, value in enumerate(row)}
                lines.append({"seed": seed, "text": text, "class": int(best), **values})
        return pd.DataFrame(lines)


def drawn(
    vectors: np.ndarray, readout: Readout, states: tuple[int, int, int, int], classes: int, seeds: tuple[int, ...]
) -> Fresh:
    """Put vectors, (texts, dimensions), through one freshly drawn layer per seed.

    Parameters
    ----------
    states : the hidden states from which they were read, (layers, texts, tokens, hidden).

    Raises
    ------
    BertlensError
        For no class or no seed, or more than anybody can look at.
    """
    if not 1 <= classes <= MOST_CLASSES:
        raise BertlensError("cannot draw a linear layer", got=f"{classes} classes", expected=f"1 to {MOST_CLASSES:,}")
    if not 1 <= len(seeds) <= MOST_SEEDS or min(seeds) < 0:
        raise BertlensError(
            "cannot draw linear layers", got=f"{len(seeds)} seeds", expected=f"1 to {MOST_SEEDS}, none negative"
        )
    found = np.stack([logits(vectors, classes, seed) for seed in seeds])
    last = Step(f"torch.nn.Linear({vectors.shape[1]}, {classes})", ("texts", "classes"), (len(vectors), classes))
    return Fresh(str(readout), (*_steps(readout, states), last), seeds, found)


def _steps(readout: Readout, states: tuple[int, int, int, int]) -> tuple[Step, ...]:
    """From the hidden states to the vectors. Joined states are read as one; a mean or a sum is taken of what was read."""
    layers, texts, tokens, hidden = states
    if readout.pooling == "pooler":
        return (Step("pooler_output", ("texts", "hidden"), (texts, hidden)),)
    read = f"read as {readout}"
    if readout.combine.startswith("concat"):
        width, size = f"{layers}·hidden", layers * hidden
        joined = Step(f"hidden states {readout.layers}, joined along hidden", ("texts", "tokens", width), (texts, tokens, size))
        return (joined, Step(read, ("texts", width), (texts, size)))
    vectors = Step(read, ("texts", "hidden"), (texts, hidden))
    if not readout.combine:
        return (Step(f"hidden state {readout.layers}", ("texts", "tokens", "hidden"), (texts, tokens, hidden)), vectors)
    stacked = Step(f"hidden states {readout.layers}", ("layers", "texts", "tokens", "hidden"), states)
    each = Step(f"each read as {readout.pooling}", ("layers", "texts", "hidden"), (layers, texts, hidden))
    return (stacked, each, vectors)
