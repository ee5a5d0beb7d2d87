"""Settle: what one explained row leaves open, on the other texts: batches, truncation, and the row of each text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bertlens.judge.identify.changes import LENGTHS, batches, moves, padded_to
from bertlens.judge.identify.fit import ROUGH, fit, held
from bertlens.judge.identify.given import Given
from bertlens.judge.identify.match import assigned, similarity
from bertlens.judge.identify.rounding import of_readout, of_states
from bertlens.judge.identify.search import Clue
from bertlens.judge.identify.space import Space
from bertlens.read.bank import Asked, Bank, Row
from bertlens.read.readout import Readout
from bertlens.read.recipe import ARRIVALS, Recipe
from bertlens.run.progress import Progress, silent

EVERY = 48
"""Up to so many texts all are looked at; of more, as many from the shortest to the longest decide."""

FEW = 12
"""Up to so many rows all are compared under every hypothesis; of more, three decide whether it is worth it."""


@dataclass(frozen=True)
class Settled:
    """A whole recipe held against the rows of some texts.

    Attributes
    ----------
    recipe : with batches, truncation, readout and post-processing.
    texts : the texts that decided.
    rows : the row of each of them, None where there is none.
    explained : (texts,), bool.
    left : what is left unexplained, as `Fit.left`.
    """

    recipe: Recipe
    texts: tuple[int, ...]
    rows: tuple[int | None, ...]
    explained: np.ndarray
    left: float


class Settle:
    """Settles a clue on the other texts; what is `known` of their rows is not looked for again."""

    def __init__(
        self,
        bank: Bank,
        space: Space,
        given: Given,
        clue: Clue,
        *,
        same: bool,
        known: Settled | None = None,
        progress: Progress = silent,
    ) -> None:
        self.bank, self.space, self.given, self.clue = bank, space, given, clue
        self.progress, self._same = progress, same
        self._together = given.among_texts
        self.texts = self._chosen() if known is None else known.texts
        self.rows = self._assign(clue.way, clue.readout) if known is None else known.rows

    def run(self) -> Settled:
        """The recipe that explains most rows."""
        best = self._try_all(self._hypotheses(self.clue.way))
        if not self._complete(best):
            best = self._truncated(best)
        if not self._complete(best):
            # with the vectors nearly right, rows can be told apart better than before
            rows = self._assign(best.recipe, best.recipe.readout)
            if rows != self.rows:
                self.rows = rows
                best = self._try_all([*self._hypotheses(self.clue.way), best.recipe])
                best = best if self._complete(best) else self._truncated(best)
        return best

    def _complete(self, one: Settled | None) -> bool:
        """Whether every text is explained that has a row which can be compared."""
        rows = zip(one.rows, one.explained, strict=True) if one is not None else ()
        return one is not None and all(fits or row is None or not self.given.usable[row] for row, fits in rows)

    def _chosen(self) -> tuple[int, ...]:
        count = len(self.bank.texts)
        if count <= EVERY or self._together:
            return tuple(range(count))
        lengths = self.bank.lengths(self.clue.way)
        order = sorted(range(count), key=lambda text: lengths[text][1])
        spread = [order[at * (count - 1) // (EVERY - 1)] for at in range(EVERY)]
        return tuple(sorted({*spread, *self.clue.explained}))

    def _assign(self, way: Recipe, readout: Readout) -> tuple[int | None, ...]:
        """The row that each chosen text comes nearest to: its own where that is as near as any."""
        lengths = [len(row.ids) for row in self.bank.tokens(way, self.texts)]
        known = self.bank.widths(way, self._rows_of_all())
        rows = self._rows(way, [max(length, known[text]) for length, text in zip(lengths, self.texts, strict=True)])
        direction = self.space.direction(readout)
        if rows is None or direction is None:
            return tuple(text if text < len(self.given.values) else None for text in self.texts)
        similar = similarity(rows, direction, self.space, self.given, self.texts)
        if self._same:
            nearest = [
                at for at, text in enumerate(self.texts) if text < similar.shape[1] and similar[at, text] >= similar[at].max()
            ]
            if len(nearest) == len(self.texts):
                return self.texts
        return tuple(assigned(similar))

    def _rows_of_all(self) -> list[int | None] | None:
        """The row of every text, as far as the chosen ones are all."""
        if len(self.texts) != len(self.bank.texts) or not hasattr(self, "rows"):
            return None
        return list(self.rows)

    def _hypotheses(self, way: Recipe) -> list[Recipe]:
        """Ways to fill batches and to pad, the commonest first; only those in which the explained rows have their length."""
        if not moves(way.condition, self.clue.readout):
            plain = way.condition.replace(batch="whole", padding="longest", side="right", positions="default")
            keep = way.condition.mask != "on" or way.condition.side == "left"
            return [replace(way, condition=way.condition.replace(batch="whole", padding="longest") if keep else plain)]
        wide = next(iter(self.clue.explained.values()))
        limits = dict.fromkeys([way.condition.max_length, "model", *(limit for limit in LENGTHS if limit <= 256), wide])
        found, longest = [], int(self.bank.lengths(way)[:, 1].max())
        # limits that cut nothing come to the same: the first of them stands for all
        cuts = {longest if limit == "model" else min(int(limit), longest): limit for limit in reversed(limits)}
        limits = dict.fromkeys(limit for limit in limits if limit in cuts.values())
        for limit in limits if way.condition.max_length == "model" else [way.condition.max_length]:
            base = replace(way, condition=way.condition.replace(batch="whole", padding="longest", max_length=limit))
            found += [one for one in self._structures(base, wide) if self._consistent(one)]
        unlike: dict[tuple[int, ...], Recipe] = {}
        for one in found:
            unlike.setdefault(self._print(one), one)
        return list(unlike.values())

    def _structures(self, base: Recipe, width: int) -> Iterator[Recipe]:
        yield base
        yield replace(base, condition=base.condition.replace(padding=width))
        yield replace(base, condition=base.condition.replace(batch="alone"))
        arrivals = [one for one in ARRIVALS if one != "rows" or (self._moved and self._rows_of_all())]
        yield from batches(base, len(self.bank.texts), arrivals)

    def _consistent(self, way: Recipe) -> bool:
        """Whether the rows that were explained have the length that they were explained at."""
        if not self.bank.cuts(way, self.texts):
            return False
        widths = self.bank.widths(way, self._rows_of_all())
        return all(widths[text] == width for text, width in self.clue.explained.items())

    def _print(self, way: Recipe) -> tuple[int, ...]:
        """What a way makes of the texts: their padded lengths and tokens. Ways alike in it are one hypothesis, the first."""
        widths, lengths = self.bank.widths(way, self._rows_of_all()), self.bank.lengths(way)
        return tuple([widths[text] for text in self.texts] + [int(lengths[text, 1]) for text in self.texts])

    def _try_all(self, ways: Sequence[Recipe], *, every: bool = False) -> Settled:
        """The way that explains most rows; the first that explains all, or of `every` one the nearest."""
        best: Settled | None = None
        for at, way in enumerate(ways):
            self.progress(at, len(ways), "batches and padded lengths compared")
            one = self._held_anywhere(way)
            if one is not None and (best is None or (one.explained.sum(), -one.left) > (best.explained.sum(), -best.left)):
                best = one
            if self._complete(best) and not every:
                break
        if best is None:
            nothing = np.zeros(len(self.texts), bool)
            best = Settled(replace(self.clue.way, readout=self.clue.readout), self.texts, self.rows, nothing, float("inf"))
        return best

    def _held_anywhere(self, way: Recipe) -> Settled | None:
        """One way; where rows are elsewhere, which of them holds a text is known only with the right vectors."""
        one = self.held(way)
        if not self._moved or self._complete(one):
            return one
        known, self.rows = self.rows, self._assign(way, self.clue.readout)
        other = self.held(way) if self.rows != known else None
        if other is None or (one is not None and other.explained.sum() <= one.explained.sum()):
            self.rows = known
            return one
        return other

    @property
    def _moved(self) -> bool:
        """Whether some row is not in the place of its text."""
        return any(row is not None and row != text for text, row in zip(self.texts, self.rows, strict=True))

    def held(self, way: Recipe) -> Settled | None:
        """One way on all chosen texts that have a row; None where the model cannot run it."""
        widths = padded_to(self.bank, way, self.clue.readout, self.texts, self._rows_of_all())
        there = [at for at, row in enumerate(self.rows) if row is not None and self.given.usable[row]]
        if not there:
            return None
        if not self._together and len(there) > FEW and not self._promising(way, widths, there):
            return None
        with_row, there = there, list(range(len(self.texts))) if self._together else there
        texts = [self.texts[at] for at in there]
        rows = self._rows(way, [widths[text] for text in texts], texts)
        if rows is None:
            return None
        wanted = self.given.at([self.rows[at] if at in with_row else None for at in there])
        relative = self._relative(way, widths, texts, rows)
        pooled = self.bank.pooled(rows)
        one = fit(self.clue.readout, pooled, wanted, self.given, relative)
        fits = one.fits(relative)
        sure = [at for at, text in enumerate(texts) if text in self.clue.explained]
        if not fits.all() and sure and not self._together:
            # where some rows are others', what was done afterwards is read off the sure ones
            few = fit(
                self.clue.readout, self.bank.pooled([rows[at] for at in sure]), wanted[sure], self.given, _some(relative, sure)
            )
            other = held(few.readout, few.post, pooled.vectors(few.readout), wanted)
            if other.fits(relative).sum() > fits.sum():
                one, fits = other, other.fits(relative)
        explained = np.zeros(len(self.texts), bool)
        explained[there] = fits
        explained &= np.isin(np.arange(len(self.texts)), with_row)
        post = one.post_of(way.condition.dtype)
        return Settled(replace(way, readout=one.readout, post=post), self.texts, self.rows, explained, one.left)

    def refuted(self, way: Recipe) -> bool:
        """Whether the shortest text or the longest one is not explained, whatever is done to its vector afterwards."""
        if not self.bank.cuts(way, self.texts):
            return True
        there = [at for at, row in enumerate(self.rows) if row is not None and self.given.usable[row]]
        there.sort(key=lambda at: len(self.bank.tokens(way, [self.texts[at]])[0].ids))
        ends = list(dict.fromkeys((there[0], there[-1])))
        widths = padded_to(self.bank, way, self.clue.readout, [self.texts[at] for at in ends], self._rows_of_all())
        return not all(self._promising(way, widths, [at]) for at in ends)

    def _promising(self, way: Recipe, widths: Mapping[int, int], there: Sequence[int]) -> bool:
        """A look at up to three texts: whether any of them is explained."""
        few = list(dict.fromkeys(there[at] for at in (0, len(there) // 2, len(there) - 1)))
        texts = [self.texts[at] for at in few]
        rows = self._rows(way, [widths[text] for text in texts], texts)
        if rows is None:
            return False
        wanted = self.given.values[[int(self.rows[at] or 0) for at in few]]
        relative = self._relative(way, widths, texts, rows)
        singles = (
            fit(self.clue.readout, self.bank.pooled([row]), wanted[at : at + 1], self.given, _some(relative, [at]))
            for at, row in enumerate(rows)
        )
        return any(bool(one.fits(_some(relative, [at])).all()) for at, one in enumerate(singles))

    def _relative(
        self, way: Recipe, widths: Mapping[int, int], texts: Sequence[int], rows: Sequence[Row]
    ) -> float | np.ndarray:
        """How much rounding may move a row, as a share of its largest component; in half precision it is measured."""
        if way.condition.dtype in ("float32", "float64"):
            return ROUGH
        single = self._rows(way, [widths[text] for text in texts], texts, "float32")
        if single is None:
            return ROUGH
        pooled = (self.bank.pooled(rows), self.bank.pooled(single))
        own = of_readout(self.clue.readout, *pooled, centred=self.given.centred == "texts")
        return np.asarray(2.5 * np.maximum(of_states(rows, single), own))

    def _rows(
        self, way: Recipe, widths: Sequence[int], texts: Sequence[int] | None = None, dtype: str | None = None
    ) -> list[Row] | None:
        """Rows of texts at these lengths, None where the model cannot run one."""
        chosen = self.texts if texts is None else texts
        rows = self.bank.read([Asked(way, text, width) for text, width in zip(chosen, widths, strict=True)], dtype)
        whole = [row for row in rows if row is not None]
        return whole if len(whole) == len(rows) else None

    def _truncated(self, best: Settled) -> Settled:
        """Where only the longer texts are left over: every limit between the longest explained and the shortest left over."""
        lengths = [len(row.ids) for row in self.bank.tokens(best.recipe, self.texts)]
        there = [at for at, row in enumerate(self.rows) if row is not None and self.given.usable[row]]
        over = [lengths[at] for at in there if not best.explained[at]]
        fine = [lengths[at] for at in there if best.explained[at]]
        # among moved rows a short text may be left over because a cut one was given its row
        least = max(over, default=0) if self._moved else min(over, default=0)
        if not fine or max(fine) >= least:
            return best
        limits = list(range(max(fine), least))
        usual = [limit for limit in limits if limit in LENGTHS]
        ways = [
            replace(best.recipe, condition=best.recipe.condition.replace(max_length=limit))
            for limit in dict.fromkeys([*usual, *limits])
        ]
        found = self._try_all([way for way in ways if self.bank.cuts(way, self.texts)], every=True)
        return found if found.explained.sum() > best.explained.sum() else best


def _some(relative: float | np.ndarray, at: Sequence[int]) -> float | np.ndarray:
    return relative if isinstance(relative, float) else relative[list(at)]
