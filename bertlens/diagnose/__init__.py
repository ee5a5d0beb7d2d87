"""Diagnose: one function per question, composed of the four rooms. Pages, command line and notebooks call these."""

from bertlens.diagnose.comparing import compare, index_or_slice, padding_sweep, where_they_part
from bertlens.diagnose.files import check, check_texts, weight_matrix
from bertlens.diagnose.heads import attention, attention_of_texts, attention_to_padding, fitted, longest_row
from bertlens.diagnose.states import layers, token_path
from bertlens.diagnose.tensors import capture, explain, shapes
from bertlens.diagnose.vectors import padding_trap, pool, pooling, pooling_costs

__all__ = [
    "attention",
    "attention_of_texts",
    "attention_to_padding",
    "capture",
    "check",
    "check_texts",
    "compare",
    "explain",
    "fitted",
    "index_or_slice",
    "layers",
    "longest_row",
    "padding_sweep",
    "padding_trap",
    "pool",
    "pooling",
    "pooling_costs",
    "shapes",
    "token_path",
    "weight_matrix",
    "where_they_part",
]
