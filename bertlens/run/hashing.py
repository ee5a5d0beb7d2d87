"""Hashing: the digest of weight files, begun early and made beside everything else, since it takes as long as reading them."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

from bertlens.run.checkpoint import digest, weight_files

MOST = 20 * 2**30
"""Bytes of weights up to which a digest is made: beyond it takes minutes, and no encoder is so large."""

Files = tuple[tuple[Path, int, int], ...]
_BEGUN: dict[Files, Future[str]] = {}


def begin(folder: Path) -> None:
    """Start the digest of a folder's weights; asked for twice, it is made once."""
    files = _files(folder)
    if files in _BEGUN or _too_large(files):
        return
    future: Future[str] = Future()
    _BEGUN[files] = future

    def work() -> None:
        try:
            future.set_result(digest(folder))
        except OSError as error:
            future.set_exception(error)

    # a daemon: a command that has already failed does not wait for it
    threading.Thread(target=work, name="digest", daemon=True).start()


def finish(folder: Path) -> str | None:
    """The SHA-256 of a folder's weights, begun or not; None where there are too many of them."""
    files = _files(folder)
    future = _BEGUN.pop(files, None)
    if future is not None:
        return future.result()
    return None if _too_large(files) else digest(folder)


def _files(folder: Path) -> Files:
    """The weight files with their age and size, so that a digest is never that of files which have changed since."""
    return tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in weight_files(folder))


def _too_large(files: Files) -> bool:
    return sum(size for _, _, size in files) > MOST
