"""Expressions as people write them about a model's outputs, with what is true of each, noted by hand."""

from tests.expressions import (
    arrays,
    axes,
    axis_faults,
    fields,
    heads,
    layer_faults,
    layers,
    pooled,
    reviewed,
    similarity,
    tokens,
    unmasked,
    written_into,
)
from tests.expressions.written import Written

WRITTEN: tuple[Written, ...] = (
    *tokens.WRITTEN,
    *fields.WRITTEN,
    *layers.WRITTEN,
    *layer_faults.WRITTEN,
    *pooled.WRITTEN,
    *unmasked.WRITTEN,
    *axes.WRITTEN,
    *axis_faults.WRITTEN,
    *heads.WRITTEN,
    *similarity.WRITTEN,
    *arrays.WRITTEN,
    *written_into.WRITTEN,
    *reviewed.WRITTEN,
)
