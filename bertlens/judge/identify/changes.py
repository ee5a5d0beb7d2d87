"""Changes: the recipes one step away from a recipe, those that people make most first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bertlens.read.readout import Readout
from bertlens.read.recipe import ARRIVALS, Recipe
from bertlens.run.condition import DEFAULT, Condition

if TYPE_CHECKING:
    from bertlens.read.bank import Bank
    from bertlens.run.checkpoint import Checkpoint

LENGTHS = (
    8,
    10,
    16,
    20,
    24,
    30,
    32,
    40,
    48,
    50,
    64,
    75,
    80,
    96,
    100,
    120,
    128,
    150,
    160,
    192,
    200,
    250,
    256,
    300,
    320,
    350,
    384,
    400,
    500,
    510,
    512,
)
"""Lengths in tokens that people truncate and pad to."""

SIZES = (2, 4, 8, 16, 32, 64, 100, 128, 256, 500, 512, 1000, 1024)
"""Sizes of batches that people choose."""

EVERY = 48
"""Texts up to which batches of every size are looked at."""

ARRIVES = tuple(arrival for arrival in ARRIVALS if arrival != "rows")
"""Orders of arrival that need no rows."""

FAR = (128, 256, 512)
"""Lengths to which a row is padded for a first look; the exact one is looked for afterwards."""

COMMON_PREFIXES = (
    "query: ",
    "passage: ",
    "search_query: ",
    "search_document: ",
    "Represent this sentence for searching relevant passages: ",
    "Represent this sentence: ",
    "clustering: ",
    "classification: ",
)
"""Prompts of published models, which people put before the texts of others as well."""


@dataclass(frozen=True)
class Room:
    """What there is to change for some texts and a model.

    Attributes
    ----------
    prefixes : texts to put before each text.
    limit : tokens that the model takes, at most.
    longest, shortest : tokens of the longest text and of the shortest one, special tokens included.
    """

    prefixes: tuple[str, ...]
    limit: int
    longest: int
    shortest: int
    segments: int
    takes_positions: bool

    @classmethod
    def of(cls, checkpoint: Checkpoint, lengths: Sequence[int], prefixes: Sequence[str]) -> Room:
        """For a checkpoint and the numbers of tokens of the texts."""
        facts = checkpoint.architecture
        limit = min(facts.positions, max(checkpoint.max_length, 512))
        return cls(tuple(prefixes), limit, max(lengths), min(lengths), facts.segments, facts.takes_positions)

    @property
    def far(self) -> tuple[int, ...]:
        """Fixed lengths for a first look."""
        return tuple(dict.fromkeys(min(length, self.limit) for length in FAR if min(length, self.limit) >= self.shortest))[:2]


def padded(way: Recipe) -> bool:
    """Whether rows are padded at all."""
    return way.condition.batch != "alone" or way.condition.padding != "longest"


def to_longest(way: Recipe) -> Recipe:
    """The same with every row padded to the longest text of all."""
    return replace(way, condition=way.condition.replace(padding="longest", batch="whole"))


def batches(way: Recipe, count: int, arrivals: Sequence[str] = ARRIVES) -> Iterator[Recipe]:
    """The same in batches of every size and order of arrival; of more than `EVERY` texts, in those that people choose."""
    sizes = range(2, count) if count <= EVERY else [size for size in SIZES if size < count]
    common = [size for size in sizes if size in SIZES]
    for size in (*common, *(size for size in sizes if size not in SIZES)):
        for arrival in arrivals:
            yield replace(way, condition=way.condition.replace(batch=size), arrival=arrival)


def moves(condition: Condition, readout: Readout) -> bool:
    """Whether a vector may depend on the length to which its row is padded."""
    reads_padding = readout.pooling in ("mean_all", "first_position")
    return condition.side == "left" or (condition.rows == "slice" and (condition.mask != "on" or reads_padding))


def padded_to(
    bank: Bank, way: Recipe, readout: Readout, texts: Sequence[int], rows: Sequence[int | None] | None = None
) -> dict[int, int]:
    """The padded length of some texts under a recipe, for which as few others as possible are tokenised.

    Where neighbours do not count it is their own.
    """
    if way.condition.padding == "longest" and not moves(way.condition, readout):
        return {text: bank.longest(way, [text]) for text in texts}
    size = way.condition.batch
    if way.condition.padding == "longest" and way.arrival == "given" and isinstance(size, int):
        starts, last = {text: text - text % size for text in texts}, len(bank.texts)
        longest = {start: bank.longest(way, range(start, min(start + size, last))) for start in set(starts.values())}
        return {text: longest[start] for text, start in starts.items()}
    every = bank.widths(way, rows)
    return {text: every[text] for text in texts}


def changes(way: Recipe, room: Room) -> Iterator[Recipe]:
    """Recipes one step away, the commonest first; without truncation, number format and attention."""

    def put(**keys: str | int) -> Recipe:
        return replace(way, condition=way.condition.replace(**keys))

    condition, there = way.condition, padded(way)
    structures: list[dict[str, str | int]] = [{}] if there else [{"batch": "whole"}]
    structures += [] if there else [{"batch": "whole", "padding": far} for far in room.far[:1]]
    for value in ("off", "inverted", *(("swapped",) if room.segments > 1 else ())):
        if condition.mask != value:
            yield from (put(mask=value, **structure) for structure in structures)
            if value != "off":  # what attends to nothing at all is another thing in each implementation
                yield from (put(mask=value, attention="eager", **structure) for structure in structures)
            if value != "off" and not there:  # a mask of zeros alone
                yield from (put(mask=value, attention=attention) for attention in ("sdpa", "eager"))
    if condition.mask != "on":
        yield put(mask="on")
    if not there:
        yield put(batch="whole")
    for value in ("off", "doubled", "on"):
        if condition.specials != value:
            yield put(specials=value)
    for value in ("ones", "zeros", "tokenizer")[room.segments < 2 :]:
        if condition.segments != value and room.segments:
            yield put(segments=value)
    if not way.lower:
        yield replace(way, lower=True)
    yield from (replace(way, prefix=prefix) for prefix in room.prefixes if prefix != way.prefix)
    if condition.side == "right":
        yield from (put(side="left", **structure) for structure in structures)
        if room.takes_positions:
            yield put(side="left", positions="from-mask", **structures[0])
    elif there:
        yield put(side="right")
    if room.takes_positions and condition.positions == "default" and (condition.side == "left" or condition.mask != "on"):
        yield put(positions="from-mask")
    if condition.rows == "slice":
        yield put(rows="index")
    if there and condition.attention == "sdpa":  # they differ on padding that attends to nothing
        yield put(attention="eager")
    if there:
        yield from (put(batch="whole", padding=far) for far in room.far if condition.padding != far)
    yield from undone(way)
    if replace(condition, batch="whole") == DEFAULT and not way.prefix:
        # without [CLS] the first token of the prefix stands first: neither change alone comes near
        yield from (replace(put(specials="off"), prefix=prefix) for prefix in room.prefixes)


def undone(way: Recipe) -> Iterator[Recipe]:
    """The recipe without a change that no other change takes back: what came near may have been near beside another one."""
    condition = way.condition
    if way.prefix:
        yield replace(way, prefix="")
    if way.lower:
        yield replace(way, lower=False)
    for key in ("padding", "positions", "rows"):
        default = getattr(DEFAULT, key)
        if getattr(condition, key) != default:
            yield replace(way, condition=condition.replace(**{key: default}))


def truncations(way: Recipe, length: int, every: int) -> Iterator[Recipe]:
    """The recipe with truncation at each length that cuts a text of `length` tokens; beyond `every` at common lengths."""
    if way.condition.max_length != "model":
        return
    limits = range(2, length) if length <= every else [limit for limit in LENGTHS if limit < length]
    for limit in limits:
        yield replace(way, condition=way.condition.replace(max_length=limit))


def prompts(declared: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """Every prefix worth trying, those of the person first, then those of the checkpoint."""
    return tuple(dict.fromkeys(prefix for prefix in (*given, *declared, *COMMON_PREFIXES) if prefix))
