"""Registry: every operation of the language under its full name; what is not in here does not exist for an expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LEGAL: dict[str, Callable[..., Any]] = {}
"""`torch.mean`, `np.mean`, `F.normalize`, `tensor.mean`, `array.mean` … -> what carries it out: (tracer, *arguments)."""

PROPERTIES: set[str] = set()
"""Those that are read without a call: `tensor.shape`."""

NAMESPACES = ("torch", "torch.linalg", "np", "np.linalg", "F", "nn")
"""Modules as they are known in here; torch.nn is nn, torch.nn.functional is F, numpy is np."""

FORMS = ("tensor", "array", "number", "list", "record", "fields", "encoding", "sequence", "text", "stand")
"""What has methods."""

Carried = Callable[..., Any]


def operation(*names: str, read: bool = False) -> Callable[[Carried], Carried]:
    """Enter a function under some names; `read` where it is an attribute and not called."""

    def enter(function: Carried) -> Carried:
        for name in names:
            LEGAL[name] = function
            if read:
                PROPERTIES.add(name)
        return function

    return enter


def everywhere(name: str, *others: str) -> tuple[str, ...]:
    """The names of an operation that PyTorch and numpy have both as function and as method."""
    return tuple(f"{place}.{one}" for one in (name, *others) for place in ("torch", "tensor", "np", "array"))


def legal_under(prefix: str) -> list[str]:
    """The last parts of all names under a prefix: what can be written after the dot."""
    start = prefix + "."
    return sorted({name[len(start) :] for name in LEGAL if name.startswith(start) and "." not in name[len(start) :]})
