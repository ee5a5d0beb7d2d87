"""Capture: the tensors of one forward pass kept whole, with what stands at each of their positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch

from bertlens.errors import BertlensError
from bertlens.run.inputs import Inputs
from bertlens.run.outputs import forward

MOST_BYTES = 256 * 2**20
"""Memory that all states of one capture may take; more texts than fit are left out, and it is said how many."""


@dataclass(frozen=True, eq=False)
class Capture:
    """What an expression is evaluated on: all outputs of one forward pass, and the inputs.

    Attributes
    ----------
    hidden_states : (batch, tokens, hidden) per layer, 0 the embeddings, n the output of layer n; only the last one where
        the rest was not returned.
    last_hidden_state : (batch, tokens, hidden).
    pooler_output : (batch, hidden), or None.
    inputs : name -> (batch, tokens), int64, as passed to the model, and the attention mask that the tokenizer returned where
        none was passed.
    tokens : the token strings of each row, padding included; None where no tokenizer is known.
    real : (batch, tokens), 1 on tokens of a text and 0 on padding; None where it is not known.
    cls, sep : the strings of the special tokens, "" where there is none.
    special : (batch, tokens), 1 on special tokens; None where it is not known.
    fields : the keys of the model's output, in their order.
    given : how many texts there were; the first of them are in the capture.
    checkpoint : the `Checkpoint` that ran, None for outputs from elsewhere.
    wanted_grad : True or False where it is known whether the outputs hang on autograd, None where it is not.
    """

    hidden_states: tuple[torch.Tensor, ...]
    last_hidden_state: torch.Tensor
    pooler_output: torch.Tensor | None
    inputs: Mapping[str, torch.Tensor]
    tokens: tuple[tuple[str, ...], ...] | None
    real: torch.Tensor | None
    special: torch.Tensor | None
    cls: str
    sep: str
    fields: tuple[str, ...]
    given: int
    wanted_grad: bool | None = None
    checkpoint: Any = None

    @property
    def layers(self) -> int:
        """Index of the last layer; `hidden_states` has one entry more."""
        return max(len(self.hidden_states) - 1, 0)

    @property
    def batch(self) -> int:
        """Rows."""
        return int(self.last_hidden_state.shape[0])

    @property
    def width(self) -> int:
        """Tokens in a row, padding included."""
        return int(self.last_hidden_state.shape[1])

    @property
    def hidden(self) -> int:
        """Hidden units."""
        return int(self.last_hidden_state.shape[2])


def capture(inputs: Inputs) -> Capture:
    """Run the first forward pass, cut to the rows whose states fit into `MOST_BYTES`, and keep all of it.

    Raises
    ------
    BertlensError
        Where the states of a single row are too large, or the batch axis is lost.
    """
    if inputs.condition.rows == "index":
        raise BertlensError("cannot evaluate an expression on rows=index", got="no batch axis", do="use rows=slice")
    checkpoint, facts = inputs.checkpoint, inputs.checkpoint.architecture
    texts, width = inputs.groups[0]
    fit = MOST_BYTES // ((facts.layers + 1) * width * facts.hidden * 4)
    if not fit:
        raise BertlensError("cannot keep every state of a text", got=f"{width:,} tokens", do="shorten the texts")
    one = Inputs(checkpoint, inputs.condition, inputs.tokens, ((texts[:fit], width),), inputs.sliced)
    with closing(forward(one, layers=range(facts.layers + 1))) as passes:
        outputs = next(passes)
    tokenizer, batch = checkpoint.tokenizer, outputs.batch
    pooler = outputs.pooler_output
    states = tuple(outputs.hidden_states[layer].cpu() for layer in range(facts.layers + 1))
    last = outputs.last_hidden_state.cpu()
    return Capture(
        hidden_states=states,
        last_hidden_state=states[-1] if torch.equal(states[-1], last) else last,
        pooler_output=None if pooler is None else pooler.cpu(),
        inputs={"attention_mask": batch.real, **batch.tensors},
        tokens=tuple(tuple(tokenizer.convert_ids_to_tokens(row)) for row in batch.tensors["input_ids"].tolist()),
        real=batch.real,
        special=batch.special,
        cls=tokenizer.cls_token or "",
        sep=tokenizer.sep_token or "",
        fields=("last_hidden_state", *(() if pooler is None else ("pooler_output",)), "hidden_states"),
        given=len(inputs.tokens),
        checkpoint=checkpoint,
    )


def captured(outputs: Any, inputs: Mapping[str, Any] | None = None, tokenizer: Any = None) -> Capture:
    """The same from a model's own output, as `model(**inputs)` returned it.

    Parameters
    ----------
    outputs : a ModelOutput, a mapping of the same names, or a last_hidden_state.
    inputs : what the tokenizer returned; without it nothing is known about padding.
    tokenizer : names the tokens; without it they have positions only.

    Raises
    ------
    BertlensError
        For outputs without a `last_hidden_state` of three axes.
    """
    fields = dict(outputs) if isinstance(outputs, Mapping) else {"last_hidden_state": outputs}
    last = fields.get("last_hidden_state")
    if not isinstance(last, torch.Tensor) or last.ndim != 3:
        got = f"{type(outputs).__name__} with {', '.join(map(str, fields)) or 'nothing'}"
        expected = "the outputs of an encoder, with last_hidden_state of (batch, tokens, hidden)"
        raise BertlensError("cannot explain these outputs", got=got, expected=expected)
    given = {name: torch.as_tensor(value) for name, value in (inputs or {}).items()}
    given = {name: value.cpu() for name, value in given.items() if value.shape == last.shape[:2]}
    ids = given.get("input_ids")
    names = special = None
    if tokenizer is not None and ids is not None:
        names = tuple(tuple(tokenizer.convert_ids_to_tokens(row)) for row in ids.tolist())
        special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids)).long()
    states: Sequence[torch.Tensor] = fields.get("hidden_states") or (last,)
    pooler = fields.get("pooler_output")
    return Capture(
        hidden_states=tuple(state.detach().cpu() for state in states),
        last_hidden_state=last.detach().cpu(),
        pooler_output=None if pooler is None else pooler.detach().cpu(),
        inputs=given,
        tokens=names,
        real=given.get("attention_mask"),
        special=special,
        cls=getattr(tokenizer, "cls_token", None) or "",
        sep=getattr(tokenizer, "sep_token", None) or "",
        fields=tuple(name for name in fields if name in ("last_hidden_state", "pooler_output", "hidden_states")),
        given=len(last),
        wanted_grad=last.requires_grad,
    )
