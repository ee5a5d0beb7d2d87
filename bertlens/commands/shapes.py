"""`bertlens shapes`: every tensor with named axes, and what an expression holds at each of its steps."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bertlens.commands import answer, arguments
from bertlens.errors import BertlensError

if TYPE_CHECKING:
    from bertlens.judge.expression.explained import Explained
    from bertlens.judge.findings import Finding
    from bertlens.read.capture import Capture
    from bertlens.read.slicing import Tensor

HELP = "name the axes of every tensor, and say which texts, tokens and layers an expression holds"
LONGEST = 100_000
"""Characters that are read from stdin; the language takes far fewer and says so."""


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    arguments.checkpoint(command)
    arguments.texts(command, required=True)
    command.add_argument("--expr", metavar="EXPRESSION", help="as it stands in your code; - reads it from stdin")
    command.add_argument("--condition", default="", metavar="COND", help="key=value,… as for compare; default: none changed")


def do(options: argparse.Namespace) -> int:
    """List the tensors, evaluate the expression, and say what it holds; 1 where something is a problem."""
    from bertlens.run.condition import Condition
    from bertlens.run.texts import read_texts

    condition = Condition.parse(options.condition)
    texts = read_texts(options.texts, column=options.column, pair_column=options.pair_column)
    expression = sys.stdin.read(LONGEST) if options.expr == "-" else options.expr
    if expression is not None and not expression.strip():
        raise BertlensError("there is nothing to evaluate", expected="e.g. --expr 'outputs.last_hidden_state[:, 0]'")

    from bertlens import diagnose

    told = answer.progress()
    checkpoint = arguments.loaded(options, told)
    if expression is None:
        from bertlens.judge.usable import of_checkpoint
        from bertlens.read.readout import Readout

        tensors = diagnose.shapes(checkpoint, texts, condition=condition)
        there = any(tensor.name == "pooler_output" for tensor in tensors)
        # nothing is read from it here, so nothing is wrong yet
        faults = of_checkpoint(checkpoint, Readout("pooler")) if there else []
        findings = [replace(fault, severity="caution") for fault in faults]
        print(
            json.dumps(_document(tensors, findings), allow_nan=False) if options.json else _tensors_in_words(tensors, findings)
        )
        return 0
    capture = diagnose.capture(checkpoint, texts, condition=condition)
    found = _explained(expression, capture)
    if options.json:
        print(json.dumps(found.to_dict(), allow_nan=False))
    else:
        print(_in_words(found, capture.batch, capture.given))
    return 1 if found.verdict == "problem" else 0


def _explained(expression: str, capture: Capture) -> Explained:
    """The expression on these outputs; what is outside the language is said with its place and nearest form, on one line."""
    from bertlens import diagnose
    from bertlens.read.expression.errors import ExpressionError

    try:
        return diagnose.explain(expression, capture)
    except ExpressionError as error:
        line, column, *_ = error.place
        nearest = error.suggestion if "\n" not in error.suggestion else ""
        do = "; ".join(filter(None, [error.do, f"the nearest legal form is {nearest}" if nearest else ""]))
        what = f"line {line}, column {column + 1}: {error.what}"
        raise BertlensError(what, got=error.got, expected=error.expected, do=do) from None


def _document(tensors: Sequence[Tensor], findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "schema": "bertlens.shapes/1",
        "tensors": [tensor.to_dict() for tensor in tensors],
        "steps": [],
        "findings": [finding.to_dict() for finding in findings],
    }


def _tensors_in_words(tensors: Sequence[Tensor], findings: Sequence[Finding]) -> str:
    return "\n".join([*_tensors(tensors), *answer.findings(findings)])


def _in_words(found: Explained, batch: int, given: int) -> str:
    """The verdict, the tensors, the steps, where it stopped, and the findings, for a terminal."""
    lines = [found.sentence, ""]
    if batch < given:
        lines += [f"evaluated on the first {batch:,} of {given:,} texts; more do not fit", ""]
    lines += [*_tensors(found.tensors), "", *_steps(found)]
    if found.failure is not None:
        lines += ["", *_stopped(found)]
    lines += answer.findings(found.findings)
    lines += [f"\nnote: {note}" for note in found.notes]
    return "\n".join(lines)


def _tensors(tensors: Sequence[Tensor]) -> list[str]:
    lines = [("", "tensor", "axes", "shape", "dtype")]
    lines += [
        (tensor.direction, tensor.name, " × ".join(tensor.axes), " × ".join(map(str, tensor.shape)), tensor.dtype)
        for tensor in tensors
    ]
    return _columns(lines)


def _steps(found: Explained) -> Iterator[str]:
    """Each part with its shape, and below it what it holds."""
    for number, step in enumerate(found.steps, 1):
        shape = " × ".join(map(str, step.shape))
        axes = " × ".join(step.axes)
        named = f"{axes} = {shape}" if axes and shape else shape or step.form
        times = f", {step.times} times" if step.times > 1 else ""
        yield f"{number:>3}  {' '.join(step.expression.split())}"
        yield f"     {named}  {step.dtype}{times}".rstrip()
        yield f"     {step.words}"


def _stopped(found: Explained) -> list[str]:
    from bertlens.read.expression.errors import ExpressionError

    failure = found.failure
    assert failure is not None
    pointed = ExpressionError("", place=failure.place, source=found.expression).caret
    return [*(f"  {line}" for line in pointed.split("\n")), f"  {failure.message}", f"  {failure.words}"]


def _columns(lines: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
