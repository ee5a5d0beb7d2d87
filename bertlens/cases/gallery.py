"""Gallery: which reported faults can be made on purpose, and which not and why; found by what a person would say."""

from __future__ import annotations

from bertlens.cases import files, numerics, passes, readouts, tokens, weights
from bertlens.cases.reproduction import Reproducer, reproduced
from bertlens.errors import BertlensError
from bertlens.judge.findings import catalogue
from bertlens.judge.reproduction import Reproduction
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.texts import Texts

STAGES = (tokens, passes, files, weights, numerics, readouts)
"""The files of reproductions, each function called as the fault's id with underscores."""

NOT_HERE: dict[str, str] = {
    "mps-wrong-numbers": "no Apple GPU, from whose backend the wrong numbers come",
    "tf32": "no NVIDIA GPU that knows TF32: on the CPU, where faults are made, there is none",
    "device-difference": "one device: another order of the same sums is made by rounding-only",
}
"""Faults that cannot be made on purpose on any machine that bertlens runs on, with the reason."""


def reproducer(fault: str) -> Reproducer | None:
    """The function that makes a fault, None where there is none."""
    name = fault.replace("-", "_")
    return next((getattr(stage, name) for stage in STAGES if hasattr(stage, name)), None)


def required(fault: str) -> Reproducer:
    """The function that makes a fault.

    Raises
    ------
    BertlensError
        For an unknown fault, and for one that cannot be made on any machine.
    """
    if fault not in catalogue():
        raise BertlensError(
            "cannot reproduce a fault",
            got=fault if isinstance(fault, str) else f"a {type(fault).__name__}",
            expected="an id of the catalogue, such as attention-mask-missing",
        )
    function = reproducer(fault)
    if function is None:
        raise BertlensError(f"cannot reproduce {fault} here", got=NOT_HERE[fault])
    return function


def reproduce(fault: str, checkpoint: Checkpoint, texts: Texts) -> Reproduction:
    """Make a fault of the catalogue on purpose, and mend it.

    Raises
    ------
    BertlensError
        As of `required`, and where this checkpoint or these texts do not allow the fault.
    """
    return reproduced(fault, required(fault), checkpoint, texts)
