"""Memory: loaded checkpoints and finished results, shared by all visitors of a server.

Everything is found again by the values it was made from, never by who asked, and results are frozen, so no visitor can see
or change another one's state. One visitor makes a thing; others who ask for the same wait for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint
    from bertlens.run.progress import Progress

T = TypeVar("T")


class Shelf:
    """A bounded store: the things used longest ago leave first, and nothing is made twice at once."""

    def __init__(self, size: int) -> None:
        self._size, self._lock = size, threading.Lock()
        self._things: OrderedDict[Hashable, Any] = OrderedDict()
        self._makers: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The thing under a key, made at its first use. An exception, a cancelled run included, leaves nothing behind."""
        with self._lock:
            maker = self._makers.setdefault(key, threading.Lock())
        with maker:
            with self._lock:
                if key in self._things:
                    self._things.move_to_end(key)
                    return self._things[key]  # type: ignore[no-any-return]
            try:
                thing = make()
            except BaseException:  # cancelled or failed: the next one who asks starts anew
                with self._lock:
                    self._makers.pop(key, None)
                raise
            with self._lock:
                self._things[key] = thing
                while len(self._things) > self._size:
                    old, _ = self._things.popitem(last=False)
                    self._makers.pop(old, None)
            return thing


@st.cache_resource(show_spinner=False)
def _checkpoints() -> Shelf:
    return Shelf(3)


@st.cache_resource(show_spinner=False)
def _results() -> Shelf:
    return Shelf(256)


@st.cache_resource(show_spinner=False)
def _large() -> Shelf:
    return Shelf(8)


@st.cache_resource(show_spinner=False)
def _huge() -> Shelf:
    return Shelf(2)


def checkpoint(name: str, progress: Progress) -> Checkpoint:
    """A loaded checkpoint by its name; a folder whose files changed is loaded again."""

    def load() -> Checkpoint:
        from bertlens.run import checkpoint as room

        return room.load(name, progress=progress)

    return _checkpoints().get((name, _stamp(name)), load)


def result(name: str, values: Hashable, make: Callable[[], T]) -> T:
    """A finished result by its checkpoint and everything else that it was made from."""
    return _results().get((name, _stamp(name), values), make)


def large(name: str, values: Hashable, make: Callable[[], T]) -> T:
    """A result of tens of megabytes, such as every state of one text; only the last few are kept."""
    return _large().get((name, _stamp(name), values), make)


def huge(name: str, values: Hashable, make: Callable[[], T]) -> T:
    """A result of up to some hundred megabytes, such as all outputs of a forward pass; only the last two are kept."""
    return _huge().get((name, _stamp(name), values), make)


def _stamp(name: str) -> Hashable:
    """When the files of a folder last changed; nothing for other names."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return None
    files = (path for path in folder.iterdir() if path.suffix in (".json", ".safetensors", ".bin", ".txt"))
    return tuple(sorted((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files))
