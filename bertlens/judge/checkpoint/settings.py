"""Settings: what config.json says against what the file holds and what the family is known to use."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
import transformers

from bertlens.errors import BertlensError
from bertlens.judge.findings import Finding, named
from bertlens.judge.weights.heads import head_size
from bertlens.read.projections import NAME, projections
from bertlens.run import blueprint
from bertlens.run.dossier import Dossier

PUBLISHED_EPS = {"roberta": 1e-5, "xlm-roberta": 1e-5, "camembert": 1e-5, "mpnet": 1e-5, "ernie": 1e-5, "data2vec-text": 1e-5}
"""layer_norm_eps of published models where it is another one than the config class's own."""

PUBLISHED_ACT = {"albert": ("gelu", "gelu_new")}
"""hidden_act of published models where there are several."""

PUBLISHED_HEAD_SIZES = (26, 32, 64, 128)
"""Units of one attention head in published encoders: TinyBERT, MiniLM, nearly all, ALBERT-xlarge."""

PUBLISHED_HEAD_FROM = 256
"""Narrower models are made for tests, with heads of any size."""

HALF = ("float16", "bfloat16")
QUANTISED = ("int8", "uint8", "float8_e4m3fn", "float8_e5m2")
SCALES = (".SCB", ".qweight", ".qzeros", ".scales", "weight_scale", ".quant_state", ".absmax", "scale_weight")
"""How quantised files name the numbers that give their integers a size."""


def of_config(dossier: Dossier) -> list[Finding]:
    """What the config contradicts, the gravest first."""
    return [
        *_quantised(dossier),
        *_family(dossier),
        *_heads(dossier),
        *_adapter(dossier),
        *_scalars(dossier),
        *_half(dossier),
    ]


def _quantised(dossier: Dossier) -> Iterator[Finding]:
    kinds = Counter(entry.dtype for entry in dossier.weights.entries.values() if len(entry.shape) > 1)
    whole = {kind: count for kind, count in kinds.items() if kind in QUANTISED}
    scales = [key for key in dossier.weights if key.endswith(SCALES)]
    declared = dossier.documents["config.json"].get("quantization_config")
    if not (whole or scales or declared):
        return
    method = declared.get("quant_method", "") if isinstance(declared, dict) else ""
    evidence = {"formats": dict(kinds), "scales": scales[:3], "quantization_config": method or bool(declared)}
    if declared:
        title = f"The weights are quantised{f' ({method})' if method else ''}: every vector is rounded with them"
        yield named("quantised-weights", "caution", evidence, ("everything",), title)
    else:
        title = (
            f"{sum(whole.values()) or len(scales)} matrices are quantised, but the config has no quantization_config: "
            "from_pretrained reads the integers as if they were weights"
        )
        yield named("quantised-weights", "problem", evidence, ("everything",), title)


def _family(dossier: Dossier) -> Iterator[Finding]:
    """A file of one family under the class of another: nothing is missing, only positions are counted otherwise."""
    signs = _signs(dossier)
    other = _other_class(dossier)
    if len(signs) < 2 and not other:
        return
    kind, encoder = dossier.config.model_type, dossier.encoder
    if other:
        title = f"config.json says model_type {kind}, but a {other} was saved: the two count positions differently"
    else:
        ways = ("RoBERTa's", "BERT's") if encoder.positions_from_ids else ("BERT's", "RoBERTa's")
        title = f"The class of model_type {kind} counts positions in {ways[0]} way, the file looks like {ways[1]}: {signs[0]}"
    evidence = {"model_type": kind, "class": encoder.name, "saved_as": other, "signs": signs}
    yield named("wrong-architecture-class", "problem", evidence, ("everything",), title)


def _other_class(dossier: Dossier) -> str:
    """The class that the config names as the saved one, if it counts positions otherwise than that of its model_type."""
    for wanted in dossier.documents["config.json"].get("architectures") or []:
        kind = getattr(transformers, str(wanted), None)
        if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
            continue
        config = getattr(kind, "config_class", None)
        if config is None or isinstance(dossier.config, config):
            continue
        if blueprint.base(config(), str(wanted)).positions_from_ids != dossier.encoder.positions_from_ids:
            return str(wanted)
    return ""


def _signs(dossier: Dossier) -> list[str]:
    """Signs in the position table and the padding id that the positions were counted the other way."""
    found = dossier.encoder.position_table
    table = None if found is None else dossier.tensor(found[0])
    if found is None or table is None or len(table) < 4:
        return []
    rows, signs = len(table), []
    try:
        tokenizer = dossier.tokenizer
    except BertlensError:
        tokenizer = None  # told by `of_tokenizer`
    padding = getattr(tokenizer, "pad_token_id", None)
    if dossier.encoder.positions_from_ids:
        first = int(found[1].padding_idx or 0) + 1
        if rows % 8 == 0 and (rows - first) % 8:
            signs.append(f"its {rows} positions leave {rows - first} tokens after the {first} that RoBERTa sets aside")
        if tokenizer is not None and tokenizer.cls_token == "[CLS]" and padding == 0:
            signs.append("its tokenizer pads with 0 and begins with [CLS], as BERT's does")
        if bool(table[first - 1].any()):
            signs.append(f"row {first - 1} of its positions, which RoBERTa keeps for padding, is not zero")
    else:
        if rows % 8 == 2:
            signs.append(f"its {rows} positions are {rows - 2} and the 2 that RoBERTa sets aside")
        if padding == 1:
            signs.append("its tokenizer pads with 1, as RoBERTa's does")
        if not bool(table[1].any()):
            signs.append("row 1 of its positions is zero, which RoBERTa keeps for padding")
    return signs


def _heads(dossier: Dossier) -> Iterator[Finding]:
    """A head count that the weights contradict; where they do not tell, one that no published encoder of the size has."""
    if not getattr(dossier.config, "num_attention_heads", None):
        return  # FNet mixes tokens without attention
    wanted = [name for name in dossier.alignment.loaded if NAME.fullmatch(name) or "position_embeddings" in name]
    found = head_size(projections({name: dossier.alignment.read(name, dossier.weights).float() for name in wanted}))
    heads, hidden = int(dossier.config.num_attention_heads), int(dossier.config.hidden_size)
    evidence = {"config_heads": heads, "head_size": hidden // heads, "weights_heads": found.heads, "margin": found.margin}
    if found.heads is not None and found.heads != heads:
        title = f"The config says {heads} attention heads, the weights were trained with {found.heads}"
        remedy = f"Set num_attention_heads to {found.heads} in config.json. {found.sentence}"
        finding = named("head-count-wrong", "problem", evidence, ("everything",), title)
        yield replace(finding, remedy=remedy, code=f"config.num_attention_heads = {found.heads}")
    elif found.heads is None and hidden >= PUBLISHED_HEAD_FROM and hidden // heads not in PUBLISHED_HEAD_SIZES:
        title = f"{heads} attention heads of {hidden // heads} are unusual, and these weights do not tell the right number"
        yield named("head-count-wrong", "caution", evidence, ("everything",), title)


def _adapter(dossier: Dossier) -> Iterator[Finding]:
    """An adapter beside the weights, which `AutoModel` alone does not apply, or one that was never trained."""
    declared = dossier.documents["adapter_config.json"]
    file = dossier.folder / "adapter_model.safetensors"
    if not declared and not file.is_file():
        return
    evidence: dict[str, Any] = {"kind": declared.get("peft_type"), "base": declared.get("base_model_name_or_path")}
    title = "The folder holds an adapter beside the weights: without peft, AutoModel runs the base model without it"
    if file.is_file():
        evidence |= _lora(file)
        if evidence.get("lora_B") and evidence["lora_B_zero"] == evidence["lora_B"]:
            title = f"All {evidence['lora_B']} lora_B matrices of the adapter are zero: it changes nothing"
    code = f'model = peft.PeftModel.from_pretrained(model, "{dossier.folder.name}").merge_and_unload()'
    yield replace(named("fine-tuning-absent", "problem", evidence, ("everything",), title), code=code)


def _lora(file: Any) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as held:
            keys = [key for key in held.keys() if "lora_B" in key]  # noqa: SIM118 - a handle is no dictionary
            return {"lora_B": len(keys), "lora_B_zero": sum(not bool(held.get_tensor(key).any()) for key in keys)}
    except (SafetensorError, OSError):
        return {"file": "broken"}


def _scalars(dossier: Dossier) -> Iterator[Finding]:
    """Numbers and functions that no shape reveals, where they are unusual for the family."""
    kind = dossier.config.model_type
    usual = type(dossier.config)()
    unusual: dict[str, tuple[Any, Any]] = {}
    for key in ("layer_norm_eps", "norm_eps"):
        value, default = getattr(dossier.config, key, None), getattr(usual, key, None)
        if (
            value is not None
            and default is not None
            and not any(_near(value, one) for one in (default, PUBLISHED_EPS.get(kind)))
        ):
            unusual[key] = (value, PUBLISHED_EPS.get(kind, default))
    for key in ("hidden_act", "hidden_activation", "activation"):
        value, default = getattr(dossier.config, key, None), getattr(usual, key, None)
        if value is not None and default is not None and value not in PUBLISHED_ACT.get(kind, (default,)):
            unusual[key] = (value, default)
    if unusual:
        words = ", ".join(f"{key} {value} (published {kind} models: {default})" for key, (value, default) in unusual.items())
        evidence = {key: {"config": value, "usual": default} for key, (value, default) in unusual.items()}
        title = f"Unusual for the family, and no weight can tell whether it is right: {words}"
        remedy = "Take the value from the config of the model that the weights come from."
        yield replace(named("config-scalar-differs", "caution", evidence, ("every vector",), title), remedy=remedy)


def _near(value: Any, other: Any) -> bool:
    return isinstance(value, float | int) and isinstance(other, float | int) and abs(value - other) <= 1e-3 * abs(other)


def _half(dossier: Dossier) -> Iterator[Finding]:
    """A file, or a config, that makes transformers 5 load the model in half precision without being asked."""
    kinds = Counter[str]()
    for entry in dossier.weights.entries.values():
        if entry.dtype.startswith(("float", "bfloat")):
            kinds[entry.dtype] += math.prod(entry.shape)  # matrices in half precision between LayerNorms in full
    wanted = str(dossier.documents["config.json"].get("dtype") or dossier.documents["config.json"].get("torch_dtype") or "")
    held = kinds.most_common(1)[0][0] if kinds else ""
    if held not in HALF and wanted not in HALF:
        return
    stored = f"The file holds {held}" if held in HALF else f"The file holds {held}, the config asks for {wanted}"
    title = f"{stored}: transformers 5 loads the model in it unless dtype=torch.float32 is passed"
    evidence = {
        "file": dict(kinds),
        "config": wanted or None,
        "eps": torch.finfo(getattr(torch, held if held in HALF else wanted)).eps,
    }
    yield named("half-precision-file", "caution", evidence, ("every vector",), title)


def declares_pooling(dossier: Dossier) -> bool:
    """Whether the checkpoint says itself how vectors are pooled, so that nobody has to read `pooler_output`."""
    return dossier.documents.module("Pooling") is not None
