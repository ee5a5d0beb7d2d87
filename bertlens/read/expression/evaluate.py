"""Evaluate: an expression on a capture, step by step."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from bertlens.read.capture import Capture
from bertlens.read.expression.explanation import Failure, Trace
from bertlens.read.expression.grammar import parse, place_of, segment
from bertlens.read.expression.interpreter import Interpreter
from bertlens.read.expression.parts import Stopped
from bertlens.read.expression.recording import as_numpy, cells_of
from bertlens.read.expression.tracer import Tracer


def evaluate(expression: str, capture: Capture) -> Trace:
    """Carry out an expression on the outputs of a forward pass and follow every cell through it.

    Raises
    ------
    ExpressionError
        For what is not in the language, or would cost more than its budget. What PyTorch, numpy or Python themselves refuse
        does not raise: the trace then ends in a `Failure`.
    """
    tree = parse(expression)
    tracer = Tracer(capture, expression)
    interpreter = Interpreter(expression, tracer)
    last = place_of(tree.body[-1])
    try:
        with torch.no_grad(), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = interpreter.run(tree)
    except Stopped as stopped:
        refused, place = stopped.refused, stopped.place
        failure = Failure(place, segment(expression, place), refused.message, refused.words)
        nothing = np.zeros((len(capture.hidden_states), capture.batch, capture.width), dtype=bool)
        return Trace(expression, interpreter.recorder.steps(), None, nothing, failure, tuple(tracer.events))
    interpreter.recorder.last(last, value)
    cells = cells_of(tracer.cells, value)
    if tracer.cells.last_is_extra:
        cells = np.concatenate([cells[:-2], cells[-2:].any(axis=0, keepdims=True)])
    return Trace(expression, interpreter.recorder.steps(value), as_numpy(value), cells, None, tuple(tracer.events))
