"""Rounding: by how much half precision moves rows, measured against a run in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bertlens.read.bank import Row
from bertlens.read.pooled import Pooled
from bertlens.read.readout import Readout


def of_states(half: Sequence[Row], single: Sequence[Row]) -> np.ndarray:
    """(rows,): the largest difference in any state and pooling, as a share of the largest component there."""
    # some pooling may have nothing to pool, such as the content of a row of [CLS] alone
    apart = [
        np.nanmax(np.abs(one.values - other.values), (1, 2)) / np.nanmax(np.abs(other.values), (1, 2))
        for one, other in zip(half, single, strict=True)
    ]
    return np.array([float(np.nan_to_num(one).max()) for one in apart])


def of_readout(readout: Readout, half: Pooled, single: Pooled, *, centred: bool) -> np.ndarray:
    """(rows,): the same for a readout, as it is and divided by its length.

    Where the mean of all rows was removed, the vectors are smaller than before, and their rounding is not.
    """
    shares = []
    for l2 in (False, True):
        one, other = (pooled.vectors(replace(readout, l2=l2)).astype(np.float64) for pooled in (half, single))
        if centred and len(one) > 1:
            one, other = one - one.mean(0), other - other.mean(0)
        size = np.abs(other).max(1)
        shares.append(np.where(size > 0, np.abs(one - other).max(1) / np.where(size > 0, size, 1), 0))
    return np.asarray(np.nan_to_num(np.max(shares, 0)))
