"""What an evaluation must leave as it was: the capture, PyTorch's and numpy's settings, the interpreter, the disk."""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertlens.read.capture import Capture

REACHED = ("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pickle.", "marshal.", "urllib.", "webbrowser.", "signal.")
"""Audit events of Python that no evaluation has a reason for."""

_heard: list[str] = []
_armed = threading.Event()


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if not _armed.is_set():
        return
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        _heard.append(f"open {arguments[0]}")
    if event.startswith(REACHED) or (event == "exec" and arguments[0].co_filename.startswith("<")):
        _heard.append(event)


sys.addaudithook(_listen)


def tiny(seed: int = 0) -> Capture:
    """Two texts of five tokens, the second padded, four layers of eight units."""
    torch.manual_seed(seed)
    states = tuple(torch.randn(2, 5, 8) for _ in range(4))
    ids = torch.tensor([[101, 7, 8, 9, 102], [101, 7, 102, 0, 0]])
    mask = (ids != 0).long()
    rows = (("[CLS]", "a", "b", "c", "[SEP]"), ("[CLS]", "a", "[SEP]", "[PAD]", "[PAD]"))
    return Capture(
        hidden_states=states,
        last_hidden_state=states[-1],
        pooler_output=torch.tanh(torch.randn(2, 8)),
        inputs={"input_ids": ids, "token_type_ids": torch.zeros_like(ids), "attention_mask": mask},
        tokens=rows,
        real=mask,
        special=torch.isin(ids, torch.tensor([0, 101, 102])).long(),
        cls="[CLS]",
        sep="[SEP]",
        fields=("last_hidden_state", "pooler_output", "hidden_states"),
        given=2,
        wanted_grad=False,
    )


def tensors(capture: Capture) -> list[torch.Tensor]:
    """Every tensor of a capture."""
    found = [*capture.hidden_states, capture.last_hidden_state, *capture.inputs.values(), capture.real, capture.special]
    return [one for one in (*found, capture.pooler_output) if one is not None]


def bits(capture: Capture) -> list[tuple[Any, ...]]:
    """Shapes, strides, addresses and bytes of a capture."""
    return [
        (one.shape, one.stride(), one.data_ptr(), one.dtype, one.requires_grad, one.numpy().tobytes())
        for one in tensors(capture)
    ]


def settings() -> dict[str, Any]:
    """Whatever an expression could set for all that come after it."""
    ours = {
        f"{name}.{key}": (id(value), len(value) if isinstance(value, (dict, list, set)) else None)
        for name, module in list(sys.modules.items())
        if name.startswith("bertlens.read.expression")
        for key, value in vars(module).items()
        if not key.startswith("__")
    }
    return {
        **ours,
        "torch": {key: id(vars(torch)[key]) for key in ("load", "save", "mean", "cat", "nn", "ops")},
        "builtins": {key: id(value) for key, value in vars(__builtins__ if not isinstance(__builtins__, dict) else os).items()},
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "default": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "random": torch.get_rng_state().numpy().tobytes(),
        "numpy random": repr(np.random.get_state()),
        "numpy errors": np.geterr(),
        "numpy print": repr(np.get_printoptions()),
        "warnings": list(warnings.filters),
        "recursion": sys.getrecursionlimit(),
        "threads running": threading.active_count(),
        "folder": Path.cwd(),
        "environment": dict(os.environ),
    }


def memory() -> int:
    """What this process has in memory now, in bytes."""
    return int(Path("/proc/self/statm").read_text("utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Watched:
    """The most memory that was taken on top of what was there, looked at every few milliseconds; not every kernel lets its
    own record of the most be started anew."""

    def __enter__(self) -> Watched:
        self.grown, self._ended, self._before = 0, threading.Event(), memory()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(0.004):
            self.grown = max(self.grown, memory() - self._before)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watch.join()
        self.grown = max(self.grown, memory() - self._before)


@contextmanager
def sealed(capture: Capture, seconds: float) -> Iterator[None]:
    """Whatever happens inside leaves everything as it was and ends in time."""
    before, held = settings(), bits(capture)
    _heard.clear()
    _armed.set()
    start = time.process_time()
    try:
        yield
    finally:
        took = time.process_time() - start
        _armed.clear()
    assert _heard == [], "reached outside"
    assert bits(capture) == held, "the capture was changed"
    after = settings()
    assert {key: value for key, value in after.items() if before.get(key, value) != value} == {}, "a setting was changed"
    assert took < seconds, f"took {took:.1f} s"


def foreign(value: Any) -> str:
    """What is in a value that is neither numpy nor a list of it nor None; "" where nothing is."""
    if isinstance(value, (list, tuple)):
        return next(filter(None, map(foreign, value)), "")
    if value is None or isinstance(value, np.ndarray | np.generic):
        return "an array of objects" if value is not None and value.dtype.hasobject else ""
    return type(value).__name__
