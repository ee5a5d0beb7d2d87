"""How long work tells what it has done."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, what)`; total is 0 while it is not known. An exception raised in it cancels the work."""


def silent(done: int, total: int, what: str) -> None:
    """Report to nobody."""
