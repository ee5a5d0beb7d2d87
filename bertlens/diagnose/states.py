"""States: what happens to texts and tokens between the embeddings and the last hidden state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from bertlens.judge import narrow
from bertlens.judge.findings import most_serious_first, of_truncation
from bertlens.judge.layers import Layers, states_of
from bertlens.judge.token_layers import TokenLayers, token_layers
from bertlens.judge.usable import of_checkpoint
from bertlens.read import states as of_text
from bertlens.read.geometry import Anisotropy, anisotropy, cka, outliers
from bertlens.read.pooled import OF_STATES, PooledReader, most_texts
from bertlens.read.readout import Readout
from bertlens.read.sample import Sample, SampleReader
from bertlens.read.survey import Reader, survey
from bertlens.read.travel import TravelReader
from bertlens.run.condition import Condition
from bertlens.run.environment import environment
from bertlens.run.fresh import UNRELATED, few, fresh
from bertlens.run.inputs import Inputs, prepare
from bertlens.run.packing import TOKENS_AT_ONCE, neighbours_count, packed
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import as_texts, check_index

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint


def layers(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    *,
    condition: str | Condition = "",
    baseline: bool = True,
    progress: Progress = silent,
) -> Layers:
    """Read every hidden state of the texts in one pass: how tokens move, how narrow the states are, and every pooling of them.

    Texts of like length share a forward pass where only rounding depends on it.

    Parameters
    ----------
    condition : how the texts are run, `key=value,…`.
    baseline : draw fresh weights for the same architecture and run the texts' beginnings through them, to tell what training
        made from what the shape of the model makes.

    Raises
    ------
    BertlensError
        For texts or conditions that cannot be run.
    """
    whole, how = as_texts(texts), Condition.parse(condition)
    given = prepare(checkpoint, whole, how)
    # all states of a pass are in memory at once, so it holds fewer tokens than a pass of which the last state is read
    inputs, size = packed(given, tokens_at_once=TOKENS_AT_ONCE // 2), checkpoint.architecture
    poolings = tuple(name for name in OF_STATES if inputs is given or not neighbours_count(how, name))
    first = min(len(whole), most_texts(size.layers, size.hidden, len(poolings)))
    pooling, travelling, sampling = PooledReader(first, poolings), TravelReader(), SampleReader(inputs)
    readers: list[Reader] = [pooling, travelling, sampling]
    names = survey(inputs, readers, progress=progress)
    sample, travel = sampling.sample(), travelling.travel()
    found = _narrow(inputs, sample)
    control = _control(checkpoint)
    drawn = _sampled(few(fresh(checkpoint), whole, how)) if baseline else None
    units = outliers(sample.values, sample.unrelated)
    findings = [*of_checkpoint(checkpoint, Readout("cls")), *narrow.of_states(names, found, control, drawn, units)]
    return Layers(
        checkpoint=checkpoint.to_dict(),
        condition=str(how),
        texts=whole,
        states=states_of(names, size.layers),
        depth=size.layers,
        tokens=travel.tokens["real"],
        travel=travel,
        anisotropy=found,
        control=control,
        baseline=drawn,
        outliers=units,
        cka=cka(sample.values),
        cka_debiased=cka(sample.values, debiased=True),
        pooled=pooling.pooled(names, size.layers),
        findings=most_serious_first([*findings, *of_truncation(given.tokens, given.tokens)]),
        notes=_notes(given, sample, first, poolings, how),
        environment=environment(whole, checkpoint.device, 0),
    )


_CONTROLS: WeakKeyDictionary[Checkpoint, Anisotropy] = WeakKeyDictionary()


def _control(checkpoint: Checkpoint) -> Anisotropy:
    """The mean cosines of sentences with nothing in common: a fact of the checkpoint, so it is found once."""
    if checkpoint not in _CONTROLS:
        _CONTROLS[checkpoint] = _sampled(few(checkpoint, UNRELATED, Condition()))
    return _CONTROLS[checkpoint]


def _sampled(inputs: Inputs) -> Anisotropy:
    """The mean cosines of a few texts by themselves."""
    reader = SampleReader(inputs)
    survey(inputs, [reader])
    return _narrow(inputs, reader.sample())


def _narrow(inputs: Inputs, sample: Sample) -> Anisotropy:
    different = len({inputs.tokens[text].ids for text in np.unique(sample.texts)})
    return anisotropy(sample.values, sample.unrelated, different)


def _notes(inputs: Inputs, sample: Sample, first: int, poolings: Sequence[str], condition: Condition) -> tuple[str, ...]:
    texts = len(inputs.tokens)
    found = []
    if first < texts:
        found.append(
            f"The vectors of the first {first:,} of {texts:,} texts are kept, which is what fits into memory; tokens are "
            "measured in all of them."
        )
    if 0 < len(sample.ids) < sample.of:
        found.append(
            f"Cosines of unrelated tokens, outlier units and CKA are those of {len(sample.ids):,} tokens drawn evenly from "
            f"{sample.of:,} that are not special."
        )
    if left_out := [name for name in OF_STATES if name not in poolings]:
        found.append(f"Not kept, because texts of like length were run together: {', '.join(left_out)}.")
    if why := neighbours_count(condition):
        found.append(f"The texts were run in the batches of the condition: {why}.")
    return tuple(found)


def token_path(
    checkpoint: Checkpoint, texts: Sequence[Any] | str, text: int = 0, *, condition: str | Condition = ""
) -> TokenLayers:
    """Every real token of one text in every hidden state, in the batch that the condition gives it.

    Parameters
    ----------
    text : which of the texts.
    """
    whole = as_texts(texts)
    check_index(whole, text)
    inputs = packed(prepare(checkpoint, whole, Condition.parse(condition)))
    found = of_text.states_of(inputs, text)
    return token_layers(text, found, checkpoint.architecture.layers, checkpoint.tokenizer)
