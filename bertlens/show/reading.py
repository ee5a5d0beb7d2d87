"""Reading: how the vectors of one forward pass are taken from its outputs, written as a person writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertlens.read.logits import Logits
from bertlens.read.spelling import BODIES, INLINE
from bertlens.show.passes import indent

if TYPE_CHECKING:
    from bertlens.read.readout import Readout

ACTIVATED = {"": "", "softmax": ".softmax(1)", "sigmoid": ".sigmoid()"}
"""What follows the logits, by the keys of `bertlens.read.logits.ACTIVATIONS`."""


@dataclass(frozen=True)
class Reading:
    """How the vectors of one forward pass are written for a readout.

    Attributes
    ----------
    layers : indices into hidden_states in the order of their combination; () for last_hidden_state.
    left : some row is padded on the left, so the first real token must be looked for.
    bare : some row can hold no real token at all (an index into a row that is padded on the left).
    """

    readout: Readout
    layers: tuple[int, ...]
    left: bool
    bare: bool

    @property
    def inline(self) -> str:
        """The pooling as one expression of a state, or "" where it takes a function."""
        return "" if self.left and self.readout.pooling == "cls" else INLINE.get(self.readout.pooling, "")

    @property
    def masked(self) -> bool:
        """Whether the readout looks at the mask."""
        return not (self.inline or self.readout.pooling == "pooler" or isinstance(self.readout, Logits))

    def function(self) -> list[str]:
        """`pooled(state, mask)`, where the pooling takes more than one expression."""
        from bertlens.read.readout import POOLINGS

        if not self.masked:
            return []
        body = list(BODIES[self.readout.pooling])
        if self.bare and "mean" not in self.readout.pooling:  # a mean is 0 / 0 by itself
            body += [
                "# a row of padding alone has no vector",
                "vectors = vectors.masked_fill(mask.sum(1, keepdim=True) == 0, torch.nan)",
            ]
        body[-1] = body[-1].replace("vectors = ", "return ", 1)
        what = POOLINGS[self.readout.pooling]
        says = [
            f'"""{what[0].upper()}{what[1:]}.',
            "",
            "state is (batch, tokens, hidden), mask (batch, tokens), the result (batch, hidden).",
            '"""',
        ]
        return ["def pooled(state, mask):", *indent([*says, *body]), "", ""]

    @property
    def mask(self) -> str:
        """The name of the tokens that are pooled over."""
        return "content" if self.readout.pooling == "mean_content" else "mask"

    def lines(self, target: str, after: str = "", *, cut: str = "", rows: str = "") -> list[str]:
        """`target` + the vectors + `after`; `cut` and `rows` take some rows of the states and of the mask."""
        lines: list[str] = []
        found = self._vectors(cut, self.mask + rows)
        if self.readout.combine:
            lines.append(f"found = [{found} for layer in layers]")
            concat = self.readout.combine.startswith("concat")
            found = "torch.cat(found, dim=1)" if concat else f"torch.stack(found).{self.readout.combine}(0)"
        if self.readout.l2:
            found = f"torch.nn.functional.normalize({found}, dim=1)"
        return [*lines, f"{target}{found}{after}"]

    def _vectors(self, cut: str, mask: str) -> str:
        layer = "layer" if self.readout.combine else str(self.layers[0]) if self.layers else ""
        state = (f"out.hidden_states[{layer}]" if layer else "out.last_hidden_state") + cut
        if isinstance(self.readout, Logits):
            return f"out.logits{cut}{ACTIVATED[self.readout.activation]}"
        if self.readout.pooling == "pooler":
            return f"out.pooler_output{cut}"
        return self.inline.format(state) if self.inline else f"pooled({state}, {mask})"
