"""Strategies for expressions: any text, programs of the language with forbidden spices, and legal ones with tokens changed."""

from __future__ import annotations

import ast
import re
from typing import Any

from hypothesis import strategies as st

LEGAL = (
    "outputs.last_hidden_state[:, 0, :]",
    "output[0][0]",
    "outputs[0][:, -1]",
    "outputs['last_hidden_state'].mean(dim=1)",
    "torch.cat(hidden_states[-4:], dim=-1).mean(1)",
    "torch.stack([h[:, 0] for h in hidden_states[-4:]]).mean(0)",
    "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)",
    "pooler_output.squeeze()",
    "last_hidden_state.detach().cpu().numpy()[0, 0]",
    "np.mean(last_hidden_state.numpy(), axis=1)",
    "torch.max(last_hidden_state, 1)[0]",
    "a, b = outputs[0], outputs[1]\na - b[:, None]",
    "m = attention_mask[..., None].float()\nx = last_hidden_state * m\nx.sum(1) / torch.clamp(m.sum(1), min=1e-9)",
    "def pool(states, mask):\n    m = mask.unsqueeze(-1)\n    return (states * m).sum(1)\npool(outputs[0], attention_mask)",
    "vectors = []\nfor h in hidden_states[1:]:\n    vectors.append(h.mean(1))\ntorch.stack(vectors, dim=1)",
    "with torch.no_grad():\n    out = model(**inputs)\nout.last_hidden_state.permute(0, 2, 1).reshape(2, -1)",
    "F.normalize(F.layer_norm(last_hidden_state, (8,)), p=2, dim=-1) @ pooler_output[0]",
    "x = last_hidden_state.clone()\nx[attention_mask == 0] = -1e9\nx.max(1).values",
    "torch.where(attention_mask.bool()[..., None], last_hidden_state, torch.tensor(0.0))",
    "nn.Linear(8, 2)(last_hidden_state[:, 0])",
    "sum(hidden_states[i] for i in range(1, 3)) / 2 if len(hidden_states) > 3 else hidden_states[0]",
    "[list(row) for row in zip(input_ids[0].tolist(), range(5))]",
    "x = np.concatenate([h.numpy() for h in hidden_states], axis=-1)\nx[::2, 1:-1].shape",
    "torch.einsum('bth,bt->bh', last_hidden_state, attention_mask.float())",
    "y = 0\nfor i, h in enumerate(hidden_states):\n    y += h.std() ** 2 * i\ny",
)

NAMES = (
    *("outputs", "output", "last_hidden_state", "hidden_states", "pooler_output", "inputs", "input_ids", "attention_mask"),
    *("torch", "np", "F", "nn", "model", "len", "range", "list", "tuple", "sum", "zip", "enumerate", "min", "max", "print"),
    *("x", "y", "h", "i", "f", "unknown"),
)
METHODS = (
    *("mean", "sum", "max", "min", "std", "squeeze", "unsqueeze", "view", "reshape", "permute", "transpose", "numpy", "detach"),
    *("cpu", "float", "long", "bool", "tolist", "item", "size", "shape", "T", "dtype", "expand", "repeat", "clone", "flatten"),
    *("cat", "stack", "where", "einsum", "zeros", "ones", "arange", "tensor", "matmul", "norm", "softmax", "argmax", "topk"),
    *("append", "last_hidden_state", "hidden_states", "values", "indices", "concatenate", "array", "normalize", "Linear"),
    *("index_select", "gather", "masked_fill", "cumsum", "split", "chunk", "unbind", "sort", "prod", "all", "ndim", "to"),
)
KEYWORDS = ("dim", "axis", "keepdim", "keepdims", "dtype", "p", "descending", "dims")
FORBIDDEN = ("__class__", "_x", "load", "save", "add_", "data", "storage", "register_hook", "grad_fn", "tofile", "ctypes")
SPICES = (
    *(
        "lambda x: x",
        "{1, 2}",
        "{'a': 1}",
        "f'{x.__class__}'",
        "(x := 1)",
        "[*x]",
        "b'1'",
        "2j",
        "{x for x in y}",
        "10**10**10",
    ),
    *("__import__('os')", "eval('1')", "open('x')", "getattr(x, 'y')", "'{0.__class__}'.format(x)", "torch.load('x')"),
    *("'a' * 10**10", "[0] * 10**10", "torch.zeros(10**6, 10**6)", "range(10**12)", "last_hidden_state.zero_()", "x.__dict__"),
)
STATEMENT_SPICES = (
    *("import os", "from torch import load", "while True:\n    1", "class A:\n    x = 1", "del x", "global x", "assert x"),
    *("try:\n    x\nexcept E:\n    y", "raise x", "if x:\n    y", "@f\ndef g(x):\n    return x", "def g(*x):\n    return x"),
    *(
        "with open('x') as y:\n    y",
        "x: int = 3",
        "torch = 1",
        "x.y = 1",
        "return x",
        "pass",
        "a, *b = x",
        "async def f(): pass",
    ),
    *(
        "def f(x):\n    return f(x)",
        "for i in range(9999):\n    for j in range(9999):\n        i",
        "x = [0]\nfor y in x:\n    x.append(y)",
    ),
)

_LOAD, _STORE = ast.Load(), ast.Store()
_NUMBERS = (-3, -1, 0, 1, 2, 3, 9, 0.5, 1e-9, float("inf"), 10**6, 2**31, 2**62, True, False, None, ...)
_STRINGS = ("last_hidden_state", "bth,bt->bh", "ij,jk", "", "x", "{0.__class__}", "é")
_SIGNS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult, ast.BitAnd)
_TESTS = (ast.Eq, ast.NotEq, ast.Lt, ast.GtE, ast.Is, ast.In, ast.NotIn)
_LEGAL_PARTS = tuple(text for text in LEGAL if "\n" not in text)
_BOUND = ("x", "y", "h", "f", "outputs")


class _Writer:
    """Draws nodes; a strategy that holds others that hold others would print itself for minutes."""

    def __init__(self, draw: st.DrawFn, spiced: bool) -> None:
        self.draw, self.spiced = draw, spiced

    def one(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def chance(self, of: int) -> bool:
        return self.draw(st.integers(0, of - 1)) == of - 1

    def leaf(self) -> ast.expr:
        if self.spiced and self.chance(20):
            return ast.parse(self.one(*SPICES), mode="eval").body
        kind = self.one("known", "known", "legal", "legal", "name", "number", "string")
        if kind == "legal":
            return ast.parse(self.one(*_LEGAL_PARTS), mode="eval").body
        if kind in ("known", "name"):
            return ast.Name(self.one(*(NAMES if kind == "name" else NAMES[1:8])), _LOAD)
        return ast.Constant(self.one(*(_NUMBERS if kind == "number" else _STRINGS)))

    def few(self, depth: int, least: int = 0) -> list[ast.expr]:
        return [self.part(depth) for _ in range(self.draw(st.integers(least, 3)))]

    def attribute(self, value: ast.expr) -> ast.expr:
        forbidden = self.spiced and self.chance(20)
        return ast.Attribute(value, self.one(*(FORBIDDEN if forbidden else METHODS)), _LOAD)

    def part(self, depth: int) -> ast.expr:
        """An expression at most so deep."""
        if depth <= 0 or self.chance(5):
            return self.leaf()
        return getattr(self, self.one(*_PARTS))(depth - 1)

    def sign(self, depth: int) -> ast.expr:
        return ast.BinOp(self.part(depth), self.one(*_SIGNS)(), self.part(depth))

    def prefix(self, depth: int) -> ast.expr:
        return ast.UnaryOp(self.one(ast.USub, ast.Not, ast.Invert)(), self.part(depth))

    def test(self, depth: int) -> ast.expr:
        return ast.Compare(self.part(depth), [self.one(*_TESTS)()], [self.part(depth)])

    def choice(self, depth: int) -> ast.expr:
        if self.chance(2):
            return ast.BoolOp(ast.And(), [self.part(depth), self.part(depth)])
        return ast.IfExp(self.part(depth), self.part(depth), self.part(depth))

    def at(self, depth: int) -> ast.expr:
        if self.chance(2):
            return self.part(depth)
        start, stop, step = (self.part(depth) if self.chance(2) else None for _ in range(3))
        return ast.Slice(start, stop, step)

    def cut(self, depth: int) -> ast.expr:
        wide = self.chance(2)
        at = ast.Tuple([self.at(depth) for _ in range(self.one(2, 3))], _LOAD) if wide else self.at(depth)
        return ast.Subscript(self.part(depth), at, _LOAD)

    def field(self, depth: int) -> ast.expr:
        return self.attribute(self.part(depth))

    def call(self, depth: int) -> ast.expr:
        owner = ast.Name(self.one("torch", "np", "F", "nn"), _LOAD) if self.chance(2) else self.part(depth)
        function = self.part(depth) if self.chance(6) else self.attribute(owner)
        if self.chance(8):
            return ast.Call(function, [ast.Starred(self.part(depth), _LOAD)], [])
        names = self.draw(st.lists(st.sampled_from(KEYWORDS), max_size=2, unique=True))
        return ast.Call(function, self.few(depth), [ast.keyword(name, self.part(depth)) for name in names])

    def display(self, depth: int) -> ast.expr:
        return self.one(ast.List, ast.Tuple)(self.few(depth), _LOAD)

    def comprehension(self, depth: int) -> ast.expr:
        target = ast.Name(self.one("x", "h", "i"), _STORE)
        tests = [self.part(depth)] if self.chance(4) else []
        loop = ast.comprehension(target, self.part(depth), tests, 0)
        return self.one(ast.ListComp, ast.ListComp, ast.GeneratorExp)(self.part(depth), [loop])

    def target(self, depth: int) -> ast.expr:
        name = ast.Name(self.one(*_BOUND), _STORE)
        kind = self.one("name", "name", "pair", "item")
        if kind == "pair":
            return ast.Tuple([name, ast.Name(self.one(*_BOUND), _STORE)], _STORE)
        return name if kind == "name" else ast.Subscript(ast.Name(name.id, _LOAD), self.at(depth), _STORE)

    def line(self, depth: int) -> ast.stmt:
        kind = self.one("value", "assign", "add")
        if kind == "value":
            return ast.Expr(self.part(depth))
        target = self.target(1)
        if kind == "add" and isinstance(target, (ast.Name, ast.Subscript)):
            return ast.AugAssign(target, self.one(*_SIGNS)(), self.part(depth))
        return ast.Assign([target], self.part(depth))

    def statement(self) -> ast.stmt:
        kind = self.one("line", "line", "line", "for", "with", "def")
        if kind == "line":
            return self.line(4)
        lines = [self.line(2) for _ in range(self.one(1, 2))]
        if kind == "with":
            return ast.With([ast.withitem(ast.parse("torch.no_grad()", mode="eval").body)], lines)
        if kind == "for":
            names: list[ast.expr] = [ast.Name(self.one(*_BOUND), _STORE) for _ in range(2)]
            return ast.For(names[0] if self.chance(2) else ast.Tuple(names, _STORE), self.part(2), lines, [])
        function = ast.parse("def f(x, y=1):\n    return x").body[0]
        assert isinstance(function, ast.FunctionDef)
        function.body = [*lines, ast.Return(self.part(2))]
        return function

    def program(self) -> str:
        lines = [self.statement() for _ in range(self.one(1, 1, 2, 3))]
        text = ast.unparse(ast.fix_missing_locations(ast.Module(lines, [])))
        return f"{text}\n{self.one(*STATEMENT_SPICES)}" if self.spiced and self.chance(4) else text


_PARTS = ("sign", "prefix", "test", "choice", "cut", "cut", "field", "call", "call", "call", "display", "comprehension")


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Programs with the nodes of the language only; most of them fail at run time, as most random programs do."""
    return _Writer(draw, spiced=False).program()


@st.composite
def spiced(draw: st.DrawFn) -> str:
    """The same with what is forbidden in it."""
    return _Writer(draw, spiced=True).program()


_pieces = sorted(
    {*NAMES, *METHODS, *FORBIDDEN, *SPICES, *STATEMENT_SPICES, *"()[]{},.:;=+-*/@%<>&|^~!?\\\"'`#$ \n\t", "    ", ">>> ", "0"}
)
texts = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(), max_size=30).map(lambda text: f"outputs{text}"),
    st.lists(st.sampled_from(_pieces), max_size=12).map("".join),
    st.lists(st.sampled_from(_pieces), max_size=12).map(" ".join),
)
"""Any text, and text from the pieces of the language."""


_ALIKE = {
    r"[a-z_A-Z]\w*": (*NAMES, *METHODS, *KEYWORDS),
    r"\d.*": ("0", "1", "2", "3", "5", "8", "-1", "100", "10**6", "2**31", "2**62", "0.5", "None", "(0, 1)", "[0, 1]"),
    r"'.*'": ("'x'", "'last_hidden_state'", "'bth,bth->'", "'bth,bsh->bts'", "''", "'ij...'"),
    r"[-+*/@<>=]+": ("+", "-", "*", "/", "//", "%", "**", "@", "==", "<", "&", "|", " is ", " in "),
    r"[,:]": (",", ":", "::", ", None,", ", ..., ", ", *"),
}
"""What a token may become so that the text stays Python."""


def tokens_of(text: str) -> list[str]:
    """The parts of a text, white space between them included."""
    return re.findall(r"'[^'\n]*'|\d[\d.e-]*|\w+|\n *| +|[<>=!*/+-]=|\*\*|.", text)


@st.composite
def mutants(draw: st.DrawFn) -> str:
    """A legal expression with one to three of its tokens left out, replaced, doubled or exchanged."""
    parts = tokens_of(draw(st.sampled_from(LEGAL)))
    for _ in range(draw(st.integers(1, 3))):
        if not parts:
            break
        at, other = (draw(st.integers(0, len(parts) - 1)) for _ in range(2))
        how = draw(st.sampled_from(["delete", "insert", "replace", "swap", "double", *["like"] * 6]))
        if how == "delete":
            del parts[at]
        elif how == "insert":
            parts.insert(at, draw(st.sampled_from(_pieces)))
        elif how == "replace":
            parts[at] = draw(st.sampled_from(_pieces))
        elif how == "like":
            likely = next((kind for kind in _ALIKE if re.fullmatch(kind, parts[at])), None)
            parts[at] = draw(st.sampled_from(_ALIKE[likely])) if likely else parts[at]
        elif how == "swap":
            parts[at], parts[other] = parts[other], parts[at]
        else:
            parts.insert(at, parts[at])
    return "".join(parts)
