"""What is noted of an expression."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ALL = "all"
CLS = (0,)
EVERY_LAYER = (0, 1, 2, 3, 4)
LAST_FOUR = (1, 2, 3, 4)

PADDED = "mean-includes-padding"
AT_PADDING = "cls-read-at-padding"
AXIS = "wrong-axis"
OFF_BY_ONE = "hidden-states-off-by-one"
FIELD = "wrong-output-field"
NO_SPECIALS = "special-tokens-missing"
FRESH = "classifier-untrained"
GRAD = "numpy-requires-grad"
NO_POOLER = "architecture-without-pooler"

Held = Iterable[int] | str | None


@dataclass(frozen=True)
class Written:
    """An expression, a bench, and by hand what is true of the result there.

    Attributes
    ----------
    code : as it is written.
    shape : of the result; None where it is no array.
    axes : their names; "*" where an axis has no name that everybody would give it.
    on : the bench.
    texts, tokens, layers, hidden : what of the states is in it; "all", or None where it is not noted.
    padding : how many padding positions are among them.
    reduced : the axes it was reduced over; None where it is not noted.
    found : the ids of the findings, all of them.
    fails : the class of the error that Python, numpy or PyTorch raise.
    fresh : the values hang on weights drawn afresh.
    unseen : why moving cells cannot show what it hangs on.
    """

    code: str
    shape: tuple[int, ...] | None = None
    axes: str = ""
    on: str = "two"
    texts: Held = ALL
    tokens: Held = ALL
    layers: Held = (4,)
    hidden: Held = ALL
    padding: int | None = 0
    reduced: tuple[str, ...] | None = ()
    found: frozenset[str] = frozenset()
    fails: str = ""
    fresh: bool = False
    unseen: str = ""

    @property
    def name(self) -> str:
        """For a test's name."""
        return f"{self.on}: {self.code}".replace("\n", "; ")[:100]


def W(code: str, shape: tuple[int, ...] | None = None, axes: str = "", *found: str, **noted: object) -> Written:  # noqa: N802
    """One line of the corpus."""
    return Written(code, shape, axes, found=frozenset(found), **noted)  # type: ignore[arg-type]


def fails(error: str, code: str, *found: str, on: str = "two") -> Written:
    """An expression that is refused while it runs."""
    return Written(code, on=on, found=frozenset(found), fails=error)


def nothing(code: str, shape: tuple[int, ...] | None = None, axes: str = "", *found: str, on: str = "two") -> Written:
    """An expression in whose result there is no cell of the outputs."""
    return Written(code, shape, axes, on, (), (), (), (), 0, None, frozenset(found))


def lines(*code: str) -> str:
    """Several lines."""
    return "\n".join(code)
