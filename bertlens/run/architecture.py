"""Architecture: what a loaded model can be asked, found by looking at it and never by its name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertlens.errors import BertlensError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FAMILIES = "BERT, DistilBERT, RoBERTa, XLM-R, ELECTRA, ALBERT, MPNet, ModernBERT and their relatives"


@dataclass(frozen=True)
class Architecture:
    """Facts about one loaded encoder.

    Attributes
    ----------
    kind : the model_type of the config, e.g. "roberta".
    layers, hidden, heads : sizes; `hidden_states` has layers + 1 entries.
    positions : tokens that fit into one row, special tokens included.
    first_position : the position id that the model gives to the first token of an unpadded row (0 in BERT, 2 in
        RoBERTa); -1 where no position table exists (rotary positions).
    takes_positions : whether `position_ids` may be passed.
    segments : how many token types exist; 0 where the model has none (DistilBERT, MPNet, ModernBERT).
    attentions : attention implementations among "sdpa" and "eager" that the model can run.
    pooler : whether the model returns `pooler_output`.
    """

    kind: str
    layers: int
    hidden: int
    heads: int
    positions: int
    first_position: int
    takes_positions: bool
    segments: int
    attentions: tuple[str, ...]
    pooler: bool


def refuse_others(config: Any, name: str) -> None:
    """Raise a `BertlensError` for a config that is no BERT-family encoder."""
    from transformers.models.auto import modeling_auto as auto

    kind = getattr(config, "model_type", "")
    if getattr(config, "is_encoder_decoder", False):
        got = f"an encoder-decoder ({kind})"
    elif getattr(config, "is_decoder", False):
        got = f"a decoder ({kind} with is_decoder=true)"
    elif kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return
    elif kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        got = f"a decoder ({kind})"
    elif kind in auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES:
        got = f"a vision model ({kind})"
    else:
        got = f"a model of another kind ({kind or 'no model_type'})"
    raise BertlensError(f"cannot use {name}", got=got, expected=f"an encoder: {FAMILIES}")


def look_at(model: PreTrainedModel) -> Architecture:
    """Read the facts off a model that nobody else uses yet (one short forward pass is made)."""
    config = model.config
    arguments = inspect.signature(model.forward).parameters
    output, first_position = _probe(model)
    table = _position_table(model)
    limit = int(getattr(config, "max_position_embeddings", 0) or 0)
    if table is not None:
        limit = int(table.num_embeddings) - max(first_position, 0)
    segments = int(getattr(config, "type_vocab_size", 0) or 0) if "token_type_ids" in arguments else 0
    return Architecture(
        kind=str(config.model_type),
        layers=int(config.num_hidden_layers),
        hidden=int(output.last_hidden_state.shape[-1]),
        heads=int(getattr(config, "num_attention_heads", 0)),
        positions=limit or 1_000_000,
        first_position=first_position,
        takes_positions="position_ids" in arguments,
        segments=segments,
        attentions=("sdpa", "eager") if getattr(model, "_supports_sdpa", False) else ("eager",),
        pooler=getattr(output, "pooler_output", None) is not None,
    )


def _position_table(model: PreTrainedModel) -> Any:
    import torch

    tables = (module for name, module in model.named_modules() if name.endswith("position_embeddings"))
    return next((module for module in tables if isinstance(module, torch.nn.Embedding)), None)


def _probe(model: PreTrainedModel) -> tuple[Any, int]:
    """The outputs of one unpadded row, and the position id that its first token was given."""
    import torch

    seen: list[int] = []
    table = _position_table(model)
    hook = table.register_forward_hook(lambda _, args, out: seen.append(int(args[0].flatten()[0]))) if table else None
    padding = getattr(model.config, "pad_token_id", None)
    ids = [i for i in range(4) if i != padding][:2]
    try:
        with torch.inference_mode():
            output = model(input_ids=torch.tensor([ids], device=model.device))
    finally:
        if hook is not None:
            hook.remove()
    return output, seen[0] if seen else -1
