"""Vectors: every way to make one vector of a text, side by side, at growing padding, into files, and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bertlens.errors import BertlensError
from bertlens.judge import usable
from bertlens.judge.costs import Costs
from bertlens.judge.findings import Finding, most_serious_first, named, of_truncation
from bertlens.judge.pooled_texts import PooledTexts
from bertlens.judge.pooling import Poolings
from bertlens.judge.tokenizer.vocabulary import spread
from bertlens.judge.trap import PaddingTrap, Vectors, checked_lengths, steps_between, trap
from bertlens.read.pooled import most_texts, pool_all
from bertlens.read.readout import POOLINGS, Readout
from bertlens.read.timing import timed
from bertlens.read.vectors import layers_of, read_all
from bertlens.run.condition import Condition
from bertlens.run.environment import environment
from bertlens.run.inputs import Inputs, prepare
from bertlens.run.packing import TOKENS_AT_ONCE, cut, neighbours_count, packed
from bertlens.run.presets import TRAP_TEXTS
from bertlens.run.progress import Progress, silent
from bertlens.run.side_by_side import cores
from bertlens.run.texts import as_texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

COMBINED = (
    *("mean@last4:mean", "mean@last4:sum", "mean@last4:concat"),
    *("cls@last4:mean", "cls@last4:concat", "cls@last4:concat_reversed", "mean@all:mean"),
)
"""Readouts of several layers that people compare."""

BATCH = 32
"""Texts of a forward pass where the condition puts all of them into one and there are more."""

COMPARED = 500
"""Of how many texts the similarities are compared, all pairs of them."""

TRAPPED = 16
"""Texts that are padded again and again, in two number formats."""


def default_readouts(checkpoint: Checkpoint) -> tuple[str, ...]:
    """What the checkpoint declares, every pooling of the last layer, and the combinations of layers that people compare.

    As far as the model has them.
    """
    facts, recipe = checkpoint.architecture, usable.recipe_of(checkpoint)
    declared = [recipe.readout] if recipe and recipe.readout else []
    poolings = [pooling for pooling in POOLINGS if pooling != "pooler" or facts.pooler]
    combined = [readout for readout in COMBINED if "last4" not in readout or facts.layers >= 3]
    return tuple(dict.fromkeys([*declared, *poolings, *combined]))


def pooling(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    *,
    condition: str | Condition = "",
    readouts: Sequence[str | Readout] | None = None,
    known: Poolings | None = None,
    progress: Progress = silent,
) -> Poolings:
    """Read the same forward passes in many ways, and say which of them may be used.

    Parameters
    ----------
    condition : how the texts are run, batches included, because some readouts take the padding of the batch for text. Where it
        puts more than 32 texts into one batch, they run in batches of 32 in the given order.
    readouts : in their own notation; by default every pooling of the last layer and the usual combinations of layers.
    known : the answer for other readouts of the same texts under the same condition; the model is then not run again.

    Raises
    ------
    BertlensError
        For texts, conditions or readouts that cannot be run.
    """
    chosen = _parsed(checkpoint, default_readouts(checkpoint) if readouts is None else readouts)
    given, wanted, notes = as_texts(texts), Condition.parse(condition), []
    most = most_texts(checkpoint.architecture.layers, checkpoint.architecture.hidden)
    if len(given) > most:
        notes.append(f"{len(given) - most:,} texts are left out: the vectors of {most:,} fit into memory at once.")
    whole, ran = given[:most], wanted
    if wanted.batch == "whole" and len(whole) > BATCH:
        ran = wanted.replace(batch=BATCH)
        notes.append(f"The texts ran in batches of {BATCH} in the given order, not in one batch.")
    inputs = prepare(checkpoint, whole, ran)
    pooled = pool_all(cut(inputs), progress=progress) if known is None else known.pooled
    compared = tuple(spread(range(len(whole)), COMPARED))
    if len(compared) < len(whole):
        notes.append(f"Similarities are compared on {len(compared)} of {len(whole):,} texts from all over.")
    recipe, meaningless = usable.recipe_of(checkpoint), usable.of_weights(checkpoint, chosen)
    options = tuple(usable.option(pooled, inputs, readout, recipe, meaningless) for readout in chosen)
    # what spoils some readouts is no problem for who reads another
    severity = "problem" if len(meaningless) == len(chosen) else "caution"
    findings = [
        *(replace(finding, severity=severity) for finding in meaningless.values()),
        *usable.of_padding(options, len(usable.padded_texts(inputs))),
        *of_truncation(inputs.tokens, inputs.tokens),
        *usable.of_recipe(checkpoint, None),
        *usable.of_specials(pooled, chosen),
    ]
    return Poolings(
        checkpoint=checkpoint.to_dict(),
        condition=str(ran),
        options=options,
        declared=recipe.readout if recipe else "",
        recipe=recipe.words if recipe else "",
        findings=most_serious_first(findings),
        notes=(*notes, *_sliced(inputs)),
        environment=environment(whole, checkpoint.device, 0),
        compared=compared,
        width=max(width for _, width in inputs.groups),
        pooled=pooled,
    )


def padding_trap(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str = TRAP_TEXTS,
    *,
    poolings: Sequence[str | Readout] = ("mean_all", "mean", "cls", "max"),
    lengths: Sequence[int] | None = None,
    progress: Progress = silent,
) -> PaddingTrap:
    """Pad texts further and further and hold every pooling against the same texts alone and unpadded.

    Each row is what `compare(…, reference="batch=alone", candidate="padding=N", readout=pooling)` says of its worst text.

    Parameters
    ----------
    poolings : readouts, in their own notation.
    lengths : padded lengths in tokens; by default that of the longest text, 32, 128, 512 and the model's limit.

    Raises
    ------
    BertlensError
        For texts or readouts that cannot be run, or a length that the texts or the model do not fit.
    """
    chosen, given = _parsed(checkpoint, poolings), as_texts(texts)
    whole = given[:TRAPPED]
    left_out = len(given) - len(whole)
    notes = (f"The first {TRAPPED} texts were padded; {left_out:,} are left out.",) if left_out else ()
    longest = max(len(row.ids) for row in prepare(checkpoint, whole, Condition()).tokens)
    limit = checkpoint.architecture.positions
    usual = steps_between(longest, checkpoint.max_length)
    padded = usual if lengths is None else checked_lengths(lengths, longest, limit)

    def run(condition: Condition, dtype: str) -> Vectors:
        device = "cpu" if dtype == "float64" else None
        return read_all(prepare(checkpoint, whole, condition), chosen, dtype=dtype, device=device)

    rows = trap(run, chosen, padded, progress)
    return PaddingTrap(tuple(map(str, chosen)), padded, rows, len(whole), notes)


def pooling_costs(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    *,
    condition: str | Condition = "",
    readouts: Sequence[str | Readout] | None = None,
    repeats: int = 5,
    progress: Progress = silent,
) -> Costs:
    """Time each readout's own computation beside the forward pass that its states come from; of the first batch.

    Raises
    ------
    BertlensError
        For texts, conditions or readouts that cannot be run, or less than one repeat.
    """
    if repeats < 1:
        raise BertlensError("cannot measure the costs", got=f"{repeats} repeats", expected="1 or more")
    chosen = _parsed(checkpoint, default_readouts(checkpoint) if readouts is None else readouts)
    wanted = Condition.parse(condition)
    ran = wanted.replace(batch=BATCH) if wanted.batch == "whole" else wanted
    whole = as_texts(texts)
    inputs = prepare(checkpoint, whole[: ran.batch if isinstance(ran.batch, int) else 1], ran)
    forward, seconds = timed(inputs, chosen, repeats, progress)
    group, width = inputs.groups[0]
    return Costs(forward, {str(readout): value for readout, value in seconds.items()}, repeats, len(group), width)


def pool(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    readouts: Sequence[str | Readout] = ("mean",),
    *,
    condition: str | Condition = "",
    batch_tokens: int = TOKENS_AT_ONCE,
    progress: Progress = silent,
) -> PooledTexts:
    """The vectors of any number of texts, in their order, with what speaks against them.

    Texts of like length run together where neighbours do not count; otherwise the batches are those of the condition.

    Parameters
    ----------
    batch_tokens : padded tokens in one forward pass, where texts of like length run together.

    Raises
    ------
    BertlensError
        For texts, conditions or readouts that cannot be run.
    """
    if batch_tokens < 1:
        raise BertlensError("cannot pack the texts", got=f"{batch_tokens} tokens at once", expected="1 or more")
    chosen, whole, wanted = _parsed(checkpoint, readouts), as_texts(texts), Condition.parse(condition)
    inputs = prepare(checkpoint, whole, wanted)
    bound = next((readout.pooling for readout in chosen if neighbours_count(wanted, readout.pooling)), None)
    if bound is None:
        inputs = packed(inputs, chosen[0].pooling, batch_tokens)
        notes = []
    else:
        notes = [f"The texts ran in the batches that the condition says: {neighbours_count(wanted, bound)}."]
    # texts of like length make many short passes, which the cores take better one each than all together
    vectors = read_all(inputs, chosen, workers=1 if bound else cores(), progress=progress)
    return PooledTexts(
        checkpoint=checkpoint.to_dict(),
        condition=str(wanted),
        vectors={str(readout): vectors[readout] for readout in chosen},
        passes=len(inputs),
        padded_tokens=inputs.cells,
        findings=most_serious_first(_against(checkpoint, inputs, chosen)),
        notes=(*notes, *_sliced(inputs)),
        environment=environment(whole, checkpoint.device, 0),
    )


def _against(checkpoint: Checkpoint, inputs: Inputs, readouts: Sequence[Readout]) -> list[Finding]:
    """What speaks against vectors that are about to be used."""
    padded, findings = len(usable.padded_texts(inputs)), [*usable.of_weights(checkpoint, readouts).values()]
    for readout in readouts:
        if padded and usable.reads_padding(inputs, readout):
            evidence = {"padded_texts": padded, "texts": len(inputs.tokens)}
            title = f"{readout} takes padding for text, and {padded} of {len(inputs.tokens)} texts are padded"
            findings.append(named("mean-includes-padding", "caution", evidence, (str(readout),), title))
        findings += usable.of_recipe(checkpoint, readout)
    return [*findings, *of_truncation(inputs.tokens, inputs.tokens)]


def _parsed(checkpoint: Checkpoint, readouts: Sequence[str | Readout]) -> list[Readout]:
    """Readouts that the model has, each once; said before anything is run."""
    chosen = list(dict.fromkeys(map(Readout.parse, [readouts] if isinstance(readouts, str | Readout) else readouts)))
    if not chosen:
        raise BertlensError("there is nothing to read", got="no readout", expected="at least one, such as mean|l2")
    for readout in chosen:
        layers_of(checkpoint, readout)
    return chosen


def _sliced(inputs: Inputs) -> list[str]:
    if not inputs.sliced:
        return []
    return [f"The batches are too large for one forward pass; they ran in {len(inputs)} passes at their padded length."]
