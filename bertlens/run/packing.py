"""Packing: texts of like length run together, so that the model spends no time and no memory on padding.

Which texts share a batch is of no account to a vector as long as the mask hides the padding: only the order in which sums
are formed changes. Where a condition makes the neighbours count, it is run as it says.
"""

from __future__ import annotations

from dataclasses import replace

from bertlens.run.condition import Condition
from bertlens.run.inputs import Inputs

TOKENS_AT_ONCE = 1024
"""Padded tokens in one forward pass. 512 to 1,024 are fastest on a CPU, where the activations then stay in the cache."""

NEEDS_PADDING = ("mean_all",)
"""Poolings whose value is made by the padding of the batch."""

READS_FIRST = ("first_position", "logits")
"""What is read at position 0, or by most heads: padding, where it stands on the left."""


def neighbours_count(condition: Condition, pooling: str = "cls") -> str:
    """Why the texts must run in the batches that the condition says, in words; "" where only rounding depends on them."""
    if pooling in NEEDS_PADDING:
        return f"{pooling} counts the padding of the batch"
    if pooling in READS_FIRST and condition.side == "left":
        return f"{pooling} reads padding where it stands on the left"
    if condition.batch == "alone" or condition.padding != "longest":
        return "the condition names the length of the rows"
    if condition.mask != "on":
        return "without the mask padding is read as text"
    if condition.side == "left" and condition.positions == "default":
        return "padding on the left moves the positions"
    if condition.rows == "index":
        return "the batch axis is lost"
    if condition.dropout == "on":
        return "dropout draws in the order of the batches"
    return ""


def packed(inputs: Inputs, pooling: str = "cls", tokens_at_once: int = TOKENS_AT_ONCE) -> Inputs:
    """The same texts, longest first, as many in a forward pass as fit into so many padded tokens; at least one.

    Inputs whose neighbours count come back as they are.
    """
    if neighbours_count(inputs.condition, pooling):
        return inputs
    order = sorted(range(len(inputs.tokens)), key=lambda text: -len(inputs.tokens[text].ids))
    groups: list[tuple[tuple[int, ...], int]] = []
    start = 0
    while start < len(order):
        width = len(inputs.tokens[order[start]].ids)  # the longest of the pass, for they are sorted
        rows = order[start : start + max(1, tokens_at_once // width)]
        groups.append((tuple(rows), width))
        start += len(rows)
    return replace(inputs, groups=tuple(groups), sliced=False)


def cut(inputs: Inputs, tokens_at_once: int = TOKENS_AT_ONCE) -> Inputs:
    """The same batches at the length they are padded to, a few rows in each forward pass: only rounding depends on it.

    Inputs whose rows are not independent (the batch axis lost, dropout) come back as they are.
    """
    if inputs.condition.rows == "index" or inputs.condition.dropout == "on":
        return inputs
    groups: list[tuple[tuple[int, ...], int]] = []
    for texts, width in inputs.groups:
        step = max(1, tokens_at_once // width)
        groups += [(texts[at : at + step], width) for at in range(0, len(texts), step)]
    return replace(inputs, groups=tuple(groups))
