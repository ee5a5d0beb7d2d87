"""Worked cases: five questions that people keep asking, each answered live on any checkpoint and texts."""

from bertlens.cases.worked import classifier, lookup, padding, reload, rows
from bertlens.cases.worked.case import Case

CASES: tuple[Case, ...] = (rows.CASE, reload.CASE, padding.CASE, lookup.CASE, classifier.CASE)
"""In the order of their numbers."""
