"""Script: a reproduction as a Python file that needs only torch and transformers, and prints the same numbers.

The functions are those that bertlens runs itself, taken from their source, so the file cannot say anything else.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType

from bertlens.cases.gallery import reproducer
from bertlens.cases.reproduction import MOST
from bertlens.errors import BertlensError
from bertlens.judge.findings import catalogue
from bertlens.run.texts import Texts, sides
from bertlens.show.script import imports, loaded, named

Piece = FunctionType | type
"""What a script takes along: a function, or the exception that it raises."""

ENDING = """
with torch.inference_mode(), torch.random.fork_rng():
    torch.manual_seed(0)
    truth, *both = {name}(model, tokenizer, texts)

for name, other in zip(("mistake", "mended "), both):
    if isinstance(other, Exception):
        print(f"{{name}}  {{type(other).__name__}}: {{str(other).strip().splitlines()[0][:200]}}")
    elif other.shape != truth.shape:
        print(f"{{name}}  {{tuple(other.shape)}} instead of {{tuple(truth.shape)}}")
    else:
        for text, (right, got) in enumerate(zip(truth.double(), other.double())):
            apart, cosine = (right - got).abs().max().item(), torch.cosine_similarity(right, got, dim=0).item()
            print(f"{{name}}  text {{text}}  max abs {{apart}}  cosine {{cosine:.6f}}")
"""


def reproduction_script(fault: str, checkpoint: str, texts: Texts, *, max_length: int) -> str:
    """A fault, made and mended, as a Python file.

    Parameters
    ----------
    fault : its id in the catalogue.
    checkpoint : "minilm", a folder or a Hub id.
    max_length : tokens at which texts are truncated, `Checkpoint.max_length`.

    Raises
    ------
    BertlensError
        Where no reproduction is written.
    """
    function = reproducer(fault)
    if not isinstance(function, FunctionType):
        raise BertlensError("cannot write a script", got=fault, expected="a fault that can be reproduced")
    entry = catalogue()[fault]
    first = tuple(sides(text)[0] for text in texts[:MOST])
    needed = [function, *_helpers(function)]
    lines = [
        f'"""{entry["name"]}.',
        "",
        *_told("Symptom", entry["symptom"]),
        *_told("Cause", entry["root_cause"]),
        *_told("Remedy", entry["fix"]),
        "",
        "The vectors as they ought to be, with the mistake, and mended; printed is how far the last two lie from the first.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        *imports(checkpoint, *_modules(needed)),
        "",
        *named(checkpoint, first),
        *loaded("sdpa", "torch.float32", "cpu"),
        f"tokenizer.model_max_length = {max_length}",
        "",
        "",
        "\n\n\n".join(source_of(one) for one in reversed(needed)),
        ENDING.format(name=function.__name__),
    ]
    return "\n".join(lines)


def _told(label: str, words: str) -> list[str]:
    words = words.replace("\\", "\\\\").replace('"""', "'''")
    return textwrap.wrap(f"{label}: {words}", 110, subsequent_indent="    ")


def _helpers(function: FunctionType) -> list[Piece]:
    """What a function uses of the package, and what that uses, each once; callers first."""
    found: list[Piece] = []
    for name in _names(function):
        other = function.__globals__.get(name)
        if isinstance(other, (FunctionType, type)) and other.__module__.startswith("bertlens.cases."):
            for one in (other, *(_helpers(other) if isinstance(other, FunctionType) else ())):
                if one in found:
                    found.remove(one)  # what is called by several stands before all of them
                found.append(one)
    return found


def _names(function: Piece) -> list[str]:
    return [node.id for node in ast.walk(ast.parse(source_of(function))) if isinstance(node, ast.Name)]


def _modules(functions: list[Piece]) -> list[str]:
    """The modules of the standard library that functions use."""
    used = {name for function in functions for name in _names(function)}
    standard = {name for name in ("copy", "json", "tempfile", "threading", "warnings") if name in used}
    return sorted(standard)


def source_of(function: Piece) -> str:
    """The source without its annotations, which mean something only inside the package."""
    source = textwrap.dedent(inspect.getsource(function))
    body = ast.parse(source).body[0]
    assert isinstance(body, (ast.FunctionDef, ast.ClassDef))
    lines = [line.encode() for line in source.splitlines()]  # columns are counted in bytes
    cuts = sorted((cut for node in ast.walk(body) for cut in _annotations(node, lines)), reverse=True)
    for line, start, end in cuts:
        lines[line] = lines[line][:start] + lines[line][end:]
        if not lines[line].strip():
            del lines[line]
    return b"\n".join(lines).decode()


def _annotations(node: ast.AST, lines: list[bytes]) -> Iterator[tuple[int, int, int]]:
    """The annotations that belong to a node, as (line, first column, last column); one without a value is a whole line."""
    if isinstance(node, ast.arg) and node.annotation:
        line, end = node.lineno - 1, _end(node.annotation)
        default = lines[line][end : end + 3] == b" = "  # written without blanks where no annotation stands
        if default:
            yield line, end + 2, end + 3
        yield line, node.col_offset + len(node.arg), end + default
    elif isinstance(node, ast.FunctionDef) and node.returns:
        line = node.returns.lineno - 1
        yield line, lines[line].rindex(b" ->", 0, node.returns.col_offset), _end(node.returns)
    elif isinstance(node, ast.AnnAssign):
        yield node.lineno - 1, _end(node.target) if node.value else 0, _end(node.annotation)


def _end(node: ast.expr) -> int:
    assert node.end_col_offset is not None
    return node.end_col_offset
