"""Special tokens: whether [CLS], [SEP] and padding stand where the model expects them, under the ids it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from bertlens.judge.findings import Finding, named
from bertlens.judge.tokenizer import vocabulary as vocabularies
from bertlens.judge.tokenizer.vocabulary import Vocabulary, where
from bertlens.run.documents import Documents
from bertlens.run.dossier import Dossier

PROBE = "a b"


def of_special_tokens(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """What stands around a text, the template that puts it there, and padding."""
    template = _template(dossier, vocabulary)
    grave = any(finding.severity == "problem" for finding in template)
    around = [] if grave else _around(dossier, vocabulary)
    found = [*template, *around, *_names(dossier, vocabulary), *_segments(dossier, vocabulary)]
    return [*found, *_padding_id(dossier, vocabulary), *_side(dossier, vocabulary)]


def template_ids(documents: Documents) -> dict[str, list[int]]:
    """The special tokens that tokenizer.json's post-processor puts in, with the ids that it writes."""
    return dict(_written(documents["tokenizer.json"].get("post_processor")))


def _written(step: Any) -> Iterator[tuple[str, list[int]]]:
    if not isinstance(step, dict):
        return
    for inner in step.get("processors") or ():
        yield from _written(inner)
    for key in ("sep", "cls"):  # BertProcessing and RobertaProcessing: ["[SEP]", 102]
        pair = step.get(key)
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], int):
            yield str(pair[0]), [pair[1]]
    listed = step.get("special_tokens")
    for token, entry in listed.items() if isinstance(listed, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("ids"), list):
            names = entry.get("tokens") or [token]
            yield from ((str(name), [number]) for name, number in zip(names, entry["ids"], strict=False))


def _template(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """Ids in the template that are not those of the vocabulary in the same file."""
    held = {**vocabularies.added_in_json(dossier.documents), **vocabularies.in_json(dossier.documents)}
    written = template_ids(dossier.documents)
    wrong = {token: (ids[0], held.get(token)) for token, ids in written.items() if ids != [held.get(token)]}
    if not wrong or not held:
        return []
    token, (put, own) = next(iter(wrong.items()))
    rows = vocabulary.cut([PROBE], specials=True)
    loaded = bool(rows) and any(put in rows[0] for put, _ in wrong.values()) if rows else False
    names = {number: name for name, number in vocabulary.ids.items()}
    reads = f", which is {names[put]!r}" if put in names else ""
    says = f"the vocabulary says {own}" if own is not None else "the vocabulary has no such token"
    who = "" if loaded else "; AutoTokenizer repairs it silently, other runtimes read the file as it stands"
    title = f"tokenizer.json puts id {put}{reads} where {token} belongs, {says}{who}"
    evidence = {
        "template": {name: {"template": put, "vocabulary": own} for name, (put, own) in wrong.items()},
        "as_loaded": rows[0] if rows else None,
    }
    affects = ("every output",) if loaded else ("other runtimes than transformers",)
    finding = named("post-processor-ids-wrong", "problem" if loaded else "caution", evidence, affects, title)
    return [replace(finding, code=_added_by_hand(dossier, vocabulary) or finding.code)]


def _around(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """Whether a text gets [CLS] before it and [SEP] behind it, each once."""
    rows = vocabulary.cut([PROBE], specials=True)
    bare = vocabulary.cut([PROBE])
    if not rows or not bare:
        return []
    ids = rows[0]
    first = _first_known(vocabulary, "cls", "bos")
    last = _first_known(vocabulary, "sep", "eos")
    lost = [
        name for name, known, at in (("[CLS]", first, 0), ("[SEP]", last, -1)) if not ids or known is None or ids[at] != known
    ]
    evidence: dict[str, Any] = {"text": PROBE, "tokens": _tokens(vocabulary, ids), "ids": ids}
    if (vocabulary.tokenizer.cls_token, vocabulary.tokenizer.sep_token) == ("[SEP]", "[CLS]"):
        title = f"The files exchange [CLS] and [SEP]: {PROBE!r} becomes {' '.join(evidence['tokens'])}"
        return [named("special-tokens-missing", "problem", evidence, ("every output",), title)]
    if lost:
        places = {"[CLS]": "before", "[SEP]": "behind"}
        parts = " and ".join(f"{name} {places[name]}" for name in lost)
        title = f"The tokenizer puts no {parts} a text: {PROBE!r} becomes {' '.join(evidence['tokens'])}"
        finding = named("special-tokens-missing", "problem", evidence, ("every output",), title)
        return [replace(finding, code=_added_by_hand(dossier, vocabulary) or finding.code)]
    if len(ids) >= len(bare[0]) + 4 and ids[1] == first and ids[-2] == last:
        title = f"The tokenizer puts special tokens in twice: {PROBE!r} becomes {' '.join(evidence['tokens'])}"
        return [named("special-tokens-doubled", "problem", evidence, ("every output",), title)]
    return []


def _added_by_hand(dossier: Dossier, vocabulary: Vocabulary) -> str:
    if vocabulary.special("cls") is None or vocabulary.special("sep") is None:
        return ""
    return (
        "from tokenizers.processors import TemplateProcessing\n"
        "from transformers import AutoTokenizer\n"
        f"tokenizer = AutoTokenizer.from_pretrained({where(dossier)})\n"
        "cls, sep = tokenizer.cls_token, tokenizer.sep_token\n"
        "tokenizer.backend_tokenizer.post_processor = TemplateProcessing(\n"
        '    single=f"{cls}:0 $A:0 {sep}:0", pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",\n'
        "    special_tokens=[(cls, tokenizer.cls_token_id), (sep, tokenizer.sep_token_id)])\n"
        "tokenizer.save_pretrained(folder)   # where the mended checkpoint goes"
    )


def _names(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """Special tokens that a file calls otherwise than the loaded tokenizer."""
    loaded = {name: token for name, (token, _) in vocabulary.named().items()}
    differ = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        for name, token in loaded.items():
            stated = dossier.documents[file].get(f"{name}_token")
            content = stated.get("content") if isinstance(stated, dict) else stated
            if isinstance(content, str) and content != token:
                differ[f"{name}_token in {file}"] = {"file": content, "as_loaded": token}
    if not differ:
        return []
    words = ", ".join(f"{place} is {pair['file']}, as loaded {pair['as_loaded']}" for place, pair in differ.items())
    title = f"The files do not call the special tokens by the same names: {words}"
    return [named("wrong-vocabulary", "caution", {"names": differ}, ("other readers of these files",), title)]


def _segments(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """Segment ids that the tokenizer hands to the model and that the model has no row for, or was not trained with."""
    kinds = int(getattr(dossier.config, "type_vocab_size", 0) or 0)
    if vocabulary.pipeline is None or not kinds or "token_type_ids" not in vocabulary.tokenizer.model_input_names:
        return []
    try:
        single, pair = (vocabulary.pipeline.encode(*texts).type_ids for texts in (("a",), ("a", "b")))
    except Exception:  # tokenizers raises bare Exception
        return []
    evidence = {"single": single, "pair": pair, "type_vocab_size": kinds}
    if max(pair) >= kinds:
        title = (
            f"The tokenizer gives a second text segment {max(pair)}, the model has {kinds} segment type: pairs raise an error"
        )
        return [named("segment-ids-wrong", "problem", evidence, ("pairs of texts",), title)]
    if max(single) > 0:
        title = f"The tokenizer puts single texts into segment {max(single)}, which belongs to the second text of a pair"
        return [named("segment-ids-wrong", "problem", evidence, ("every output",), title)]
    return []


def _padding_id(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """The id that fills rows: the tokenizer's, the config's, and the row that the embedding keeps for it."""
    own, stated = vocabulary.special("pad"), getattr(dossier.config, "pad_token_id", None)
    kept = dossier.encoder.parts[dossier.encoder.word_embeddings].padding_row
    ids = {"tokenizer": own, "config": stated, "embedding": kept}
    if own is None:
        title = "The tokenizer has no padding token: texts of different lengths cannot be put into one batch"
        return [named("pad-id-conflict", "caution", {"pad_ids": ids}, ("batches",), title)]
    others = {number for number in (stated, kept) if number is not None}
    if not others - {own}:
        return []
    counted = dossier.encoder.positions_from_ids
    other = min(others - {own})
    means = vocabulary.tokenizer.convert_ids_to_tokens(other) if other < len(vocabulary.ids) else None
    title = f"The tokenizer pads with id {own}, the model takes id {other} ({means}) for padding"
    if counted:
        title += ": positions are counted from the ids, so they go wrong"
    evidence = {"pad_ids": ids, "positions_counted_from_ids": counted, "id_means": means}
    code = f"model.config.pad_token_id = tokenizer.pad_token_id   # {own}; in config.json before loading"
    affects = (
        ("padded batches", f"texts with {means!r}") if counted else ("code that builds its mask from config.pad_token_id",)
    )
    return [replace(named("pad-id-conflict", "problem" if counted else "caution", evidence, affects, title), code=code)]


def _side(dossier: Dossier, vocabulary: Vocabulary) -> list[Finding]:
    """Padding on the left: it moves absolute positions, and whoever reads index 0 reads padding."""
    if vocabulary.tokenizer.padding_side != "left":
        return []
    absolute = dossier.encoder.position_table is not None and not dossier.encoder.positions_from_ids
    evidence: Mapping[str, Any] = {"padding_side": "left", "source": _source(dossier.documents)}
    if absolute:
        title = (
            "The tokenizer pads on the left, and the model counts its positions from the left edge: padding moves every token"
        )
        return [named("left-padding-positions", "problem", dict(evidence), ("padded batches",), title)]
    title = "The tokenizer pads on the left: index 0 of a padded row is padding, not the first token"
    return [named("cls-read-at-padding", "caution", dict(evidence), ("first_position",), title)]


def _source(documents: Documents) -> str:
    stated = documents["tokenizer_config.json"].get("padding_side")
    return "tokenizer_config.json padding_side" if stated == "left" else "tokenizer.json padding.direction"


def _first_known(vocabulary: Vocabulary, *names: str) -> int | None:
    return next((number for name in names if (number := vocabulary.special(name)) is not None), None)


def _tokens(vocabulary: Vocabulary, ids: list[int]) -> list[str]:
    return [str(token) for token in vocabulary.tokenizer.convert_ids_to_tokens(ids)]
