"""Token shares: each token's part in one logit, by integrated gradients and by occlusion, and how far the two agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.display import Shown
from bertlens.judge.measures import plain

if TYPE_CHECKING:
    import pandas as pd

CLOSE = 0.05
"""Share of the difference of the two logits up to which the error of completeness is a small one."""

LEAST_TOKENS = 3
"""Word pieces from which on a rank correlation says anything."""


@dataclass(frozen=True, eq=False)
class TokenShares(Shown):
    """Parts of every token in the logit of one class.

    Attributes
    ----------
    text, label : number of the text, and the class with its name.
    tokens, segments, special : of the row, special tokens included.
    gradients : (tokens,), integrated gradients; special tokens stand in the baseline as well and have 0.
    logit, baseline_logit : of the text and of the baseline; the gradients add up to their difference but for `error`.
    baseline, steps, at_once : where the path begins, how many points it has, and how many are run in one pass.
    occluded : (tokens,), how far the logit falls when the token alone is replaced by `hidden`; NaN for special tokens.
    words : names and positions of whole words, and how far the logit falls without each; () where the tokenizer does not tell.
    """

    text: int
    label: int
    name: str
    tokens: tuple[str, ...]
    segments: tuple[int, ...]
    special: tuple[int, ...]
    gradients: np.ndarray
    logit: float
    baseline_logit: float
    error: float
    baseline: str
    steps: int
    at_once: int
    hidden: str
    occluded: np.ndarray
    words: tuple[tuple[str, tuple[int, ...], float], ...]

    @property
    def content(self) -> np.ndarray:
        """Positions of the tokens that are not special."""
        return np.flatnonzero(np.asarray(self.special) == 0)

    @property
    def difference(self) -> float:
        """The logit of the text less that of the baseline: what the gradients share out."""
        return self.logit - self.baseline_logit

    @property
    def complete(self) -> bool:
        """Whether the error of completeness is at most `CLOSE` of the difference."""
        return abs(self.error) <= CLOSE * max(abs(self.difference), float(np.abs(self.gradients).sum()) * 1e-3, 1e-6)

    @property
    def agreement(self) -> float:
        """Spearman's rank correlation of the two over the tokens that are not special; NaN for fewer than `LEAST_TOKENS`."""
        from scipy.stats import spearmanr

        one, other = self.gradients[self.content], self.occluded[self.content]
        if len(one) < LEAST_TOKENS or np.ptp(one) == 0 or np.ptp(other) == 0:
            return math.nan
        return float(spearmanr(one, other).statistic)

    @property
    def sentence(self) -> str:
        """What the gradients share out, how exactly, and whether occlusion says the same."""
        said = (
            f"The word pieces move the logit of “{self.name}” from {self.baseline_logit:.4f} (baseline) to {self.logit:.4f}; "
            f"the parts add up to that but for {self.error:.1e}"
        )
        far = "" if self.complete else ", which is too much to read them: take more steps"
        agreed = self.agreement
        ranks = "" if math.isnan(agreed) else f" Rank agreement with occlusion: {agreed:.2f}."
        return f"{said}{far}.{ranks}"

    def to_frame(self) -> pd.DataFrame:
        """One line per token."""
        import pandas as pd

        total = float(np.abs(self.gradients).sum())
        return pd.DataFrame(
            {
                "position": range(len(self.tokens)),
                "token": list(self.tokens),
                "segment": list(self.segments),
                "special": np.asarray(self.special).astype(bool),
                "integrated_gradients": self.gradients,
                "share": np.abs(self.gradients) / total if total else np.zeros(len(self.tokens)),
                "occlusion": self.occluded,
            }
        )

    def word_frame(self) -> pd.DataFrame:
        """One line per word: its tokens, its integrated gradients together, and what leaving it out does."""
        import pandas as pd

        lines = [
            {
                "word": name,
                "positions": " ".join(map(str, places)),
                "integrated_gradients": float(self.gradients[list(places)].sum()),
                "occlusion": fall,
            }
            for name, places, fall in self.words
        ]
        return pd.DataFrame(lines, columns=["word", "positions", "integrated_gradients", "occlusion"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema": "bertlens.shares/1",
            "text": self.text,
            "class": {"number": self.label, "name": self.name},
            "tokens": list(self.tokens),
            "segments": list(self.segments),
            "integrated_gradients": [float(value) for value in self.gradients],
            "logit": self.logit,
            "baseline_logit": self.baseline_logit,
            "completeness_error": self.error,
            "baseline": self.baseline,
            "steps": self.steps,
            "hidden_by": self.hidden,
            "occlusion": [plain(float(value)) for value in self.occluded],
            "words": self.word_frame().to_dict("records"),
            "rank_agreement": plain(self.agreement),
            "sentence": self.sentence,
        }
