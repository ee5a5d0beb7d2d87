"""Asked: one way to get an answer: from memory, or made now with progress and a cancel button."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from ui import memory
from ui.frame import Page, Stopped
from ui.progress import working

if TYPE_CHECKING:
    from bertlens.run.progress import Progress

T = TypeVar("T")


def asked(
    page: Page, what: str, values: Hashable, make: Callable[[Progress], T], keep: Callable[..., Any] = memory.result
) -> T:
    """The answer from memory, or made now; cancelling leaves the page where it is."""
    answer: T | None = working((page.name, values), what, lambda progress: keep(page.name, values, lambda: make(progress)))
    if answer is None:
        raise Stopped
    return answer
