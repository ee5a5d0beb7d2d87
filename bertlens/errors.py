"""The one exception that bertlens raises on purpose.

An expected failure says what could not be done, what was got, what was expected and what to do about it, in one
sentence that the command line and the pages show as it is. Any other exception is a bug and looks like one.
"""

from __future__ import annotations


class BertlensError(Exception):
    """Something a person can put right: bad input, a missing file, a condition the model cannot run.

    Parameters
    ----------
    what : what could not be done, without a full stop ("cannot read the texts from notes.csv").
    got : what was found instead of the expected, or "".
    expected : what would have been right, or "".
    do : what to do now, as an imperative, or "".
    """

    def __init__(self, what: str, *, got: str = "", expected: str = "", do: str = "") -> None:
        self.what, self.got, self.expected, self.do = what, got, expected, do
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """The whole message on one line: what; got …; expected …; do …"""
        parts = [self.what]
        if self.got:
            parts.append(f"got {self.got}")
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.do:
            parts.append(self.do)
        line = " ".join("; ".join(parts).split())
        return line if line.endswith((".", "?", "!")) else line + "."


class Unloadable(BertlensError):
    """A checkpoint that is there and cannot be loaded; what its files hold can often be read all the same."""
