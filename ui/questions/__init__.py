"""Questions: what pages ask of the core, each answered once and kept; a file for each file of `bertlens/diagnose`."""

from ui.questions.attentions import attention_of_layer, attention_of_texts, attention_to_padding, attentions, longest
from ui.questions.classifying import cls_attention, head, head_dropout, token_shares
from ui.questions.comparing import compare, index_or_slice, parting, sweep
from ui.questions.diagnosing import Kept
from ui.questions.embeddings import edit, lookup, lookup_cost, nearest_entries, own_positions, padded_vectors
from ui.questions.files import check, reload, repair_plan, weight_matrix
from ui.questions.identifying import digest, faulty_example, identify
from ui.questions.reproducing import case_on_labels, reproduction, step_of_case
from ui.questions.states import layers, token_path
from ui.questions.tensors import capture, explain, shapes
from ui.questions.vectors import other_readouts, padding_trap, pooling, pooling_costs

__all__ = [
    "Kept",
    "attention_of_layer",
    "attention_of_texts",
    "attention_to_padding",
    "attentions",
    "capture",
    "case_on_labels",
    "check",
    "cls_attention",
    "compare",
    "digest",
    "edit",
    "explain",
    "faulty_example",
    "head",
    "head_dropout",
    "identify",
    "index_or_slice",
    "layers",
    "longest",
    "lookup",
    "lookup_cost",
    "nearest_entries",
    "other_readouts",
    "own_positions",
    "padded_vectors",
    "padding_trap",
    "parting",
    "pooling",
    "pooling_costs",
    "reload",
    "repair_plan",
    "reproduction",
    "shapes",
    "step_of_case",
    "sweep",
    "token_path",
    "token_shares",
    "weight_matrix",
]
