"""Blueprint: the tensors that a model class asks for, and which outputs hang on each; built without any weights."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import transformers
from torch import nn

from bertlens.errors import BertlensError
from bertlens.run import loading


@dataclass(frozen=True)
class Part:
    """One tensor of a model.

    Attributes
    ----------
    name : its key in the model's state dict.
    shape : as the config asks for it.
    kind : "linear", "embedding", "norm", or "other".
    role : "weight" or "bias" (of its module), or the parameter's own name.
    module : the module that owns it, "encoder.layer.0.attention.self.query".
    layer : index of the encoder layer, None outside of one.
    outputs : the outputs whose values depend on it, "hidden_states[3]" …, read from the graph of a forward pass.
    padding_row : the row that the embedding keeps for padding, None where there is none.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    role: str
    module: str
    layer: int | None
    outputs: tuple[str, ...]
    padding_row: int | None = None


@dataclass(eq=False)
class Blueprint:
    """A model class made from a config on the `meta` device: every shape and name, no values.

    Attributes
    ----------
    model : the model; its parameters hold no data.
    parts : every tensor it asks for, by name.
    """

    model: Any
    parts: Mapping[str, Part]

    @property
    def name(self) -> str:
        """The class, as "BertModel"."""
        return type(self.model).__name__

    @property
    def config(self) -> Any:
        """The config it was made from."""
        return self.model.config

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Every output in the order in which it arises, hidden states first."""
        found = {output for part in self.parts.values() for output in part.outputs}
        return tuple(sorted(found, key=_output_order))

    @cached_property
    def tied(self) -> dict[str, str]:
        """Tensors that share the values of another one, which the file need not hold twice: {target: source}."""
        return dict(self.model.get_expanded_tied_weights_keys(all_submodels=True))

    @cached_property
    def word_embeddings(self) -> str:
        """The name of the word embedding matrix."""
        table = self.model.get_input_embeddings()
        return next(f"{name}.weight" for name, module in self.model.named_modules() if module is table)

    @cached_property
    def position_table(self) -> tuple[str, nn.Embedding] | None:
        """Name and module of the learned positions, None where the model has none (rotary positions)."""
        for name, module in self.model.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
                return f"{name}.weight", module
        return None

    @property
    def positions_from_ids(self) -> bool:
        """Whether positions are counted from the ids that are not padding, as RoBERTa does."""
        return self.position_table is not None and self.position_table[1].padding_idx is not None

    @property
    def positions(self) -> int | None:
        """Tokens that fit into one row, special tokens included; None where the config sets no limit."""
        if self.position_table is None:
            return int(getattr(self.config, "max_position_embeddings", 0) or 0) or None
        table = self.position_table[1]
        return int(table.num_embeddings) - (0 if table.padding_idx is None else int(table.padding_idx) + 1)

    @cached_property
    def layers(self) -> int:
        """Encoder layers that the config asks for."""
        return int(self.config.num_hidden_layers)


def base(config: Any, name: str) -> Blueprint:
    """The encoder that `AutoModel` makes of a config.

    Raises
    ------
    BertlensError
        Where no model can be made of it.
    """
    return _drawn(transformers.AutoModel, config, name)


def declared(config: Any, name: str) -> Blueprint | None:
    """The class that the config names as the one that was saved, where it is an encoder with a head; else None."""
    for wanted in getattr(config, "architectures", None) or []:
        kind = getattr(transformers, str(wanted), None)
        if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
            continue
        if not isinstance(config, getattr(kind, "config_class", None) or ()):
            continue
        if kind is transformers.MODEL_MAPPING.get(type(config), None):
            return None
        drawn = _drawn(kind, config, name)
        return drawn if drawn.model.base_model is not drawn.model else None
    return None


def _drawn(kind: Any, config: Any, name: str) -> Blueprint:
    make = kind.from_config if hasattr(kind, "from_config") else kind
    try:
        with torch.device("meta"), loading.quiet():
            model = make(config).eval()
    except Exception:  # whatever a model's own constructor raises
        loading.check_buildable(config, name)
        raise
    if "input_ids" not in inspect.signature(model.forward).parameters:
        got = f"{type(model).__name__}, which reads no token ids"
        raise BertlensError(f"cannot use {name}", got=got, expected="a text encoder")
    depends = _dependents(_small(make, config, model), model)
    return Blueprint(model, {part.name: part for part in _parts(model, depends)})


def _small(make: Any, config: Any, model: Any) -> Any:
    """The same model with every width cut down, so that a pass costs nothing; None where that changes its tensors' names.

    A pass on the `meta` device would do as well, but takes ten times as long, and its imports half a second. An embedding of
    another width than the layers keeps one, because the layer between the two would go away.
    """
    heads = int(getattr(config, "num_attention_heads", 0) or 0)
    widths = {"hidden_size": 4 * heads, "intermediate_size": 8, "vocab_size": 16}
    for name in ("embedding_size", "input_embedding_size", "entity_emb_size"):
        widths[name] = 4 * heads if getattr(config, name, None) == getattr(config, "hidden_size", 0) else 6
    small = copy.deepcopy(config)
    for name, width in widths.items():
        if hasattr(small, name):
            setattr(small, name, width)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"):
        if isinstance(getattr(small, name, None), int):
            setattr(small, name, min(getattr(small, name), 8))
    try:
        with torch.random.fork_rng(devices=[]), loading.quiet():
            found = make(small).eval()
    except Exception:  # a class that ties its widths together in another way
        return None
    return found if found.state_dict().keys() == model.state_dict().keys() else None


def _parts(model: Any, depends: Mapping[str, tuple[str, ...]]) -> Iterator[Part]:
    modules = dict(model.named_modules())
    for name, tensor in model.state_dict(keep_vars=True).items():
        owner, _, role = name.rpartition(".")
        module = modules[owner]
        padding = getattr(module, "padding_idx", None)
        number = re.search(r"\.(\d+)\.", name)
        layer = int(number[1]) if number and not shared(name) else None
        kind = _kind(module) if tensor.requires_grad else "other"  # a table of sines is computed, not learned
        yield Part(name, tuple(tensor.shape), kind, role, owner, layer, depends.get(name, ()), padding)


def shared(name: str) -> bool:
    """Whether every layer uses this tensor, as in ALBERT, so that its number is not that of a layer."""
    return "albert_layer_groups" in name


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, nn.Embedding):
        return "embedding"
    return "norm" if "norm" in type(module).__name__.lower() else "other"


def _dependents(small: Any, model: Any) -> dict[str, tuple[str, ...]]:
    """For each parameter the outputs that change with it: those from whose graph it can be reached.

    The graph is that of any pass: it depends on the class and the number of layers, not on widths or values. Where a class
    runs no short row (Nyströmformer takes one length alone), the names of its parameters have to do.
    """
    whole = int(getattr(model.config, "segment_means_seq_len", 0) or 64)
    for candidate, length in ((small, 3), (small, whole), (model, 3), (model, whole)):
        try:
            if candidate is not None:
                return _passed(candidate, length)
        except Exception:  # whatever a model's own pass raises
            continue
    return _by_name(model)


def _passed(model: Any, length: int) -> dict[str, tuple[str, ...]]:
    ids = torch.ones(1, length, dtype=torch.long, device=model.device)
    with torch.enable_grad(), loading.quiet():
        returned = model(input_ids=ids, output_hidden_states=True)
    names = {id(parameter): name for name, parameter in model.named_parameters(remove_duplicate=False)}
    found: dict[str, list[str]] = {name: [] for name in names.values()}
    for output, value in _named(returned):
        for reached in _reached(value.grad_fn):
            if id(reached) in names:
                found[names[id(reached)]].append(output)
    return {name: tuple(sorted(outputs, key=_output_order)) for name, outputs in found.items()}


def _by_name(model: Any) -> dict[str, tuple[str, ...]]:
    """The same from the names: a layer reaches the states behind it, a pooler its own output alone."""
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    pooled = ("pooler_output",) if any("pooler" in name.split(".") for name in names) else ()
    found = {}
    for name in names:
        number = re.search(r"\.(\d+)\.", name)
        first = int(number[1]) + 1 if number and not shared(name) else 0
        states = (f"hidden_states[{at}]" for at in range(first, int(model.config.num_hidden_layers) + 1))
        found[name] = pooled if "pooler" in name.split(".") else (*states, "last_hidden_state", *pooled)
    return found


def _named(returned: Any) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in returned.items():
        if isinstance(value, torch.Tensor):
            yield name, value
        elif name == "hidden_states":
            yield from ((f"hidden_states[{index}]", state) for index, state in enumerate(value))


def _reached(start: Any) -> Iterator[torch.Tensor]:
    seen, waiting = {start}, [start]
    while waiting:
        step = waiting.pop()
        if step is None:
            continue
        if (variable := getattr(step, "variable", None)) is not None:
            yield variable
        for following, _ in step.next_functions:
            if following not in seen:
                seen.add(following)
                waiting.append(following)


def _output_order(output: str) -> tuple[int, int]:
    number = re.search(r"\[(\d+)\]", output)
    if number:
        return 0, int(number[1])
    order = ("last_hidden_state", "pooler_output")
    return 1, order.index(output) if output in order else len(order)
