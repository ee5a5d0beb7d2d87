"""Idioms: parts of Python that the language has not, in the few forms in which every notebook has them."""

from __future__ import annotations

import ast

MOVES = ("to", "cuda", "cpu")


def shortened(tree: ast.Module, source: str) -> None:
    """Write `{k: v.to(device) for k, v in inputs.items()}` as `inputs`, and the values of an f-string as arguments of print."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.DictComp):
            node.value = _moved(node.value) or node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            node.args = [one for argument in node.args for one in _printed(argument, source)]


def _moved(node: ast.DictComp) -> ast.Name | None:
    """The inputs that are moved to a device, item by item; None where anything else is done with them."""
    match node:
        case ast.DictComp(
            key=ast.Name(id=key),
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=value), attr=how)),
            generators=[
                ast.comprehension(
                    target=ast.Tuple(elts=[ast.Name(id=first), ast.Name(id=second)]),
                    iter=ast.Call(func=ast.Attribute(value=ast.Name() as inputs, attr="items"), args=[], keywords=[]),
                    ifs=[],
                )
            ],
        ) if how in MOVES and (first, second) == (key, value) and key != value:
            return inputs
    return None


def _printed(argument: ast.expr, source: str) -> list[ast.expr]:
    """What an f-string shows; its own text where it shows nothing."""
    if not isinstance(argument, ast.JoinedStr):
        return [argument]
    found = [part.value for part in argument.values if isinstance(part, ast.FormattedValue)]
    for value in found:
        if not _stands_there(value, source):  # before Python 3.12 the places within an f-string can be off
            for part in ast.walk(value):
                ast.copy_location(part, argument)
    return found or [ast.copy_location(ast.Constant(""), argument)]


def _stands_there(node: ast.expr, source: str) -> bool:
    from bertlens.read.expression.grammar import place_of, segment

    try:
        return ast.dump(ast.parse(segment(source, place_of(node)).strip(), mode="eval").body) == ast.dump(node)
    except (SyntaxError, ValueError, IndexError):
        return False
