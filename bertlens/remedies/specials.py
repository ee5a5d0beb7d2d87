"""Specials: ids of special tokens that contradict each other, the template around a text, and the side of the padding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bertlens.remedies.work import Work
from bertlens.run import documents
from bertlens.run.dossier import Dossier
from bertlens.run.rewrite import TOKENIZER

INSTEAD = {"pad": "pad", "cls": "cls", "sep": "sep", "mask": "mask", "unk": "unk", "bos": "cls", "eos": "sep"}
"""The token behind an id of config.json, and the one that stands for it in families without it."""

Place = tuple[str | int, ...]


def padding_id(work: Work) -> None:
    """Give padding one id: the tokenizer's, unless the embedding matrix shows that the config's row is the padding."""
    tokenizer = work.tokenizer
    own, stated = tokenizer.pad_token_id, getattr(work.source.config, "pad_token_id", None)
    token = tokenizer.convert_ids_to_tokens(stated) if stated is not None and stated < len(tokenizer) else None
    if own is None and token not in ("[PAD]", "<pad>"):
        raise work.refuse(
            f"a tokenizer without padding, and id {stated} of the config is {token}", do="name a padding token in it"
        )
    if own is None or (own != stated and _blank(work.source, stated) and not _blank(work.source, own)):
        own = stated
        work.set("tokenizer_config.json", "pad_token", to=token)
        if work.source.documents["special_tokens_map.json"]:
            work.set("special_tokens_map.json", "pad_token", to=token)
        work.done.append(
            f"Set the tokenizer's pad_token to {token}, id {own}: that row of the embedding matrix is the padding."
        )
    elif work.set("config.json", "pad_token_id", to=own):
        work.done.append(f"Set pad_token_id in config.json to {own}, the id of {tokenizer.pad_token}; it was {stated}.")
    padding = work.source.documents["tokenizer.json"].get("padding")
    if isinstance(padding, dict):
        name = tokenizer.convert_ids_to_tokens(own)
        if work.set("tokenizer.json", "padding", "pad_id", to=own) | work.set(
            "tokenizer.json", "padding", "pad_token", to=name
        ):
            work.done.append(f"Set the padding of tokenizer.json to {name}, id {own}.")


def _blank(dossier: Dossier, row: Any) -> bool:
    """Whether a row of the word embeddings is exactly zero, as a padding row stays in training."""
    table = dossier.word_embeddings
    return table is not None and isinstance(row, int) and 0 <= row < len(table) and not bool(table[row].any())


def special_ids(work: Work) -> None:
    """Set the ids of special tokens in config.json to the tokenizer's; with a base, take its whole tokenizer."""
    if work.base is not None:
        _tokenizer_of_base(work)
        return
    tokenizer, config = work.tokenizer, work.source.documents["config.json"]
    for name, instead in INSTEAD.items():
        own = [getattr(tokenizer, f"{one}_token_id", None) for one in (name, instead)]
        allowed, key = [number for number in own if number is not None], f"{name}_token_id"
        if isinstance(config.get(key), int) and allowed and config[key] not in allowed:
            work.set("config.json", key, to=allowed[0])
            work.done.append(f"Set {key} in config.json to {allowed[0]}; it was {config[key]}, another token.")
    if not work.done:
        raise work.refuse(
            "a vocabulary that is not the one of the weights, which no file here can mend",
            expected="--from BASE, to take the tokenizer of the checkpoint that this one was trained from",
        )


def _tokenizer_of_base(work: Work) -> None:
    base, table = work.named_base(), work.source.word_embeddings
    if base.tokenizer is None:
        raise work.refuse(f"no tokenizer in {base.name}", expected="a base with one")
    ids = base.tokenizer.get_vocab().values()
    if table is not None and max(ids) >= len(table):
        raise work.refuse(f"a tokenizer with ids up to {max(ids)} for {len(table)} embeddings", do="name another base")
    for name in TOKENIZER:
        file = base.folder / name
        work.replace(name, documents.inside(file, base.documents.root) if file.is_file() else None)
    work.done.append(f"Took the tokenizer of {base.name}. It is the right one if the weights were trained with it.")


def template_ids(work: Work) -> None:
    """Write the ids of the vocabulary into the template of tokenizer.json."""
    held = _held(work)
    for path, token, number in list(_written((), work.source.documents["tokenizer.json"].get("post_processor"))):
        if token not in held:
            raise work.refuse(
                f"a template with {token}, which the vocabulary does not have", do="add the token, or use another"
            )
        if work.set("tokenizer.json", "post_processor", *path, to=held[token]):
            work.done.append(f"Set the id of {token} in the template of tokenizer.json to {held[token]}; it was {number}.")


def _held(work: Work) -> dict[str, int]:
    """Tokens with the ids that tokenizer.json itself gives them; its vocabulary wins over its added tokens."""
    written = work.source.documents["tokenizer.json"]
    listed = written.get("model", {}).get("vocab")
    held = {str(entry["content"]): int(entry["id"]) for entry in written.get("added_tokens") or ()}
    if isinstance(listed, dict):
        held |= listed
    elif isinstance(listed, list):
        held |= {str(entry[0]): at for at, entry in enumerate(listed)}
    return held


def _written(path: Place, step: Any) -> Iterator[tuple[Place, str, int]]:
    """Every id that a post-processor puts in, with its place in the document."""
    if not isinstance(step, dict):
        return
    for at, inner in enumerate(step.get("processors") or ()):
        yield from _written((*path, "processors", at), inner)
    for key in ("sep", "cls"):  # BertProcessing and RobertaProcessing: ["[SEP]", 102]
        if isinstance(step.get(key), list):
            yield (*path, key, 1), str(step[key][0]), step[key][1]
    listed = step.get("special_tokens")
    for token, entry in listed.items() if isinstance(listed, dict) else ():
        for at, number in enumerate(entry["ids"]):
            yield (*path, "special_tokens", token, "ids", at), str(entry["tokens"][at]), number


def template(work: Work) -> None:
    """Write the post-processor that puts [CLS] before a text and [SEP] behind it."""
    tokenizer, held = work.tokenizer, _held(work)
    cls = next((t for t in (tokenizer.cls_token, tokenizer.bos_token, "[CLS]", "<s>") if t in held), None)
    sep = next((t for t in (tokenizer.sep_token, tokenizer.eos_token, "[SEP]", "</s>") if t in held), None)
    if cls is None or sep is None:
        raise work.refuse(
            "a vocabulary without [CLS] and [SEP], or <s> and </s>", do="take the tokenizer saved with the weights"
        )
    for name, token in (("cls_token", cls), ("sep_token", sep)):
        work.set("tokenizer_config.json", name, to=token)
    work.set("tokenizer.json", "post_processor", to=_template(cls, sep, held, tokenizer))
    work.done.append(f"Wrote the template of tokenizer.json: {cls} before a text, {sep} behind it, each once.")


def _template(cls: str, sep: str, held: dict[str, int], tokenizer: Any) -> dict[str, Any]:
    """A template in tokenizer.json's words; RoBERTa's families put two </s> between texts and have one segment."""
    robust = sep == "</s>"
    second = 0 if robust or "token_type_ids" not in tokenizer.model_input_names else 1

    def special(token: str, kind: int = 0) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": kind}}

    def text(name: str, kind: int = 0) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": kind}}

    single = [special(cls), text("A"), special(sep)]
    pair = [*single, *([special(sep)] if robust else []), text("B", second), special(sep, second)]
    tokens = {token: {"id": token, "ids": [held[token]], "tokens": [token]} for token in dict.fromkeys((cls, sep))}
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}


def pad_right(work: Work) -> None:
    """Pad behind the text in every file that names a side."""
    if work.set("tokenizer_config.json", "padding_side", to="right"):
        work.done.append(
            "Set padding_side in tokenizer_config.json to right: position 0 is the first token of every text again."
        )
    padding = work.source.documents["tokenizer.json"].get("padding")
    if isinstance(padding, dict) and work.set("tokenizer.json", "padding", "direction", to="Right"):
        work.done.append("Set the padding direction of tokenizer.json to Right.")
