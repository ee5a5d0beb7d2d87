"""Interpreter: carries out the lines of an expression; a part of them is a value of `values`, nothing else can be reached."""

from __future__ import annotations

import ast
from typing import Any

from bertlens.read.expression import containers, operators
from bertlens.read.expression.budget import OverBudget
from bertlens.read.expression.errors import ExpressionError
from bertlens.read.expression.grammar import place_of
from bertlens.read.expression.memory import rewritten
from bertlens.read.expression.operations.selection import written
from bertlens.read.expression.parts import Parts, Stopped
from bertlens.read.expression.tracer import Refused
from bertlens.read.expression.values import Defined, Names, Traced

DEEPEST = 8
"""Calls of own functions within each other."""


class Returned(Exception):
    """A function of the expression has its value."""

    def __init__(self, value: Any) -> None:
        self.value = value
        super().__init__()


class Interpreter(Parts):
    """One evaluation of one expression."""

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
        new = self.eval(node.value)
        value = self.guarded(node, lambda: self.binary(node, node.op, old, new, node.target, node.value))
        self.guarded(node, lambda: self.tracer.budget.container(value))
        if isinstance(node.target, ast.Name) and isinstance(old, Traced) and isinstance(value, Traced):
            value = rewritten(self.tracer, self.names, self.running, old, value)
        return self.assign(node.target, value)

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
            if all(operators.truth(self.tracer, self.eval(condition)) for condition in one.ifs):
                self.generate(node, at + 1, found)


def _loading(node: ast.expr) -> ast.expr:
    """A target as something that is read."""
    if isinstance(node, ast.Name):
        return ast.copy_location(ast.Name(node.id, ast.Load()), node)
    assert isinstance(node, ast.Subscript), "the grammar lets no other target pass"
    return ast.copy_location(ast.Subscript(node.value, node.slice, ast.Load()), node)
