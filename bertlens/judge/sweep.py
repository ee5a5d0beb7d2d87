"""Sweep: what the padded length does to a vector, with the mask and without it, in float32 and in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.display import Shown
from bertlens.judge.measures import plain
from bertlens.run.condition import Condition
from bertlens.run.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd

DTYPES = ("float32", "float64")
MASKS = ("on", "off")


@dataclass(frozen=True)
class Sweep(Shown):
    """Largest difference to the unpadded text, per padded length.

    Attributes
    ----------
    lengths : padded lengths in tokens, from the longest text to the model's limit.
    max_abs : (dtype, mask) -> (lengths,), largest absolute difference over texts and dimensions to the same texts, each
        alone and unpadded with the mask on, in the same number format.
    readout : what was read.
    texts : indices of the texts.
    """

    lengths: tuple[int, ...]
    max_abs: dict[tuple[str, str], np.ndarray]
    readout: str
    texts: tuple[int, ...]

    def to_frame(self) -> pd.DataFrame:
        """One line per length, one column per series."""
        import pandas as pd

        columns = {f"{dtype}, mask {mask}": values for (dtype, mask), values in self.max_abs.items()}
        return pd.DataFrame({"padded length": self.lengths, **columns})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        series = [
            {"dtype": dtype, "mask": mask, "max_abs": [plain(float(value)) for value in values]}
            for (dtype, mask), values in self.max_abs.items()
        ]
        return {"readout": self.readout, "texts": list(self.texts), "lengths": list(self.lengths), "series": series}

    @property
    def sentence(self) -> str:
        """What the sweep shows, in words."""
        from bertlens.judge.wording import number

        on, off = (float(self.max_abs["float64", mask].max()) for mask in MASKS)
        return (
            f"Padding up to {self.lengths[-1]} tokens changes the vector by at most {number(on)} with the mask and by "
            f"{number(off)} without it (in float64)."
        )


def lengths_between(shortest: int, limit: int, count: int = 12) -> tuple[int, ...]:
    """Lengths in equal ratios from the longest text to the limit, both included."""
    steps = np.geomspace(shortest, max(shortest, limit), count).round().astype(int)
    return tuple(sorted({shortest, *map(int, steps), max(shortest, limit)}))


def sweep(
    run: Callable[[Condition, str], np.ndarray],
    base: Condition,
    lengths: tuple[int, ...],
    readout: str,
    texts: tuple[int, ...],
    progress: Progress = silent,
) -> Sweep:
    """Run `base` at every length; `run(condition, dtype)` gives (texts, dimensions). One run is kept at a time."""
    series: dict[tuple[str, str], np.ndarray] = {}
    total, done = len(DTYPES) * len(MASKS) * len(lengths), 0
    for dtype in DTYPES:
        alone = base.replace(batch="alone", padding="longest", mask="on", side="right", positions="default")
        truth = run(alone, dtype)
        for mask in MASKS:
            values = np.zeros(len(lengths))
            for at, length in enumerate(lengths):
                progress(done, total, f"padded to {length} tokens, mask {mask}, {dtype}")
                values[at] = np.abs(run(base.replace(batch="whole", padding=length, mask=mask), dtype) - truth).max()
                done += 1
            series[dtype, mask] = values
    progress(total, total, "padding sweep")
    return Sweep(lengths, series, readout, texts)
