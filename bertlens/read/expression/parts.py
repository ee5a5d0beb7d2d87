"""Parts: the value of every part of an expression; the lines around them are carried out by the interpreter."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from typing import Any

from bertlens.read.expression import attributes, calls, containers, operators
from bertlens.read.expression.budget import OverBudget
from bertlens.read.expression.errors import ExpressionError, lines_of, nearest
from bertlens.read.expression.grammar import place_of
from bertlens.read.expression.names import ORDINARY, OUTPUT_FIELDS, REPLACED, first_names
from bertlens.read.expression.operations.selection import pick
from bertlens.read.expression.recording import Recorder
from bertlens.read.expression.tracer import Place, Refused, Tracer
from bertlens.read.expression.values import Defined, Function, Names, Stand, Traced, raw


class Stopped(Exception):
    """PyTorch, numpy or Python refuse a part of the expression."""

    def __init__(self, refused: Refused, place: Place) -> None:
        self.refused, self.place = refused, place
        super().__init__(refused.message)


class Parts(ABC):
    """What is known while one expression is evaluated, and the value of each of its parts."""

    def __init__(self, source: str, tracer: Tracer) -> None:
        self.source, self.tracer = source, tracer
        self.recorder = Recorder(tracer)
        self.names = Names(first_names(tracer.cells))
        self.assigned: set[str] = set()
        self.running: list[Any] = []
        self.depth = 0

    def eval(self, node: ast.expr) -> Any:
        """The value of a part; tensors are recorded as steps."""
        self.tracer.budget_at(place_of(node), self.source)
        if isinstance(node, ast.Constant):
            return node.value
        value = self.guarded(node, lambda: self.bounded(node))
        self.record(node, value)
        return value

    def bounded(self, node: ast.expr) -> Any:
        """The value of a part; a list in it that holds lists that hold lists is within the budget."""
        value = self.value(node)
        if isinstance(value, (list, tuple)) and not isinstance(node, ast.Name):  # what has a name was looked at before
            self.tracer.budget.container(value)
        return value

    def at(self, node: ast.AST, *operands: ast.AST) -> None:
        """What is noted from here on happened at this node, with these operands."""
        self.tracer.at(place_of(node), tuple(place_of(one) for one in operands))

    def guarded(self, node: ast.AST, make: Any) -> Any:
        """What is refused in here gets this place, the innermost one first."""
        try:
            return make()
        except Refused as refused:
            raise Stopped(refused, place_of(node)) from None
        except OverBudget as over:
            what, do = "this would cost too much", "take fewer texts, layers or units"
            raise ExpressionError(
                what, got=over.got, expected=over.expected, do=do, place=place_of(node), source=self.source
            ) from None

    def record(self, node: ast.AST, value: Any) -> None:
        """A step; a name that was assigned was one already, and a list that grows is none."""
        known = isinstance(node, ast.Name) and node.id in self.assigned
        grows = isinstance(value, list) and isinstance(node, (ast.Name, ast.Call))
        if not known and not grows and not isinstance(node, (ast.Tuple, ast.List, ast.Constant, ast.Starred)):
            if isinstance(node, ast.Name):
                self.assigned.add(node.id)
            self.recorder.add(place_of(node), value)

    def value(self, node: ast.expr) -> Any:
        """What a node stands for, by its kind."""
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self.name(node)
            case ast.Attribute():
                return attributes.read(self.tracer, self.eval(node.value), node, self.source)
            case ast.Subscript():
                return self.subscript(node)
            case ast.Call():
                return self.call(node)
            case ast.BinOp():
                return self.binary(node, node.op, self.eval(node.left), self.eval(node.right), node.left, node.right)
            case ast.UnaryOp():
                return operators.unary(self.tracer, node.op, self.eval(node.operand))
            case ast.Compare():
                return self.compare(node)
            case ast.BoolOp():
                return self.junction(node)
            case ast.IfExp():
                return self.eval(node.body if operators.truth(self.tracer, self.eval(node.test)) else node.orelse)
            case ast.Tuple():
                return tuple(self.elements(node.elts))
            case ast.List():
                return self.elements(node.elts)
            case ast.ListComp() | ast.GeneratorExp():
                return self.comprehension(node)
            case ast.Slice():
                return self.index(node)
        raise AssertionError(f"the grammar let {type(node).__name__} pass")

    def elements(self, nodes: list[ast.expr]) -> list[Any]:
        """The items of a list, a tuple or a call."""
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                found += containers.items(self.tracer, self.eval(node.value))
            else:
                found.append(self.eval(node))
        self.tracer.budget.length(len(found))
        return found

    def name(self, node: ast.Name) -> Any:
        """The value of a name, or what it may have meant."""
        try:
            return self.names.find(node.id)
        except KeyError:
            pass
        if node.id in ORDINARY or node.id in attributes.FUNCTIONS:
            return Function(node.id, attributes.FUNCTIONS.get(node.id) or calls.ORDINARY[node.id])
        if not self.owns(node):
            attributes.missing_output(self.tracer, node.id)
        legal = [*self.names.every(), *ORDINARY, *attributes.FUNCTIONS]
        near = "outputs" if self.owns(node) else REPLACED.get(node.id) or nearest(node.id, legal)
        expected = "a name that you assigned, or one of outputs, last_hidden_state, hidden_states, attention_mask, torch, np"
        raise ExpressionError(
            f"{node.id} is not known here",
            got=node.id,
            expected=expected,
            do=f"did you mean {near}?" if near else "assign it in a line above",
            place=place_of(node),
            suggestion=self.instead(node, near) if near else "",
            source=self.source,
        )

    def owns(self, node: ast.Name) -> bool:
        """Whether a field of the model's output is read from a name, as in `embeddings.last_hidden_state`."""
        lines = lines_of(self.source)
        after = lines[place_of(node)[2] - 1][place_of(node)[3] :].replace("'", '"')
        return after.startswith(tuple(f"{before}{name}" for name in OUTPUT_FIELDS for before in (".", '["')))

    def instead(self, node: ast.AST, text: str) -> str:
        """The expression with a text in the place of a node."""
        return calls.spliced(self.source, place_of(node), text)

    def subscript(self, node: ast.Subscript) -> Any:
        """What an index picks."""
        whole, index = self.eval(node.value), self.index(node.slice)
        self.at(node, node.value)
        if isinstance(whole, Traced):
            return pick(self.tracer, whole, index)
        return containers.entry(self.tracer, whole, index)

    def index(self, node: ast.expr) -> Any:
        """What stands between the brackets."""
        if isinstance(node, ast.Slice):
            return slice(*(None if part is None else raw(self.eval(part)) for part in (node.lower, node.upper, node.step)))
        if isinstance(node, ast.Tuple):
            places: list[Any] = []
            for part in node.elts:
                if isinstance(part, ast.Starred):
                    places += containers.items(self.tracer, self.eval(part.value))
                else:
                    places.append(self.index(part))
            return tuple(places)
        return self.eval(node)

    def call(self, node: ast.Call) -> Any:
        """What a call returns."""
        function = self.eval(node.func)
        if isinstance(function, Stand):
            return calls.stand(self, function, node)
        positional = self.elements(node.args)
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                what = "cannot unpack arguments here"
                raise ExpressionError(what, expected="model(**inputs)", place=place_of(node), source=self.source)
            named[keyword.arg] = self.eval(keyword.value)
        if isinstance(function, Defined):
            return self.defined(function, positional, named)
        first = (
            node.func.value if isinstance(node.func, ast.Attribute) and getattr(function, "bound", None) is not None else None
        )
        operand = first if first is not None else (node.args[0] if node.args else node)
        self.at(node, operand, *node.args)
        return calls.called(self.tracer, function, positional, named, place_of(node), self.source)

    def binary(self, node: ast.AST, sign: ast.operator, left: Any, right: Any, *operands: ast.AST) -> Any:
        """An operator between two values, which stand at `operands`."""
        self.at(node, *operands)
        return operators.binary(self.tracer, sign, left, right)

    def compare(self, node: ast.Compare) -> Any:
        """A comparison, or several in a chain."""
        left_node, left = node.left, self.eval(node.left)
        result: Any = None
        for sign, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.eval(right_node)
            self.at(node, left_node, right_node)
            result = operators.compared(self.tracer, sign, left, right)
            if len(node.ops) > 1 and not operators.truth(self.tracer, result):
                return result
            left_node, left = right_node, right
        return result

    def junction(self, node: ast.BoolOp) -> Any:
        """`and` and `or`."""
        value = None
        for part in node.values:
            value = self.eval(part)
            if operators.truth(self.tracer, value) == isinstance(node.op, ast.Or):
                return value
        return value

    @abstractmethod
    def defined(self, function: Defined, positional: list[Any], named: dict[str, Any]) -> Any:
        """A call of a function that the expression defines: the interpreter carries out its lines."""

    @abstractmethod
    def comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> list[Any]:
        """A list of what a comprehension makes: the interpreter binds its names."""
