"""Lengths: how many tokens each file of a checkpoint lets through, and how many the model has positions for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from bertlens.judge.findings import Finding, named
from bertlens.judge.tokenizer.vocabulary import UNSET, paper
from bertlens.run.documents import Documents
from bertlens.run.dossier import Dossier

SENTENCE_FILES = tuple(
    f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Where sentence-transformers has kept its own limit."""


@dataclass(frozen=True)
class Limits:
    """Numbers of tokens per row, special tokens included.

    Attributes
    ----------
    stated : {place: tokens} of every limit that a file sets.
    fixed : tokens to which tokenizer.json pads every text, None where it does not.
    positions : tokens that the model has positions for, None where the config sets no limit.
    learned : whether those positions are rows of a table, beyond which a text raises.
    """

    stated: Mapping[str, int]
    fixed: int | None
    positions: int | None
    learned: bool


def limits(dossier: Dossier) -> Limits:
    """Every limit of a checkpoint."""
    papers = dossier.documents
    truncation = paper(papers, "tokenizer.json").get("truncation")
    places = {"tokenizer.json truncation": truncation.get("max_length") if isinstance(truncation, dict) else None}
    places |= {f"{file} max_seq_length": papers[file].get("max_seq_length") for file in SENTENCE_FILES}
    places["tokenizer_config.json model_max_length"] = paper(papers, "tokenizer_config.json").get("model_max_length")
    stated = {place: int(tokens) for place, tokens in places.items() if _number(tokens)}
    table = dossier.encoder.position_table is not None
    return Limits(stated, _fixed(papers), dossier.encoder.positions, table)


def of_lengths(dossier: Dossier) -> list[Finding]:
    """Limits that contradict each other, or let through more than the model has positions for."""
    found = limits(dossier)
    evidence: dict[str, Any] = {**found.stated, "positions": found.positions}
    if found.fixed is not None:
        evidence["tokenizer.json fixed padding"] = found.fixed
    above = {place: tokens for place, tokens in found.stated.items() if found.positions and tokens > found.positions}
    if above:
        return [_above(above, found, evidence, dossier)]
    if len(set(found.stated.values())) > 1:
        return [_told("caution", _sentence(found), evidence, found, dossier)]
    if found.fixed is not None:
        title = (
            f"tokenizer.json pads every text to {found.fixed} tokens: runtimes that read it return {found.fixed} ids for a word"
        )
        return [_told("caution", title, evidence, found, dossier)]
    if found.stated and found.positions and (least := min(found.stated.values())) < found.positions:
        title = f"Texts are cut at {least:,} tokens, though the model has positions for {found.positions:,}"
        return [_told("note", title, evidence, found, dossier)]
    return []


def _above(above: Mapping[str, int], found: Limits, evidence: dict[str, Any], dossier: Dossier) -> Finding:
    place, tokens = max(above.items(), key=lambda pair: pair[1])
    end = "longer texts raise an error or read foreign memory" if found.learned else "the model was not trained on longer texts"
    title = f"{place} lets {tokens:,} tokens through, the model has positions for {found.positions:,}: {end}"
    return _told("problem" if found.learned else "caution", title, evidence, found, dossier)


def _sentence(found: Limits) -> str:
    parts = [f"{tokens:,} in {place.split()[0]}" for place, tokens in sorted(found.stated.items(), key=lambda pair: pair[1])]
    room = f"; the model has positions for {found.positions:,}" if found.positions else ""
    padded = f"; tokenizer.json also pads every text to {found.fixed}" if found.fixed is not None else ""
    return f"The files limit texts to different lengths: {', '.join(parts)}{room}{padded}"


def _told(severity: str, title: str, evidence: dict[str, Any], found: Limits, dossier: Dossier) -> Finding:
    allowed = [tokens for tokens in found.stated.values() if not found.positions or tokens <= found.positions]
    sentence = [tokens for place, tokens in found.stated.items() if place.startswith("sentence_") and tokens in allowed]
    chosen = (sentence or [max(allowed, default=found.positions or 512)])[0]
    code = f"batch = tokenizer(texts, truncation=True, max_length={chosen}, padding=True, return_tensors='pt')"
    least = min([*found.stated.values(), *([found.positions] if found.positions else [])], default=0)
    affects = (
        ("every output",) if found.fixed is not None and severity != "caution" else (f"texts of more than {least} tokens",)
    )
    return replace(named("conflicting-length-limits", severity, evidence, affects, title), code=code)


def _fixed(papers: Documents) -> int | None:
    padding = paper(papers, "tokenizer.json").get("padding")
    strategy = padding.get("strategy") if isinstance(padding, dict) else None
    length = strategy.get("Fixed") if isinstance(strategy, dict) else None
    return length if isinstance(length, int) else None


def _number(value: Any) -> TypeGuard[float]:
    """Whether a limit is set: transformers writes 1e30 for none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < UNSET
