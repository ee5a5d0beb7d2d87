"""Findings: named facts, each with its evidence and its remedy.

The names, causes and fixes of faults are those of `bertlens/data/faults.json`, a catalogue of what people really reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from bertlens.judge.causes import Cause
from bertlens.judge.measures import plain
from bertlens.judge.wording import number
from bertlens.read.readout import Readout
from bertlens.read.spelling import spelled
from bertlens.run.condition import Condition
from bertlens.run.tokens import Tokens

CODE = re.compile(r"\b[TBWNPX]\d\d\b")
"""What the file of faults calls them where it speaks of one beside another, such as T02."""


@dataclass(frozen=True)
class Finding:
    """One named fact about a checkpoint, a run or a vector.

    Attributes
    ----------
    id : an id of the catalogue of faults.
    severity : "problem", "caution" or "note".
    title : one sentence.
    evidence : numbers and names that show it.
    affects : outputs or readouts that must not be trusted because of it.
    remedy, code : what to do, in words and as code.
    quotes : pieces of a person's texts that title and evidence quote, in the title as Python writes a string; a redacted
        report leaves them out.
    """

    id: str
    severity: str
    title: str
    evidence: dict[str, Any] = field(default_factory=dict)
    affects: tuple[str, ...] = ()
    remedy: str = ""
    code: str = ""
    quotes: tuple[str, ...] = ()

    @property
    def measured(self) -> str:
        """What was measured, in words, where the title is the catalogue's and has no number of its own; else ""."""
        known = self.evidence
        if known.get("reason"):
            return str(known["reason"])
        if "change" in known and isinstance(known.get("max_abs"), float):
            return f"Changing {known['change']} moves text {known['worst_text']} by {number(known['max_abs'])}."
        return ""

    @property
    def cause(self) -> str:
        """Why it happens, in the words of the catalogue."""
        return str(catalogue().get(self.id, {}).get("root_cause", ""))

    def to_dict(self) -> dict[str, Any]:
        """The contract's names."""
        return {
            "id": self.id,
            "severity": self.severity,
            "title": self.title,
            "evidence": {key: plain(value) for key, value in self.evidence.items()},
            "affects": list(self.affects),
            "remedy": {"text": self.remedy, "code": self.code},
        }


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    """All known faults by id; where one speaks of another it calls it by its id."""
    faults = json.loads(resources.files("bertlens").joinpath("data/faults.json").read_text("utf-8"))
    ids = {fault["code"]: fault["id"] for fault in faults}

    def named_by_id(words: Any) -> Any:
        return CODE.sub(lambda match: ids.get(match[0], match[0]), words) if isinstance(words, str) else words

    return {fault["id"]: {key: named_by_id(words) for key, words in fault.items() if key != "code"} for fault in faults}


FAULT_OF: dict[tuple[str, str], str] = {
    ("mask", "off"): "attention-mask-missing",
    ("mask", "inverted"): "attention-mask-inverted",
    ("side", "left"): "left-padding-positions",
    ("mask", "swapped"): "arguments-swapped",
    ("specials", "off"): "special-tokens-missing",
    ("specials", "doubled"): "special-tokens-doubled",
    ("segments", "ones"): "segment-ids-wrong",
    ("segments", "zeros"): "segment-ids-wrong",
    ("positions", "from-mask"): "positions-wrong",
    ("rows", "index"): "batch-axis-missing",
    ("dropout", "on"): "dropout-active",
}
"""The fault behind a value of a condition that a careful person would not choose."""

MENDED: dict[str, str] = {
    "attention-mask-missing": "outputs = model(**batch)   # passes attention_mask along with input_ids",
    "attention-mask-inverted": "attention_mask = (input_ids != tokenizer.pad_token_id).long()   # 1 on tokens, 0 on padding",
    "left-padding-positions": (
        'tokenizer.padding_side = "right"\n'
        "# or keep the left side and pass\n"
        "position_ids = (attention_mask.cumsum(1) - 1).clamp(min=0)"
    ),
    "cls-read-at-padding": 'tokenizer.padding_side = "right"   # position 0 is [CLS] again',
    "special-tokens-missing": "batch = tokenizer(texts, add_special_tokens=True, padding=True, return_tensors='pt')",
    "segment-ids-wrong": "batch = tokenizer(texts, padding=True, return_tensors='pt')   # pass its token_type_ids unchanged",
    "positions-wrong": "outputs = model(**batch)   # right padding: let the model count its positions",
    "silent-truncation": "tokenizer(texts, truncation=True, max_length=model_limit)   # or split long texts first",
    "batch-axis-missing": "outputs = model(input_ids=ids[i:i+1], attention_mask=mask[i:i+1])   # a slice keeps the batch axis",
    "dropout-active": "model.eval()",
    "mean-includes-padding": ("mask = attention_mask.unsqueeze(-1)\nmean = (last_hidden_state * mask).sum(1) / mask.sum(1)"),
    "half-precision": "model = AutoModel.from_pretrained(name, dtype=torch.float32)",
    "attention-implementation": 'model = AutoModel.from_pretrained(name, attn_implementation="sdpa")',
    "pooler-missing": f"{spelled('cls')}   # not outputs.pooler_output",
    "pooler-untrained": f"{spelled('cls')}   # not outputs.pooler_output",
    "normalised-vs-raw": "vectors = torch.nn.functional.normalize(vectors, dim=-1)",
    "weights-not-loaded": "state = {key.removeprefix(prefix): value for key, value in state.items()}",
}
"""The line that mends a fault."""

ROUNDING = {"dtype": "half-precision", "attention": "attention-implementation"}


def of_causes(
    verdict: str, causes: Sequence[Cause], candidate: Condition, readout: Readout, text: int, max_abs: float
) -> list[Finding]:
    """One finding per cause; rounding is a note, another computation a problem; what is undecided accuses nobody."""
    if verdict == "undecided":
        return []
    findings: dict[str, Finding] = {}
    for cause in causes:
        if cause.factor == "checkpoint":
            continue  # told by bertlens.judge.drift, which knows both
        fault = _fault(verdict, cause, candidate, readout)
        evidence = {"change": cause.words, "max_abs": cause.max_abs, "undone": cause.undone, "worst_text": text}
        severity = "note" if verdict == "rounding" else "problem"
        findings.setdefault(fault, named(fault, severity, evidence, (str(readout),)))
    if verdict == "rounding" and not findings and not causes:
        findings["rounding-only"] = named("rounding-only", "note", {"max_abs": max_abs}, ())
    return list(findings.values())


def _fault(verdict: str, cause: Cause, candidate: Condition, readout: Readout) -> str:
    values = (cause.after, cause.before)
    if verdict == "rounding":
        return ROUNDING.get(cause.factor, "rounding-only")
    if readout.pooling == "mean_all" and cause.factor in ("batch", "padding"):
        return "mean-includes-padding"
    if cause.factor == "side" and readout.pooling == "first_position":
        return "cls-read-at-padding"
    if cause.factor == "max_length":
        return "silent-truncation"
    if cause.factor == "positions" and candidate.side == "left" and cause.after == "default":
        return "left-padding-positions"
    if cause.factor in ("batch", "padding") and candidate.side == "left" and candidate.positions == "default":
        return "left-padding-positions"
    if cause.factor in ("batch", "padding") and candidate.mask != "on":
        return FAULT_OF["mask", candidate.mask]
    known = (FAULT_OF[cause.factor, value] for value in values if (cause.factor, value) in FAULT_OF)
    return next(known, ROUNDING.get(cause.factor, "positions-wrong"))


def most_serious_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings in order; what was found twice is told once, with the evidence of both and the gravest severity.

    Of the same severity, what spoils nothing but the logits of a head comes after what spoils vectors.
    """
    order = ("problem", "caution", "note")
    kept: dict[str, Finding] = {}
    for finding in findings:
        first = kept.get(finding.id, finding)
        severity = min(first.severity, finding.severity, key=order.index)
        quotes = tuple(dict.fromkeys((*first.quotes, *finding.quotes)))
        kept[finding.id] = replace(first, severity=severity, evidence={**first.evidence, **finding.evidence}, quotes=quotes)
    return tuple(sorted(kept.values(), key=lambda finding: (order.index(finding.severity), _only_logits(finding))))


def _only_logits(finding: Finding) -> bool:
    return bool(finding.affects) and all(name.endswith(("logits", "labels")) for name in finding.affects)


def named(fault: str, severity: str, evidence: dict[str, Any], affects: tuple[str, ...], title: str = "") -> Finding:
    """A finding with the words of the catalogue."""
    entry = catalogue()[fault]
    return Finding(fault, severity, title or entry["name"], evidence, affects, entry["fix"], MENDED.get(fault, ""))


def of_truncation(tokens: Sequence[Tokens], other: Sequence[Tokens]) -> list[Finding]:
    """Texts of which tokens were cut off, with how many and where."""
    cut = [
        {"text": index, "tokens": row.full, "kept": len(row.ids), "at_character": row.cut_at}
        for index, row in enumerate(min(pair, key=lambda one: len(one.ids)) for pair in zip(tokens, other, strict=True))
        if row.cut
    ]
    if not cut:
        return []
    first = cut[0]
    where = f" after character {first['at_character']}" if first["at_character"] is not None else ""
    lost = int(first["tokens"] or 0) - int(first["kept"] or 0)
    many = "texts are" if len(cut) > 1 else "text is"
    title = f"{len(cut)} {many} truncated: text {first['text']} loses {lost:,} of {first['tokens']:,} tokens{where}"
    return [named("silent-truncation", "caution", {"texts": cut[:20], "truncated": len(cut)}, ("every readout",), title)]
