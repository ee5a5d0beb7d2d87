"""Calls: operations of the table, Python's own functions, layers, and what stands for the model and the tokenizer."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from bertlens.read.expression import containers
from bertlens.read.expression.errors import ExpressionError
from bertlens.read.expression.grammar import lines_of, place_of, segment
from bertlens.read.expression.names import CLASSES, fields_of
from bertlens.read.expression.operations.conversion import detach
from bertlens.read.expression.operations.layers import Layer
from bertlens.read.expression.operations.pointwise import arithmetic
from bertlens.read.expression.operations.reductions import sequence_extreme, to_array
from bertlens.read.expression.operations.registry import LEGAL
from bertlens.read.expression.tracer import Place, Refused, Tracer
from bertlens.read.expression.values import Encoding, Fields, Function, Namespace, Stand, Traced, raw

if TYPE_CHECKING:
    from bertlens.read.expression.parts import Parts


def spliced(source: str, place: Place, text: str) -> str:
    """The source with another text in a place."""
    line, column, end_line, end_column = place
    lines = lines_of(source)
    whole = lines[line - 1][:column] + text + lines[end_line - 1][end_column:]
    return "\n".join([*lines[: line - 1], whole, *lines[end_line:]])


def called(t: Tracer, function: Any, positional: list[Any], named: dict[str, Any], place: Place, source: str) -> Any:
    """Carry out a call whose arguments are known."""
    if isinstance(function, Layer):
        if named or not positional or not all(isinstance(one, Traced) for one in positional):
            raise Refused(f"TypeError: {function.name} is called with a tensor")
        return _bound(t, function.call, function.name, positional, {}, place, source)
    if not isinstance(function, Function):
        kind = "module" if isinstance(function, Namespace) else containers.called(function)
        raise Refused(f"TypeError: '{kind}' object is not callable")
    if function.name in ORDINARY:
        return _bound(t, ORDINARY[function.name], function.name, positional, named, place, source)
    if function.name.split(".")[0] in ("list", "fields", "encoding", "stand"):
        return _method(t, function, positional, named)
    t.full_name = function.name
    if function.name.startswith("np."):
        positional = [_as_arrays(t, one) for one in positional]
        named = {key: _as_arrays(t, one) for key, one in named.items()}
    arguments = positional if function.bound is None else [function.bound, *positional]
    return _bound(t, LEGAL[function.name], function.name, arguments, named, place, source)


def _as_arrays(t: Tracer, value: Any) -> Any:
    """What numpy makes of its arguments: tensors become arrays, where PyTorch lets them."""
    if isinstance(value, (list, tuple)):
        return type(value)(_as_arrays(t, one) for one in value)
    return to_array(t, value) if isinstance(value, Traced) and value.form == "tensor" else value


def _bound(
    t: Tracer, call: Callable[..., Any], name: str, args: list[Any], named: dict[str, Any], place: Place, source: str
) -> Any:
    """Hold arguments against what an operation takes, before it sees them."""
    for option in ("out", "inplace"):
        if option in named:
            what, do = "cannot write into a tensor that is there already", "assign the result to a name"
            raise ExpressionError(what, got=f"{option}=", do=do, place=place, source=source)
    signature = _signature(call)
    try:
        bound = signature.bind(t, *args, **named)
    except TypeError as error:
        takes = [one.name for one in list(signature.parameters.values())[1:] if one.kind is not one.VAR_KEYWORD]
        raise ExpressionError(
            f"cannot call {name} like this",
            got=str(error).removeprefix("got "),
            expected=f"{name}({', '.join(takes)})",
            place=place,
            source=source,
        ) from None
    for key, value in list(bound.arguments.items())[1:]:
        bound.arguments[key] = _fitting(name, key, value, signature.parameters[key])
    t.check_forms(name, args)
    return call(*bound.args, **bound.kwargs)


@cache
def _signature(call: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(call)


def _fitting(name: str, key: str, value: Any, parameter: inspect.Parameter) -> Any:
    """A value of the type that an operation declares; whole numbers may come as one-element tensors."""
    wanted = str(parameter.annotation)
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or wanted in ("Any", str(inspect.Parameter.empty)):
        return value
    if wanted == "Traced":
        if not isinstance(value, Traced):
            raise Refused(f"TypeError: {name}(): argument '{key}' must be Tensor, not {containers.called(value)}")
        return value
    if value is None and "None" in wanted:
        return value
    plain = raw(value) if isinstance(value, Traced) and not value.shape else value
    for kind, types in (("int", (int,)), ("float", (int, float)), ("bool", (bool, int)), ("str", (str,))):
        if wanted.split(" ")[0] == kind:
            if not isinstance(plain, types):
                raise Refused(f"TypeError: {name}(): argument '{key}' must be {kind}, not {containers.called(value)}")
            return plain
    return value


def _method(t: Tracer, function: Function, positional: list[Any], named: dict[str, Any]) -> Any:
    """Methods of lists, of the model's output, of the inputs, and of what stands for the model."""
    owner, name = function.bound, function.name.split(".")[1]
    match owner:
        case list():
            if len(positional) != 1 or named:
                raise Refused(f"TypeError: list.{name}() takes exactly one argument ({len(positional)} given)")
            more = [positional[0]] if name == "append" else containers.items(t, positional[0])
            t.budget.length(len(owner) + len(more))
            if any(one is owner for one in more):
                raise Refused("ValueError: a list cannot hold itself here")
            owner.extend(more)
            return owner
        case Fields() | Encoding():
            found = owner.items
            if name == "get":
                return found.get(positional[0]) if positional and isinstance(positional[0], str) else None
            if name == "items":
                return tuple(found.items())
            return {"keys": tuple(found), "values": tuple(found.values()), "to_tuple": tuple(found.values())}.get(name, owner)
    return Stand("tokenizer") if "Tokenizer" in owner.name else Stand("model") if name == "from_pretrained" else owner


def stand(interpreter: Parts, function: Stand, node: ast.Call) -> Any:
    """`model(**inputs)` and `tokenizer(texts, …)`: what they return is there already."""
    t = interpreter.tracer
    if function.name == "tokenizer":
        return Encoding({name: t.cells.input(name) for name in t.capture.inputs if name in ALL_INPUTS})
    if function.name in CLASSES or function.name in ("text", "sentence", "device", "config"):
        raise Refused(f"TypeError: '{function.name}' is not called here")
    options: dict[str, Any] = {}
    passed: set[str] = set()
    for at, argument in enumerate(node.args):
        if isinstance(argument, ast.Starred):
            raise ExpressionError(
                "cannot unpack this", expected="model(**inputs)", place=place_of(node), source=interpreter.source
            )
        passed |= _inputs_in(interpreter.eval(argument), ("input_ids", "attention_mask", "token_type_ids")[min(at, 2)])
    for keyword in node.keywords:
        value = interpreter.eval(keyword.value)
        if keyword.arg is None or keyword.arg in ALL_INPUTS:
            passed |= _inputs_in(value, keyword.arg or "")
        else:
            options[keyword.arg] = value
    if "input_ids" not in passed or not {"attention_mask"} & set(t.capture.inputs) <= passed:
        raise ExpressionError(
            "cannot run the model on other inputs",
            got=segment(interpreter.source, place_of(node)),
            expected="model(**inputs), the call whose outputs are here",
            do="compare other inputs on the page Batch and padding",
            place=place_of(node),
            suggestion=interpreter.instead(node, "model(**inputs, output_hidden_states=True)"),
            source=interpreter.source,
        )
    fields = fields_of(t.cells, hidden_states=bool(options.get("output_hidden_states")))
    if t.grad_off:
        fields = Fields({name: _detached(t, value) for name, value in fields.items.items()})
    return tuple(fields.items.values()) if options.get("return_dict") is False else fields


ALL_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


def _inputs_in(value: Any, name: str) -> set[str]:
    """The names of the inputs that a value is: itself, or all that it holds."""
    if isinstance(value, Encoding):
        return set(value.items)
    return {name} if isinstance(value, Traced) and value.sources == {name} and not value.reduced else set()


def _detached(t: Tracer, value: Any) -> Any:
    return tuple(detach(t, one) for one in value) if isinstance(value, tuple) else detach(t, value)


def _sum(t: Tracer, items: Any, /, start: Any = 0) -> Any:
    """Python's sum."""
    total = start
    for item in containers.items(t, items):
        both = isinstance(total, Traced) or isinstance(item, Traced)
        total = arithmetic(t, "add", total, item) if both else containers.plain(t, "add", total, item)
    return total


def _extreme(name: str) -> Callable[..., Any]:
    def extreme(t: Tracer, *items: Any) -> Any:
        found = containers.items(t, items[0]) if len(items) == 1 else list(items)
        if any(isinstance(item, Traced) for item in found):
            return sequence_extreme(t, name, found)
        return t.real(max if name == "max" else min, found)

    return extreme


def _range(t: Tracer, *ends: Any) -> range:
    found = t.real(range, *ends)
    t.budget.length(len(found))
    assert isinstance(found, range)
    return found


def _listed(kind: type) -> Callable[..., Any]:
    def listed(t: Tracer, items: Any = (), /) -> Any:
        return kind(containers.items(t, items))

    return listed


def _zip(t: Tracer, *parts: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(containers.items(t, part) for part in parts), strict=False))


def _enumerate(t: Tracer, items: Any, /, start: int = 0) -> list[tuple[int, Any]]:
    return list(enumerate(containers.items(t, items), start))


def _print(t: Tracer, *values: Any, sep: Any = None, end: Any = None) -> Any:
    """What is printed is what is looked at: the last value."""
    return values[-1] if values else None


def _number(kind: type) -> Callable[..., Any]:
    def number(t: Tracer, value: Any, /) -> Any:
        if isinstance(value, Traced):
            found = t.real(kind, value)
            flat = [getattr(value, name).reshape(-1)[:1].reshape(()) for name, _ in t.both()]
            return t.made(found, (), flat[0], flat[1], (value,), form="number")
        return containers.limited(t.real(kind, value), 2**63 - 1)

    return number


def _abs(t: Tracer, value: Any, /) -> Any:
    return LEGAL["torch.abs" if isinstance(value, Traced) and value.form == "tensor" else "np.abs"](t, value)


def _len(t: Tracer, value: Any, /) -> int:
    return containers.length(value)


ORDINARY: dict[str, Callable[..., Any]] = {
    "len": _len,
    "range": _range,
    "list": _listed(list),
    "tuple": _listed(tuple),
    "sum": _sum,
    "zip": _zip,
    "enumerate": _enumerate,
    "min": _extreme("min"),
    "max": _extreme("max"),
    "abs": _abs,
    "int": _number(int),
    "float": _number(float),
    "bool": _number(bool),
    "print": _print,
}
"""Python's own functions, as far as the language has them."""
