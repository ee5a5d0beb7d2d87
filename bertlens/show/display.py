"""Display: the figure that a result shows of itself in a notebook."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go

from bertlens.judge.attention import Attention
from bertlens.judge.checkpoint.checkup import Checkup
from bertlens.judge.cls_attention import ClsAttention
from bertlens.judge.comparison import Comparison
from bertlens.judge.costs import Costs
from bertlens.judge.diagnosis import Diagnosis
from bertlens.judge.dropout_runs import DropoutRuns
from bertlens.judge.edits import Effect
from bertlens.judge.fresh import Fresh
from bertlens.judge.head import Head
from bertlens.judge.identification import Identification
from bertlens.judge.layers import Layers
from bertlens.judge.lookup import Lookup, LookupCost
from bertlens.judge.parting import Parting
from bertlens.judge.pooling import Poolings
from bertlens.judge.positions import Padded
from bertlens.judge.probing import Probe
from bertlens.judge.reproduction import Reproduction
from bertlens.judge.rows import Rows
from bertlens.judge.sweep import Sweep
from bertlens.judge.token_layers import TokenLayers
from bertlens.judge.token_shares import TokenShares
from bertlens.judge.trap import PaddingTrap
from bertlens.judge.weights.matrix import Matrix
from bertlens.show import (
    attention,
    checkpoint,
    differences,
    edits,
    figures,
    head,
    identification,
    layers,
    lookup,
    parting,
    pooling,
    probing,
    shares,
    token_layers,
)

FIGURES: dict[type, Callable[[Any], go.Figure | None]] = {
    Attention: lambda found: attention.overview(found.read.measures["entropy"], "entropy"),
    Checkup: lambda found: checkpoint.weight_map(found) if found.modules else None,
    ClsAttention: shares.by_layer,
    Comparison: differences.comparison,
    Costs: pooling.costs,
    Diagnosis: lambda found: differences.changes(found.changes),
    DropoutRuns: lambda found: head.dropout(found) if len(found.labels) <= head.CLASSES else None,
    Effect: lambda found: edits.effect_map(found, "change"),
    Fresh: pooling.fresh,
    Head: lambda found: head.answer(found) if found.replaced and len(found.labels) <= head.CLASSES else None,
    Identification: lambda found: identification.candidates(found) if found.best else None,
    Layers: layers.anisotropy,
    Lookup: lookup.norms,
    LookupCost: lookup.cost,
    Matrix: checkpoint.spectrum,
    Padded: lambda found: lookup.positions(found) if found.positions else None,
    PaddingTrap: pooling.padding_trap,
    Parting: lambda found: parting.parting(found) if found.tokens else None,
    Poolings: pooling.agreement,
    Probe: probing.accuracies,
    Reproduction: differences.reproduction,
    Rows: lambda found: differences.comparison(found.by_index),
    Sweep: figures.padding_sweep,
    TokenLayers: lambda found: token_layers.token_map(found, "norm"),
    TokenShares: shares.parts,
}
"""One figure of each kind of result; None where this one has nothing to draw."""


def picture(result: object) -> dict[str, Any] | None:
    """The figure of a result as plotly's JSON, without plotly.js; None where there is none."""
    draw = FIGURES.get(type(result))
    figure = draw(result) if draw else None
    if figure is None:
        return None
    found: dict[str, Any] = json.loads(figure.to_json())
    return found
