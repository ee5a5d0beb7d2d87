"""Tokenizer: everything that the tokenizer's files betray, alone and against config and weights."""

from __future__ import annotations

from bertlens.errors import BertlensError
from bertlens.judge import vocabulary as vocabularies
from bertlens.judge.dialects import of_dialects
from bertlens.judge.findings import Finding
from bertlens.judge.letters import of_letters
from bertlens.judge.numbering import of_absence, of_numbering, of_refusal
from bertlens.judge.special_tokens import of_special_tokens
from bertlens.run.dossier import Dossier


def of_tokenizer(dossier: Dossier) -> list[Finding]:
    """Findings about numbering, letters, special tokens, and files that contradict each other."""
    try:
        vocabulary = vocabularies.of(dossier)
    except BertlensError as error:
        return [of_refusal(error)]
    if vocabulary is None:
        return [of_absence(dossier)]
    return [
        *of_letters(dossier, vocabulary),
        *of_numbering(dossier, vocabulary),
        *of_special_tokens(dossier, vocabulary),
        *of_dialects(dossier, vocabulary),
    ]
