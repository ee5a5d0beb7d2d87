"""Pooled texts: the vectors of many texts, how they were made, and what speaks against them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PooledTexts(Shown):
    """Vectors of texts in the order of the texts.

    Attributes
    ----------
    checkpoint : what was run, as `Checkpoint.to_dict` gives it.
    condition : in its own notation.
    vectors : readout -> (texts, dimensions), float32, or float64 of a float64 run.
    passes, padded_tokens : forward passes, and the tokens in all of them together, padding included.
    findings : the most serious first.
    notes : what a reader must know about how it was computed.
    environment : versions, threads, device, digest of the texts.
    """

    checkpoint: dict[str, Any]
    condition: str
    vectors: dict[str, np.ndarray] = field(repr=False)
    passes: int
    padded_tokens: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    environment: dict[str, Any]

    @property
    def texts(self) -> int:
        """How many there are."""
        return len(next(iter(self.vectors.values())))

    @property
    def sentence(self) -> str:
        """What was made, in one sentence."""
        sizes = ", ".join(f"{readout} ({vectors.shape[1]} dimensions)" for readout, vectors in self.vectors.items())
        many = f"{self.texts:,} vector{'s' * (self.texts > 1)}"
        passes = f"{self.passes:,} forward pass{'es' * (self.passes > 1)}"
        return f"Pooled: {many} of {sizes}, in {passes} of {self.padded_tokens:,} tokens together."

    @property
    def metadata(self) -> dict[str, Any]:
        """How the vectors were made, for the file that holds them."""
        return {
            "readouts": list(self.vectors),
            "condition": self.condition,
            "checkpoint": self.checkpoint["name"],
            "sha256": self.checkpoint["sha256"],
            "environment": self.environment,
        }

    def to_dict(self) -> dict[str, Any]:
        """The document of the contract `bertlens.pool/1`; `readout` and `dimensions` are those of the first readout."""
        readouts = [{"readout": name, "dimensions": int(vectors.shape[1])} for name, vectors in self.vectors.items()]
        return {
            "schema": "bertlens.pool/1",
            "sentence": self.sentence,
            **readouts[0],
            "readouts": readouts,
            "texts": self.texts,
            "checkpoint": self.checkpoint,
            "condition": self.condition,
            "passes": self.passes,
            "padded_tokens": self.padded_tokens,
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
            "environment": self.environment,
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per text, one column per readout with its vectors."""
        import pandas as pd

        return pd.DataFrame({readout: list(vectors) for readout, vectors in self.vectors.items()})
