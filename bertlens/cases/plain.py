"""Plain: the few lines of plain PyTorch that reproductions share; a script takes along those that it uses."""

from __future__ import annotations

import copy
import json
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class CannotArise(Exception):
    """The fault cannot arise with this checkpoint or these texts; the reason, in one sentence."""


def masked_mean(state: Tensor, mask: Tensor) -> Tensor:
    """The mean over real tokens, (texts, hidden)."""
    mask = mask.unsqueeze(-1).to(state.dtype)
    return (state * mask).sum(1) / mask.sum(1).clamp(min=1e-9)


def encoded(tokenizer: Any, texts: list[str], **options: Any) -> Any:
    """The texts as one padded batch, cut at the model's limit."""
    return tokenizer(texts, padding=True, truncation=True, return_tensors="pt", **options)


def padded(tokenizer: Any, texts: list[str], **options: Any) -> Any:
    """The texts as one batch in which at least one of them is padded."""
    batch = encoded(tokenizer, texts, **options)
    if batch["attention_mask"].all():
        raise CannotArise("nothing is padded: give texts that differ in their number of tokens")
    return batch


def cut_rows(batch: Any) -> list[dict[str, Tensor]]:
    """Each row of a batch padded on the right as a batch of its own, without its padding."""
    lengths = batch["attention_mask"].sum(1).tolist()
    return [{name: tensor[i : i + 1, :length] for name, tensor in batch.items()} for i, length in enumerate(lengths)]


def first_position(model: Any) -> int | None:
    """Where a model begins to count its learned positions, 0 in BERT, 2 in RoBERTa; None without a table."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if table is None:
        return None
    return 0 if table.padding_idx is None else table.padding_idx + 1


def from_mask(mask: Tensor) -> Tensor:
    """Positions that count real tokens only, 0, 1, 2, … from the first one on, whatever is padded."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def left_padded(model: Any, tokenizer: Any, texts: list[str]) -> Any:
    """The texts as one batch padded on the left, with positions that do not count the padding."""
    batch = padded(tokenizer, texts, padding_side="left")
    if first_position(model) == 0:  # the others count from the first real token, or only distances
        batch["position_ids"] = from_mask(batch["attention_mask"])
    return batch


def has_dropout(model: Any) -> bool:
    """Whether a model in train mode drops anything."""
    return any(module.p > 0 for module in model.modules() if isinstance(module, torch.nn.Dropout))


def in_steps(module: Any, inputs: Any) -> Any:
    """What enters a layer, rounded to 255 steps as int8 does, the largest number of all rows being the last step."""
    step = inputs[0].abs().max() / 127
    return (inputs[0] / step).round() * step


def recorded(model: Any, batch: Any) -> Any:
    """The graph of one pass over a batch, as TorchScript keeps it and the older ONNX exporter writes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of every line of Python that looks at a shape
        example = (batch["input_ids"], batch["attention_mask"])
        return torch.jit.trace(model, example, strict=False, check_trace=False)


def cls(model: Any, tokenizer: Any, texts: list[str], **options: Any) -> Tensor:
    """The first token of the last layer for each text, (texts, hidden), all in one batch."""
    vectors: Tensor = model(**encoded(tokenizer, texts, **options)).last_hidden_state[:, 0]
    return vectors


def alone(model: Any, tokenizer: Any, texts: list[str], **options: Any) -> Tensor:
    """The first token of the last layer for each text by itself, so that nothing is padded: (texts, hidden)."""
    return torch.cat([cls(model, tokenizer, [text], **options) for text in texts])


def mean_alone(model: Any, tokenizer: Any, texts: list[str]) -> Tensor:
    """The mean over the tokens of each text by itself, so that nothing is padded: (texts, hidden)."""
    return torch.cat([model(**encoded(tokenizer, [text])).last_hidden_state.mean(1) for text in texts])


def loaded_with(model: Any, change: Callable[[dict[str, Tensor]], dict[str, Tensor]], kind: Any = None, **options: Any) -> Any:
    """The model saved, its weights changed on the way to the file, and loaded again (by the class `kind`)."""
    with tempfile.TemporaryDirectory() as folder:
        state = {name: value.clone() for name, value in model.state_dict().items()}
        architectures = model.config.architectures
        model.save_pretrained(folder, state_dict=change(state))
        model.config.architectures = architectures  # saving has put the class of this instance there
        return (kind or type(model)).from_pretrained(folder, **{"dtype": model.dtype, **options}).eval()


def copied(model: Any) -> Any:
    """A copy that may be changed."""
    return copy.deepcopy(model)


def fresh(model: Any) -> Any:
    """The same architecture with freshly drawn weights."""
    return type(model)(copied(model.config)).to(model.dtype).eval()


def edited(tokenizer: Any, change: Callable[[Any], Any]) -> Any:
    """The tokenizer with its tokenizer.json changed, and taken as it stands."""
    from transformers import PreTrainedTokenizerFast

    held = change(json.loads(tokenizer.backend_tokenizer.to_str()))
    backend = type(tokenizer.backend_tokenizer).from_str(json.dumps(held))
    limit = tokenizer.model_max_length
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=limit, **tokenizer.special_tokens_map)


def repeated(tokenizer: Any, texts: list[str], tokens: int) -> list[str]:
    """Each text so often in a row that it has more tokens than that."""
    lengths = [max(1, len(tokenizer.tokenize(text))) for text in texts]
    return [" ".join([text] * (1 + tokens // length)) for text, length in zip(texts, lengths, strict=True)]
