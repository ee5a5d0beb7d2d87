"""Steps: the parts of an expression as a table, for pages and terminals."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bertlens.read.expression.explanation import Step


def steps_frame(steps: Sequence[Step]) -> pd.DataFrame:
    """One line per part, in the order of evaluation."""
    lines = [
        {
            "part": step.expression,
            "axes": " × ".join(step.axes) or step.form,
            "shape": " × ".join(map(str, step.shape)),
            "holds": step.words,
            "dtype": step.dtype,
            "memory, bytes": step.bytes,
            "times": step.times,
        }
        for step in steps
    ]
    return pd.DataFrame(lines, columns=["part", "axes", "shape", "holds", "dtype", "memory, bytes", "times"])
