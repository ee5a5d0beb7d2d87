"""[CLS] attention: what the first token attends to in every layer and head, for one text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.display import Shown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ClsAttention(Shown):
    """Attention from the first token.

    Attributes
    ----------
    text, tokens, special : number of the text, and its row.
    values : (layers, heads, tokens), float32; every head's row sums to 1.
    """

    text: int
    tokens: tuple[str, ...]
    special: tuple[int, ...]
    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(layers, tokens), averaged over the heads."""
        return np.asarray(self.values.mean(1))

    @property
    def to_itself(self) -> np.ndarray:
        """(layers,), what [CLS] gives to itself, averaged over the heads."""
        return np.asarray(self.mean[:, 0])

    @property
    def to_content(self) -> np.ndarray:
        """(layers,), what it gives to the tokens that are not special, averaged over the heads."""
        return np.asarray(self.mean[:, np.asarray(self.special) == 0].sum(1))

    @property
    def sentence(self) -> str:
        """Where the sentence reaches [CLS] most."""
        layer = int(self.to_content.argmax())
        off = float(np.abs(self.values.sum(2) - 1).max())
        return (
            f"[CLS] reads most of the sentence in layer {layer + 1}: {100 * self.to_content[layer]:.0f} % of its attention "
            f"goes to word pieces, {100 * self.to_itself[layer]:.0f} % to itself (rows sum to 1 but for {off:.1e})."
        )

    def to_frame(self) -> pd.DataFrame:
        """One line per layer, head and token."""
        import pandas as pd

        layers, heads, tokens = self.values.shape
        return pd.DataFrame(
            {
                "layer": np.repeat(np.arange(1, layers + 1), heads * tokens),
                "head": np.tile(np.repeat(np.arange(1, heads + 1), tokens), layers),
                "position": np.tile(np.arange(tokens), layers * heads),
                "token": list(self.tokens) * (layers * heads),
                "attention": self.values.ravel(),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"text": self.text, "tokens": list(self.tokens), "attention": self.values.tolist(), "sentence": self.sentence}
