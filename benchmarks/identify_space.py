"""The space of recipes for `benchmarks.identify`: readouts, and everything that people do differently, one function each."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.recipes import QUANTISED, Text
from bertlens.read.logits import Logits
from bertlens.read.readout import POOLINGS, Readout
from bertlens.read.recipe import Recipe
from bertlens.run.architecture import Architecture

PREFIXES = ("query: ", "passage: ", "Represent this sentence: ")
"""The first two are declared by every second small checkpoint; what is not declared is given to the search."""
CASED = ("bert-cased", "roberta", "xlm-roberta", "modernbert")


@dataclass
class Draft:
    """A draw in the making.

    Attributes
    ----------
    longest : tokens of the longest text.
    declares : whether the checkpoint declares prompts.
    order : what was done to the rows, one of `ORDERS`.
    """

    draw: random.Random
    family: str
    declares: bool
    facts: Architecture
    texts: tuple[Text, ...]
    longest: int
    recipe: Recipe
    order: str = "same"
    prefixes: tuple[str, ...] = ()

    @property
    def single(self) -> bool:
        """Whether the texts are no pairs."""
        return isinstance(self.texts[0], str)

    def set(self, **condition: Any) -> None:
        """Change the condition."""
        self.recipe = replace(self.recipe, condition=self.recipe.condition.replace(**condition))

    def post(self, **post: Any) -> None:
        """Change what is done after the readout."""
        self.recipe = replace(self.recipe, post=replace(self.recipe.post, **post))


ORDERS = ("permuted", "shifted by one", "two rows swapped", "sorted by length", "texts twice", "rows missing")


def readout(draw: random.Random, facts: Architecture) -> Readout:
    """A readout of the whole space; in two of five draws one of the commonest."""
    if draw.random() < 0.4:
        return Readout.parse(draw.choice(["cls", "mean", "mean|l2", "mean", "cls|l2"]))
    pooling = draw.choice([name for name in POOLINGS if name != "pooler" or facts.pooler])
    l2 = draw.random() < 0.35
    if pooling == "pooler" or draw.random() < 0.4:
        return Readout(pooling, l2=l2)
    if draw.random() < 0.5:
        return Readout(pooling, str(draw.choice([*range(facts.layers + 1), *range(-facts.layers - 1, -1)])), l2=l2)
    layers = draw.choice(["last2", "last3", "last4", "all"])
    combine = "mean" if layers == "all" else draw.choice(["mean", "sum", "concat", "concat_reversed"])
    return Readout(pooling, layers, combine, l2)


def logits(draw: random.Random) -> Logits:
    """The logits of a classifier, half of them as probabilities."""
    return Logits(activation=draw.choice(["", "", "softmax", "sigmoid"]))


def batched(draft: Draft) -> bool:
    """Batches of B in one of the orders in which people fill them; most often where that changes the vectors."""
    size = draft.draw.randint(2, len(draft.texts) - 1)
    draft.set(batch=size)
    arrival = draft.draw.choice(["given", "given", "given", "most tokens first", "most characters first", "rows"])
    draft.recipe = replace(draft.recipe, arrival=arrival)
    if arrival == "rows":
        draft.order = "permuted"
    if draft.recipe.readout.pooling not in ("mean_all", "pooler", "logits") and draft.draw.random() < 0.6:
        draft.recipe = replace(draft.recipe, readout=replace(draft.recipe.readout, pooling="mean_all"))
    return True


def from_mask(draft: Draft) -> bool:
    if draft.facts.takes_positions:
        draft.set(side="left", positions="from-mask")
    return draft.facts.takes_positions


def chosen(**condition: Any) -> Callable[[Draft], bool]:
    """A deviation that sets keys of the condition."""

    def change(draft: Draft) -> bool:
        draft.set(**condition)
        return True

    return change


def padded(draft: Draft) -> bool:
    """A fixed number of tokens; often a usual one, and truncated to the same."""
    room = [width for width in (32, 48, 64, 96, 128, 200, 256) if draft.longest + 8 <= width <= draft.facts.positions]
    most = min(draft.facts.positions, 300)
    if not room and draft.longest + 8 > most:
        return False
    width = draft.draw.choice(room) if room and draft.draw.random() < 0.7 else draft.draw.randint(draft.longest + 8, most)
    draft.set(padding=width)
    return True


def truncated(draft: Draft) -> bool:
    draft.set(max_length=draft.draw.randint(7, max(8, draft.longest - 1)))
    return True


def lowered(draft: Draft) -> bool:
    draft.recipe = replace(draft.recipe, lower=True)
    return draft.family in CASED


def prefixed(draft: Draft) -> bool:
    """One of the checkpoint's own prompts where it declares any, else one that is given to the search."""
    declared = draft.declares and draft.draw.random() < 0.5
    prefix = draft.draw.choice(PREFIXES[:2] if declared else PREFIXES)
    draft.recipe = replace(draft.recipe, prefix=prefix)
    draft.prefixes = () if declared else (prefix,)
    return True


def swapped(draft: Draft) -> bool:
    draft.set(mask="swapped")
    return draft.facts.segments > 1


def segments(draft: Draft) -> bool:
    """All zeros is a deviation for pairs only."""
    draft.set(segments="ones" if draft.single or draft.draw.random() < 0.5 else "zeros")
    return draft.facts.segments > 1


def by_index(draft: Draft) -> bool:
    draft.set(rows="index")
    return draft.recipe.readout.pooling != "mean_content"  # without [CLS] nothing is left of a row of one token


def doubled(draft: Draft) -> bool:
    draft.set(specials="doubled")
    return draft.single


def quantised(draft: Draft) -> bool:
    if isinstance(draft.recipe.readout, Logits):
        return False
    way = draft.draw.choice(list(QUANTISED.values()))
    draft.post(store=way.store, int8=way.int8, step=way.step, codes=way.codes, scale=way.scale)
    if way.scale == 127.0:
        draft.recipe = replace(draft.recipe, readout=replace(draft.recipe.readout, l2=True))
    return True


def shortened(draft: Draft) -> bool:
    """The first k components of what one layer gives; of several joined ones as well."""
    hidden = draft.facts.hidden
    wide = hidden * (int(draft.recipe.readout.layers[-1]) if draft.recipe.readout.combine.startswith("concat") else 1)
    usual = [k for k in (8, 16, 20, 64, 128, 256, wide // 2) if k < wide]
    draft.post(dims=draft.draw.choice([*usual, draft.draw.randint(5, wide - 1)]), again=draft.draw.random() < 0.5)
    return True


def scaled(draft: Draft) -> bool:
    draft.post(scale=draft.draw.choice([-1.0, -1.0, 2.0, 10.0, 100.0, 0.5, round(draft.draw.uniform(0.05, 20), 3)]))
    return True


def of_post(**post: Any) -> Callable[[Draft], bool]:
    """A deviation that sets steps after the readout."""

    def change(draft: Draft) -> bool:
        draft.post(**post)
        return True

    return change


def decimals(draft: Draft) -> bool:
    draft.post(store=str(draft.draw.randint(2, 8)))
    return True


def reordered(draft: Draft) -> bool:
    draft.order = draft.draw.choice(ORDERS)
    return True


DEVIATIONS: dict[str, dict[str, Callable[[Draft], bool]]] = {
    "rows": {"rows=index": by_index},
    "order": {"order": reordered},
    "dropout": {"dropout=on": chosen(dropout="on")},
    "specials": {"specials=off": chosen(specials="off"), "specials=doubled": doubled},
    "segments": {"segments": segments},
    "mask": {"mask=off": chosen(mask="off"), "mask=inverted": chosen(mask="inverted"), "mask=swapped": swapped},
    "side": {"side=left": chosen(side="left"), "positions=from-mask": from_mask},
    "batch": {"batch=B": batched, "batch=alone": chosen(batch="alone")},
    "padding": {"padding=N": padded},
    "truncation": {"max_length=N": truncated},
    "lower": {"lower": lowered},
    "prefix": {"prefix": prefixed},
    "dtype": {f"dtype={name}": chosen(dtype=name) for name in ("float64", "bfloat16", "float16")},
    "attention": {"attention=eager": chosen(attention="eager")},
    "dims": {"first k dims": shortened},
    "store": {
        **{f"store={name}": of_post(store=name) for name in ("float16", "bfloat16")},
        **{"store=int8": quantised, "store=N decimals": decimals},
    },
    "scale": {"scale": scaled},
    "centred": {"mean over texts removed": of_post(centred="texts")},
    "sign": {"signs removed": of_post(sign="removed")},
}
"""Every deviation with its group; one draw takes no two of one group."""

APART = (
    {"rows", "side"},
    {"rows", "mask"},
    {"rows", "batch"},
    {"rows", "order"},
    {"rows", "padding"},
    {"rows", "truncation"},
    {"rows", "specials"},
    {"dropout", "order"},
    {"dropout", "store"},
    {"dropout", "dtype"},
    {"dropout", "rows"},
    {"dropout", "scale"},
    {"dropout", "sign"},
    {"dropout", "centred"},
    {"batch", "order"},
    {"store", "scale"},
    {"sign", "scale"},
)
"""Groups that are not combined: the second would undo the first, or hide it altogether."""
OF_VECTORS = ("dims", "scale", "centred", "sign")
RARE, OFTEN = ("rows", "dropout", "sign", "centred", "attention", "lower"), ("order", "store")


def deviate(draft: Draft, count: int, *, dropout: bool) -> tuple[str, ...]:
    """Put that many deviations into a draft; their names."""
    groups: list[str] = []
    named: list[str] = []
    left = [group for group in DEVIATIONS if dropout or group != "dropout"]
    weights = {group: 0.5 if group in RARE else 2.0 if group in OFTEN else 1.0 for group in left}
    if isinstance(draft.recipe.readout, Logits):  # what people do to vectors and not to logits
        left = [group for group in left if group not in OF_VECTORS]
    while len(named) < count:
        group = draft.draw.choices(left, [weights[one] for one in left])[0]
        if group in groups or any({group, other} in APART for other in groups):
            continue
        name = draft.draw.choice(list(DEVIATIONS[group]))
        before = replace(draft)
        if not DEVIATIONS[group][name](draft):
            draft.__dict__.update(before.__dict__)
            continue
        groups.append(group)
        named.append(draft.order if group == "order" else name)
    return tuple(named)
