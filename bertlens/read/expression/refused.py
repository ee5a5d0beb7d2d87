"""Refused: the parts of Python that are no part of the language, each with what to write instead."""

from __future__ import annotations

import ast

_LOOPS = "use a for loop over hidden_states, or a list comprehension"
_DICT = "write model(**inputs) for the model's outputs, or keep values in names of their own"

REFUSED: dict[str, tuple[str, str]] = {
    "Lambda": ("a lambda", "write def f(x): return …"),
    "While": ("a while loop", _LOOPS),
    "AsyncFor": ("an async for loop", _LOOPS),
    "AsyncWith": ("an async with block", "write with torch.no_grad():"),
    "AsyncFunctionDef": ("an async function", "write def without async"),
    "ClassDef": ("a class", "write what its forward method does, as lines of their own"),
    "Try": ("a try block", "leave it out; what PyTorch refuses is shown with its place"),
    "TryStar": ("a try block", "leave it out; what PyTorch refuses is shown with its place"),
    "Raise": ("a raise statement", "leave it out"),
    "Assert": ("an assert statement", "leave it out; shapes are shown after every step"),
    "Delete": ("a del statement", "leave it out"),
    "Global": ("a global statement", "leave it out, and pass the value to the function"),
    "Nonlocal": ("a nonlocal statement", "leave it out, and pass the value to the function"),
    "Yield": ("a yield", "append to a list, or write a list comprehension"),
    "YieldFrom": ("a yield", "append to a list, or write a list comprehension"),
    "Await": ("an await", "leave it out"),
    "Match": ("a match statement", "write the case that holds"),
    "If": ("an if statement", "write the branch that holds, or a if condition else b"),
    "Break": ("a break", "loop over fewer items, e.g. hidden_states[:3]"),
    "Continue": ("a continue", "use a comprehension with an if"),
    "Pass": ("a pass", "leave it out"),
    "NamedExpr": ("an assignment inside an expression (:=)", "assign on a line of its own"),
    "JoinedStr": ("an f-string", "print the values themselves; shapes are shown after every step"),
    "TemplateStr": ("a t-string", "print the values themselves; shapes are shown after every step"),
    "Set": ("a set", "use a list"),
    "SetComp": ("a set comprehension", "use a list comprehension"),
    "Dict": ("a dictionary", _DICT),
    "DictComp": ("a dictionary comprehension", "use a list comprehension"),
    "TypeAlias": ("a type statement", "leave it out"),
}
"""Node -> its name, and what to do instead."""

LOADED = frozenset(
    {
        ("torch", "torch"),
        ("numpy", "np"),
        ("numpy", "numpy"),
        ("torch.nn", "nn"),
        ("torch.nn.functional", "F"),
        ("torch.nn.functional", "torch"),
        ("torch.nn", "torch"),
        ("torch.Tensor", "Tensor"),
        ("sklearn.metrics.pairwise.cosine_similarity", "cosine_similarity"),
        ("sentence_transformers.util", "util"),
        ("sentence_transformers.util.cos_sim", "cos_sim"),
    }
)
"""(what is imported, the name it gets): the imports that change nothing: the name is there, or annotates only."""


def is_idle(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether an import only brings what is already there, or names that nothing here can reach."""
    if isinstance(node, ast.ImportFrom):
        if node.level or not node.module:
            return False
        if node.module.split(".")[0] in ("transformers", "typing"):
            return all(alias.name != "*" and alias.asname is None for alias in node.names)
        return all((f"{node.module}.{alias.name}", alias.asname or alias.name) in LOADED for alias in node.names)
    return all((alias.name, alias.asname or alias.name.split(".")[0]) in LOADED for alias in node.names)
