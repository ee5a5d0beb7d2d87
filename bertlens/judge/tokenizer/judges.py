"""Tokenizer: everything that the tokenizer's files betray, alone and against config and weights."""

from __future__ import annotations

from bertlens.errors import BertlensError
from bertlens.judge.findings import Finding
from bertlens.judge.tokenizer import vocabulary as vocabularies
from bertlens.judge.tokenizer.dialects import of_dialects
from bertlens.judge.tokenizer.kinship import measure, of_kinship
from bertlens.judge.tokenizer.letters import of_letters
from bertlens.judge.tokenizer.numbering import of_absence, of_numbering, of_refusal
from bertlens.judge.tokenizer.special_tokens import of_special_tokens
from bertlens.run.dossier import Dossier


def of_tokenizer(dossier: Dossier) -> list[Finding]:
    """Findings about numbering, letters, special tokens, and files that contradict each other."""
    try:
        vocabulary = vocabularies.of(dossier)
    except BertlensError as error:
        return [of_refusal(error)]
    if vocabulary is None:
        return [of_absence(dossier)]
    kinship = measure(dossier, vocabulary)
    found = [
        *of_letters(dossier, vocabulary),
        *of_numbering(dossier, vocabulary, proven=kinship is not None and kinship.verdict == "aligned"),
        *of_kinship(kinship),
        *of_special_tokens(dossier, vocabulary),
        *of_dialects(dossier, vocabulary),
    ]
    # Where one id is found twice the first is told: the gravest, and among those the one that names a file.
    return sorted(found, key=lambda finding: ("problem", "caution", "note").index(finding.severity))
