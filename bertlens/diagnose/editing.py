"""Editing: what a change of looked-up vectors does, and which entries of the vocabulary lie near a vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.diagnose.alone import last_state, row_of
from bertlens.diagnose.classifying import labels_of, on_device
from bertlens.errors import BertlensError
from bertlens.judge.edits import MOST_NEIGHBOURS, Effect, Logits, Neighbours, moved
from bertlens.judge.layers import states_of
from bertlens.judge.measures import cosine
from bertlens.judge.trial import States, tried
from bertlens.read.pooled import OF_STATES
from bertlens.read.readout import Readout
from bertlens.read.survey import same_numbers, state_names, wide
from bertlens.read.vectors import read_all, vectors_of
from bertlens.read.vocabulary import Nearest, entry_of
from bertlens.read.vocabulary import nearest_entries as entries_near
from bertlens.run import edits as changes
from bertlens.run import embedded
from bertlens.run.condition import Condition
from bertlens.run.headed import headed, kind_of
from bertlens.run.inputs import Batch, prepare
from bertlens.run.outputs import Outputs
from bertlens.run.packing import NEEDS_PADDING, packed
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts, as_texts
from bertlens.run.variants import running

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

POOLED = tuple(pooling for pooling in OF_STATES if pooling not in NEEDS_PADDING)
"""Poolings by which neighbours are ranked: those that a text alone and a text in a batch share."""


def edit(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    text: int = 0,
    *,
    edits: str,
    pooling: str = "mean",
    vectors: Mapping[str, np.ndarray] | None = None,
    progress: Progress = silent,
) -> Effect:
    """Change looked-up vectors of one text, feed them back, and measure what becomes of every state, and of the logits.

    Logits are there where the config declares a sequence classifier and the file holds all of its weights.

    Parameters
    ----------
    edits : `3:scale=2;5-7:zero`, see `bertlens.run.edits`.
    pooling : of the vectors by which the text's neighbours are told; those of every other one of `POOLED` are kept as well.
    vectors : name -> (width,), for edits of the kind `vector`.

    Raises
    ------
    BertlensError
        For edits that cannot be read or carried out, and a pooling that the model does not have.
    """
    whole, chosen = as_texts(texts), changes.parse(edits)
    if pooling not in POOLED:
        raise BertlensError(f"cannot rank neighbours by {pooling}", expected="one of " + ", ".join(POOLED))
    batch = row_of(checkpoint, whole, text)

    @cache
    def table(dtype: str) -> tuple[torch.Tensor, torch.Tensor]:
        before = embedded.lookup(checkpoint, batch.tensors["input_ids"], dtype=dtype)[0]
        after = changes.edited(before, chosen, entry_of(checkpoint, dtype), vectors or {})
        return before, after

    @cache
    def run(dtype: str) -> tuple[Outputs, Outputs]:
        progress(0, 3, f"running the text in {dtype}")
        given = embedded.with_vectors(batch, table(dtype)[1][None])
        return embedded.every_state(checkpoint, batch, dtype=dtype), embedded.every_state(checkpoint, given, dtype=dtype)

    def last(dtype: str) -> States:
        left, right = run(dtype)
        return last_state(left), last_state(right)

    trial = tried("the edits", last("float32"), lambda: last("float64"))
    before, after = (wide(each).numpy() for each in table("float32"))
    runs = run("float32")
    names, states = _states(runs, checkpoint.architecture.layers)
    progress(2, 3, "looking for neighbours")
    return Effect(
        checkpoint=checkpoint.to_dict(),
        text=text,
        edits=changes.written(chosen),
        tokens=tuple(map(str, checkpoint.tokenizer.convert_ids_to_tokens(batch.tensors["input_ids"][0].tolist()))),
        changed=tuple(np.flatnonzero((before != after).any(1)).tolist()),
        states=states_of(names, checkpoint.architecture.layers),
        measures=moved(*states),
        before=before,
        after=after,
        trial=trial,
        pooling=pooling,
        near=_neighbours(checkpoint, whole, text, runs),
        logits=_logits(checkpoint, batch, embedded.with_vectors(batch, table("float32")[1][None])),
    )


def _states(runs: tuple[Outputs, Outputs], depth: int) -> tuple[tuple[str, ...], tuple[np.ndarray, np.ndarray]]:
    """Names of the states, and both runs' states as (states, tokens, hidden)."""
    tied = same_numbers(runs[0].hidden_states[depth], runs[0].last_hidden_state)
    stacked = []
    for outputs in runs:
        states = [outputs.hidden_states[layer] for layer in range(depth + 1)]
        states += [] if tied else [outputs.last_hidden_state]
        stacked.append(torch.stack([wide(state[0]) for state in states]).numpy())
    return state_names(depth, tied=tied), (stacked[0], stacked[1])


def _neighbours(checkpoint: Checkpoint, texts: Texts, text: int, runs: tuple[Outputs, Outputs]) -> dict[str, Neighbours]:
    """Pooling -> cosines of the text with all others, before and after; {} for a single text."""
    others = [other for other in range(len(texts)) if other != text][:MOST_NEIGHBOURS]
    if not others:
        return {}
    inputs = packed(prepare(checkpoint, tuple(texts[other] for other in others), Condition()))
    readouts = [Readout(pooling) for pooling in POOLED]
    every = cache(lambda: read_all(inputs, readouts))
    found = {}
    for readout in readouts:
        known = checkpoint.kept.get(("neighbours", inputs.tokens, readout), lambda one=readout: every()[one])  # type: ignore[misc]
        own = [wide(vectors_of(outputs, readout, ())).numpy() for outputs in runs]
        before, after = (cosine(np.repeat(vector, len(known), axis=0), known) for vector in own)
        found[str(readout)] = Neighbours(str(readout), tuple(others), before, after)
    return found


def _logits(checkpoint: Checkpoint, *batches: Batch) -> Logits | None:
    """Of the checkpoint's own classifier; None where it has none, or one that nobody trained."""
    if kind_of(checkpoint.model.config) != "sequence":
        return None
    one = headed(checkpoint, "sequence")
    if one.drawn:
        return None
    model, found = one.instance(), []
    for batch in batches:
        with running("float32", None):
            found.append(tuple(wide(model(**on_device(one.device, batch)).logits[0]).tolist()))
    return Logits(labels_of(model.config), *found)


def nearest_entries(
    checkpoint: Checkpoint, vectors: Mapping[str, np.ndarray], *, k: int = 10, measure: str = "cosine"
) -> Nearest:
    """The entries of the vocabulary nearest to vectors, name -> (width,), by "cosine" or "dot" product."""
    return entries_near(checkpoint, vectors, k, measure)
