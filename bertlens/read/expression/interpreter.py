"""Interpreter: walks the tree of an expression; every node becomes a value of `values`, and nothing else can be reached."""

from __future__ import annotations

import ast
import operator
from typing import Any

import numpy as np

from bertlens.read.expression import attributes, calls, containers
from bertlens.read.expression.budget import LARGEST_NUMBER, OverBudget
from bertlens.read.expression.errors import ExpressionError, nearest
from bertlens.read.expression.grammar import place_of
from bertlens.read.expression.memory import rewritten
from bertlens.read.expression.names import ORDINARY, REPLACED, first_names
from bertlens.read.expression.operations.contraction import matmul
from bertlens.read.expression.operations.pointwise import arithmetic, pointwise
from bertlens.read.expression.operations.selection import pick, written
from bertlens.read.expression.recording import Recorder
from bertlens.read.expression.tracer import REFUSALS, Place, Refused, Tracer, said_by
from bertlens.read.expression.values import Defined, Function, Names, Stand, Traced, raw

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
DEEPEST = 8
"""Calls of own functions within each other."""


class Stopped(Exception):
    """PyTorch, numpy or Python refuse a part of the expression."""

    def __init__(self, refused: Refused, place: Place) -> None:
        self.refused, self.place = refused, place
        super().__init__(refused.message)


class Returned(Exception):
    """A function of the expression has its value."""

    def __init__(self, value: Any) -> None:
        self.value = value
        super().__init__()


class Interpreter:
    """One evaluation of one expression."""

    def __init__(self, source: str, tracer: Tracer) -> None:
        self.source, self.tracer = source, tracer
        self.recorder = Recorder(tracer)
        self.names = Names(first_names(tracer.cells))
        self.assigned: set[str] = set()
        self.running: list[Any] = []
        self.depth = 0

    def run(self, tree: ast.Module) -> Any:
        """Carry out all lines; the value of the last one.

        Raises
        ------
        Stopped
            Where a part is refused at run time; the steps before it are recorded.
        ExpressionError
            For what is not in the language, or over the budget.
        """
        value = None
        for node in tree.body:
            value = self.statement(node)
        last = tree.body[-1]
        if isinstance(last, (ast.FunctionDef, ast.For)):
            got = "a function that is not called" if isinstance(last, ast.FunctionDef) else "a loop"
            do = "write the name of what you want to see as the last line"
            raise ExpressionError("the last line has no value", got=got, do=do, place=place_of(last), source=self.source)
        return value

    # statements

    def statement(self, node: ast.stmt) -> Any:
        """Carry out a line; its value where it has one."""
        match node:
            case ast.Expr():
                return self.eval(node.value)
            case ast.Assign():
                value = self.eval(node.value)
                self.at(node, node.value)
                for target in node.targets:
                    value = self.assign(target, value)
                    self.seen(target, True)
                return value
            case ast.AugAssign():
                return self.augmented(node)
            case ast.For():
                self.loop(node)
            case ast.With():
                return self.block(node)
            case ast.FunctionDef():
                self.define(node)
            case ast.Return():
                assert node.value is not None, "the grammar lets no empty return pass"
                raise Returned(self.eval(node.value))
        return None

    def block(self, node: ast.With) -> Any:
        """`with torch.no_grad():`"""
        before, self.tracer.grad_off = self.tracer.grad_off, True
        try:
            value = None
            for line in node.body:
                value = self.statement(line)
            return value
        finally:
            self.tracer.grad_off = before

    def loop(self, node: ast.For) -> None:
        """`for`: the lines once for each item."""
        items = self.guarded(node.iter, lambda: containers.items(self.tracer, self.eval(node.iter)))
        self.running.append(items)  # what is written into a row is seen in the rows to come
        try:
            for item in items:
                self.assign(node.target, item)
                self.seen(node.target, False)
                for line in node.body:
                    self.statement(line)
        finally:
            self.running.pop()

    def define(self, node: ast.FunctionDef) -> None:
        """`def`: remember a function; its defaults are evaluated now."""
        names = tuple(one.arg for one in node.args.args)
        values = [self.eval(default) for default in node.args.defaults]
        defaults = dict(zip(names[len(names) - len(values) :], values, strict=True))
        self.names.items[node.name] = Defined(node.name, names, defaults, node.body)

    def assign(self, target: ast.expr, value: Any) -> Any:
        """Bind a name, several at once, or write into a place of one; the value that the line then has."""
        if isinstance(target, ast.Name):
            self.names.items[target.id] = value
            return value
        if isinstance(target, (ast.Tuple, ast.List)):
            parts = self.guarded(target, lambda: containers.unpacked(self.tracer, value, len(target.elts)))
            for one, part in zip(target.elts, parts, strict=True):
                self.assign(one, part)
            return value
        assert isinstance(target, ast.Subscript), "the grammar lets no other target pass"
        if not isinstance(target.value, ast.Name):
            do = "give it a name first, then write into that"
            raise ExpressionError("cannot write into a part of a part", do=do, place=place_of(target), source=self.source)
        whole, index = self.eval(target.value), self.index(target.slice)
        if isinstance(whole, list):
            new: Any = self.guarded(target, lambda: containers.replaced(whole, index, value))
        elif isinstance(whole, Traced):
            new = self.guarded(target, lambda: written(self.tracer, whole, index, value))
            self.record(target, new)
        else:
            raise Stopped(
                Refused(f"TypeError: '{type(whole).__name__}' object does not support item assignment"), place_of(target)
            )
        if isinstance(whole, Traced):
            return rewritten(self.tracer, self.names, self.running, whole, new)
        self.names.renew(whole, new)
        return new

    def seen(self, target: ast.expr, already: bool) -> None:
        """Names whose value was a step when they were assigned need no step of their own; those of a loop do."""
        names = {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
        self.assigned = self.assigned | names if already else self.assigned - names

    def augmented(self, node: ast.AugAssign) -> Any:
        """`+=` and its like."""
        load = ast.copy_location(_loading(node.target), node.target)
        old = self.eval(load)
        value = self.guarded(node, lambda: self.binary(node.op, old, self.eval(node.value), node))
        self.guarded(node, lambda: self.tracer.budget.container(value))
        if isinstance(node.target, ast.Name) and isinstance(old, Traced) and isinstance(value, Traced):
            value = rewritten(self.tracer, self.names, self.running, old, value)
        return self.assign(node.target, value)

    # expressions

    def eval(self, node: ast.expr) -> Any:
        """The value of a part; tensors are recorded as steps."""
        self.tracer.budget_at(place_of(node), self.source)
        value = self.guarded(node, lambda: self.bounded(node))
        self.record(node, value)
        return value

    def bounded(self, node: ast.expr) -> Any:
        """The value of a part; a list in it that holds lists that hold lists is within the budget."""
        value = self.value(node)
        if isinstance(value, (list, tuple)):
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
                return self.binary(node.op, self.eval(node.left), self.eval(node.right), node)
            case ast.UnaryOp():
                return self.unary(node)
            case ast.Compare():
                return self.compare(node)
            case ast.BoolOp():
                return self.junction(node)
            case ast.IfExp():
                return self.eval(node.body if self.truth(self.eval(node.test)) else node.orelse)
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
        attributes.missing_output(self.tracer, node.id)
        legal = [*self.names.every(), *ORDINARY, *attributes.FUNCTIONS]
        near = REPLACED.get(node.id) or nearest(node.id, legal)
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

    def defined(self, function: Defined, positional: list[Any], named: dict[str, Any]) -> Any:
        """A call of a function that the expression defines."""
        bound = {**function.defaults, **dict(zip(function.parameters, positional, strict=False)), **named}
        if len(positional) > len(function.parameters) or set(bound) != set(function.parameters):
            raise Refused(f"TypeError: {function.name}() takes {', '.join(function.parameters) or 'no arguments'}")
        if self.depth >= DEEPEST:
            raise OverBudget("functions that call each other without end", f"at most {DEEPEST} within each other")
        before, self.names = self.names, Names(self.names, bound)
        self.depth += 1
        try:
            for line in function.body:
                self.statement(line)
        except Returned as returned:
            return returned.value
        finally:
            self.names = before
            self.depth -= 1
        return None

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> list[Any]:
        """A list of what a comprehension makes; a generator is one too."""
        before, self.names = self.names, Names(self.names)
        found: list[Any] = []
        try:
            self.generate(node, 0, found)
        finally:
            self.names = before
        return found

    def generate(self, node: ast.ListComp | ast.GeneratorExp, at: int, found: list[Any]) -> None:
        """One `for … in … if …` of a comprehension after the other."""
        if at == len(node.generators):
            found.append(self.eval(node.elt))
            self.tracer.budget.length(len(found))
            return
        one = node.generators[at]
        for item in self.guarded(one.iter, lambda: containers.items(self.tracer, self.eval(one.iter))):
            self.assign(one.target, item)
            self.seen(one.target, False)
            if all(self.truth(self.eval(condition)) for condition in one.ifs):
                self.generate(node, at + 1, found)

    def binary(self, sign: ast.operator, left: Any, right: Any, node: ast.AST) -> Any:
        """An operator between two values."""
        if isinstance(left, Traced) or isinstance(right, Traced):
            parts = [getattr(node, name, None) for name in ("left", "right", "target", "value")]
            self.at(node, *(part for part in parts if part is not None))
            if isinstance(sign, ast.MatMult):
                self.tracer.full_name = "tensor.matmul"
                return matmul(self.tracer, left, right)
            name = BINARY.get(type(sign))
            if name is None:
                raise Refused(f"TypeError: {type(sign).__name__} is not traced")
            return arithmetic(self.tracer, name, left, right)
        return containers.plain(self.tracer, BINARY.get(type(sign), ""), left, right)

    def unary(self, node: ast.UnaryOp) -> Any:
        """Minus, plus, not and ~."""
        value = self.eval(node.operand)
        if isinstance(node.op, ast.Not):
            return not self.truth(value)
        function: Any = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert}[type(node.op)]
        if isinstance(value, Traced):
            result = self.tracer.real(function, value)
            found = pointwise(self.tracer, np.asarray(result) if value.form == "number" else result, (value,))
            return found.with_form("number") if value.form == "number" else found
        return containers.limited(self.tracer.real(function, value), LARGEST_NUMBER)

    def compare(self, node: ast.Compare) -> Any:
        """A comparison, or several in a chain."""
        left = self.eval(node.left)
        result: Any = None
        for sign, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.eval(right_node)
            function = COMPARED[type(sign)]
            if isinstance(left, Traced) or isinstance(right, Traced):
                if function not in TORCH_OF:
                    raise Refused("RuntimeError: `in` and `is` are not traced for tensors", "==")
                self.at(node, node.left, right_node)
                result = arithmetic(self.tracer, TORCH_OF[function], left, right)
            else:
                try:
                    result = bool(function(left, right))
                except REFUSALS as error:
                    raise Refused(said_by(error)) from None
            if len(node.ops) > 1 and not self.truth(result):
                return result
            left = right
        return result

    def junction(self, node: ast.BoolOp) -> Any:
        """`and` and `or`."""
        value = None
        for part in node.values:
            value = self.eval(part)
            if self.truth(value) == isinstance(node.op, ast.Or):
                return value
        return value

    def truth(self, value: Any) -> bool:
        """Whether Python takes a value for true; of a tensor only where it has one element."""
        return bool(self.tracer.real(bool, value)) if isinstance(value, Traced) else bool(value)


def _loading(node: ast.expr) -> ast.expr:
    """A target as something that is read."""
    if isinstance(node, ast.Name):
        return ast.copy_location(ast.Name(node.id, ast.Load()), node)
    assert isinstance(node, ast.Subscript), "the grammar lets no other target pass"
    return ast.copy_location(ast.Subscript(node.value, node.slice, ast.Load()), node)
