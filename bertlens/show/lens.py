"""Lens script: an expression as a Python file that needs only torch and transformers, and prints its shape and values."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from bertlens.read.expression.names import CLASSES, ENCODING, LAST, MASK, OUTPUTS, POOLER, STATES, TEXTS
from bertlens.read.expression.pasted import readings
from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from bertlens.show.script import shapes_script

if TYPE_CHECKING:
    from bertlens.run.architecture import Architecture

MEANING: dict[str, str] = {
    **dict.fromkeys(OUTPUTS, "out"),
    **dict.fromkeys(LAST, "out.last_hidden_state"),
    **dict.fromkeys(STATES, "out.hidden_states"),
    **dict.fromkeys(POOLER, "out.pooler_output"),
    **dict.fromkeys(ENCODING, "batch"),
    **dict.fromkeys(MASK, 'batch["attention_mask"]'),
    **{name: f'batch["{name}"]' for name in ("input_ids", "token_type_ids", "position_ids")},
    **dict.fromkeys(TEXTS, "texts"),
    **dict.fromkeys(("bert", "encoder", "bert_model"), "model"),
    "device": "model.device",
}
"""What a name of the language is in the script."""

IMPORTS = {
    "np": "import numpy as np",
    "numpy": "import numpy",
    "F": "import torch.nn.functional as F",
    "nn": "from torch import nn",
}

TOLD = """\
parts = value if isinstance(value, (list, tuple)) else [value]
for part in parts:
    if hasattr(part, "dtype"):
        print(f"value  {tuple(part.shape)}  {part.dtype}  {part.reshape(-1)[:6].tolist()}")
    else:
        print(f"value  {part}")
"""


def lens_script(
    checkpoint: str, texts: Texts, condition: Condition, expression: str, *, architecture: Architecture, max_length: int
) -> str:
    """Every tensor of the first forward pass, then the expression on it; without an expression, the tensors alone.

    The last lines print, for the value and for each part of a tuple, the shape, the number format and the first six values.
    """
    script = shapes_script(checkpoint, texts, condition, architecture=architecture, max_length=max_length)
    if not expression.strip():
        return script
    code, tree = _parsed(expression)
    names = list(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))
    lines = ["", "# your expression, on the outputs of this pass"]
    lines += [IMPORTS[name] for name in names if name in IMPORTS]
    lines += _stand_ins(names)
    lines += [f"{name} = {MEANING[name]}" for name in names if MEANING.get(name, name) != name]
    return "\n".join([script.rstrip("\n"), *lines, "", _valued(code, tree), TOLD])


def _parsed(expression: str) -> tuple[str, ast.Module]:
    """The code of what was pasted, without prompts, with its tree; `evaluate` has accepted it already."""
    for pasted in readings(expression):
        try:
            return pasted.code, ast.parse(pasted.code)
        except SyntaxError:
            continue
    return "", ast.Module(body=[], type_ignores=[])


def _stand_ins(names: list[str]) -> list[str]:
    """Code that loads a model by its name goes on with the one that is loaded."""
    lines = []
    for name in CLASSES:
        if name in names:
            given = "tokenizer" if "Tokenizer" in name else "model.config" if "Config" in name else "model"
            lines += [
                f"class {name}:  # goes on with what is loaded",
                f"    from_pretrained = staticmethod(lambda *_, **__: {given})",
                "",
            ]
    return lines


def _valued(code: str, tree: ast.Module) -> str:
    """The code with its last value under the name `value`."""
    last = tree.body[-1] if tree.body else None
    while isinstance(last, ast.With | ast.For):
        last = last.body[-1]
    lines = code.split("\n")
    if isinstance(last, ast.Expr):
        line = lines[last.lineno - 1].encode()
        lines[last.lineno - 1] = (line[: last.col_offset] + b"value = " + line[last.col_offset :]).decode()
    elif isinstance(last, ast.Assign | ast.AugAssign):
        target = last.targets[0] if isinstance(last, ast.Assign) else last.target
        lines.append(f"value = {ast.unparse(target)}")
    else:
        lines.append("value = None")
    return "\n".join(lines)
