"""Numbering: whether the ids that the tokenizer gives are those that the weights were trained with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bertlens.errors import BertlensError
from bertlens.judge.findings import Finding, named
from bertlens.judge.tokenizer import vocabulary as vocabularies
from bertlens.judge.tokenizer.vocabulary import Vocabulary, some, where
from bertlens.run.dossier import Dossier

PADDED = 1024
"""Tables are padded to multiples of 8, 64, 128, or 1,024 rows for speed, and spare rows are no fault; a gap of that many
rows and more has another reason. In a small table a tenth of the rows, but no fewer than 128, counts as such a gap."""
USUAL = {
    "bert": "WordPiece",
    "distilbert": "WordPiece",
    "electra": "WordPiece",
    "mpnet": "WordPiece",
    "roberta": "BPE",
    "modernbert": "BPE",
    "xlm-roberta": "Unigram",
    "albert": "Unigram",
}
"""The model inside the tokenizer of a family's published checkpoints. Others are allowed: alone it proves nothing."""


def of_numbering(dossier: Dossier, vocabulary: Vocabulary, proven: bool = False) -> list[Finding]:
    """Tokens without a row, rows without a token, and files that give one token two ids.

    Where the weights prove the vocabulary as it is loaded, another file's numbering endangers only who reads that file.
    """
    found = [
        *_out_of_range(dossier, vocabulary),
        *_spare(dossier, vocabulary, proven),
        *_lines(dossier),
        *_two_files(dossier, proven),
    ]
    return [
        *found,
        *_recorded(dossier, vocabulary, proven),
        *_appended(dossier, vocabulary),
        *_config(dossier, vocabulary, proven),
    ]


def of_absence(dossier: Dossier) -> Finding:
    """The folder holds no file of a tokenizer."""
    base = dossier.documents["config.json"].get("_name_or_path")
    evidence = {"looked_for": ["tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece"], "trained_from": base}
    title = "The folder holds no tokenizer: whoever uses these weights has to guess which vocabulary they were trained with"
    return named("wrong-vocabulary", "caution", evidence, ("every output",), title)


def of_refusal(error: BertlensError) -> Finding:
    """The files of a tokenizer are there, but this machine lacks the library that reads them.

    Raises
    ------
    BertlensError
        Where not the machine but the files are at fault: a checkpoint with a broken tokenizer cannot be run at all.
    """
    cause = error.__cause__
    if not (isinstance(cause, ImportError) or "install" in str(cause)):
        do = "mend the tokenizer's files, or take them out of the folder to check the weights alone"
        raise BertlensError(error.what, got=error.got, expected=error.expected, do=do) from error
    title = f"The tokenizer cannot be loaded on this machine: {error.got}"
    return named("wrong-vocabulary", "caution", {"error": str(error)}, ("every output",), title)


def added_rows(dossier: Dossier) -> dict[str, int]:
    """Tokens that were added to a vocabulary, with their rows in the table: those whose rows may never have been trained.

    Left out are padding, mask and the unknown token, which many healthy models never meet.
    """
    found = vocabularies.of(dossier)
    if found is None:
        return {}
    named_tokens = found.named()
    never_met = {named_tokens[name][1] for name in ("pad", "mask", "unk") if name in named_tokens}
    specials, last = set(found.tokenizer.all_special_ids), vocabularies.rows(dossier)
    added = {str(token): int(number) for number, token in found.tokenizer.added_tokens_decoder.items()}
    return {
        token: number
        for token, number in sorted(added.items(), key=lambda pair: pair[1])
        if number < last and number not in never_met and (number not in specials or number >= len(found.base))
    }


def spare_rows(dossier: Dossier) -> tuple[int, ...]:
    """Rows of the table that no token uses."""
    found = vocabularies.of(dossier)
    used = set() if found is None else set(found.ids.values())
    return tuple(row for row in range(vocabularies.rows(dossier)) if row not in used)


def _out_of_range(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    last = vocabularies.rows(dossier)
    beyond = sorted((number, token) for token, number in vocabulary.ids.items() if number >= last)
    if not beyond:
        return []
    names = [token for _, token in beyond]
    title = (
        f"{_tokens(len(beyond))} beyond the embedding matrix: ids up to {beyond[-1][0]:,}, but only {last:,} rows; a text with "
        f"one of them fails, or reads foreign memory on some devices"
    )
    specials = {token for name, (token, _) in vocabulary.named().items() if name in ("cls", "sep", "pad")}
    affects = ("every output",) if specials & set(names) else ("texts with these tokens",)
    evidence = {"tokens": len(vocabulary.ids), "rows": last, "beyond": len(beyond), "examples": some(names)}
    code = (
        f"tokenizer = AutoTokenizer.from_pretrained({where(dossier)})\n"
        f"model = AutoModel.from_pretrained({where(dossier)})\n"
        "model.resize_token_embeddings(len(tokenizer))   # then train the new rows"
    )
    return [replace(named("token-ids-out-of-range", "problem", evidence, affects, title), code=code)]


def _spare(dossier: Dossier, vocabulary: Vocabulary, proven: bool) -> list[Finding]:
    """Far fewer tokens than rows, or another family's tokenizer where the size or the padding disagrees too."""
    last, tokens = vocabularies.rows(dossier), len(vocabulary.ids)
    gap = last - tokens
    usual = USUAL.get(str(dossier.config.model_type))
    foreign = bool(usual and vocabulary.kind and vocabulary.kind != usual) and not proven
    wide = gap >= PADDED or gap > max(127, last // 10)
    pad = getattr(dossier.config, "pad_token_id", None)
    misfit = wide or gap < 0 or (pad is not None and vocabulary.special("pad") not in (None, pad))
    evidence = {"tokens": tokens, "rows": last, "tokenizer": vocabulary.kind, "model_type": dossier.config.model_type}
    if foreign and misfit:
        title = (
            f"The tokenizer is another model's: {vocabulary.kind} with {tokens:,} tokens on a {dossier.config.model_type} of "
            f"{last:,} rows, whose family uses {usual}"
        )
        return [named("wrong-vocabulary", "problem", {**evidence, "usual": usual}, ("every output",), title)]
    if wide:
        title = (
            f"The tokenizer has {tokens:,} tokens and the embedding matrix {last:,} rows: {gap:,} rows no text can reach, more "
            "than padding explains"
        )
        return [named("wrong-vocabulary", "caution", {**evidence, "spare_rows": gap}, ("every output",), title)]
    return []


def _lines(dossier: Dossier) -> list[Finding]:
    """Blank or repeated lines of vocab.txt: whoever put them in moved every id below them."""
    lines = list(dossier.documents.vocabulary or ())
    while lines and not lines[-1].strip():
        lines.pop()
    blank = [at for at, line in enumerate(lines) if not line.strip(" \t")]
    repeated = [line for line, times in Counter(line for line in lines if line.strip()).items() if times > 1]
    excess = len(blank) + sum(lines.count(line) - 1 for line in repeated[:50])
    if not excess:
        return []
    # Lines that were there in training are counted in the rows; lines that came later are not.
    moved = len(lines) - vocabularies.rows(dossier) == excess
    parts = [f"{len(blank)} blank lines (the first is line {blank[0] + 1})"] if blank else []
    parts += [f"{len(repeated)} tokens twice ({', '.join(map(repr, some(repeated, 3)))})"] if repeated else []
    title = f"vocab.txt has {' and '.join(parts)}: every id below them is moved, or a token is lost"
    evidence = {"lines": len(lines), "rows": vocabularies.rows(dossier), "blank": some(blank), "repeated": some(repeated)}
    alone = "tokenizer.json" not in dossier.documents
    severity = "problem" if moved and alone else "caution"
    return [named("wrong-vocabulary", severity, evidence, ("every output",) if alone else ("readers of vocab.txt",), title)]


def _two_files(dossier: Dossier, proven: bool) -> list[Finding]:
    """vocab.txt and tokenizer.json that number the same tokens differently."""
    lines, held = vocabularies.in_lines(dossier.documents), vocabularies.in_json(dossier.documents)
    added = vocabularies.added_in_json(dossier.documents)
    if not lines or not held:
        return []
    both = {token: (lines[token], number) for token, number in {**added, **held}.items() if token in lines}
    moved = {token: pair for token, pair in both.items() if pair[0] != pair[1]}
    strangers = len(lines) - len(both)
    evidence: dict[str, Any] = {"vocab.txt": len(lines), "tokenizer.json": len(held), "common": len(both)}
    severity, affects = ("caution", ("readers of vocab.txt",)) if proven else ("problem", ("every output",))
    which = "the weights side with tokenizer.json, which is the one loaded" if proven else "one is wrong"
    if moved:
        step, times = Counter(one - two for one, two in moved.values()).most_common(1)[0]
        how = f", {times:,} of them by {step:+d}" if times > len(moved) / 2 else ""
        title = f"vocab.txt and tokenizer.json number {len(moved):,} of {len(both):,} tokens differently{how}: {which}"
        evidence |= {"moved": len(moved), "examples": {token: list(moved[token]) for token in some(list(moved))}}
        return [named("wrong-vocabulary", severity, evidence, affects, title)]
    if strangers > max(PADDED, len(lines) // 10):
        title = f"vocab.txt and tokenizer.json share only {len(both):,} of {len(lines):,} tokens: {which}"
        return [named("wrong-vocabulary", severity, evidence, affects, title)]
    return []


def _recorded(dossier: Dossier, vocabulary: Vocabulary, proven: bool) -> list[Finding]:
    """Ids of special and added tokens as other files recorded them, before somebody changed the vocabulary."""
    held = vocabularies.in_json(dossier.documents) or vocabularies.in_lines(dossier.documents)
    records: dict[str, Mapping[str, int]] = {
        "tokenizer.json added_tokens": vocabularies.added_in_json(dossier.documents),
        "tokenizer_config.json added_tokens_decoder": _decoder(dossier),
        "added_tokens.json": {t: n for t, n in dossier.documents["added_tokens.json"].items() if isinstance(n, int)},
    }
    differ = {
        f"{token} in {file}": {"recorded": number, "vocabulary": held.get(token, vocabulary.ids.get(token))}
        for file, record in records.items()
        for token, number in record.items()
        if held.get(token, vocabulary.ids.get(token)) not in (None, number)
    }
    if not differ:
        return []
    first, pair = next(iter(differ.items()))
    changed = "the vocabulary was changed after training, or is another model's"
    why = "the weights side with the vocabulary" if proven else changed
    title = (
        f"{len(differ)} recorded ids are not those of the vocabulary: {first} is {pair['recorded']}, the vocabulary says "
        f"{pair['vocabulary']}; {why}"
    )
    examples = {name: differ[name] for name in some(list(differ))}
    severity = "caution" if proven else "problem"
    return [named("wrong-vocabulary", severity, {"recorded_ids": examples}, ("every output",), title)]


def _decoder(dossier: Dossier) -> dict[str, int]:
    listed = dossier.documents["tokenizer_config.json"].get("added_tokens_decoder")
    entries = listed.items() if isinstance(listed, dict) else ()
    return {str(entry.get("content")): int(at) for at, entry in entries if isinstance(entry, dict) and str(at).isdigit()}


def _appended(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """Special tokens that no file of the vocabulary holds, so that loading appended them behind it."""
    documents = dossier.documents
    held = {**vocabularies.in_json(documents), **vocabularies.added_in_json(documents), **vocabularies.in_lines(documents)}
    held |= _decoder(dossier)
    if not held or vocabulary.pipeline is None:
        return []
    names = {name: pair for name, pair in vocabulary.named().items() if pair[0] not in held and pair[0] not in vocabulary.base}
    grave = [name for name in names if name in ("cls", "sep", "pad", "unk")]
    if not names:
        return []
    listed = ", ".join(sorted({f"{token} (id {number:,})" for token, number in names.values()}))
    title = f"Special tokens are not in the vocabulary and were appended behind it: {listed}"
    affects = ("every output",) if grave else ("texts with these tokens",)
    return [named("wrong-vocabulary", "problem" if grave else "caution", {"appended": names}, affects, title)]


def _config(dossier: Dossier, vocabulary: Vocabulary, proven: bool) -> list[Finding]:
    """Ids in config.json that the tokenizer gives to other tokens; padding is told with `pad-id-conflict`."""
    usual, stated = type(dossier.config)(), dossier.documents["config.json"]
    differ = {}
    for name, instead in {"cls": "cls", "sep": "sep", "mask": "mask", "unk": "unk", "bos": "cls", "eos": "sep"}.items():
        key = f"{name}_token_id"
        if name in ("bos", "eos") and getattr(usual, key, None) is None:
            continue  # an id that this family never uses, left behind by another tool
        own = {vocabulary.special(name), vocabulary.special(instead)} - {None}
        if isinstance(stated.get(key), int) and own and stated[key] not in own:
            differ[key] = {"config.json": stated[key], "tokenizer": min(number for number in own if number is not None)}
    if not differ:
        return []
    words = ", ".join(f"{key} {pair['config.json']} against {pair['tokenizer']}" for key, pair in differ.items())
    title = f"config.json and the tokenizer disagree about special tokens: {words}"
    severity = "problem" if len(differ) > 1 and not proven else "caution"
    return [named("wrong-vocabulary", severity, {"ids": differ}, ("every output",), title)]


def _tokens(number: int) -> str:
    return f"{number:,} tokens lie" if number > 1 else "1 token lies"
