"""Lookup: where the vectors before the first layer come from, what they cost, and what feeding them back does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.diagnose.alone import against, row_of
from bertlens.errors import BertlensError
from bertlens.judge.lookup import Lookup, LookupCost, of_feeding, particulars
from bertlens.judge.positions import OwnPositions, Padded
from bertlens.judge.trial import Trial
from bertlens.read.embedding import embedding, positions_of
from bertlens.read.survey import wide
from bertlens.read.timing import take_turns
from bertlens.run import embedded
from bertlens.run.condition import Condition
from bertlens.run.environment import environment
from bertlens.run.inputs import Batch, prepare
from bertlens.run.packing import packed
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import as_texts, sides

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

MOST_PAIRS = 20
"""Sentence pairs that are run with positions of their own; each is run alone, twice, and again in float64."""

PADDING, PADDED = 4, 32
"""Padding tokens beside a row, and tokens at which that row is cut: positions show it on a short row as well."""


def lookup(checkpoint: Checkpoint, texts: Sequence[Any] | str, text: int = 0, *, progress: Progress = silent) -> Lookup:
    """Take the embeddings of one text apart, add them up again by hand, and feed them back as `inputs_embeds`.

    The text is run alone, in float32 without dropout.

    Parameters
    ----------
    text : which of the texts.

    Raises
    ------
    BertlensError
        Where the embeddings are not a sum of looked-up vectors.
    """
    whole = as_texts(texts)
    batch = row_of(checkpoint, whole, text)
    progress(0, 3, "taking the embeddings apart")
    found = embedding(checkpoint, batch)
    alone = None
    with suppress(BertlensError):  # a module that cannot be called alone is left out, and said to be
        before = next((step.values for step in reversed(found.steps) if step.name != "projection"), found.state)
        module = wide(embedded.embeddings_alone(checkpoint, batch)[0]).numpy()
        same = next((values for values in (before, found.state) if values.shape == module.shape), None)
        alone = None if same is None else float(np.abs(module - same).max())
    progress(1, 3, "feeding them back")
    tokens = checkpoint.tokenizer.convert_ids_to_tokens(batch.tensors["input_ids"][0].tolist())
    fed = _fed_back(checkpoint, batch, factorised=found.factorised)
    return Lookup(
        checkpoint=checkpoint.to_dict(),
        text=text,
        tokens=tuple(map(str, tokens)),
        embedding=found,
        alone=alone,
        fed=fed,
        findings=tuple(of_feeding(trial) for trial in fed[1:] if trial.verdict == "different"),
        notes=particulars(found),
        environment=environment(whole, checkpoint.device, 0),
    )


def _fed_back(checkpoint: Checkpoint, batch: Batch, *, factorised: bool) -> tuple[Trial, ...]:
    """The lookup as inputs_embeds, and hidden_states[0]; where that does not fit, what the embedding module makes."""

    def again(dtype: str) -> Batch:
        return embedded.with_vectors(batch, embedded.lookup(checkpoint, batch.tensors["input_ids"], dtype=dtype))

    def twice(dtype: str) -> Batch:
        if factorised:
            return embedded.with_vectors(batch, embedded.embeddings_alone(checkpoint, batch, dtype=dtype))
        return embedded.with_vectors(batch, embedded.every_state(checkpoint, batch, dtype=dtype).hidden_states[0])

    found = [against(checkpoint, "the lookup", lambda _: batch, again)]
    with suppress(BertlensError):  # an embedding module of its own kind gives no vectors of the table's width
        name = "the output of the embedding module" if factorised else "hidden_states[0]"
        found.append(against(checkpoint, name, lambda _: batch, twice))
    return tuple(found)


def padded_vectors(checkpoint: Checkpoint, texts: Sequence[Any] | str, text: int = 0) -> Padded:
    """A padded row passed as ids and as vectors, padded on both sides: which positions does the model count?

    RoBERTa and its relatives count positions over the ids that are not padding, which vectors do not show.

    Raises
    ------
    BertlensError
        Where the tokenizer has no padding token.
    """
    whole = as_texts(texts)
    full = row_of(checkpoint, whole, text).real.shape[1]
    length = min(full, PADDED, checkpoint.max_length - PADDING)
    cut = length if length < full else "model"
    positions: dict[tuple[str, str], tuple[int, ...]] = {}
    trials = {}
    for side in ("right", "left"):
        condition = Condition(side=side, padding=length + PADDING, max_length=cut)
        batch = row_of(checkpoint, whole, text, condition)
        ids = batch.tensors["input_ids"]
        used = positions_of(checkpoint, batch)

        def vectors(dtype: str, given: torch.Tensor | None = None, batch: Batch = batch, ids: torch.Tensor = ids) -> Batch:
            return embedded.with_vectors(batch, embedded.lookup(checkpoint, ids, dtype=dtype), given)

        if used is not None:
            positions[side, "ids"] = tuple(used[0].tolist())
            by_itself = positions_of(checkpoint, vectors("float32"))
            positions[side, "vectors"] = tuple(by_itself[0].tolist()) if by_itself is not None else ()
        trials[side, "vectors"] = against(checkpoint, f"padding {side}", lambda _, batch=batch: batch, vectors)  # type: ignore[misc]
        if used is not None and checkpoint.architecture.takes_positions:
            name, mended = f"padding {side}, position_ids passed", lambda dtype, make=vectors, used=used: make(dtype, used)
            trials[side, "position_ids"] = against(checkpoint, name, lambda _, batch=batch: batch, mended)  # type: ignore[misc]
    return Padded(length, PADDING, positions, trials)


def lookup_cost(checkpoint: Checkpoint, texts: Sequence[Any] | str, *, progress: Progress = silent) -> LookupCost:
    """Time the lookup alone, the embedding module alone and a full pass in turns, on the first batch of the texts."""
    batch = next(iter(packed(prepare(checkpoint, as_texts(texts), Condition()))))
    works: list[Callable[[], object]] = [
        lambda: embedded.lookup(checkpoint, batch.tensors["input_ids"]),
        lambda: embedded.every_state(checkpoint, batch),
    ]
    with suppress(BertlensError):
        embedded.embeddings_alone(checkpoint, batch)
        works.append(lambda: embedded.embeddings_alone(checkpoint, batch))
    table, whole, *module = take_turns(works, checkpoint.device, progress=progress)
    rows, tokens = batch.real.shape
    return LookupCost(rows, tokens, table, module[0] if module else None, whole)


def own_positions(checkpoint: Checkpoint, texts: Sequence[Any] | str, *, progress: Progress = silent) -> OwnPositions:
    """Sentence pairs with `position_ids` that begin anew at the second sentence, against the model's own counting.

    Raises
    ------
    BertlensError
        Where no text is a pair of two sentences, or the model takes no position_ids.
    """
    whole, facts = as_texts(texts), checkpoint.architecture
    if not facts.takes_positions:
        got = f"a model that takes no position_ids ({facts.kind})"
        raise BertlensError(f"{checkpoint.name} cannot count positions otherwise", got=got)
    tokens = prepare(checkpoint, whole, Condition()).tokens
    starts = {text: _second(whole[text], row.special) for text, row in enumerate(tokens) if len(sides(whole[text])) == 2}
    chosen = [text for text, start in starts.items() if start is not None][:MOST_PAIRS]
    if not chosen:
        raise BertlensError(
            "there are no sentences to count apart",
            got="no text of two sentences",
            expected="sentence pairs",
            do="tick “Each line is a pair of sentences” and write two with ||| between them",
        )
    trials, positions = [], {}
    for done, text in enumerate(chosen):
        progress(done, len(chosen), "running pairs with positions of their own")
        batch = row_of(checkpoint, whole, text)
        start, first = starts[text] or 0, max(facts.first_position, 0)
        places = torch.arange(batch.real.shape[1])
        own = (first + torch.where(places < start, places, places - start))[None]
        positions[text] = tuple(own[0].tolist())
        given = embedded.with_positions(batch, own)
        trials.append(against(checkpoint, f"text {text}", lambda _, b=batch: b, lambda _, g=given: g))  # type: ignore[misc]
    left_out = tuple(text for text in range(len(whole)) if text not in positions)
    return OwnPositions(tuple(chosen), positions, tuple(trials), left_out)


def _second(text: Any, special: Sequence[int]) -> int | None:
    """The place of the first token of the second sentence; None where one of the two has no token."""
    content = [at for at, mark in enumerate(special) if not mark]
    if not all(side.strip() for side in sides(text)):
        return None
    gaps = [after for before, after in pairwise(content) if after > before + 1]
    return gaps[0] if gaps else None
