"""Tensors: everything that goes into a model and comes out, and what an expression picks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bertlens.judge.expression.explained import Explained
from bertlens.judge.expression.explained import judge as judge_expression
from bertlens.read import capture as captures
from bertlens.read.capture import Capture
from bertlens.read.expression.evaluate import evaluate
from bertlens.read.slicing import Tensor, tensors_in, tensors_of
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.texts import as_texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint


def shapes(checkpoint: Checkpoint, texts: Sequence[Any] | str, *, condition: str | Condition = "") -> tuple[Tensor, ...]:
    """Every tensor of the first forward pass with named axes, going in and coming out."""
    return tensors_of(prepare(checkpoint, as_texts(texts), Condition.parse(condition)))


def capture(checkpoint: Checkpoint, texts: Sequence[Any] | str, *, condition: str | Condition = "") -> Capture:
    """Run the first forward pass and keep every state of it, for `explain`; of many texts as many as fit into memory."""
    return captures.capture(prepare(checkpoint, as_texts(texts), Condition.parse(condition)))


def explain(expression: str, outputs: Any, inputs: Mapping[str, Any] | None = None, tokenizer: Any = None) -> Explained:
    """Evaluate an expression on a model's outputs step by step: shapes, named axes, the cells it holds, what is wrong with it.

    Parameters
    ----------
    expression : as it stands in somebody's code, `outputs.last_hidden_state[:, 0, :]`; several lines with assignments, loops
        and functions too.
    outputs : what `capture` returned, or a model's own output.
    inputs, tokenizer : with a model's own output, what the tokenizer returned, and the tokenizer: they tell padding and tokens.

    Raises
    ------
    ExpressionError
        For what is not in the language of expressions, with the place in the text and the nearest legal form.
    """
    given = outputs if isinstance(outputs, Capture) else captures.captured(outputs, inputs, tokenizer)
    return judge_expression(evaluate(expression, given), given, tensors_in(given))
