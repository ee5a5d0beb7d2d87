"""Corpus: what a person's own texts add to the findings about a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bertlens.errors import BertlensError
from bertlens.judge.checkpoint.lengths import limits
from bertlens.judge.findings import Finding, named
from bertlens.judge.tokenizer import vocabulary as vocabularies
from bertlens.judge.tokenizer.vocabulary import Vocabulary, some
from bertlens.run.dossier import Dossier
from bertlens.run.texts import Text, Texts, as_texts

TELLING = 0.01
"""Lower-casing that takes away less than 1 % of unknown tokens proves nothing."""
FOREIGN = 0.2
"""A fifth of a person's tokens unknown, lower-cased or not: another script than the vocabulary's, or another vocabulary."""


def of_texts(dossier: Dossier, texts: Sequence[Any], untrained: Mapping[str, int] | None = None) -> list[Finding]:
    """Unknown tokens, truncation at every limit, and tokens without a row or (as `untrained` says) without training."""
    try:
        vocabulary = vocabularies.of(dossier)
    except BertlensError:
        return []  # told by `of_tokenizer`
    given = as_texts(texts)
    rows = None if vocabulary is None else vocabulary.cut(given, specials=True)
    if vocabulary is None or rows is None:
        return []
    return [
        *_unknown(vocabulary, given, rows),
        *_beyond(dossier, vocabulary, rows),
        *_untrained(rows, untrained or {}),
        *_cut(dossier, vocabulary, rows),
    ]


def _unknown(vocabulary: Vocabulary, texts: Texts, rows: list[list[int]]) -> list[Finding]:
    """The share of unknown tokens as the texts stand, and lower-cased."""
    unk = vocabulary.special("unk")
    lowered = vocabulary.cut([_lower(text) for text in texts], specials=True)
    total = sum(map(len, rows))
    if unk is None or lowered is None or not total:
        return []
    now = sum(row.count(unk) for row in rows)
    then = sum(row.count(unk) for row in lowered)
    hit = [index for index, row in enumerate(rows) if unk in row]
    evidence: dict[str, Any] = {"tokens": total, "unknown": now, "unknown_lower_cased": then, "texts": some(hit)}
    share, rest = now / total, then / max(1, sum(map(len, lowered)))
    if share - rest > TELLING and rest < share / 2:
        title = (
            f"{now:,} of {total:,} tokens of these texts are [UNK] ({share:.0%}), only {then:,} once lower-cased: "
            "the vocabulary is lower-case, the tokenizer is not"
        )
        return [
            named("uncased-vocab-not-lowercased", "problem", evidence, tuple(f"text {index}" for index in some(hit)), title)
        ]
    if share > FOREIGN and now >= 5:
        title = (
            f"{now:,} of {total:,} tokens of these texts are [UNK] ({share:.0%}): the vocabulary was not made for such texts"
        )
        return [named("wrong-vocabulary", "caution", evidence, tuple(f"text {index}" for index in some(hit)), title)]
    return []


def _lower(text: Text) -> Text:
    return text.lower() if isinstance(text, str) else (text[0].lower(), text[1].lower())


def _beyond(dossier: Dossier, vocabulary: Vocabulary, rows: list[list[int]]) -> list[Finding]:
    """Texts with tokens that have no row."""
    last = vocabularies.rows(dossier)
    hit = [index for index, row in enumerate(rows) if row and max(row) >= last]
    if not hit:
        return []
    ids = sorted({number for index in hit for number in rows[index] if number >= last})
    names = [str(token) for token in vocabulary.tokenizer.convert_ids_to_tokens(ids)]
    title = f"{_texts(len(hit))} a token without a row, as text {hit[0]} ({names[0]!r}, id {ids[0]:,} of {last:,} rows)"
    evidence = {"texts_beyond": some(hit), "number_of_texts": len(hit), "tokens_beyond": some(names), "rows": last}
    finding = named("token-ids-out-of-range", "problem", evidence, tuple(f"text {index}" for index in some(hit)), title)
    return [replace(finding, quotes=tuple(names))]


def _untrained(rows: list[list[int]], untrained: Mapping[str, int]) -> list[Finding]:
    """Texts with tokens whose rows were never trained."""
    hit = [index for index, row in enumerate(rows) if set(row) & set(untrained.values())]
    if not hit:
        return []
    met = {number for index in hit for number in rows[index]}
    names = [token for token, number in untrained.items() if number in met]
    title = f"{_texts(len(hit))} a token whose row was never trained, as text {hit[0]} ({names[0]!r})"
    evidence = {"texts_with_untrained": some(hit), "number_of_texts": len(hit), "untrained_tokens": some(names)}
    finding = named("untrained-token-rows", "problem", evidence, tuple(f"text {index}" for index in some(hit)), title)
    return [replace(finding, quotes=tuple(names))]


def _cut(dossier: Dossier, vocabulary: Vocabulary, rows: list[list[int]]) -> list[Finding]:
    """How many texts each limit cuts, and texts beyond the positions that nothing cuts."""
    found, lengths = limits(dossier), [len(row) for row in rows]
    longest = max(range(len(rows)), key=lambda index: lengths[index])
    room = {**found.stated, **({"positions of the model": found.positions} if found.positions else {})}
    counts = {place: sum(length > tokens for length in lengths) for place, tokens in room.items()}
    if not any(counts.values()):
        return []
    evidence: dict[str, Any] = {
        "longest_text": longest,
        "its_tokens": lengths[longest],
        "truncated_at": {place: {"limit": room[place], "texts": number} for place, number in counts.items()},
    }
    parts = [f"{number} at {room[place]:,} ({place.split()[0]})" for place, number in counts.items() if number]
    title = f"Limits cut these texts: {', '.join(dict.fromkeys(parts))}; text {longest} has {lengths[longest]:,} tokens"
    told = [
        named("silent-truncation", "caution", evidence, tuple(f"text {index}" for index in some(_over(lengths, room))), title)
    ]
    own = float(vocabulary.tokenizer.model_max_length)
    if found.learned and found.positions and own > found.positions and lengths[longest] > found.positions:
        title = (
            f"Text {longest} has {lengths[longest]:,} tokens, the model positions for {found.positions:,}, and the tokenizer "
            "does not cut it: running it raises an error"
        )
        code = f"batch = tokenizer(texts, truncation=True, max_length={found.positions}, padding=True, return_tensors='pt')"
        told.append(replace(named("sequence-too-long", "problem", evidence, (f"text {longest}",), title), code=code))
    return told


def _over(lengths: list[int], room: Mapping[str, int]) -> list[int]:
    return [index for index, length in enumerate(lengths) if length > min(room.values())]


def _texts(number: int) -> str:
    return f"{number} texts hold" if number > 1 else "1 text holds"
