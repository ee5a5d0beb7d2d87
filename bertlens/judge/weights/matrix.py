"""Matrix: one weight of a checkpoint with its whole spectrum, to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from bertlens.errors import BertlensError
from bertlens.judge.display import Shown
from bertlens.judge.weights.modules import Module
from bertlens.read.spectrum import ROWS, Spectrum, as_matrix, sampled, spectrum
from bertlens.run.dossier import Dossier

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Matrix(Shown):
    """A module's weight: its state, and all singular values beside the law of independent draws.

    Attributes
    ----------
    rows : how many rows were read; fewer than the weight has where it is a long table.
    """

    module: Module
    spectrum: Spectrum
    rows: int

    @property
    def edge_ratio(self) -> float:
        """The largest singular value in units of the edge of the Marchenko-Pastur law."""
        return float(self.spectrum.singular_values[0] / self.spectrum.edges[1])

    @property
    def sentence(self) -> str:
        """The state with its number."""
        state = self.module.state
        return f"{state[0].upper()}{state[1:]}: {self.module.reason}"

    def to_frame(self) -> pd.DataFrame:
        """One line per singular value, the largest first."""
        import pandas as pd

        values = self.spectrum.singular_values
        return pd.DataFrame(
            {"index": range(len(values)), "singular value": values, "of the edge": values / self.spectrum.edges[1]}
        )


def matrix_of(dossier: Dossier, module: Module) -> Matrix:
    """Read one module's weight and decompose it.

    Raises
    ------
    BertlensError
        Where it has no spectrum: a vector, a weight that is not in the file, or one that is not finite.
    """
    weight = _weight(dossier, module)
    if weight is None or weight.dim() != 2 or min(weight.shape) < 2 or module.state in ("not finite", "all zero"):
        raise BertlensError(
            f"cannot draw the spectrum of {module.name}", got=f"{module.kind}, {module.state}", expected="a finite matrix"
        )
    rows = sampled(as_matrix(weight), ROWS)
    return Matrix(module, spectrum(torch.from_numpy(rows)), len(rows))


def _weight(dossier: Dossier, module: Module) -> torch.Tensor | None:
    name = f"{module.name}.weight"
    for alignment in (dossier.alignment, dossier.head_alignment):
        if alignment is not None and name in alignment.loaded:
            return alignment.read(name, dossier.weights)
    return None
