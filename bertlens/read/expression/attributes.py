"""Attributes: what stands after a dot."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.errors import ExpressionError, nearest
from bertlens.read.expression.grammar import place_of, place_of_name
from bertlens.read.expression.names import POOLER, SUBMODULES
from bertlens.read.expression.operations import arrangement, contraction, conversion, creation, joining, layers, selection
from bertlens.read.expression.operations.conversion import KINDS, NUMPY_KINDS
from bertlens.read.expression.operations.registry import LEGAL, PROPERTIES, legal_under
from bertlens.read.expression.tracer import Refused, Tracer
from bertlens.read.expression.values import Encoding, Fields, Function, Kind, Namespace, Record, Stand, Traced

ROOMS = (arrangement, contraction, conversion, creation, joining, layers, selection)
"""Imported so that their operations are entered."""

FUNCTIONS = {name: LEGAL[name] for name in ("cosine_similarity", "cos_sim")}
"""Functions that people import by their bare name."""

CONSTANTS: dict[str, Any] = {"np.newaxis": None, "np.inf": float("inf"), "torch.inf": float("inf"), "np.pi": float(np.pi)}
CONSTANTS |= {"np.nan": float("nan"), "torch.nan": float("nan")}
CONSTANTS |= {f"torch.{name}": Kind(kind, f"torch.{name}") for name, kind in KINDS.items()}
CONSTANTS |= {f"np.{name}": Kind(kind, f"np.{name}") for name, kind in NUMPY_KINDS.items()}

REAL = {"tensor": torch.Tensor, "array": np.ndarray, "number": float, "list": list}
CALLED = {"tensor": "Tensor", "array": "numpy.ndarray", "number": "float", "list": "list"}

METHODS = {
    "fields": ("to_tuple", "keys", "values", "items", "get"),
    "encoding": ("to", "keys", "values", "items", "get"),
    "list": ("append", "extend"),
    "stand": ("eval", "to", "cuda", "cpu", "train", "from_pretrained", "half", "float"),
}
"""Methods of what is no tensor; `calls` carries them out."""

NOT_REQUESTED = ("hidden_states", "attentions")
"""Fields that are None unless they are asked for."""

OTHER_CLASSES = ("logits", "loss", "encoder_last_hidden_state", "embeddings", "sentence_embedding", "prediction_logits")
"""Fields that other classes return."""


def read(t: Tracer, owner: Any, node: ast.Attribute, source: str) -> Any:
    """`owner.name`.

    Raises
    ------
    ExpressionError
        For what the language has not.
    Refused
        For what Python itself does not find there.
    """
    name = node.attr
    t.at(place_of(node), (place_of(node.value),))
    match owner:
        case Namespace():
            return _in_module(owner, node, source)
        case Traced():
            return _of_tensor(t, owner, node, source)
        case Fields():
            return _field(t, owner, name)
        case Encoding():
            return _of_encoding(owner, name)
        case Record() if name in owner.names:
            return owner.items[owner.names.index(name)]
        case Stand():
            return _of_stand(t, owner, node, source)
        case list() if name in METHODS["list"]:
            return Function(f"list.{name}", print, owner)
    if isinstance(owner, str):
        t.note("string", value=owner)
    elif isinstance(owner, tuple):
        t.note("tuple", name=name)
    kind = {"Record": "torch.return_types.max", "NoneType": "NoneType"}.get(type(owner).__name__, type(owner).__name__)
    raise Refused(f"AttributeError: '{kind}' object has no attribute '{name}'")


def _in_module(owner: Namespace, node: ast.Attribute, source: str) -> Any:
    full = f"{owner.name}.{node.attr}"
    if full in SUBMODULES:
        return Namespace(SUBMODULES[full])
    if full in CONSTANTS:
        return CONSTANTS[full]
    if full in LEGAL:
        return Function(full, LEGAL[full])
    legal = [*legal_under(owner.name), *(one.split(".")[1] for one in CONSTANTS if one.startswith(owner.name + "."))]
    return _unknown(node, f"{owner.name}.{node.attr} is not in the language", legal, f"a function of {owner.name}", source)


def _of_tensor(t: Tracer, owner: Traced, node: ast.Attribute, source: str) -> Any:
    full = f"{owner.form}.{node.attr}"
    if full in LEGAL:
        return LEGAL[full](t, owner) if full in PROPERTIES else Function(full, LEGAL[full], owner)
    if not hasattr(REAL[owner.form], node.attr):
        t.note("no-attribute", form=owner.form)
        other = {"tensor": "array", "array": "tensor"}.get(owner.form, "tensor")
        words = f"a {CALLED[other]} has it" if f"{other}.{node.attr}" in LEGAL else ""
        if not words and nearest(node.attr, legal_under(owner.form)):
            what = f".{node.attr} does not exist"
            return _unknown(node, what, legal_under(owner.form), f"a method of a {CALLED[owner.form]}", source)
        raise Refused(f"AttributeError: '{CALLED[owner.form]}' object has no attribute '{node.attr}'", words)
    plain = node.attr.rstrip("_")
    legal = [plain] if plain != node.attr and f"{owner.form}.{plain}" in LEGAL else legal_under(owner.form)
    what = (
        f".{node.attr} would change a tensor that others share"
        if plain != node.attr
        else f".{node.attr} is not in the language"
    )
    return _unknown(node, what, legal, f"a method of a {CALLED[owner.form]}", source)


def _unknown(node: ast.Attribute, what: str, legal: list[str], expected: str, source: str) -> Any:
    near = legal[0] if len(legal) == 1 else nearest(node.attr, legal)
    suggestion = ""
    if near:
        from bertlens.read.expression.calls import spliced

        suggestion = spliced(source, place_of_name(node), near)
    do = f"did you mean {near}?" if near else f"these are legal: {', '.join(legal[:12])} …"
    raise ExpressionError(
        what, got=node.attr, expected=expected, do=do, place=place_of_name(node), suggestion=suggestion, source=source
    )


def _field(t: Tracer, owner: Fields, name: str) -> Any:
    if name in owner.items:
        return owner.items[name]
    if name in METHODS["fields"]:
        return Function(f"fields.{name}", print, owner)
    if name in NOT_REQUESTED:
        t.note("not-requested", name=name)
        return None
    if name in OTHER_CLASSES or name in POOLER:
        missing_output(t, name)
    t.note("no-field", name=name, fields=tuple(owner.items))
    raise Refused(f"AttributeError: the model's output has no attribute '{name}'", f"one of {', '.join(owner.items)}")


def missing_output(t: Tracer, name: str) -> None:
    """Refuse what this model does not return."""
    if name in POOLER and t.capture.pooler_output is None:
        t.note("no-pooler", name=name)
        raise Refused(f"AttributeError: the model's output has no attribute '{name}'", "this architecture has no pooler")
    if name in OTHER_CLASSES:
        t.note("other-class", name=name)
        words = f"{name} is returned by a class with a head, not by the encoder"
        raise Refused(f"AttributeError: the model's output has no attribute '{name}'", words)


def _of_encoding(owner: Encoding, name: str) -> Any:
    if name in owner.items:
        return owner.items[name]
    if name in METHODS["encoding"]:
        return Function(f"encoding.{name}", print, owner)
    raise Refused(f"AttributeError: the inputs have no attribute '{name}'", f"one of {', '.join(owner.items)}")


def _of_stand(t: Tracer, owner: Stand, node: ast.Attribute, source: str) -> Any:
    sizes = {"hidden_size": t.capture.hidden, "num_hidden_layers": t.capture.layers}
    if owner.name == "config" and node.attr in sizes:
        return sizes[node.attr]
    if node.attr in ("config", "device") and owner.name != "config":
        return Stand(node.attr)
    if node.attr in METHODS["stand"] and owner.name != "config":
        return Function(f"stand.{node.attr}", print, owner)
    legal = list(sizes) if owner.name == "config" else list(METHODS["stand"])
    return _unknown(node, f"{owner.name}.{node.attr} is not in the language", legal, "the model's call, or its sizes", source)
