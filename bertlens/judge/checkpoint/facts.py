"""Facts: what each file of a checkpoint says about it, as a table; nothing in it is judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from bertlens.errors import BertlensError
from bertlens.judge.checkpoint.lengths import limits
from bertlens.judge.checkpoint.recipe import declared
from bertlens.judge.tokenizer import vocabulary as vocabularies
from bertlens.judge.tokenizer.vocabulary import UNSET, paper, some
from bertlens.run.dossier import Dossier

SIZES = {
    "model_type": "kind of model",
    "architectures": "classes that were saved",
    "num_hidden_layers": "layers",
    "hidden_size": "hidden size",
    "embedding_size": "embedding size",
    "num_attention_heads": "attention heads",
    "intermediate_size": "intermediate size",
    "hidden_act": "activation",
    "hidden_activation": "activation",
    "layer_norm_eps": "LayerNorm eps",
    "norm_eps": "LayerNorm eps",
    "vocab_size": "vocabulary size",
    "max_position_embeddings": "position rows",
    "type_vocab_size": "segment types",
    "initializer_range": "initialiser range",
    "transformers_version": "saved by transformers",
}


@dataclass(frozen=True)
class Fact:
    """One statement of one file.

    Attributes
    ----------
    group : "config", "tokenizer", or "declared".
    name : what is stated.
    value : plain JSON.
    source : the file that states it, or the class that makes it so.
    """

    group: str
    name: str
    value: Any
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def facts(dossier: Dossier) -> tuple[Fact, ...]:
    """Every fact, group by group."""
    return (*_config(dossier), *_tokenizer(dossier), *_declared(dossier))


def _config(dossier: Dossier) -> Iterator[Fact]:
    stated, config = dossier.documents["config.json"], dossier.config
    for key, name in SIZES.items():
        value = getattr(config, key, stated.get(key))
        if value is not None:
            yield Fact("config", name, value, "config.json" if key in stated else f"default of {type(config).__name__}")
    number_format = stated.get("dtype", stated.get("torch_dtype"))
    if number_format is not None:
        yield Fact("config", "number format", str(number_format), "config.json")
    for name in ("pad", "cls", "sep", "bos", "eos"):
        if isinstance(value := getattr(config, f"{name}_token_id", None), int):
            source = "config.json" if f"{name}_token_id" in stated else f"default of {type(config).__name__}"
            yield Fact("config", f"{name} id", value, source)
    yield Fact("config", "rows of the word embedding", vocabularies.rows(dossier), ", ".join(dossier.weights.files))
    yield Fact("config", "tokens per row", dossier.encoder.positions, dossier.encoder.name)
    yield Fact("config", "pooler", "pooler_output" in dossier.encoder.outputs, dossier.encoder.name)
    if any("Classification" in str(name) for name in getattr(config, "architectures", None) or []):
        yield Fact("config", "labels", [str(name) for name in (config.id2label or {}).values()][:20], "config.json")


def _tokenizer(dossier: Dossier) -> Iterator[Fact]:
    try:
        vocabulary = vocabularies.of(dossier)
    except BertlensError as error:
        yield Fact("tokenizer", "cannot be loaded", error.got, "tokenizer files")
        return
    if vocabulary is None:
        return
    own, kind = vocabulary.tokenizer, type(vocabulary.tokenizer).__name__
    yield Fact("tokenizer", "class", kind, "AutoTokenizer")
    yield Fact("tokenizer", "algorithm", vocabulary.kind or "Python", kind)
    yield Fact("tokenizer", "tokens", len(vocabulary.ids), kind)
    yield Fact("tokenizer", "added tokens", len(vocabulary.ids) - len(vocabulary.base), kind)
    yield from (
        Fact("tokenizer", f"{name} id", number, f"{kind} ({token})") for name, (token, number) in vocabulary.named().items()
    )
    yield from _letters(dossier, vocabulary)
    yield Fact("tokenizer", "padding side", own.padding_side, kind)
    yield Fact("tokenizer", "truncation side", own.truncation_side, kind)
    around = vocabulary.cut(["a b"], specials=True)
    if around:
        yield Fact("tokenizer", "“a b” becomes", [str(token) for token in own.convert_ids_to_tokens(around[0])], kind)
    segments = "token_type_ids" in own.model_input_names
    yield Fact("tokenizer", "returns segment ids", segments, kind)


def _letters(dossier: Dossier, vocabulary: vocabularies.Vocabulary) -> Iterator[Fact]:
    stated = paper(dossier.documents, "tokenizer_config.json")
    for key in ("do_lower_case", "strip_accents", "tokenize_chinese_chars"):
        if key in stated:
            yield Fact("tokenizer", key, stated[key], "tokenizer_config.json")
    if vocabulary.pipeline is not None:
        normal = vocabulary.pipeline.normalizer
        text = "Ä" if normal is None else normal.normalize_str("Ä")
        yield Fact("tokenizer", "“Ä” becomes", text, type(vocabulary.tokenizer).__name__)


def _declared(dossier: Dossier) -> Iterator[Fact]:
    found = limits(dossier)
    yield from (Fact("declared", "most tokens", tokens, place) for place, tokens in found.stated.items())
    unlimited = paper(dossier.documents, "tokenizer_config.json").get("model_max_length")
    if isinstance(unlimited, int | float) and unlimited >= UNSET:
        yield Fact("declared", "most tokens", "no limit", "tokenizer_config.json model_max_length")
    if found.fixed is not None:
        yield Fact("declared", "every text padded to", found.fixed, "tokenizer.json padding")
    recipe = declared(dossier.documents)
    if recipe is not None:
        yield Fact("declared", "modules", list(recipe.kinds), "modules.json")
        yield Fact("declared", "recipe", recipe.words, "modules.json")
        yield Fact("declared", "readout", recipe.readout or "none can carry it out", "modules.json")
        yield Fact("declared", "normalised", recipe.normalised, "modules.json")
    sentence = dossier.documents["sentence_bert_config.json"]
    if "do_lower_case" in sentence:
        yield Fact("declared", "text lower-cased first", sentence["do_lower_case"], "sentence_bert_config.json")
    prompts = dossier.documents["config_sentence_transformers.json"].get("prompts")
    if isinstance(prompts, dict) and prompts:
        chosen = {str(name): str(prompts[name]) for name in some(list(prompts), 10)}
        yield Fact("declared", "prompts", chosen, "config_sentence_transformers.json")
