"""Keep: vectors that were computed once and may be asked for again, within bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np

MOST_BYTES = 64_000_000
LARGEST_BYTES = 4_000_000


class Keep:
    """Arrays by what they were computed from; the ones used longest ago leave first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array under a key, read-only; large ones are made anew each time."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
        array = make()
        array.setflags(write=False)
        if array.nbytes <= LARGEST_BYTES:
            with self._lock:
                self._arrays[key] = array
                while sum(kept.nbytes for kept in self._arrays.values()) > MOST_BYTES:
                    self._arrays.popitem(last=False)
        return array

    def clear(self) -> None:
        """Forget everything, for example before time is measured."""
        with self._lock:
            self._arrays.clear()
