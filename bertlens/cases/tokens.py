"""Tokens: what goes wrong between a text and its ids: case, vocabulary, special tokens, length, versions, threads."""

from __future__ import annotations

import copy
import json
import tempfile
import threading
from typing import Any

import torch
from torch import Tensor

from bertlens.cases.plain import (
    CannotArise,
    alone,
    cls,
    copied,
    edited,
    encoded,
    loaded_with,
    masked_mean,
    mean_alone,
    repeated,
)
from bertlens.judge.reproduction import Outcome


def _lower_casing(tokenizer: Any, on: bool) -> Any:
    """The tokenizer loaded with `do_lower_case` set."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return type(tokenizer).from_pretrained(folder, do_lower_case=on)


def _cased_otherwise(model: Any, tokenizer: Any, texts: list[str], lower: bool) -> Outcome:
    """The texts with a capital at every word, by a tokenizer that is loaded with do_lower_case against its nature."""
    texts = [text.title() for text in texts]
    other = _lower_casing(tokenizer, lower)
    if other(texts).input_ids == tokenizer(texts).input_ids:
        does = "lower-cases" if lower else "keeps capitals"
        raise CannotArise(f"its own tokenizer {does}, or knows no do_lower_case")
    truth = alone(model, tokenizer, texts)
    mistaken = cls(model, other, texts)
    mended = cls(model, _lower_casing(other, not lower), texts)
    return truth, mistaken, mended


def lowercased_cased_model(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A cased model's tokenizer is loaded with do_lower_case=True; the texts are given a capital at every word."""
    return _cased_otherwise(model, tokenizer, texts, lower=True)


def uncased_vocab_not_lowercased(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """An uncased model's tokenizer is loaded with do_lower_case=False; the texts are given a capital at every word."""
    return _cased_otherwise(model, tokenizer, texts, lower=False)


def wrong_vocabulary(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The last line of the vocabulary file stands above the other words, so the id of every word is one too high."""

    def moved(held: Any) -> Any:
        words = held["model"]["vocab"]  # a number for each word, or a list of words with their scores
        number = words if isinstance(words, dict) else {word: at for at, (word, _) in enumerate(words)}
        ordinary = sorted(at for word, at in number.items() if word not in tokenizer.all_special_tokens)
        further = dict(zip(ordinary, [*ordinary[1:], ordinary[0]], strict=True))
        if isinstance(words, dict):
            held["model"]["vocab"] = {word: further.get(at, at) for word, at in words.items()}
        else:
            held["model"]["vocab"] = sorted(words, key=lambda entry: further.get(number[entry[0]], number[entry[0]]))
        return held

    truth = alone(model, tokenizer, texts)
    mistaken = cls(model, edited(tokenizer, moved), texts)
    mended = cls(model, tokenizer, texts)
    return truth, mistaken, mended


def token_ids_out_of_range(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A marker token is added to the tokenizer, and to every text, but the embedding matrix keeps its rows."""
    rows = model.get_input_embeddings().num_embeddings
    wider = copy.deepcopy(tokenizer)
    wider.add_tokens([f"<marker{number}>" for number in range(max(1, rows - len(tokenizer) + 1))])
    marked = [f"{wider.convert_ids_to_tokens(len(wider) - 1)} {text}" for text in texts]

    def known(text: str) -> Any:  # the same text with a token that the model has, in the place of the marker
        batch = encoded(wider, [text])
        batch["input_ids"][batch["input_ids"] >= rows] = tokenizer.mask_token_id
        return batch

    truth = torch.cat([model(**known(text)).last_hidden_state[:, 0] for text in marked])
    mistaken: Tensor | Exception
    try:
        mistaken = cls(model, wider, marked)
    except IndexError as error:
        mistaken = error
    resized = copied(model)
    resized.resize_token_embeddings(len(wider), mean_resizing=False)
    table = resized.get_input_embeddings().weight
    table[rows:] = table[tokenizer.mask_token_id]  # a new row needs a value: here it begins as a copy of [MASK]'s
    return truth, mistaken, cls(resized, wider, marked)


def untrained_token_rows(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The embedding matrix is resized again at every start, which draws the rows of the added tokens anew.

    A marker is put before every text. The first draw stands for the rows that somebody trains and relies on.
    """
    wider = copy.deepcopy(tokenizer)
    wider.add_tokens(["<marker>"])
    if len(wider) <= model.get_input_embeddings().num_embeddings:
        raise CannotArise("its embedding matrix has a row for one more token already")
    marked = [f"<marker> {text}" for text in texts]
    first, again = copied(model), copied(model)
    first.resize_token_embeddings(len(wider), mean_resizing=False)
    again.resize_token_embeddings(len(wider), mean_resizing=False)
    saved = loaded_with(first, dict)
    return cls(first, wider, marked), cls(again, wider, marked), cls(saved, wider, marked)


def fast_slow_tokenizer_differ(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """Indexed with the fast tokenizer, queried with the slow one; a word in Greek capitals is put before every text.

    The two do not lower-case a sigma at the end of a word alike.
    """
    from transformers import BertTokenizerLegacy

    if type(tokenizer.backend_tokenizer.model).__name__ != "WordPiece":
        raise CannotArise("transformers has a slow tokenizer only for WordPiece vocabularies")
    texts = [f"ΟΔΟΣ {text}" for text in texts]
    words = tokenizer.get_vocab()
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n".join(sorted(words, key=words.get)))
        file.flush()
        lower = getattr(tokenizer.backend_tokenizer.normalizer, "lowercase", False)
        slow = BertTokenizerLegacy(file.name, do_lower_case=lower, **tokenizer.special_tokens_map)
    slow.model_input_names, slow.model_max_length = tokenizer.model_input_names, tokenizer.model_max_length
    if slow(texts).input_ids == tokenizer(texts).input_ids:
        raise CannotArise("its fast and its slow tokenizer agree about these texts")
    return alone(model, tokenizer, texts), cls(model, slow, texts), cls(model, tokenizer, texts)


def silent_truncation(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A wrapper cuts at fewer tokens than the model takes, without a word. The texts are repeated until longer."""
    limit = min(32, tokenizer.model_max_length // 2)
    long = repeated(tokenizer, texts, limit)
    truth = alone(model, tokenizer, long)
    mistaken = cls(model, tokenizer, long, max_length=limit)
    mended = cls(model, tokenizer, long, max_length=tokenizer.model_max_length)
    return truth, mistaken, mended


def conflicting_length_limits(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The raw tokenizer cuts and pads as tokenizer.json was left at export. The texts are repeated until longer."""
    limit = min(32, tokenizer.model_max_length // 2)
    long = repeated(tokenizer, texts, limit)
    raw = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())

    def read() -> Tensor:
        rows = raw.encode_batch(long)
        ids, mask = ([getattr(row, name) for row in rows] for name in ("ids", "attention_mask"))
        vectors: Tensor = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask)).last_hidden_state[:, 0]
        return vectors

    raw.enable_truncation(limit)
    raw.enable_padding(length=limit, pad_id=tokenizer.pad_token_id)
    mistaken = read()
    raw.enable_truncation(tokenizer.model_max_length)
    raw.enable_padding(pad_id=tokenizer.pad_token_id)
    return alone(model, tokenizer, long), mistaken, read()


def special_tokens_missing(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """Tokenized with add_special_tokens=False, so position 0 holds the first word and not [CLS]."""
    truth = alone(model, tokenizer, texts)
    mistaken = cls(model, tokenizer, texts, add_special_tokens=False)
    mended = cls(model, tokenizer, texts)
    return truth, mistaken, mended


def special_tokens_doubled(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """[CLS] and [SEP] are written into the text, as old tutorials do, and the tokenizer adds them once more."""
    truth = alone(model, tokenizer, texts)
    mistaken = cls(model, tokenizer, [f"{tokenizer.cls_token} {text} {tokenizer.sep_token}" for text in texts])
    mended = cls(model, tokenizer, texts)
    return truth, mistaken, mended


def post_processor_ids_wrong(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The vocabulary was compacted and the template of tokenizer.json kept the ids that [CLS] and [SEP] had before."""

    def with_ids(number: Any) -> Any:
        def change(held: Any) -> Any:
            step = held["post_processor"] or {}
            if "special_tokens" in step:
                for token, entry in step["special_tokens"].items():
                    entry["ids"] = [number(token)]
            elif "cls" in step:
                step["cls"][1], step["sep"][1] = number(step["cls"][0]), number(step["sep"][0])
            else:
                raise CannotArise("its tokenizer.json has no template that holds ids")
            return held

        return change

    now = tokenizer.convert_tokens_to_ids
    stale = edited(tokenizer, with_ids(lambda token: (now(token) + 500) % len(tokenizer)))  # other words' ids now
    mended = edited(stale, with_ids(now))
    return alone(model, tokenizer, texts), cls(model, stale, texts), cls(model, mended, texts)


def prompt_prefix(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The model is taken for one that was trained with "query: " before every text, and gets the bare texts."""
    asked = [f"query: {text}" for text in texts]
    truth = mean_alone(model, tokenizer, asked)
    bare, full = encoded(tokenizer, texts), encoded(tokenizer, asked)
    mistaken = masked_mean(model(**bare).last_hidden_state, bare["attention_mask"])
    mended = masked_mean(model(**full).last_hidden_state, full["attention_mask"])
    return truth, mistaken, mended


def tokenizer_version_drift(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """tokenizer.json lacks the closing token, which one version adds by the tokenizer's class and another does not."""
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        file = Path(folder) / "tokenizer.json"
        held = json.loads(file.read_text("utf-8"))
        template = held["post_processor"] or {}
        if "single" not in template:
            raise CannotArise("its tokenizer.json has no template that could lack a token")
        template["single"] = template["single"][:-1]
        file.write_text(json.dumps(held), "utf-8")
        built = type(tokenizer).from_pretrained(folder)
        as_it_stands = PreTrainedTokenizerFast.from_pretrained(folder)
        if as_it_stands(texts).input_ids == built(texts).input_ids:
            raise CannotArise("its class reads tokenizer.json as it stands")
        built.save_pretrained(folder)
        saved_again = PreTrainedTokenizerFast.from_pretrained(folder)
    return alone(model, built, texts), cls(model, as_it_stands, texts), cls(model, saved_again, texts)


def tokenizer_shared_across_threads(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """Two threads share one tokenizer, and the other one makes a call with max_length=3 in the unlucky moment.

    Every call first sets truncation and padding on the tokenizer and then encodes; the moment lies between the two.
    It is waited for here, so that it comes every time.
    """

    def interrupted(mine: Any, theirs: Any) -> Tensor:
        def unlucky(**settings: Any) -> None:
            del mine.set_truncation_and_padding
            mine.set_truncation_and_padding(**settings)
            options = {"padding": True, "truncation": True, "max_length": 3}
            other = threading.Thread(target=theirs, args=(["another text"],), kwargs=options)
            other.start()
            other.join()

        mine.set_truncation_and_padding = unlucky
        return cls(model, mine, texts)

    shared, own = copy.deepcopy(tokenizer), copy.deepcopy(tokenizer)
    return alone(model, tokenizer, texts), interrupted(shared, shared), interrupted(own, copy.deepcopy(tokenizer))
