"""Reload: a checkpoint loaded twice, to show which outputs hang on weights that are drawn at random at every load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from bertlens.judge.display import Shown
from bertlens.judge.wording import number
from bertlens.run.checkpoint import Checkpoint, load
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.outputs import Outputs, forward
from bertlens.run.progress import Progress, silent
from bertlens.run.variants import RANDOM

if TYPE_CHECKING:
    import pandas as pd

MOST_TEXTS = 8
"""Texts in the one batch that is run: enough for a proof, and every layer of it is held."""


@dataclass(frozen=True)
class Twice:
    """One output of both loads: `max_abs` is its largest difference, `equal` whether every bit is the same."""

    output: str
    max_abs: float
    equal: bool


@dataclass(frozen=True)
class Reload(Shown):
    """Every output of two loads of the same files, on the same texts.

    Attributes
    ----------
    outputs : in the order in which they arise.
    newly_initialised : the weights that were drawn at each load.
    texts : how many texts were run.
    """

    outputs: tuple[Twice, ...]
    newly_initialised: tuple[str, ...]
    texts: int

    @property
    def sentence(self) -> str:
        """What the two loads show, in one sentence with its number."""
        moved = [row for row in self.outputs if not row.equal]
        still = [row.output for row in self.outputs if row.equal]
        if not moved:
            return "Identical: both loads give the same bits in every output."
        worst = max(moved, key=lambda row: row.max_abs)
        rest = f"; {', '.join(still[-2:])} are bit-equal" if still else "; no output is the same"
        return f"Different: {worst.output} of two loads differs by {number(worst.max_abs)}{rest}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [asdict(row) for row in self.outputs]
        return {"outputs": rows, "newly_initialised": list(self.newly_initialised), "texts": self.texts}

    def to_frame(self) -> pd.DataFrame:
        """One line per output."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.outputs], columns=["output", "max_abs", "equal"])


def load_twice(name: str, texts: Sequence[Any], progress: Progress = silent, *, offline: bool = False) -> Reload:
    """Load a checkpoint under two seeds, run the first texts through both, and compare every output bit by bit."""
    found = []
    for seed in (0, 1):
        progress(seed, 2, f"load {seed + 1} of 2")
        found.append(seeded(name, seed, offline=offline))
    return side_by_side(found[0], found[1], texts)


def seeded(name: str, seed: int, *, offline: bool = False) -> Checkpoint:
    """A load in which the weights that the file does not hold are drawn with this seed."""
    with RANDOM, torch.random.fork_rng():
        torch.manual_seed(seed)
        return load(name, offline=offline)


def side_by_side(one: Checkpoint, other: Checkpoint, texts: Sequence[Any]) -> Reload:
    """Every output of two loads of the same files on the first texts, bit by bit."""
    few = tuple(texts)[:MOST_TEXTS]
    left, right = (dict(_named(_run(checkpoint, few))) for checkpoint in (one, other))
    rows = [
        Twice(output, float((left[output] - right[output]).abs().max()), bool(left[output].equal(right[output])))
        for output in left
    ]
    return Reload(tuple(rows), one.report.newly_initialised, len(few))


def _run(checkpoint: Checkpoint, texts: Sequence[Any]) -> Outputs:
    inputs = prepare(checkpoint, tuple(texts), Condition())
    return next(iter(forward(inputs, layers=range(checkpoint.architecture.layers + 1))))


def _named(outputs: Outputs) -> Iterator[tuple[str, torch.Tensor]]:
    for layer, state in sorted(outputs.hidden_states.items()):
        yield f"hidden_states[{layer}]", state
    yield "last_hidden_state", outputs.last_hidden_state
    yield "last_hidden_state[:, 0]", outputs.last_hidden_state[:, 0]
    if outputs.pooler_output is not None:
        yield "pooler_output", outputs.pooler_output
