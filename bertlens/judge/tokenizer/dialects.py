"""Dialects: one folder that two readers of its tokenizer files cut into different tokens."""

from __future__ import annotations

import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from bertlens.errors import BertlensError
from bertlens.judge.findings import Finding, named
from bertlens.judge.tokenizer import vocabulary as vocabularies
from bertlens.judge.tokenizer.vocabulary import Vocabulary, cutter, some
from bertlens.run import loading
from bertlens.run.dossier import Dossier

PROBES: tuple[Any, ...] = (
    "The quick brown fox jumps over the lazy dog.",
    "Émile's café, naïve façade: 3.14 €!",
    "İSTANBUL Straße ŁÓDŹ Ångström",
    "don't stop-word e-mail@example.org #tag",
    "漢字かな交じり文 中国 한국어",
    "हिन्दी العربية עברית",
    "tabs\tand\nnew lines   and \u00a0 wide\u3000spaces",
    "zero\u200bwidth \u00adsoft \ufffd \x07bell",
    "👩‍👩‍👧 emoji 😀🏽 ☃",
    "``quoted'' “curly” … – —",
    "a" * 150,
    ("one text", "and another"),
)
"""Texts on which readers of tokenizer files are known to part: capitals, accents, scripts, white space, signs."""
SLOW_FILES = ("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")


@dataclass(frozen=True)
class Flag:
    """One setting: what tokenizer_config.json states, what tokenizer.json does, and what the loaded tokenizer does."""

    name: str
    stated: bool | None
    written: bool
    loaded: bool

    @property
    def split(self) -> bool:
        """Whether the two pipelines do not do the same."""
        return self.written != self.loaded

    @property
    def contradiction(self) -> bool:
        """Whether the three do not agree."""
        return self.split or self.stated not in (None, self.loaded)


def of_dialects(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """tokenizer.json against the flags beside it, and against the vocabulary file beside it."""
    written = vocabularies.as_written(dossier)
    if written is None or vocabulary.pipeline is None:
        return []
    flags = [flag for flag in _flags(dossier, written, vocabulary.pipeline) if flag.contradiction]
    parted = _parted(written, vocabulary.pipeline)
    if flags:
        return [_of_flags(flags, parted, vocabulary)]
    slow = _slow(dossier)
    if slow is not None and (apart := _parted(written, slow)) is not None:
        return [_of_files(apart, vocabulary)]
    return [] if parted is None else [_of_classes(parted, vocabulary)]


def _flags(dossier: Dossier, written: Tokenizer, loaded: Tokenizer) -> list[Flag]:
    stated = dossier.documents["tokenizer_config.json"]
    effects: dict[str, Callable[[Tokenizer], bool]] = {
        "do_lower_case": lambda pipeline: _normal(pipeline, "A") == "a",
        "strip_accents": lambda pipeline: not _marked(_normal(pipeline, "é")),
        "keep_accents": lambda pipeline: _marked(_normal(pipeline, "é")),
        "tokenize_chinese_chars": lambda pipeline: _normal(pipeline, "中") != "中",
    }
    if "ByteLevel" in repr(written.pre_tokenizer):
        effects["add_prefix_space"] = _prefixed
    flags = [Flag(name, _stated(stated, name), effect(written), effect(loaded)) for name, effect in effects.items()]
    mentioned = [flag for flag in flags if flag.stated is not None or flag.name not in ("keep_accents",)]
    around = Flag("special tokens around a text", None, _wraps(written), _wraps(loaded))
    return [*mentioned, around, *_ends(stated, written, loaded)]


def _stated(config: dict[str, Any], name: str) -> bool | None:
    value = config.get(name)
    return value if isinstance(value, bool) else None


def _ends(config: dict[str, Any], written: Tokenizer, loaded: Tokenizer) -> list[Flag]:
    """add_bos_token and add_eos_token, which version 5 ignores beside a tokenizer.json."""
    flags = []
    for name, key, at in (("add_bos_token", "bos_token", 0), ("add_eos_token", "eos_token", -1)):
        token = config.get(key)
        content = token.get("content") if isinstance(token, dict) else token
        stated = _stated(config, name)
        if stated is None or not isinstance(content, str):
            continue
        does = [_has_end(pipeline, content, at) for pipeline in (written, loaded)]
        flags.append(Flag(name, stated, *does))
    return flags


def _wraps(pipeline: Tokenizer) -> bool:
    rows, bare = cutter(pipeline)(["a"], True), cutter(pipeline)(["a"])
    return bool(rows and bare) and rows != bare


def _has_end(pipeline: Tokenizer, token: str, at: int) -> bool:
    rows = cutter(pipeline)(["a"], True)
    return bool(rows and rows[0]) and pipeline.id_to_token(rows[0][at]) == token if rows else False


def _normal(pipeline: Tokenizer, text: str) -> str:
    return text if pipeline.normalizer is None else str(pipeline.normalizer.normalize_str(text))


def _marked(text: str) -> bool:
    return any(unicodedata.category(sign) == "Mn" for sign in unicodedata.normalize("NFD", text))


def _prefixed(pipeline: Tokenizer) -> bool:
    pieces = pipeline.pre_tokenizer.pre_tokenize_str("a") if pipeline.pre_tokenizer is not None else []
    return bool(pieces) and pieces[0][0].startswith("Ġ")


def _parted(one: Tokenizer, two: Tokenizer) -> tuple[str, list[str], list[str]] | None:
    """The first probe that the two cut differently, with the tokens of both; None where they agree on all."""
    for text in PROBES:
        pieces = [_pieces(pipeline, text) for pipeline in (one, two)]
        if pieces[0] != pieces[1]:
            return text if isinstance(text, str) else " ||| ".join(text), pieces[0], pieces[1]
    return None


def _pieces(pipeline: Tokenizer, text: Any) -> list[str]:
    try:
        row = pipeline.encode_batch([text])[0]
    except Exception:  # tokenizers raises bare Exception
        return ["(fails)"]
    return [f"{token}={number}" for token, number in zip(row.tokens, row.ids, strict=True)]


def _slow(dossier: Dossier) -> Tokenizer | None:
    """The tokenizer that AutoTokenizer makes of the vocabulary file alone; None where there is none of the same tokens."""
    documents, folder = dossier.documents, dossier.folder
    files = [name for name in SLOW_FILES if (folder / name).is_file()]
    lines = vocabularies.in_lines(documents)
    if not files or (lines and set(lines) != set(vocabularies.in_json(documents))):
        return None
    others = ("config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
    with tempfile.TemporaryDirectory() as place:
        for name in (*files, *others):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, Path(place) / name)
        try:
            made = loading.tokenizer(Path(place), dossier.name)
        except BertlensError:
            return None  # a vocabulary that only another library can read
    backend = getattr(made, "backend_tokenizer", None)
    return vocabularies.unbounded(backend) if isinstance(backend, Tokenizer) else None


def _of_flags(flags: list[Flag], parted: tuple[str, list[str], list[str]] | None, vocabulary: Vocabulary) -> Finding:
    said = {True: "yes", False: "no", None: "nothing"}
    parts = [
        f"{flag.name} ({'stated ' + said[flag.stated] + ', ' if flag.stated is not None else ''}tokenizer.json "
        f"{said[flag.written]}, as loaded {said[flag.loaded]})"
        for flag in flags
    ]
    # A flag that no class of this kind listens to is a leftover, whatever the version.
    dead = not any(flag.split for flag in flags) and parted is None and vocabulary.kind != "WordPiece"
    title = f"tokenizer.json and tokenizer_config.json contradict each other: {'; '.join(parts)}"
    evidence: dict[str, Any] = {
        flag.name: {"tokenizer_config.json": flag.stated, "tokenizer.json": flag.written, "as_loaded": flag.loaded}
        for flag in flags
    }
    if parted is not None:
        evidence["example"] = _example(parted, "tokenizer.json", "as_loaded")
    return _resaved(named("tokenizer-version-drift", "note" if dead else "caution", evidence, _who(flags), title))


def _who(flags: list[Flag]) -> tuple[str, ...]:
    texts = {
        "do_lower_case": "texts with capitals",
        "strip_accents": "texts with accents",
        "keep_accents": "texts with accents",
        "tokenize_chinese_chars": "texts with Chinese characters",
    }
    return tuple(dict.fromkeys(texts.get(flag.name, "every output") for flag in flags))


def _of_files(apart: tuple[str, list[str], list[str]], vocabulary: Vocabulary) -> Finding:
    title = f"tokenizer.json and the vocabulary file beside it cut texts differently, as {apart[0][:40]!r}"
    evidence = {"example": _example(apart, "tokenizer.json", "vocabulary_file"), "tokenizer": vocabulary.kind}
    return _resaved(named("fast-slow-tokenizer-differ", "caution", evidence, ("texts like the example",), title))


def _of_classes(parted: tuple[str, list[str], list[str]], vocabulary: Vocabulary) -> Finding:
    kind = type(vocabulary.tokenizer).__name__
    title = f"{kind} does not follow tokenizer.json: other runtimes cut {parted[0][:40]!r} differently"
    evidence = {"example": _example(parted, "tokenizer.json", "as_loaded"), "class": kind}
    return _resaved(named("tokenizer-version-drift", "caution", evidence, ("texts like the example",), title))


def _example(parted: tuple[str, list[str], list[str]], one: str, two: str) -> dict[str, Any]:
    """The text with the tokens from where the two part."""
    text, first, second = parted
    pairs = zip(first, second, strict=False)
    at = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
    return {"text": text, "from_token": at, one: some(first[at:]), two: some(second[at:])}


def _resaved(finding: Finding) -> Finding:
    code = (
        "# decide by the texts the weights were trained on, load with that flag, and save once so that both files agree\n"
        "tokenizer.save_pretrained(folder)   # where the mended checkpoint goes"
    )
    return replace(finding, code=code)
