"""Explained: an expression with its steps, what is wrong with it, and the expression that is right."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bertlens.judge.display import Shown, notebook
from bertlens.judge.expression import axes, fields, fitting, padding, positions, refused
from bertlens.judge.expression.correction import Fault, findings_of
from bertlens.judge.findings import Finding, most_serious_first
from bertlens.judge.usable import of_checkpoint
from bertlens.read.capture import Capture
from bertlens.read.expression.errors import ExpressionError
from bertlens.read.expression.evaluate import evaluate
from bertlens.read.expression.explanation import Failure, Step, Trace
from bertlens.read.readout import Readout
from bertlens.read.slicing import Tensor

if TYPE_CHECKING:
    import pandas as pd

JUDGES = (fields, axes, fitting, padding, positions)


@dataclass(frozen=True, eq=False)
class Explained(Shown):
    """What an expression holds and whether that is what people mean by it.

    Attributes
    ----------
    trace : every step, the value, and the cells it holds.
    findings : what is wrong, the most serious first, each with a corrected expression.
    notes : what was left out or cannot be known.
    tensors : every tensor that goes in and comes out.
    """

    trace: Trace
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    tensors: tuple[Tensor, ...] = ()

    @property
    def expression(self) -> str:
        """As it was written."""
        return self.trace.expression

    @property
    def steps(self) -> tuple[Step, ...]:
        """In the order of evaluation."""
        return self.trace.steps

    @property
    def result(self) -> Step | None:
        """The last step; None where nothing was evaluated."""
        return self.trace.result

    @property
    def failure(self) -> Failure | None:
        """Where PyTorch, numpy or Python refuse it."""
        return self.trace.failure

    @property
    def verdict(self) -> str:
        """ "problem", "caution" or "sound"."""
        severities = {finding.severity for finding in self.findings}
        if self.failure or "problem" in severities:
            return "problem"
        return "caution" if "caution" in severities else "sound"

    @property
    def sentence(self) -> str:
        """The verdict and what the result is, in one sentence."""
        word = {"sound": "Sound", "caution": "Usable with care", "problem": "Faulty"}[self.verdict]
        first = next((finding for finding in self.findings if finding.severity == self.verdict), None)
        if self.failure:
            why = first.title if first else self.failure.words or self.failure.message
            return f"{word}: {why}. {self.failure.message.split(':')[0]} at “{_short(self.failure.expression)}”."
        assert self.result is not None, "nothing failed"
        told = described(self.result)
        return f"{word}: {first.title}. The result is {told}." if first else f"{word}: {told}."

    def to_dict(self) -> dict[str, Any]:
        """The document of the contract `bertlens.shapes/1`."""
        failure = self.failure
        return {
            "schema": "bertlens.shapes/1",
            "expression": self.expression,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "tensors": [tensor.to_dict() for tensor in self.tensors],
            "steps": [step.to_dict() for step in self.steps],
            "failure": None
            if failure is None
            else {
                "place": list(failure.place),
                "expression": failure.expression,
                "message": failure.message,
                "words": failure.words,
            },
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per step."""
        import pandas as pd

        columns = ["expression", "times", "axes", "shape", "dtype", "bytes", "holds"]
        lines = [
            [s.expression, s.times, " × ".join(s.axes), " × ".join(map(str, s.shape)), s.dtype, s.bytes, s.words]
            for s in self.steps
        ]
        return pd.DataFrame(lines, columns=columns)

    def _repr_html_(self) -> str:
        """The verdict, the steps, and every finding with the expression that is right, for notebooks."""
        told = "".join(
            f"<p><strong>{finding.severity}</strong>: {html.escape(finding.title)} <code>{finding.id}</code></p>"
            + (f"<pre>{html.escape(finding.code)}</pre>" if finding.code else "")
            for finding in self.findings
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return notebook(self) + told + notes


def described(step: Step) -> str:
    """A step in words: "(2, 384), batch × hidden: the [CLS] token of both texts"."""
    if step.form == "other":
        return step.words
    if not step.shape:
        return f"one number: {step.words}"
    return f"{step.shape}, {' × '.join(step.axes)}: {step.words}"


def _short(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def judge(trace: Trace, capture: Capture, tensors: tuple[Tensor, ...] = ()) -> Explained:
    """Look for everything that is known to go wrong with such expressions."""
    faults = _faults(trace, capture)
    found = findings_of(trace, faults, partial(_mends, capture, {one.id for one in faults}, trace.failure is not None))
    sources = {source for step in trace.steps for source in step.provenance.sources}
    if capture.checkpoint is not None and sources & {"hidden_states", "pooler_output"}:
        readout = Readout("pooler" if "pooler_output" in sources else "cls")
        weights = [one for one in of_checkpoint(capture.checkpoint, readout) if one.severity != "note"]
        found += [replace(one, code=_without_pooler(trace.expression, capture) or one.code) for one in weights]
    lean = replace(trace, events=())  # what was noted holds views of the whole outputs
    return Explained(lean, most_serious_first(found), _notes(trace, capture), tensors)


def _faults(trace: Trace, capture: Capture) -> list[Fault]:
    exact = all(step.provenance.exact for step in trace.steps)
    judges = JUDGES if exact else [one for one in JUDGES if one is fields]  # who accuses by cells must know the cells
    found = [fault for one in judges for fault in one.faults(trace, capture)]
    if exact and not {padding.ID, positions.ID} & {fault.id for fault in found}:
        found += padding.beneath(trace, capture)
    return found or list(refused.faults(trace))


def _without_pooler(expression: str, capture: Capture) -> str:
    """The same of [CLS] before the pooler, where that can be evaluated."""
    code = re.sub(r"\b(\w+\.)?(pooler_output|pooled_output)\b", r"\1last_hidden_state[:, 0]", expression)
    code = re.sub(r"\b(out\w*|model_outputs?|results?)\[1\]", r"\1[0][:, 0]", code)
    try:
        trace = evaluate(code, capture)
    except ExpressionError:
        return ""
    read = {source for step in trace.steps for source in step.provenance.sources}
    return "" if trace.failure or "pooler_output" in read else code


def _mends(capture: Capture, before: set[str], failed: bool, code: str, fault: str) -> bool:
    """Whether a correction runs, is free of the fault, holds cells, and brings nothing else with it that is wrong.

    Where nothing came out before, what else is wrong could not be seen, and is the next thing to mend.
    """
    try:
        trace = evaluate(code, capture)
    except ExpressionError:
        return False
    after = _faults(trace, capture)
    if trace.failure is not None or any(one.id == fault for one in after):
        return False
    if trace.result is not None and "hidden_states" in trace.result.provenance.sources and not trace.cells.any():
        return False
    return failed or all(one.id in before for one in after if one.severity != "note")


def _notes(trace: Trace, capture: Capture) -> tuple[str, ...]:
    notes = []
    if capture.given > capture.batch:
        notes.append(f"The first {capture.batch:,} of {capture.given:,} texts are held, which is what fits into memory.")
    if capture.real is None:
        notes.append("Without the attention mask nobody can say which positions are padding.")
    if any(not step.provenance.exact for step in trace.steps):
        notes.append("There are too many different sets of cells to follow each one, so that too many may be named.")
    return tuple(notes)
