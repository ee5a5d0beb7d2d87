"""Diagnose: one function per question, composed of the four rooms. Pages, command line and notebooks call these."""

from bertlens.diagnose.attentions import attention, attention_of_texts, attention_to_padding, fitted, longest_row
from bertlens.diagnose.classifying import head
from bertlens.diagnose.comparing import compare, index_or_slice, padding_sweep, where_they_part
from bertlens.diagnose.diagnosing import diagnosis
from bertlens.diagnose.editing import edit, nearest_entries
from bertlens.diagnose.embeddings import lookup, lookup_cost, own_positions, padded_vectors
from bertlens.diagnose.files import check, check_texts, weight_matrix
from bertlens.diagnose.head_runs import cls_attention, head_dropout, token_shares
from bertlens.diagnose.identifying import identify
from bertlens.diagnose.probing import probe
from bertlens.diagnose.reproducing import reproduce
from bertlens.diagnose.states import layers, token_path
from bertlens.diagnose.tensors import capture, explain, shapes
from bertlens.diagnose.vectors import padding_trap, pool, pooling, pooling_costs
from bertlens.judge.display import Draw, draw_with

__all__ = [
    "attention",
    "attention_of_texts",
    "attention_to_padding",
    "capture",
    "check",
    "check_texts",
    "cls_attention",
    "compare",
    "diagnosis",
    "edit",
    "explain",
    "fitted",
    "head",
    "head_dropout",
    "identify",
    "index_or_slice",
    "layers",
    "longest_row",
    "lookup",
    "lookup_cost",
    "nearest_entries",
    "own_positions",
    "padded_vectors",
    "padding_sweep",
    "padding_trap",
    "pool",
    "pooling",
    "pooling_costs",
    "probe",
    "reproduce",
    "shapes",
    "token_path",
    "token_shares",
    "weight_matrix",
    "where_they_part",
]


def _pictures() -> Draw:
    from bertlens.show.display import picture  # with plotly, which takes its time

    return picture


draw_with(_pictures)
