"""Weights: what goes wrong although every weight is there: config, class, head, adapter, revision."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from torch import Tensor

from bertlens.cases.plain import CannotArise, alone, cls, copied, encoded, loaded_with
from bertlens.judge.reproduction import Outcome


def _train_one_step(model: Any, tokenizer: Any, texts: list[str]) -> None:
    """One step of gradient descent on every weight that takes a gradient; any goal will do."""
    goal: Any = cls(model, tokenizer, texts)[:, 0].mean()
    goal.backward()
    torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.01).step()


def shape_mismatch(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The config asks for twice as many positions, and ignore_mismatched_sizes=True draws all of them anew."""
    positions = model.config.max_position_embeddings
    state = model.state_dict()
    tables = [name for name in state if "position_embeddings" in name and len(state[name]) == positions]
    if not tables:
        raise CannotArise("it has no table of learned positions")

    def extended(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {**state, **{name: torch.cat([state[name], state[name]]) for name in tables}}

    wider = {"max_position_embeddings": 2 * positions}
    drawn = loaded_with(model, dict, ignore_mismatched_sizes=True, **wider)
    longer = loaded_with(model, extended, **wider)
    return alone(model, tokenizer, texts), cls(drawn, tokenizer, texts), cls(longer, tokenizer, texts)


def head_count_wrong(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The config names half as many attention heads, which no shape contradicts."""
    heads = model.config.num_attention_heads
    if heads % 2:
        raise CannotArise(f"{heads} heads cannot be halved")
    if any(value.shape[-1] == heads for value in model.state_dict().values()):
        raise CannotArise("it has weights for each head, whose shape would not fit")
    halved = loaded_with(model, dict, num_attention_heads=heads // 2)
    right = loaded_with(model, dict, num_attention_heads=heads)
    return alone(model, tokenizer, texts), cls(halved, tokenizer, texts), cls(right, tokenizer, texts)


def config_scalar_differs(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A port of the model has another epsilon in its LayerNorms: 1e-5, or BERT's 1e-12 where 1e-5 is right."""
    port = copied(model)
    norms = [module for module in port.modules() if isinstance(module, torch.nn.LayerNorm)]
    if not norms:
        raise CannotArise("its norms are not PyTorch's LayerNorm")
    right = [norm.eps for norm in norms]
    for norm in norms:
        norm.eps = 1e-12 if norm.eps == 1e-5 else 1e-5
    mistaken = cls(port, tokenizer, texts)
    for norm, eps in zip(norms, right, strict=True):
        norm.eps = eps
    mended = cls(port, tokenizer, texts)
    return alone(model, tokenizer, texts), mistaken, mended


def wrong_architecture_class(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A BERT is loaded by RobertaModel, or the other way round: all keys fit, and positions are counted otherwise."""
    from transformers import BertModel, RobertaModel

    kinds = {"bert": RobertaModel, "roberta": BertModel, "xlm-roberta": BertModel}
    if model.config.model_type not in kinds:
        raise CannotArise("only BERT and RoBERTa have the same keys")
    truth = alone(model, tokenizer, texts)
    mistaken: Tensor | Exception
    try:
        mistaken = cls(loaded_with(model, dict, kinds[model.config.model_type]), tokenizer, texts)
    except IndexError as error:  # RoBERTa counts beyond the table of a BERT whose texts are as long as they may be
        mistaken = error
    mended = cls(loaded_with(model, dict), tokenizer, texts)
    return truth, mistaken, mended


def fine_tuning_absent(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A LoRA adapter is loaded with its wrapper's names and strict=False: none fits, and the base model answers.

    The adapter is trained here, for one step.
    """

    class LowRank(torch.nn.Module):
        """W becomes W + B A."""

        def __init__(self, weight: Tensor) -> None:
            super().__init__()
            self.a = torch.nn.Parameter(torch.randn(4, weight.shape[1]).to(weight.dtype))
            self.b = torch.nn.Parameter(torch.zeros(weight.shape[0], 4).to(weight.dtype))

        def forward(self, weight: Tensor) -> Tensor:
            return weight + self.b @ self.a

    def adapted() -> Any:
        other = copied(model).requires_grad_(False)
        for layer in [module for module in other.modules() if isinstance(module, torch.nn.Linear)]:
            torch.nn.utils.parametrize.register_parametrization(layer, "weight", LowRank(layer.weight))
        return other

    with torch.inference_mode(False), torch.enable_grad():
        tuned = adapted()
        _train_one_step(tuned, tokenizer, texts)
    adapter = {name: value for name, value in tuned.state_dict().items() if ".parametrizations.weight.0." in name}
    served = adapted()
    served.load_state_dict({f"base_model.model.{name}": value for name, value in adapter.items()}, strict=False)
    mistaken = cls(served, tokenizer, texts)
    served.load_state_dict(adapter, strict=False)
    return alone(tuned, tokenizer, texts), mistaken, cls(served, tokenizer, texts)


def classifier_untrained(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The base checkpoint is loaded for classification, which draws a head anew; the vectors here are the logits.

    The head of the first load stands for the one that somebody trains, and saves.
    """
    from transformers import AutoModelForSequenceClassification

    batch = encoded(tokenizer, texts)
    with tempfile.TemporaryDirectory() as base, tempfile.TemporaryDirectory() as tuned:
        model.save_pretrained(base)
        first = AutoModelForSequenceClassification.from_pretrained(base, dtype=model.dtype)
        again = AutoModelForSequenceClassification.from_pretrained(base, dtype=model.dtype)
        first.save_pretrained(tuned)
        saved = AutoModelForSequenceClassification.from_pretrained(tuned, dtype=model.dtype)
    return first(**batch).logits, again(**batch).logits, saved(**batch).logits


def checkpoint_drift(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The name is loaded without a revision, and meanwhile its owner pushed weights trained one step further."""
    from pathlib import Path

    with torch.inference_mode(False), torch.enable_grad():
        later = copied(model).requires_grad_(True)
        _train_one_step(later, tokenizer, texts)
    with tempfile.TemporaryDirectory() as cache:  # as a download leaves it
        home = Path(cache) / "models--somebody--encoder"
        for tag, pushed in (("v1", model), ("main", later)):
            pushed.save_pretrained(home / "snapshots" / f"commit-of-{tag}")
            (home / "refs").mkdir(exist_ok=True)
            (home / "refs" / tag).write_text(f"commit-of-{tag}", "utf-8")
        options = {"cache_dir": cache, "local_files_only": True, "dtype": model.dtype}
        moved = type(model).from_pretrained("somebody/encoder", **options)
        pinned = type(model).from_pretrained("somebody/encoder", revision="v1", **options)
    return alone(model, tokenizer, texts), cls(moved, tokenizer, texts), cls(pinned, tokenizer, texts)
