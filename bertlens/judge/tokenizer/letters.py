"""Letters: whether the tokenizer keeps the capitals, accents and punctuation marks that its vocabulary was made for."""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bertlens.judge.findings import Finding, named
from bertlens.judge.tokenizer.vocabulary import Vocabulary, some, spread, where
from bertlens.run.dossier import Dossier

SAMPLE = 300
"""Entries that are tried; enough to tell 5 % from 50 %."""
REAL_SHARE, REAL_NUMBER = 0.01, 20
"""A vocabulary was made with capitals where more than 1 % of it, and no mere handful, has them: the uncased ones of BERT
hold none, the cased ones 20 % to 45 %, and single letters say nothing because every alphabet is complete."""
NEVER, MOSTLY = 0.05, 0.5
ACCENTED = str.maketrans("aeiou", "áèîöû")


def of_letters(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """Capitals lost, capitals unknown, accents lost or unknown, punctuation that is not split off."""
    found = _lost(dossier, vocabulary) or _unknown(dossier, vocabulary)
    return [*found, *_lowered_first(dossier, vocabulary)]


def has_capital(text: str) -> bool:
    """Whether an upper-case letter stands in it."""
    return text != text.lower()


def has_accent(text: str) -> bool:
    """Whether a letter carries a mark that stripping accents takes off."""
    return not text.isascii() and any(unicodedata.category(sign) == "Mn" for sign in unicodedata.normalize("NFD", text))


def whole_words(vocabulary: Vocabulary) -> dict[str, int]:
    """Lower-case entries of three letters and more in a script that has capitals."""
    return {
        text: number
        for text, number in vocabulary.spelled.items()
        if len(word := text.strip()) >= 3 and word.isalpha() and word.islower() and word.capitalize() != word
    }


def _lost(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """Entries with capitals (or accents) that no text can produce, while the lower-case ones come out."""
    plain = {text: at for text, at in vocabulary.spelled.items() if not has_capital(text) and not has_accent(text)}
    tried, reached = _reached(vocabulary, plain)
    if tried < 10 or len(reached) < MOSTLY * tried:
        return []
    for feature, has in (("capitals", has_capital), ("accents", has_accent)):
        entries = {text: at for text, at in vocabulary.spelled.items() if len(text.strip()) > 1 and has(text)}
        if len(entries) < max(REAL_NUMBER, REAL_SHARE * len(vocabulary.base)):
            continue
        tried, reached = _reached(vocabulary, entries)
        if len(reached) > NEVER * tried:
            continue
        share = len(entries) / len(vocabulary.base)
        verb = "lower-cases" if feature == "capitals" else "strips accents from"
        title = (
            f"The tokenizer {verb} every text, but {len(entries):,} of its {len(vocabulary.base):,} entries ({share:.0%}) "
            f"have {feature} and can never be used"
        )
        evidence = {
            "entries": len(entries),
            "share_of_vocabulary": share,
            "tried": tried,
            "produced": len(reached),
            "never_produced": some([text.strip() for text in entries]),
        }
        flag = ("do_lower_case", False) if feature == "capitals" else ("strip_accents", False)
        return [_told(dossier, vocabulary, "lowercased-cased-model", title, evidence, (f"texts with {feature}",), *flag)]
    return []


def _unknown(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """Known words that turn into [UNK] when they are capitalised, accented, or followed by a punctuation mark."""
    words, unk = whole_words(vocabulary), vocabulary.special("unk")
    capitals = sum(len(text.strip()) > 1 and has_capital(text) for text in vocabulary.spelled)
    if unk is None or len(words) < REAL_NUMBER:
        return []
    if capitals < max(REAL_NUMBER, REAL_SHARE * len(vocabulary.base)):
        tried, lost = _turned(vocabulary, words, unk, str.title)
        fate = "become [UNK]"
        if len(lost) <= MOSTLY * tried and not capitals and not vocabulary.byte_level:
            tried, lost, fate = *_turned(vocabulary, words, None, str.title), "fall into pieces"
        if tried >= 10 and len(lost) > MOSTLY * tried:
            title = (
                f"The vocabulary is lower-case, but the tokenizer keeps capitals: {len(lost)} of {tried} words that it knows "
                f"{fate} when capitalised"
            )
            evidence = {"words_tried": tried, "unknown_when_capitalised": len(lost), "examples": some(lost)}
            affects = ("texts with capitals",)
            return [_told(dossier, vocabulary, "uncased-vocab-not-lowercased", title, evidence, affects, "do_lower_case", True)]
        if found := _accents_unknown(dossier, vocabulary, words, unk):
            return found
    return _punctuation_unknown(vocabulary, words, unk)


def _accents_unknown(dossier: Dossier, vocabulary: Vocabulary, words: dict[str, int], unk: int) -> list[Finding]:
    """A vocabulary without accents behind a tokenizer that keeps them, though it lower-cases."""
    accented = sum(len(text.strip()) > 1 and has_accent(text) for text in vocabulary.spelled)
    tried, lost = _turned(vocabulary, words, unk, lambda word: word.translate(ACCENTED))
    if accented >= 0.001 * len(vocabulary.base) or tried < 10 or len(lost) < 0.9 * tried:
        return []
    title = (
        f"The tokenizer keeps accents that its vocabulary does not have: {len(lost)} of {tried} words that it knows become "
        "[UNK] with an accent"
    )
    evidence = {"words_tried": tried, "unknown_with_accent": len(lost), "examples": some(lost)}
    affects = ("texts with accents",)
    told = _told(dossier, vocabulary, "uncased-vocab-not-lowercased", title, evidence, affects, "strip_accents", None)
    return [replace(told, severity="caution")]


def _punctuation_unknown(vocabulary: Vocabulary, words: dict[str, int], unk: int) -> list[Finding]:
    """A pipeline without the step that splits punctuation marks off."""
    comma = vocabulary.base.get(",")
    if comma is None or vocabulary.kind != "WordPiece":
        return []
    sample = spread(list(words), SAMPLE)
    rows = vocabulary.cut([word + "," for word in sample]) or []
    lost = [word + "," for word, row in zip(sample, rows, strict=False) if comma not in row]
    unknown = sum(unk in row for row in rows)
    if len(rows) < 10 or len(lost) < 0.9 * len(rows):
        return []
    title = (
        f"The tokenizer does not split punctuation off: {len(lost)} of {len(rows)} known words do not stand apart from a comma"
    )
    evidence = {"words_tried": len(rows), "not_split": len(lost), "unknown": unknown, "examples": some(lost)}
    severity = "problem" if unknown > MOSTLY * len(rows) else "caution"
    finding = named("uncased-vocab-not-lowercased", severity, evidence, ("texts with punctuation",), title)
    code = (
        "from tokenizers.pre_tokenizers import BertPreTokenizer\n"
        "tokenizer.backend_tokenizer.pre_tokenizer = BertPreTokenizer()\n"
        "tokenizer.save_pretrained(folder)   # where the mended checkpoint goes"
    )
    return [replace(finding, remedy="Give the pipeline its step that splits words and punctuation, and save it.", code=code)]


def _lowered_first(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """sentence_bert_config.json's do_lower_case: sentence-transformers lower-cases the text before the tokenizer."""
    if dossier.documents["sentence_bert_config.json"].get("do_lower_case") is not True:
        return []
    words = spread(list(whole_words(vocabulary)), SAMPLE)
    as_is, lowered = vocabulary.cut([word.title() for word in words]), vocabulary.cut([word.title().lower() for word in words])
    if not words or as_is is None or lowered is None:
        return []
    moved = [word.title().strip() for word, one, two in zip(words, as_is, lowered, strict=True) if one != two]
    if len(moved) < NEVER * len(words):
        return []
    title = (
        "sentence-transformers lower-cases every text first (sentence_bert_config.json), AutoTokenizer does not: "
        f"{len(moved)} of {len(words)} capitalised words get other tokens"
    )
    evidence = {"file": "sentence_bert_config.json", "do_lower_case": True, "words": len(words), "examples": some(moved)}
    finding = named("lowercased-cased-model", "caution", evidence, ("texts with capitals",), title)
    remedy = "Lower-case the texts yourself where you call AutoTokenizer, as sentence-transformers does."
    return [replace(finding, remedy=remedy, code="batch = tokenizer([text.lower() for text in texts], return_tensors='pt')")]


def _reached(vocabulary: Vocabulary, entries: dict[str, int]) -> tuple[int, list[str]]:
    """How many entries were tried, and those that the text of which they are made brings out."""
    sample = spread(list(entries), SAMPLE)
    rows = vocabulary.cut(sample) or []
    return len(rows), [text for text, row in zip(sample, rows, strict=False) if entries[text] in row]


def _turned(vocabulary: Vocabulary, words: dict[str, int], unk: int | None, change: Any) -> tuple[int, list[str]]:
    """How many known words were changed, and those changed ones that hold an unknown token (or just lost their own)."""
    sample = spread(list(words), SAMPLE)
    before = vocabulary.cut(sample) or []
    known = [word for word, row in zip(sample, before, strict=False) if row == [words[word]] and change(word) != word]
    after = vocabulary.cut([change(word) for word in known]) or []
    lost = [
        word for word, row in zip(known, after, strict=False) if (unk in row if unk is not None else words[word] not in row)
    ]
    return len(after), [change(word).strip() for word in lost]


def _told(
    dossier: Dossier,
    vocabulary: Vocabulary,
    fault: str,
    title: str,
    evidence: dict[str, Any],
    affects: Sequence[str],
    flag: str,
    value: bool | None,
) -> Finding:
    """The finding with code that works for the class of this tokenizer: not every one listens to flags."""
    load = f"from transformers import AutoTokenizer\ntokenizer = AutoTokenizer.from_pretrained({where(dossier)}"
    if _listens(vocabulary.tokenizer, flag):
        code = f"{load}, {flag}={value})\ntokenizer.save_pretrained(folder)   # where the mended checkpoint goes"
    else:
        settings = f"lowercase={value}" if flag == "do_lower_case" else f"strip_accents={value}"
        code = (
            "from tokenizers.normalizers import BertNormalizer\n"
            f"{load})\n"
            f"tokenizer.backend_tokenizer.normalizer = BertNormalizer({settings})\n"
            "tokenizer.save_pretrained(folder)   # where the mended checkpoint goes"
        )
    return replace(named(fault, "problem", evidence, tuple(affects), title), code=code)


def _listens(tokenizer: Any, flag: str) -> bool:
    """Whether the class, or a parent to which it passes everything on (DistilBertTokenizer's is BertTokenizer), takes it."""
    return any(flag in inspect.signature(kind).parameters for kind in type(tokenizer).__mro__[:-1])
