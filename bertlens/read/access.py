"""Access: one text taken out of an array of ids in every way, with the shape of each stage and the cells it picks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.read.survey import wide
from bertlens.run.inputs import Batch, Inputs
from bertlens.run.variants import running

if TYPE_CHECKING:
    import pandas as pd

    from bertlens.run.checkpoint import Checkpoint

AT_ONCE = 32
"""Rows of a mini-batch in Keras's `predict`, unless told otherwise."""

STAGES = (
    "ids",
    "input_ids",
    "forward passes",
    "get_input_embeddings()",
    "hidden_states[0]",
    "last_hidden_state",
    "outputs[0]",
    "outputs[0][0]",
    "outputs[0][:, 0]",
    "pooler_output",
)
"""From the array of ids to what a person reads: `get_input_embeddings` looks the words up, `hidden_states[0]` is what the
embeddings make of them."""

KERAS = "index, as Keras reads it"
REPAIR = "index, with the axis at the wrong end"

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Access:
    """One way of taking a text out of the tokenised array, and what the model makes of it.

    Attributes
    ----------
    way : "index", "1-D array", "index, as Keras reads it", "index, with the axis at the wrong end", "slice" or "batch".
    code : as a person writes it.
    ids : shape of input_ids as passed.
    output : shape of last_hidden_state, or None where the model refuses.
    first : shape of `outputs[0][0]`.
    words : what `outputs[0][0]` holds.
    refusal : the model's own error where it refuses.
    each : what `outputs[0][:, 0]` holds.
    stages : name -> shape; None where the model does not come so far, or has no such output.
    runs : shape of input_ids in each forward pass; Keras takes 32 rows at a time.
    vector : `outputs[0][:, 0][0]`, which is taken for the text's vector; None where the model refuses.
    """

    way: str
    code: str
    ids: tuple[int, ...]
    output: tuple[int, ...] | None
    first: tuple[int, ...] | None
    words: str
    refusal: str = ""
    each: str = ""
    stages: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    runs: tuple[tuple[int, ...], ...] = ()
    vector: np.ndarray | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The contract's names, without the vector."""
        return {
            "way": self.way,
            "code": self.code,
            "stages": {name: None if shape is None else list(shape) for name, shape in self.stages.items()},
            "runs": [list(shape) for shape in self.runs],
            "outputs[0][0]": self.words,
            "outputs[0][:, 0]": self.each,
            "refusal": self.refusal,
        }


def accesses(inputs: Inputs, text: int) -> tuple[Access, ...]:
    """Index, slice and batches of the same array of ids, run live.

    The index is passed to PyTorch as it is, which refuses a 1-D array of ids, and as Keras reads it: (tokens, 1), in
    mini-batches. Keras itself is not run; the model is the same PyTorch one.
    """
    batch = next(iter(inputs.containing([text])))
    model = inputs.checkpoint.instance(inputs.condition.dtype, inputs.condition.attention, False)
    cells = _Cells(inputs.checkpoint, batch, text)
    with running(inputs.condition.dtype, None):
        return tuple(_access(model, batch, *way) for way in _ways(batch, batch.texts.index(text), cells))


def _ways(batch: Batch, row: int, cells: _Cells) -> list[tuple[str, str, Tensors, str, str]]:
    """(way, code, what the model is given, what [0] holds, what [:, 0] holds)."""

    def take(some: Callable[[torch.Tensor], torch.Tensor]) -> Tensors:
        return {name: some(tensor) for name, tensor in batch.tensors.items()}

    rows = len(batch.tensors["input_ids"])
    bare = {"input_ids": torch.tensor(batch.tensors["input_ids"][row].numpy())}
    column = take(lambda x: x[row][:, None])
    lone, every = cells.lone, cells.every_lone
    found = [
        ("index", f"ids[{row}]", take(lambda x: x[row]), "", ""),
        ("1-D array", f"torch.tensor(ids[{row}])", bare, "", ""),
        (KERAS, f"model.predict(ids[{row}])", column, lone, every),
        (REPAIR, f"ids[{row}][:, None]", column, lone, every),
        ("slice", f"ids[{row}:{row + 1}]", take(lambda x: x[row : row + 1]), cells.row(row), cells.cls([row])),
    ]
    for count in (*(count for count in (2, 3) if count < rows), rows):
        code = "ids" if count == rows else f"ids[:{count}]"
        some = {name: tensor[:count] for name, tensor in batch.tensors.items()}
        found.append(("batch", code, some, cells.row(0, count - 1), cells.cls(range(count))))
    return found


def _access(model: Any, batch: Batch, way: str, code: str, tensors: Tensors, words: str, each: str) -> Access:
    given = {name: tensor.to(model.device) for name, tensor in tensors.items()}
    ids = given["input_ids"]
    passed = tuple(ids.shape[:1] if way == KERAS else ids.shape)
    stages: dict[str, tuple[int, ...] | None] = dict.fromkeys(name for name in STAGES if name != "forward passes")
    stages["ids"], stages["input_ids"] = tuple(batch.tensors["input_ids"].shape), passed
    stages["get_input_embeddings()"] = tuple(model.get_input_embeddings()(ids).shape)
    step = AT_ONCE if way == KERAS else len(ids)
    parts = [{name: tensor[at : at + step] for name, tensor in given.items()} for at in range(0, len(ids), step)]
    try:
        outputs = [model(**part, output_hidden_states=[0], return_dict=True) for part in parts]
    except (ValueError, IndexError, RuntimeError) as error:
        refusal = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
        what = "PyTorch refuses a 1-D array of ids" if ids.ndim == 1 else "the model refuses it"
        return Access(way, code, passed, None, None, what, refusal, what, stages)
    last = _joined([out[0] for out in outputs])
    poolers = [out.pooler_output for out in outputs if getattr(out, "pooler_output", None) is not None]
    stages["hidden_states[0]"] = tuple(_joined([out.hidden_states[0] for out in outputs]).shape)
    stages["last_hidden_state"] = tuple(_joined([out.last_hidden_state for out in outputs]).shape)
    stages["outputs[0]"], stages["outputs[0][0]"] = tuple(last.shape), tuple(last[0].shape)
    stages["outputs[0][:, 0]"] = tuple(last[:, 0].shape)
    stages["pooler_output"] = tuple(_joined(poolers).shape) if poolers else None
    if ids.ndim == 1:  # nothing in the model makes this right: it fits because two sizes happen to be the same
        words = each = f"not refused: this model stretches {passed} to {tuple(last.shape)} where the sizes happen to fit"
    vector = wide(last[0, 0]).numpy()
    runs = tuple(tuple(part["input_ids"].shape) for part in parts)
    return Access(way, code, passed, tuple(last.shape), tuple(last[0].shape), words, "", each, stages, runs, vector)


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """What `predict` returns: the mini-batches one below the other."""
    return torch.cat(parts) if len(parts) > 1 else parts[0]


class _Cells:
    """The cells of the outputs that an expression picks, in words."""

    def __init__(self, checkpoint: Checkpoint, batch: Batch, text: int) -> None:
        self._batch = batch
        self._ids = batch.tensors["input_ids"]
        self._names = [str(name) for name in checkpoint.tokenizer.convert_ids_to_tokens(self._ids[:, 0].tolist())]
        row = batch.texts.index(text)
        width, of_text = self._ids.shape[1], int(batch.real[row].sum())
        same = ", the same for every text" if len(self._names) > 1 and len(set(self._names)) == 1 else ""
        self.lone = f"the lone {self._names[row]}, 1 of {width} sequences{same}"
        padding = f", {width - of_text} of padding" if of_text < width else ""
        self.every_lone = f"{width} lone tokens: {of_text} of text {text}{padding}"

    def row(self, row: int, others: int = 0) -> str:
        """All tokens of one row."""
        width, of_text = self._ids.shape[1], int(self._batch.real[row].sum())
        padding = f" ({width - of_text} of padding)" if of_text < width else ""
        rest = f", nothing of the other {others}" if others > 1 else ", nothing of the other text" if others else ""
        return f"all {width} tokens of text {self._text(row)}{padding}{rest}"

    def cls(self, rows: range | list[int]) -> str:
        """The first token of some rows."""
        names = {self._names[row] for row in rows}
        name = names.pop() if len(names) == 1 else "first token"
        return f"the {name} of text {self._text(rows[0])}" if len(rows) == 1 else f"the {name} of each of {len(rows)} texts"

    def _text(self, row: int) -> int:
        return self._batch.texts[row] if len(self._batch.texts) == len(self._ids) else self._batch.texts[0]


def shown(access: Access, stage: str) -> str:
    """What is at a stage as a person reads it; the forward passes with how often each shape runs."""
    if stage == "forward passes" and access.runs:
        times = Counter(access.runs)
        return (
            " + ".join(f"{count} × {shape}" for shape, count in times.items()) if len(access.runs) > 1 else str(access.runs[0])
        )
    shape = access.stages.get(stage)
    if shape is None:
        return "refused" if access.refusal else "none"
    return str(shape)


def stage_frame(found: tuple[Access, ...]) -> pd.DataFrame:
    """One line per stage, one column per way of access."""
    import pandas as pd

    return pd.DataFrame({"stage": STAGES, **{access.code: [shown(access, stage) for stage in STAGES] for access in found}})


def access_frame(found: tuple[Access, ...]) -> pd.DataFrame:
    """One line per way of access: the cells that it picks."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "you write": access.code,
                "outputs[0][0]": access.words,
                "outputs[0][:, 0]": access.each,
            }
            for access in found
        ]
    )
