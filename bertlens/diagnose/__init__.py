"""Diagnose: one function per question, composed of the four rooms. Pages, command line and notebooks call these."""

from bertlens.diagnose.attention import attention, attention_of_texts, attention_to_padding, fitted, longest_row
from bertlens.diagnose.comparing import compare, index_or_slice, padding_sweep, where_they_part
from bertlens.diagnose.editing import edit, nearest_entries
from bertlens.diagnose.files import check, check_texts, weight_matrix
from bertlens.diagnose.lookup import lookup, lookup_cost, own_positions, padded_vectors
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
    "edit",
    "explain",
    "fitted",
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
    "shapes",
    "token_path",
    "weight_matrix",
    "where_they_part",
]
