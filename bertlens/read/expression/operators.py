"""Operators: plus, minus, comparisons, and what Python takes for true."""

from __future__ import annotations

import ast
import operator
from typing import Any

import numpy as np

from bertlens.read.expression import containers
from bertlens.read.expression.budget import LARGEST_NUMBER
from bertlens.read.expression.operations.contraction import matmul
from bertlens.read.expression.operations.pointwise import arithmetic, pointwise
from bertlens.read.expression.tracer import REFUSALS, Refused, Tracer, said_by
from bertlens.read.expression.values import Traced

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder",
    ast.Pow: "pow",
    ast.BitAnd: "bitwise_and",
    ast.BitOr: "bitwise_or",
    ast.BitXor: "bitwise_xor",
}
COMPARED: dict[type[ast.cmpop], Any] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
TORCH_OF = {operator.eq: "eq", operator.ne: "ne", operator.lt: "lt", operator.le: "le", operator.gt: "gt", operator.ge: "ge"}
TURNED: dict[type[ast.unaryop], Any] = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert}


def binary(t: Tracer, sign: ast.operator, left: Any, right: Any) -> Any:
    """An operator between two values."""
    if not (isinstance(left, Traced) or isinstance(right, Traced)):
        return containers.plain(t, BINARY.get(type(sign), ""), left, right)
    if isinstance(sign, ast.MatMult):
        t.full_name = "tensor.matmul"
        return matmul(t, left, right)
    name = BINARY.get(type(sign))
    if name is None:
        raise Refused(f"TypeError: {type(sign).__name__} is not traced")
    return arithmetic(t, name, left, right)


def unary(t: Tracer, sign: ast.unaryop, value: Any) -> Any:
    """Minus, plus, not and ~."""
    if isinstance(sign, ast.Not):
        return not truth(t, value)
    if type(value) is int:
        return containers.limited(TURNED[type(sign)](value), LARGEST_NUMBER)
    result = t.real(TURNED[type(sign)], value)
    if not isinstance(value, Traced):
        return containers.limited(result, LARGEST_NUMBER)
    found = pointwise(t, np.asarray(result) if value.form == "number" else result, (value,))
    return found.with_form("number") if value.form == "number" else found


def compared(t: Tracer, sign: ast.cmpop, left: Any, right: Any) -> Any:
    """One comparison."""
    function = COMPARED[type(sign)]
    if isinstance(left, Traced) or isinstance(right, Traced):
        if function not in TORCH_OF:
            raise Refused("RuntimeError: `in` and `is` are not traced for tensors", "==")
        return arithmetic(t, TORCH_OF[function], left, right)
    try:
        return bool(function(left, right))
    except REFUSALS as error:
        raise Refused(said_by(error)) from None


def truth(t: Tracer, value: Any) -> bool:
    """Whether Python takes a value for true; of a tensor only where it has one element."""
    return bool(t.real(bool, value)) if isinstance(value, Traced) else bool(value)
