"""A small sound checkpoint, and the ways in which the tests of `bertlens repair` break it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from bertlens.run.checkpoint import locate

WORDS = 8000
"""Entries of the vocabulary that are kept: special tokens, letters and the frequent words."""

State = dict[str, torch.Tensor]


def twig(folder: Path) -> Path:
    """Two layers of the packaged checkpoint with a pooler of trained numbers, quick to check and without a fault."""
    source = locate("minilm")
    shutil.copytree(source, folder)
    state = load_file(source / "model.safetensors")
    state = {
        key: value for key, value in state.items() if not key.startswith(tuple(f"encoder.layer.{n}." for n in range(2, 6)))
    }
    del state["embeddings.position_ids"]
    state["embeddings.word_embeddings.weight"] = state["embeddings.word_embeddings.weight"][:WORDS].clone()
    for role in ("weight", "bias"):
        state[f"pooler.dense.{role}"] = state[f"encoder.layer.0.attention.output.dense.{role}"].clone()
    write(folder, state)
    edit(folder, "config.json", num_hidden_layers=2, vocab_size=WORDS)
    lines = (folder / "vocab.txt").read_text("utf-8").split("\n")[:WORDS]
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n", "utf-8")
    model = {**document(folder, "tokenizer.json")["model"], "vocab": {line: at for at, line in enumerate(lines)}}
    edit(folder, "tokenizer.json", model=model, truncation=None, padding=None)
    edit(folder, "sentence_bert_config.json", max_seq_length=512)
    return folder


def document(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text("utf-8"))


def edit(folder: Path, name: str, **changes: Any) -> None:
    (folder / name).write_text(json.dumps({**document(folder, name), **changes}), "utf-8")


def read(folder: Path) -> State:
    return dict(load_file(folder / "model.safetensors"))


def write(folder: Path, state: State) -> None:
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 0.02


@dataclass(frozen=True)
class Mishap:
    """A way to break the twig.

    Attributes
    ----------
    finding : what the check says of it.
    break_ : changes a copy, given as folder and tensors; returns the tensors, or None where they stay.
    base : whether the repair takes from the sound twig.
    equal : how the vectors of the repaired copy compare with the sound twig's: "bits" or "rounding" (1e-5); "half": with
        those of the broken file, read in float32, bit by bit.
    added : what the check says of the repaired copy alone.
    """

    finding: str
    break_: Callable[[Path, State], State | None]
    base: bool = False
    equal: str = "bits"
    added: tuple[str, ...] = ()


def _prefixed(prefix: str) -> Callable[[Path, State], State]:
    return lambda folder, state: {prefix + key: value for key, value in state.items()}


def _legacy(folder: Path, state: State) -> State:
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    return {next((k.replace(new, was) for new, was in old.items() if new in k), k): v for k, v in state.items()}


def _norms_lost(folder: Path, state: State) -> State:
    fresh = {"weight": torch.ones_like, "bias": torch.zeros_like}
    return {key: fresh[key.rsplit(".", 1)[-1]](value) if "LayerNorm" in key else value for key, value in state.items()}


def _untied(folder: Path, state: State) -> State:
    edit(folder, "config.json", architectures=["BertForMaskedLM"])
    head = {"cls.predictions.decoder.weight": state.pop("embeddings.word_embeddings.weight")}
    return {f"bert.{key}": value for key, value in state.items()} | head


def _no_pooler(folder: Path, state: State) -> State:
    return {key: value for key, value in state.items() if "pooler" not in key}


def _masked_lm(folder: Path, state: State) -> State:
    """As a masked-LM class saves it: no pooler, and a decoder that is the word embeddings."""
    edit(folder, "config.json", architectures=["BertForMaskedLM"])
    head = {"cls.predictions.decoder.weight": state["embeddings.word_embeddings.weight"].clone()}
    return {f"bert.{key}": value for key, value in _no_pooler(folder, state).items()} | head


def _dead_pooler(folder: Path, state: State) -> State:
    return state | {"pooler.dense.weight": drawn(384, 384), "pooler.dense.bias": torch.zeros(384)}


def _wrong_sizes(folder: Path, state: State) -> None:
    sizes = {"intermediate_size": 1024, "max_position_embeddings": 256, "type_vocab_size": 3, "vocab_size": 9000}
    edit(folder, "config.json", num_hidden_layers=6, **sizes)


def _short_table(folder: Path, state: State) -> State:
    return state | {"embeddings.position_embeddings.weight": drawn(100, 384)}


def _random(folder: Path, state: State) -> State:
    fresh = _norms_lost(folder, state)
    return {key: value if "LayerNorm" in key else torch.zeros_like(value) if value.dim() == 1 else drawn(*value.shape)
            for key, value in fresh.items()}  # fmt: skip


def _incomplete(folder: Path, state: State) -> State:
    state = {key: value for key, value in state.items() if not key.startswith("encoder.layer.1.output.dense")}
    state["encoder.layer.0.intermediate.dense.weight"] = torch.full((1536, 384), float("nan"))
    return state | {"encoder.layer.0.output.dense.weight/adam_m": drawn(384, 1536)}


def _low_rank(folder: Path, state: State) -> State:
    """The twig's queries as a base and a product of rank 4 that is scaled by 2."""
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8}), "utf-8")
    adapted: State = {}
    for key, value in state.items():
        stem = key.removesuffix("weight")
        if key.endswith("query.weight"):
            a, b = drawn(4, 384), drawn(384, 4)
            adapted |= {f"{stem}lora_A.default.weight": a, f"{stem}lora_B.default.weight": b}
            adapted[f"{stem}base_layer.weight"] = value - 2 * b @ a
        else:
            adapted[key.replace("query.bias", "query.base_layer.bias")] = value
    return {f"base_model.model.{key}": value for key, value in adapted.items()}


def _eps(folder: Path, state: State) -> None:
    edit(folder, "config.json", layer_norm_eps=1e-3)


def _token_added(folder: Path, state: State) -> None:
    added = document(folder, "tokenizer.json")["added_tokens"]
    edit(folder, "tokenizer.json", added_tokens=[*added, {**added[-1], "id": WORDS, "content": "[NEW]"}])


def _pad(folder: Path, state: State) -> None:
    edit(folder, "config.json", pad_token_id=5)


def _pad_token(folder: Path, state: State) -> State:
    """The tokenizer pads with another token than the one whose row is zero."""
    edit(folder, "tokenizer_config.json", pad_token="[unused0]")
    edit(folder, "special_tokens_map.json", pad_token="[unused0]")
    state["embeddings.word_embeddings.weight"][0] = 0
    return state


def _ids(folder: Path, state: State) -> None:
    edit(folder, "config.json", cls_token_id=7, sep_token_id=8)


def _moved(folder: Path, state: State) -> None:
    """Every word one id further, in both files of the vocabulary."""
    lines = (folder / "vocab.txt").read_text("utf-8").split("\n")[:-1]
    lines.insert(50, lines.pop())
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n", "utf-8")
    edit(
        folder,
        "tokenizer.json",
        model={**document(folder, "tokenizer.json")["model"], "vocab": {w: n for n, w in enumerate(lines)}},
    )


def _template(folder: Path, state: State) -> None:
    step = document(folder, "tokenizer.json")["post_processor"]
    for token, number in (("[CLS]", 1), ("[SEP]", 2)):
        step["special_tokens"][token]["ids"] = [number]
    edit(folder, "tokenizer.json", post_processor=step)


def _bare(folder: Path, state: State) -> None:
    edit(folder, "tokenizer.json", post_processor=None)
    edit(folder, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")


def _doubled(folder: Path, state: State) -> None:
    step = document(folder, "tokenizer.json")["post_processor"]
    first, text, last = step["single"]
    edit(folder, "tokenizer.json", post_processor={**step, "single": [first, first, text, last, last]})
    edit(folder, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")


def _left(folder: Path, state: State) -> None:
    edit(folder, "tokenizer_config.json", padding_side="left")


def _capitals_kept(folder: Path, state: State) -> None:
    edit(folder, "tokenizer_config.json", do_lower_case=False)
    edit(folder, "tokenizer.json", normalizer={**document(folder, "tokenizer.json")["normalizer"], "lowercase": False})


def _limits(folder: Path, state: State) -> None:
    edit(folder, "tokenizer_config.json", model_max_length=1000)
    edit(folder, "sentence_bert_config.json", max_seq_length=256)
    truncation = {"max_length": 128, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    padding = {"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0}
    edit(folder, "tokenizer.json", truncation=truncation, padding={**padding, "pad_type_id": 0, "pad_token": "[PAD]"})


MISHAPS = (
    Mishap("wrapper-prefix", _prefixed("module._orig_mod.")),
    Mishap("weights-not-loaded", _prefixed("backbone.text.")),
    Mishap("legacy-layernorm-names", _legacy),
    Mishap("legacy-layernorm-names", _norms_lost, base=True),
    Mishap("tied-weights-dropped", _untied),
    Mishap("pooler-missing", _no_pooler, base=True),
    Mishap("pooler-missing", _masked_lm, base=True),
    Mishap("pooler-untrained", _dead_pooler, base=True),
    Mishap("shape-mismatch", _wrong_sizes),
    Mishap("shape-mismatch", _short_table, base=True),
    Mishap("half-precision-file", lambda folder, state: {key: value.half() for key, value in state.items()}, equal="half"),
    Mishap("random-model", _random, base=True),
    Mishap("conversion-incomplete", _incomplete, base=True),
    Mishap("fine-tuning-absent", _low_rank, equal="rounding"),
    Mishap("config-scalar-differs", _eps, base=True),
    Mishap("token-ids-out-of-range", _token_added, added=("untrained-token-rows",)),
    Mishap("pad-id-conflict", _pad),
    Mishap("pad-id-conflict", _pad_token),
    Mishap("wrong-vocabulary", _ids),
    Mishap("wrong-vocabulary", _moved, base=True),
    Mishap("post-processor-ids-wrong", _template),
    Mishap("special-tokens-missing", _bare),
    Mishap("special-tokens-doubled", _doubled),
    Mishap("left-padding-positions", _left),
    Mishap("uncased-vocab-not-lowercased", _capitals_kept),
    Mishap("conflicting-length-limits", _limits),
)
