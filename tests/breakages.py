"""Breakages: forty-odd things that people do to a sound checkpoint, each with the finding that must come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.checkpoints import LAYER, Folder, added, both, drawn, dropped, mapped, prefixed, renamed

Break = Callable[[Folder], Any]
CLASSIFIER = {"classifier__weight": torch.randn(2, 384) * 0.02, "classifier__bias": torch.tensor([0.01, -0.01])}
SEQUENCE = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "bad", "1": "good"}}


def weights(change: Any) -> Break:
    return lambda folder: folder.weights(change)


def config(**entries: Any) -> Break:
    return lambda folder: folder.config(**entries)


def in_tokenizer(change: Callable[[Any], Any]) -> Break:
    return lambda folder: folder.edit("tokenizer.json", change)


def halved(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}


def integers(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: (value * 100).to(torch.int8) if value.dim() == 2 else value for key, value in tensors.items()}


def transposed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    wide = ("intermediate.dense.weight", f"{LAYER}output.dense.weight")
    return {key: value.T if key.endswith(wide) else value for key, value in tensors.items()}


def decoder_only(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    table = tensors.pop("embeddings.word_embeddings.weight")
    return {**tensors, "cls.predictions.decoder.weight": table}


def damaged(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    tensors[f"{LAYER}output.dense.weight"][3, 4] = 1e30
    return tensors


def no_special_tokens(folder: Folder) -> None:
    folder.edit("tokenizer.json", lambda held: {**held, "post_processor": None})
    folder.document("tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")


def wrong_template(held: Any) -> Any:
    held["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [2000]
    return held


def shifted_lines(folder: Folder) -> None:
    path = folder.path / "vocab.txt"
    path.write_text("\n" + path.read_text("utf-8"), "utf-8")


def more_tokens(folder: Folder) -> None:
    found = transformers.AutoTokenizer.from_pretrained(folder.path)
    found.add_tokens(["<product>", "<brand>"])
    found.save_pretrained(folder.path)


def grown(near_the_mean: bool) -> Break:
    def change(folder: Folder) -> None:
        more_tokens(folder)
        name = "embeddings.word_embeddings.weight"
        table = load_file(folder.path / "model.safetensors")[name]
        new = table.mean(0) + 1e-6 * torch.randn(2, 384) if near_the_mean else torch.randn(2, 384) * 0.02
        folder.weights(lambda tensors: {**tensors, name: torch.cat([table, new])}).config(vocab_size=30524)

    return change


def adapter(folder: Folder) -> None:
    folder.document("adapter_config.json", peft_type="LORA", base_model_name_or_path="x", r=8, lora_alpha=16)
    lora = {"base_model.model.encoder.layer.0.attention.self.query.lora_B.weight": torch.zeros(384, 8)}
    save_file(lora, folder.path / "adapter_model.safetensors")


def two_modes(folder: Folder) -> None:
    folder.document("1_Pooling/config.json", pooling_mode_cls_token=True)


BROKEN: dict[str, tuple[Break, str]] = {
    "DataParallel": (weights(prefixed("module.")), "wrapper-prefix"),
    "compiled and wrapped": (weights(prefixed("_orig_mod.module.")), "wrapper-prefix"),
    "only a part wrapped": (weights(renamed("encoder.", "encoder._checkpoint_wrapped_module.")), "wrapper-prefix"),
    "a trainer's prefix": (weights(prefixed("model.")), "weights-not-loaded"),
    "sentence-transformers prefix": (weights(prefixed("0.auto_model.")), "weights-not-loaded"),
    "an unknown prefix": (weights(prefixed("backbone.text_tower.")), "weights-not-loaded"),
    "the encoder alone": (weights(renamed("encoder.layer", "layer")), "weights-not-loaded"),
    "another family's names": (weights(renamed("attention.self", "attn")), "weights-not-loaded"),
    "no pooler": (weights(dropped("pooler")), "pooler-missing"),
    "pooler never trained": (weights(drawn("pooler")), "pooler-untrained"),
    "pooler never trained, decayed": (weights(drawn("pooler", 0.004)), "pooler-untrained"),
    "four of six layers": (config(num_hidden_layers=4), "shape-mismatch"),
    "eight of six layers": (config(num_hidden_layers=8), "shape-mismatch"),
    "more positions": (config(max_position_embeddings=1024), "shape-mismatch"),
    "another vocabulary size": (config(vocab_size=30000), "shape-mismatch"),
    "words drawn anew": (weights(drawn("word_embeddings")), "shape-mismatch"),
    "positions drawn anew": (weights(drawn("position_embeddings")), "shape-mismatch"),
    "a layer drawn anew": (weights(drawn("encoder.layer.5.")), "shape-mismatch"),
    "one matrix drawn anew": (weights(drawn(f"{LAYER}output.dense")), "conversion-incomplete"),
    "one weight lost": (weights(dropped(f"{LAYER}attention.self.key.weight")), "conversion-incomplete"),
    "kernels transposed": (weights(transposed), "conversion-incomplete"),
    "NaN": (weights(mapped(f"{LAYER}output.dense.weight", lambda value: value * torch.nan)), "conversion-incomplete"),
    "Inf": (weights(mapped(f"{LAYER}output.dense.bias", lambda value: value / 0)), "conversion-incomplete"),
    "zeros": (weights(mapped(f"{LAYER}output.dense.weight", torch.zeros_like)), "conversion-incomplete"),
    "a flipped exponent": (weights(damaged), "conversion-incomplete"),
    "LayerNorms lost": (weights(drawn("LayerNorm")), "legacy-layernorm-names"),
    "a random model": (weights(drawn("")), "random-model"),
    "tied embeddings dropped": (weights(decoder_only), "tied-weights-dropped"),
    "head count 6": (config(num_attention_heads=6), "head-count-wrong"),
    "head count 24": (config(num_attention_heads=24), "head-count-wrong"),
    "eps of the framework": (config(layer_norm_eps=1e-5), "config-scalar-differs"),
    "tanh GELU": (config(hidden_act="gelu_new"), "config-scalar-differs"),
    "BERT under RoBERTa's class": (config(model_type="roberta", architectures=["RobertaModel"]), "wrong-architecture-class"),
    "BERT's class named, RoBERTa's type": (config(model_type="roberta"), "wrong-architecture-class"),
    "half precision in the file": (weights(halved), "half-precision-file"),
    "half precision in the config": (config(dtype="bfloat16"), "half-precision-file"),
    "integers": (weights(integers), "quantised-weights"),
    "an adapter beside it": (adapter, "fine-tuning-absent"),
    "an adapter unmerged": (weights(renamed("query.", "query.base_layer.")), "fine-tuning-absent"),
    "classifier missing": (config(**SEQUENCE), "classifier-untrained"),
    "classifier of other size": (
        lambda folder: folder.weights(both(prefixed("bert."), added(**CLASSIFIER))).config(
            **SEQUENCE | {"id2label": {"0": "a", "1": "b", "2": "c"}}
        ),
        "classifier-untrained",
    ),
    "not lower-cased": (
        lambda folder: folder.document("tokenizer_config.json", do_lower_case=False),
        "uncased-vocab-not-lowercased",
    ),
    "vocabulary shifted": (shifted_lines, "wrong-vocabulary"),
    "more tokens than rows": (more_tokens, "token-ids-out-of-range"),
    "added rows drawn": (grown(near_the_mean=False), "untrained-token-rows"),
    "added rows near the mean": (grown(near_the_mean=True), "untrained-token-rows"),
    "another padding id": (config(pad_token_id=1), "pad-id-conflict"),
    "template with foreign ids": (in_tokenizer(wrong_template), "post-processor-ids-wrong"),
    "no template": (no_special_tokens, "special-tokens-missing"),
    "padding on the left": (
        lambda folder: folder.document("tokenizer_config.json", padding_side="left"),
        "left-padding-positions",
    ),
    "three length limits": (
        lambda folder: folder.document("sentence_bert_config.json", max_seq_length=128),
        "conflicting-length-limits",
    ),
    "two poolings declared": (two_modes, "pooling-recipe-not-followed"),
}
