"""Entry: a reported fault as a person reads it: its look-alikes by name, and the threads that reported it."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

from bertlens.cases.gallery import NOT_HERE, reproducer
from bertlens.errors import BertlensError
from bertlens.judge.findings import catalogue

THREAD = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)#(?P<number>\d+)")


@dataclass(frozen=True)
class Thread:
    """A thread in which the fault was reported: its name, and its address, "" where the name gives none."""

    name: str
    address: str


@dataclass(frozen=True)
class Entry:
    """One fault of the catalogue.

    Attributes
    ----------
    id, name, kind, stage, symptom, cause, test, fix, effect : the words of the catalogue.
    look_alikes : what it is confused with, other faults by their names.
    threads : those that are kept; `seen` is how many reported it.
    made : what its reproduction does, "" where there is none.
    refusal : why it cannot be made on purpose, "" where it can.
    """

    id: str
    name: str
    kind: str
    stage: str
    symptom: str
    cause: str
    test: str
    look_alikes: str
    fix: str
    effect: str
    threads: tuple[Thread, ...]
    seen: int
    made: str
    refusal: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.__dict__, "threads": [thread.__dict__ for thread in self.threads]}


def entry(fault: str) -> Entry:
    """A fault of the catalogue.

    Raises
    ------
    BertlensError
        For an id that is not there.
    """
    if fault not in catalogue():
        raise BertlensError(
            f"cannot show the fault '{fault[:60]}'", got="no fault of that name", do="search for what you see instead"
        )
    found = catalogue()[fault]
    function = reproducer(fault)
    refusal = "" if function else NOT_HERE.get(fault, "no reproduction of it is written yet")
    return Entry(
        id=fault,
        name=found["name"],
        kind=found["kind"],
        stage=found["stage"],
        symptom=found["symptom"],
        cause=found["root_cause"],
        test=found["decisive_test"],
        look_alikes=found["do_not_confuse_with"],
        fix=found["fix"],
        effect=found["effect_size"],
        threads=tuple(_thread(name) for name in found["evidence"]),
        seen=int(found["threads_seen"]),
        made=(inspect.getdoc(function) or "") if function else "",
        refusal=refusal,
    )


def reproducible() -> tuple[str, ...]:
    """The faults that can be made on purpose here, in the order of the catalogue."""
    return tuple(fault for fault in catalogue() if reproducer(fault))


def _thread(name: str) -> Thread:
    match = THREAD.fullmatch(name)
    address = f"https://github.com/{match['repository']}/issues/{match['number']}" if match else ""
    return Thread(name, address)
