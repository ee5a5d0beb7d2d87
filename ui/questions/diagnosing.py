"""The single answers of a diagnosis, kept for the pages that hold their evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from ui.frame import Page
from ui.questions.asked import asked
from ui.questions.comparing import compare
from ui.questions.files import check
from ui.questions.identifying import identify

if TYPE_CHECKING:
    import numpy as np

    from bertlens.judge.checkpoint.checkup import Checkup
    from bertlens.judge.comparison import Comparison
    from bertlens.judge.identification import Identification
    from bertlens.run.foreign import Foreign
    from bertlens.run.tokens import Tokens


@dataclass(frozen=True)
class Kept:
    """Answers from memory, or made now with progress: what `bertlens.diagnose.diagnosing.Answers` asks for."""

    page: Page
    given: Foreign | None

    def check(self) -> Checkup:
        """What the files betray, with the texts."""
        return check(self.page)

    def compare(self, reference: Condition, candidate: Condition, readout: Readout, texts: Texts) -> Comparison:
        """Two conditions on some of the texts."""
        return compare(self.page, reference, candidate, readout, texts)

    def vectors(self, readout: Readout) -> tuple[np.ndarray, tuple[Tokens, ...]]:
        """The vectors of the first texts, (texts, dimensions), and their tokens."""
        from bertlens.diagnose.diagnosing import vectors_of

        checkpoint, texts = self.page.checkpoint(), self.page.texts
        return asked(
            self.page,
            "Comparing the texts",
            ("likeness", texts, readout),
            lambda progress: vectors_of(checkpoint, texts, readout, progress),
        )

    def identify(self) -> Identification:
        """The recipe behind the vectors from elsewhere."""
        assert self.given is not None
        return identify(self.page, self.given, ())
