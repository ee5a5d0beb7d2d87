"""Letters: capitals, accents and the length of a text, on which all files and libraries are made to agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from bertlens.errors import BertlensError
from bertlens.remedies.work import Work
from bertlens.run import loading
from bertlens.run.rewrite import SENTENCE

PROBE = "Paris Zürich ÀÉÎ naïve HELLO"
STATED = ("sentence_bert_config.json", *SENTENCE)
UNSET = 1_000_000
"""transformers writes 1e30 where no length limit is set; no encoder takes a million tokens."""


def lower(work: Work) -> None:
    """Lower-case texts for a vocabulary without capitals."""
    affects = " ".join(work.finding.affects)
    if "punctuation" in affects:
        work.set("tokenizer.json", "pre_tokenizer", to={"type": "BertPreTokenizer"})
        work.done.append("Gave tokenizer.json the step that splits words and punctuation marks.")
    elif "accents" in affects:
        _fold(work, "strip_accents", None)
    else:
        _fold(work, "do_lower_case", True)


def keep(work: Work) -> None:
    """Keep capitals (or accents) for a vocabulary that has them."""
    if "accents" in " ".join(work.finding.affects):
        _fold(work, "strip_accents", False)
        return
    _fold(work, "do_lower_case", False)
    if work.source.documents["sentence_bert_config.json"].get("do_lower_case") is True:
        work.set("sentence_bert_config.json", "do_lower_case", to=False)
        work.done.append("Set do_lower_case in sentence_bert_config.json to false: it lower-cased every text first.")


def _fold(work: Work, flag: str, value: bool | None) -> None:
    """Set a flag in tokenizer_config.json, which transformers reads, and in tokenizer.json, which the others read."""
    word = {True: "true", False: "false", None: "null"}[value]
    assert work.tokenizer is not None
    if work.set("tokenizer_config.json", flag, to=value):
        work.done.append(f"Set {flag} in tokenizer_config.json to {word}.")
    written = work.source.documents["tokenizer.json"]
    if not written:
        return
    own = {"do_lower_case": "lowercase"}.get(flag, flag)
    steps = list(_bert_steps((), written.get("normalizer")))
    for path in steps:
        if work.set("tokenizer.json", "normalizer", *path, own, to=value):
            work.done.append(f"Set {own} in the normaliser of tokenizer.json to {word}.")
    if not steps:
        if written.get("normalizer") or written.get("model", {}).get("type") != "WordPiece":
            raise work.refuse("a normaliser of another kind than BERT's in tokenizer.json", do="change it by hand")
        step = {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": None,
        }
        config = work.draft.look("tokenizer_config.json")
        step |= {"lowercase": bool(config.get("do_lower_case")), "strip_accents": config.get("strip_accents")}
        work.set("tokenizer.json", "normalizer", to=step)
        work.done.append("Gave tokenizer.json BERT's normaliser, which it lacked.")
    work.proofs.append(lambda folder: _agree(work, folder / work.draft.place("tokenizer.json")))


def _bert_steps(path: tuple[str | int, ...], step: Any) -> Iterator[tuple[str | int, ...]]:
    if isinstance(step, dict) and step.get("type") == "BertNormalizer":
        yield path
    for at, inner in enumerate(step.get("normalizers") or () if isinstance(step, dict) else ()):
        yield from _bert_steps((*path, "normalizers", at), inner)


def _agree(work: Work, file: Path) -> None:
    """Raise unless transformers and tokenizer.json by itself cut a text with capitals and accents alike."""
    alone = Tokenizer.from_file(str(file))
    alone.no_truncation()
    alone.no_padding()
    loaded = loading.tokenizer(file.parent, work.source.name)
    cuts = loaded.tokenize(PROBE), alone.encode(PROBE, add_special_tokens=False).tokens
    if cuts[0] != cuts[1]:
        raise BertlensError(
            f"cannot repair {work.finding.id} of {work.source.name}",
            got=f"{' '.join(cuts[0])} from transformers and {' '.join(cuts[1])} from tokenizer.json",
            expected="the same tokens",
            do="take the tokenizer saved with the weights",
        )


def one_length(work: Work) -> None:
    """Set every limit of length to one: what the caller says, else the declared recipe's, else the smallest that is stated."""
    papers, positions = work.source.documents, work.source.encoder.positions
    truncation = papers["tokenizer.json"].get("truncation")
    places: dict[tuple[str, ...], Any] = {(name, "max_seq_length"): papers[name].get("max_seq_length") for name in STATED}
    places["tokenizer_config.json", "model_max_length"] = papers["tokenizer_config.json"].get("model_max_length")
    if isinstance(truncation, dict):
        places["tokenizer.json", "truncation", "max_length"] = truncation.get("max_length")
    stated = {place: int(value) for place, value in places.items() if isinstance(value, int | float) and 0 < value < UNSET}
    chosen = work.max_length or _chosen(stated, positions)
    if chosen is None or (positions and chosen > positions):
        raise work.refuse(f"a limit of {chosen} tokens", expected=f"at most {positions}, for which the model has positions")
    for (document, *path), old in stated.items():
        if work.set(document, *path, to=chosen):
            work.done.append(f"Set {'.'.join(path)} in {document} to {chosen} tokens; it was {old}.")
    work.set("tokenizer_config.json", "model_max_length", to=chosen)
    padding = papers["tokenizer.json"].get("padding")
    if isinstance(padding, dict) and isinstance(padding.get("strategy"), dict):
        work.set("tokenizer.json", "padding", "strategy", to="BatchLongest")
        work.done.append("Let tokenizer.json pad to the longest text of a batch, not to a fixed length.")


def _chosen(stated: dict[tuple[str, ...], int], positions: int | None) -> int | None:
    """The limit of the declared recipe, because published vectors follow it; else the smallest one that the model can run."""
    allowed = {place: tokens for place, tokens in stated.items() if not positions or tokens <= positions}
    recipe = [tokens for place, tokens in allowed.items() if place[0] in STATED]
    return min(recipe or allowed.values(), default=positions)
