"""A server of its own for a browser test, a benchmark or a picture: on loopback, bounded in time, stopped by its own pid."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""With these Chromium starts as root, without a GPU, and asks nothing of other hosts."""


@contextmanager
def serving(script: Path = ROOT / "app.py") -> Iterator[str]:
    """A Streamlit server that has just started and has shown no page yet; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.address", "127.0.0.1"]
    command += ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    command += ["--server.fileWatcherType", "none"]  # no script changes while it serves
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    if "PYTEST_XDIST_WORKER" in os.environ:  # each core has a test of its own, and threads that wait for each other are slow
        environment["OMP_NUM_THREADS"] = "1"
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=script.parent, env=environment, stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)
