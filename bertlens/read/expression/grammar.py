"""Grammar: text becomes a tree in which there is nothing but the nodes of the language, each with its place in the text.

Nothing is evaluated here, and no name is looked up. What passes is small and shallow enough for a recursive interpreter, has
no name with a leading underscore anywhere, and binds none of the names of the libraries.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import NoReturn

from bertlens.read.expression.errors import ExpressionError, Place, lines_of, shown
from bertlens.read.expression.idioms import shortened
from bertlens.read.expression.refused import REFUSED, is_idle
from bertlens.read.expression.syntax import tree_of

LIBRARIES = ("torch", "np", "numpy", "F", "nn")
"""Names that always mean these libraries and that nobody may bind."""
BLOCKS = ("no_grad", "inference_mode")
"""What `with torch.…():` may be."""
LARGEST = 2**63
"""An integer that no tensor can hold is a mistake, or meant to fill the memory."""

ALLOWED: tuple[type[ast.AST], ...] = (
    *(ast.Module, ast.Expr, ast.Assign, ast.AugAssign, ast.For, ast.With, ast.FunctionDef, ast.Return),
    *(ast.arguments, ast.arg, ast.keyword, ast.withitem, ast.comprehension),
    *(ast.ListComp, ast.GeneratorExp, ast.IfExp, ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Call, ast.Starred),
    *(ast.Subscript, ast.Slice, ast.Attribute, ast.Name, ast.Constant, ast.List, ast.Tuple),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context),
)


def parse(expression: str) -> ast.Module:
    """The tree of an expression; `lineno`, `col_offset` and their ends are in characters of the text as it was given.

    Imports of what is already there, annotations, prompts and indentation are gone from it.

    Raises
    ------
    ExpressionError
        For text that is no Python, is too long or too deep, or uses what the language has not.
    """
    tree = tree_of(expression)
    shortened(tree, expression)
    check = _Check(expression)
    tree.body = [node for node in map(check.as_statement, tree.body) if node is not None]
    if not tree.body:
        raise ExpressionError(
            "there is nothing to evaluate", expected="e.g. outputs.last_hidden_state[:, 0]", source=expression
        )
    for statement in tree.body:
        check.every(statement)
    return tree


def place_of(node: ast.AST) -> Place:
    """Where a node of `parse` stands in the text."""
    if isinstance(node, (ast.expr, ast.stmt)) and node.end_lineno is not None and node.end_col_offset is not None:
        return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    return line, column, getattr(node, "end_lineno", None) or line, getattr(node, "end_col_offset", None) or column


def place_of_name(node: ast.AST) -> Place:
    """Where the name of an attribute stands, without what it is an attribute of; the node's own place for others."""
    line, column, end_line, end_column = place_of(node)
    if not isinstance(node, ast.Attribute):
        return line, column, end_line, end_column
    return end_line, max(end_column - len(node.attr), 0), end_line, end_column


def segment(expression: str, place: Place) -> str:
    """The text of a place."""
    lines = lines_of(expression)[place[0] - 1 : place[2]]
    lines[-1] = lines[-1][: place[3]]
    lines[0] = lines[0][place[1] :]
    return "\n".join(lines)


class _Check:
    """Holds every node against the language; the first that is not in it is refused."""

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def refuse(
        self, node: ast.AST, what: str, *, got: str = "", expected: str = "", do: str = "", suggestion: str = ""
    ) -> NoReturn:
        """End here, with the place of a node; what is got is its text where nothing else is said."""
        place = place_of_name(node)
        got = got or shown(segment(self.expression, place_of(node)))
        raise ExpressionError(
            what, got=got, expected=expected, do=do, place=place, suggestion=suggestion, source=self.expression
        )

    def instead(self, node: ast.AST, text: str) -> str:
        """The expression with a text in the place of a node; without the line where nothing is left of it."""
        line, column, end_line, end_column = place_of(node)
        lines = lines_of(self.expression)
        whole = lines[line - 1][:column] + text + lines[end_line - 1][end_column:]
        return "\n".join([*lines[: line - 1], *([whole] if whole.strip() else []), *lines[end_line:]])

    def as_statement(self, node: ast.stmt) -> ast.stmt | None:
        """A statement of the uppermost level, None where it changes nothing; annotations are never evaluated."""
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if not is_idle(node):
                do = "torch, np, F and nn are already here; leave the import out"
                self.refuse(node, "cannot import anything", do=do, suggestion=self.instead(node, ""))
            return None
        return node

    def every(self, statement: ast.stmt) -> None:
        """Check a statement and all that is in it, in the order of the text."""
        waiting: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(statement, ())]
        while waiting:
            node, above = waiting.pop()
            self.node(node, above)
            waiting += [(child, (*above, node)) for child in reversed(list(ast.iter_child_nodes(node)))]

    def node(self, node: ast.AST, above: tuple[ast.AST, ...]) -> None:
        """Check one node by itself, knowing those around it."""
        kind = type(node).__name__
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.refuse(node, "cannot import within a block", do="leave the import out", suggestion=self.instead(node, ""))
        if kind == "AnnAssign" and isinstance(node, ast.AnnAssign):
            target = segment(self.expression, place_of(node.target))
            value = f" = {segment(self.expression, place_of(node.value))}" if node.value else ""
            plain = self.instead(node, target + value)
            self.refuse(node, "cannot read a type beside a name", do="leave the type out", suggestion=plain)
        if kind in REFUSED:
            name, do = REFUSED[kind]
            suggestion = self.instead(node, _values(node)) if isinstance(node, ast.JoinedStr) else ""
            self.refuse(node, f"{name} is no part of an expression", do=do, suggestion=suggestion)
        if not isinstance(node, ALLOWED):
            self.refuse(node, f"{kind} is no part of an expression")
        check = getattr(self, f"of_{kind.lower()}", None)
        if check is not None:
            check(node, above)

    def name(self, node: ast.AST, name: str, binds: bool = False) -> None:
        """A name anywhere: of a value, an attribute, an argument, a function."""
        if name.startswith("_") and not (name == "_" and isinstance(node, ast.Name)):
            what = "cannot reach a name that starts with an underscore"
            self.refuse(node, what, got=shown(name), expected="a public name", do="use what transformers and PyTorch document")
        if binds and name in LIBRARIES:
            self.refuse(node, f"cannot give {name} another meaning", do="choose another name")

    def of_name(self, node: ast.Name, above: Sequence[ast.AST]) -> None:
        self.name(node, node.id, binds=not isinstance(node.ctx, ast.Load))

    def of_attribute(self, node: ast.Attribute, above: Sequence[ast.AST]) -> None:
        self.name(node, node.attr)
        if not isinstance(node.ctx, ast.Load):
            do = "assign to a name of your own"
            self.refuse(node, "cannot change an attribute", do=do)

    def of_arg(self, node: ast.arg, above: Sequence[ast.AST]) -> None:
        self.name(node, node.arg, binds=True)

    def of_keyword(self, node: ast.keyword, above: Sequence[ast.AST]) -> None:
        if node.arg is not None:
            self.name(node, node.arg)
        elif not isinstance(node.value, ast.Name):
            self.refuse(node, "cannot unpack this into arguments", expected="model(**inputs)")

    def of_constant(self, node: ast.Constant, above: Sequence[ast.AST]) -> None:
        value = node.value
        if isinstance(value, (bytes, complex)):
            kind = "bytes" if isinstance(value, bytes) else "a complex number"
            self.refuse(node, f"{kind} cannot be part of an expression", expected="a number, a string, True, False or None")
        if isinstance(value, int) and abs(value) >= LARGEST:
            self.refuse(node, "cannot read so large a number", expected="at most 2**63 - 1, the largest int64")

    def of_binop(self, node: ast.BinOp | ast.AugAssign, above: Sequence[ast.AST]) -> None:
        if isinstance(node.op, (ast.LShift, ast.RShift)):
            self.refuse(node, "a shift of bits is no part of an expression", do="multiply or divide by a power of 2")

    of_augassign = of_binop

    def of_starred(self, node: ast.Starred, above: Sequence[ast.AST]) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.refuse(node, "cannot collect the rest into a name", do="take a slice, e.g. hidden_states[1:]")
        if not isinstance(above[-1], (ast.List, ast.Tuple, ast.Call)):
            self.refuse(node, "there is nothing here to unpack into", expected="a list, a tuple or a call around it")

    def of_for(self, node: ast.For, above: Sequence[ast.AST]) -> None:
        self.target(node.target)
        if node.orelse:
            self.refuse(node.orelse[0], "a for loop has no else here", do="write these lines after the loop")

    def of_comprehension(self, node: ast.comprehension, above: Sequence[ast.AST]) -> None:
        self.target(node.target)
        if node.is_async:
            self.refuse(node.iter, "an async comprehension is no part of an expression", do="leave async out")

    def target(self, node: ast.expr) -> None:
        """What a loop may bind: names, and tuples of names."""
        for part in ast.walk(node):
            if not isinstance(part, (ast.Name, ast.Tuple, ast.List, ast.Starred, ast.expr_context)):
                self.refuse(node, "cannot loop into this", expected="a name, or names with commas between them")

    def of_with(self, node: ast.With, above: Sequence[ast.AST]) -> None:
        for item in node.items:
            call = item.context_expr
            known = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in BLOCKS
            if not known or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                self.refuse(call, "cannot open this block", expected="with torch.no_grad():")
            owner = call.func.value
            if not (isinstance(owner, ast.Name) and owner.id == "torch") or call.args or call.keywords:
                self.refuse(call, "cannot open this block", expected="with torch.no_grad():")
            if item.optional_vars is not None:
                self.refuse(item.optional_vars, "this block has no value", expected="with torch.no_grad():")

    def of_functiondef(self, node: ast.FunctionDef, above: Sequence[ast.AST]) -> None:
        if above:
            self.refuse(node, "cannot define a function within a block", do="define it before the other lines")
        for decorator in node.decorator_list:
            self.refuse(decorator, "cannot decorate a function", do="leave the decorator out")
        if getattr(node, "type_params", None):
            self.refuse(node, "a function has no type parameters here", do="leave them out")
        self.name(node, node.name, binds=True)
        arguments = node.args
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                self.refuse(extra, "cannot collect arguments", do="name each argument, as in def pool(states, mask):")
        for odd in (*arguments.posonlyargs, *arguments.kwonlyargs):
            self.refuse(odd, "cannot read a / or * between arguments", do="leave it out")
        node.returns = None  # never evaluated: def pool(states: Tensor) -> Tensor is common in model cards
        for argument in arguments.args:
            argument.annotation = None
        if not any(isinstance(part, ast.Return) for part in ast.walk(node)):
            self.refuse(
                node, "a function without return has no value", got=f"def {shown(node.name)}", do="end it with a return"
            )

    def of_return(self, node: ast.Return, above: Sequence[ast.AST]) -> None:
        if not any(isinstance(one, ast.FunctionDef) for one in above):
            self.refuse(node, "cannot return outside of a function", do="leave the word return out")
        if node.value is None:
            self.refuse(node, "cannot return nothing", do="write what is returned")


def _values(node: ast.JoinedStr) -> str:
    """What an f-string shows, as arguments of print."""
    return ", ".join(ast.unparse(part.value) for part in node.values if isinstance(part, ast.FormattedValue))
