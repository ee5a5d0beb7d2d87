"""Embedding: what a model adds up before its first layer, caught part by part while it runs, and added up again by hand."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.read.survey import wide
from bertlens.run.embedded import ATTENTION, device_of, word_table
from bertlens.run.inputs import Batch
from bertlens.run.outputs import one_pass
from bertlens.run.sublayers import layers_in
from bertlens.run.variants import running

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

ROLES = {"position": re.compile("position|pos_emb"), "segment": re.compile("token_type|segment")}
"""How every family calls the attributes of its tables; the word table is the one that `get_input_embeddings` returns."""

RELATIVE, ROTARY = re.compile("relative"), re.compile("rotary", re.IGNORECASE)
"""What is called by the distance of two tokens: a table whose numbers are added to attention scores, or an angle."""

ANGLE = "{}: turns queries and keys by an angle that grows with the position, in every attention"
INSIDE = "{}: a table of positions that is read by the length of the row, for use inside the layers"


@dataclass(frozen=True, eq=False)
class Part:
    """One vector per token, looked up in a table.

    Attributes
    ----------
    role : "word", "position" or "segment"; the table's own name where it is none of them.
    module : the table, as `get_submodule` finds it.
    ids : which row of the table each token was given.
    rows : rows of the table.
    pad : the row that the table keeps for padding; None where it keeps none.
    values : (tokens, width).
    """

    role: str
    module: str
    ids: tuple[int, ...]
    rows: int
    pad: int | None
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Step:
    """What is done with the vectors on the way to the first layer.

    Attributes
    ----------
    name : "sum", "norm" or "projection".
    module : what does it, as `get_submodule` finds it; "" for the sum.
    values : (tokens, width), computed by hand from the step before.
    max_abs : largest difference to the model's own tensor at this place.
    """

    name: str
    module: str
    values: np.ndarray
    max_abs: float


@dataclass(frozen=True, eq=False)
class Embedding:
    """Everything between the ids of one row and the first layer, dropout off.

    Attributes
    ----------
    parts : the vectors that are added, in the order in which the model adds them.
    steps : the sum, then the norm and the projection where the model has them.
    state : hidden_states[0], (tokens, hidden), of the same pass.
    elsewhere : what else was looked up or computed from positions, and where: "name: what it is".
    dropout : module -> its rate, which is off here.
    """

    parts: tuple[Part, ...]
    steps: tuple[Step, ...]
    state: np.ndarray
    elsewhere: tuple[str, ...]
    dropout: dict[str, float]

    def part(self, role: str) -> Part | None:
        """The part of a role, or None where the model has none."""
        return next((part for part in self.parts if part.role == role), None)

    @property
    def max_abs(self) -> float:
        """Largest difference between the last step, by hand, and hidden_states[0]."""
        return _apart_by(torch.from_numpy(self.steps[-1].values), torch.from_numpy(self.state))

    @property
    def factorised(self) -> bool:
        """Whether the tables have another width than the hidden states."""
        return bool(self.parts[0].values.shape[1] != self.state.shape[1])


@dataclass(frozen=True)
class _Call:
    name: str
    module: torch.nn.Module
    given: torch.Tensor
    made: torch.Tensor
    before: bool


class _Watch:
    """Every call of a table, norm, linear module or dropout; whether it came before the first layer."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model, self.before = model, True
        self.calls: list[_Call] = []
        self.later: list[str] = []

    def open(self, hooks: ExitStack) -> None:
        first = next(layers_in(self.model), None)
        if first is None:
            kind = getattr(self.model.config, "model_type", "this model")
            raise BertlensError(f"cannot tell the embeddings of {kind} from its layers", got="no module with an attention")
        handles = [first[0].register_forward_pre_hook(self._layer_begins)]
        for name, module in self.model.named_modules():
            if ROTARY.search(name.rpartition(".")[2]):
                handles.append(module.register_forward_hook(lambda *_, name=name: self.later.append(ANGLE.format(name))))
            elif isinstance(module, torch.nn.Embedding | torch.nn.Linear | torch.nn.Dropout) or "Norm" in type(module).__name__:
                handles.append(module.register_forward_hook(self._called(name)))
        for handle in handles:
            hooks.callback(handle.remove)

    def _layer_begins(self, *_: Any) -> None:
        self.before = False

    def _called(self, name: str) -> Any:
        def hook(module: torch.nn.Module, given: tuple[Any, ...], made: Any) -> None:
            wanted = self.before or isinstance(module, torch.nn.Embedding)
            if not (wanted and given and isinstance(made, torch.Tensor)):
                return
            if not isinstance(given[0], torch.Tensor):  # RoFormer's sinusoids are read by the length of the row
                self.later.append(INSIDE.format(name))
            else:
                self.calls.append(_Call(name, module, given[0], made, self.before))

        return hook


def embedding(checkpoint: Checkpoint, batch: Batch) -> Embedding:
    """Run one row once and take its embeddings apart.

    Parameters
    ----------
    batch : a single row, ids or vectors.

    Raises
    ------
    BertlensError
        Where the parts are not vectors of one width that are added, or no layer can be found.
    """
    device = device_of(checkpoint, "float32")
    model = checkpoint.own_instance("float32", ATTENTION, False, device)
    watch = _Watch(model)
    with ExitStack() as hooks, running("float32", None):
        watch.open(hooks)
        outputs = one_pass(model, batch, [0], device)
        state = wide(outputs.hidden_states[0][0])
        return _apart(model, watch, state, checkpoint.name)


def positions_of(checkpoint: Checkpoint, batch: Batch) -> torch.Tensor | None:
    """The position ids that the model gives to a batch by itself, (batch, tokens); None where it looks no position up."""
    device = device_of(checkpoint, "float32")
    model = checkpoint.own_instance("float32", ATTENTION, False, device)
    watch = _Watch(model)
    with ExitStack() as hooks, running("float32", None):
        watch.open(hooks)
        one_pass(model, batch, [], device)
    table = word_table(model)
    for call in watch.calls:
        if call.module is not table and call.before and _role(call, table) == "position" and _one_per_token(call, batch):
            given = call.given if call.given.dim() == 2 else call.given[None]
            return given.expand(batch.real.shape).cpu().clone()
    return None


def _one_per_token(call: _Call, batch: Batch) -> bool:
    return call.made.dim() >= 2 and call.made.shape[-2] == batch.real.shape[1] and call.given.shape[-1] == batch.real.shape[1]


def _apart(model: Any, watch: _Watch, state: torch.Tensor, name: str) -> Embedding:
    table, parts, steps = word_table(model), [], []
    elsewhere = list(watch.later)
    dropout: dict[str, float] = {}
    for call in watch.calls:
        if isinstance(call.module, torch.nn.Dropout):
            dropout[call.name] = call.module.p
        elif isinstance(call.module, torch.nn.Embedding):
            part = _part(call, table, len(state))
            parts += [part] if part is not None else []
            elsewhere += [] if part is not None else [_elsewhere(call)]
        else:
            steps.append(call)
    widths = {part.values.shape[1] for part in parts}
    if not parts or len(widths) > 1:
        got = f"parts of {' and '.join(map(str, sorted(widths)))} numbers" if parts else "no lookup before the first layer"
        raise BertlensError(
            f"cannot take the embeddings of {name} apart", got=got, expected="parts of one width that are added"
        )
    return Embedding(tuple(parts), _by_hand(parts, steps, state), state.numpy(), tuple(dict.fromkeys(elsewhere)), dropout)


def _role(call: _Call, table: torch.nn.Module) -> str:
    own = call.name.rpartition(".")[2]
    if call.module is table:
        return "word"
    return next((role for role, names in ROLES.items() if names.search(own)), own)


def _part(call: _Call, table: torch.nn.Module, tokens: int) -> Part | None:
    """One vector per token; None for a table that is looked up for pairs of tokens, or inside a layer."""
    assert isinstance(call.module, torch.nn.Embedding)
    made = call.made[0] if call.made.dim() == 3 else call.made
    ids = call.given[0] if call.given.dim() == 2 else call.given
    in_pairs = RELATIVE.search(call.name) or call.given.shape not in ((1, tokens), (tokens,))
    if not call.before or in_pairs or made.shape[:-1] != (tokens,):
        return None
    rows, pad = call.module.num_embeddings, call.module.padding_idx
    return Part(_role(call, table), call.name, tuple(ids.tolist()), rows, pad, wide(made).numpy())


def _elsewhere(call: _Call) -> str:
    assert isinstance(call.module, torch.nn.Embedding)
    size = f"{call.module.num_embeddings} × {call.module.embedding_dim}"
    return f"{call.name}: a table of {size} numbers, looked up by the distance of two tokens and added to attention scores"


def _by_hand(parts: list[Part], calls: list[_Call], state: torch.Tensor) -> tuple[Step, ...]:
    """The sum, and every norm and projection applied to the step before with the module's own weights."""
    total = torch.from_numpy(parts[0].values)
    for part in parts[1:]:
        total = total + torch.from_numpy(part.values)
    compared = wide(calls[0].given[0]) if calls else state
    found = [Step("sum", "", total.numpy(), _apart_by(total, compared))]
    for call in calls:
        total = _applied(call.module, total)
        name = "projection" if isinstance(call.module, torch.nn.Linear) else "norm"
        found.append(Step(name, call.name, total.numpy(), _apart_by(total, wide(call.made[0]))))
    return tuple(found)


def _applied(module: torch.nn.Module, values: torch.Tensor) -> torch.Tensor:
    """What a module computes, written out for the two kinds that all BERT families use."""
    cell = next(module.parameters()).device
    if isinstance(module, torch.nn.LayerNorm):
        weights = (module.weight, module.bias)
        return wide(torch.nn.functional.layer_norm(values.to(cell), module.normalized_shape, *weights, module.eps))
    if isinstance(module, torch.nn.Linear):
        return wide(torch.nn.functional.linear(values[None].to(cell), module.weight, module.bias)[0])
    return wide(module(values[None].to(cell))[0])


def _apart_by(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max()) if one.shape == other.shape else float("nan")
