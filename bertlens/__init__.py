"""bertlens: why do my BERT vectors disagree?

>>> import bertlens
>>> checkpoint = bertlens.load("minilm")
>>> bertlens.compare(checkpoint, ["one text", "another, longer one"]).verdict
'rounding'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bertlens.diagnose import (
        attention,
        attention_of_texts,
        attention_to_padding,
        capture,
        check,
        cls_attention,
        compare,
        diagnosis,
        edit,
        explain,
        head,
        head_dropout,
        identify,
        index_or_slice,
        layers,
        lookup,
        nearest_entries,
        padding_sweep,
        padding_trap,
        pool,
        pooling,
        pooling_costs,
        probe,
        reproduce,
        shapes,
        token_path,
        token_shares,
        where_they_part,
    )
    from bertlens.errors import BertlensError
    from bertlens.read.readout import Readout
    from bertlens.run.checkpoint import Checkpoint, load
    from bertlens.run.condition import Condition
    from bertlens.run.foreign import read_vectors
    from bertlens.run.labels import read_labelled
    from bertlens.run.texts import read_texts

__version__ = "0.1.0"
__all__ = [
    "BertlensError",
    "Checkpoint",
    "Condition",
    "Readout",
    "attention",
    "attention_of_texts",
    "attention_to_padding",
    "capture",
    "check",
    "cls_attention",
    "compare",
    "diagnosis",
    "edit",
    "explain",
    "head",
    "head_dropout",
    "identify",
    "index_or_slice",
    "layers",
    "load",
    "lookup",
    "nearest_entries",
    "padding_sweep",
    "padding_trap",
    "pool",
    "pooling",
    "pooling_costs",
    "probe",
    "read_labelled",
    "read_texts",
    "read_vectors",
    "repair",
    "reproduce",
    "shapes",
    "token_path",
    "token_shares",
    "train_pooler",
    "weight_matrix",
    "where_they_part",
]

_HOME = {
    "BertlensError": "bertlens.errors",
    "Checkpoint": "bertlens.run.checkpoint",
    "load": "bertlens.run.checkpoint",
    "Condition": "bertlens.run.condition",
    "Readout": "bertlens.read.readout",
    "read_labelled": "bertlens.run.labels",
    "read_texts": "bertlens.run.texts",
    "read_vectors": "bertlens.run.foreign",
    "repair": "bertlens.remedies.repair",
    "train_pooler": "bertlens.remedies.trained_pooler",
}


def __getattr__(name: str) -> Any:
    """Import on first use: `import bertlens` and `bertlens --help` must not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module 'bertlens' has no attribute '{name}'")
    return getattr(import_module(_HOME.get(name, "bertlens.diagnose")), name)
