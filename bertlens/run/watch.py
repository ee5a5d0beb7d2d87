"""The Hub client at work in the background: bytes told in the caller's thread, cancelled at any moment, never for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import HTTPError

from bertlens.run.progress import Progress

T = TypeVar("T")

TICK_SECONDS = 0.1


class Failed(Exception):
    """Carries what the Hub client raised, apart from what a progress raises to cancel (which may be of any type)."""

    def __init__(self, reason: Exception) -> None:
        self.reason = reason


class _Stopped(Exception):
    """Raised in the download threads after the caller's thread has given up."""


class Watch:
    """Runs the Hub client in a thread, and tells the progress in the caller's own.

    A progress called from the client's threads would hear nothing, hence could not cancel, while no byte arrives; and
    an exception in one of them would let the others download on to the end.
    """

    def __init__(self, tell: Progress, step: str, patience: float, before: int = 0, total: int = 0) -> None:
        self._tell, self._step, self._patience = tell, step, patience
        self._before, self._done, self._total = before, before, total
        self._moved = time.monotonic()
        self._stop = threading.Event()
        self._bars: list[_Bar] = []

    def bar(self, **options: Any) -> Any:
        """What the client takes for its `tqdm_class`: it asks for something to call, whatever its annotation says."""
        bar = _Bar(self._stop, **options)
        if options.get("unit") == "B":  # besides the bar that counts files
            self._bars.append(bar)
        return bar

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`; a failure of the client as `Failed`; what the progress raises as it is."""
        result: Future[T] = Future()

        def body() -> None:
            try:
                result.set_result(work())
            except BaseException as error:
                result.set_exception(error)

        threading.Thread(target=body, name="hub", daemon=True).start()
        try:
            while not wait([result], timeout=TICK_SECONDS).done:
                self._tick()
        except BaseException:
            self._stop.set()
            wait([result], timeout=1.0)  # time to clear the half files away; a thread stuck in a read is left behind
            raise
        try:
            return result.result()
        except (HTTPError, OSError, ValueError) as error:  # ValueError: an answer that is no JSON, as of a login page
            raise Failed(error) from error

    def _tick(self) -> None:
        # Bytes received and bytes written have a bar each, and a bar goes back when a file starts anew.
        done = min(self._total, self._before + max((bar.n for bar in self._bars), default=0))
        if done > self._done:
            self._done, self._moved = done, time.monotonic()
        self._tell(self._done, self._total, self._step)
        if time.monotonic() - self._moved > self._patience:
            raise Failed(TimeoutError(f"nothing for {self._patience:.0f} s"))


class _Bar:
    """As much of a tqdm bar as the client uses, drawing nothing."""

    def __init__(self, stop: threading.Event, *, total: int | None = None, initial: int = 0, **_: Any) -> None:
        self.n, self.total = initial, total
        self._stop, self._lock = stop, threading.Lock()

    def update(self, n: float | None = 1) -> None:
        self.refresh()
        with self._lock:  # one bar for all the download threads
            self.n += int(n or 0)

    def refresh(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def set_description(self, *_: Any, **__: Any) -> None: ...

    set_description_str = set_postfix_str = close = set_description

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


# Xet moves the bytes in native threads that no bar can stop (HF_HUB_DISABLE_XET is the documented way around), and
# 10 MB at a time are half a minute of silence on a slow line.
_TUNING = {"HF_HUB_DISABLE_XET": True, "DOWNLOAD_CHUNK_SIZE": 256 * 1024}
_tuning_lock, _tuning_users, _untuned = threading.Lock(), 0, dict[str, Any]()


@contextmanager
def tuned_client() -> Iterator[None]:
    """The client's process-wide settings as wanted here, put back when the last of several downloads ends."""
    global _tuning_users
    with _tuning_lock:
        if not _tuning_users:
            _untuned.update({name: getattr(constants, name) for name in _TUNING})
            vars(constants).update(_TUNING)
        _tuning_users += 1
    try:
        yield
    finally:
        with _tuning_lock:
            _tuning_users -= 1
            if not _tuning_users:
                vars(constants).update(_untuned)
