"""A board's texts as vectors, and how well a new text fits each of its ideas. Exact, so that no bit depends on how it is computed.

A vector's components are rounded to multiples of 1/2048 (an error of about 10⁻⁴ in a cosine; the quantised model's own is 10⁻²) and
kept as whole numbers. By Cauchy-Schwarz every partial sum of a dot product of two unit vectors stays below 2²⁴, so float32
holds each exactly and BLAS gives the same bits whatever the matrix's shape, the order of summation, the thread count or the machine.
What is summed over texts is whole too (float64 below 2⁵³, int64, or Python's own). Only quotients and roots are rounded, element by
element, as IEEE 754 prescribes. So the same texts give the same scores whether they came one by one, in batches, or out of the store.

A board is looked through by upper bounds of its scores (``bounds``), and what may be among the best is scored exactly.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.bounds import Bounds, Found, Look
from services.dedup.domain.cells import Cells
from services.dedup.domain.crowds import Crowds
from services.dedup.domain.rows import Coarse, Floats, Integers, Rows, Units
from services.dedup.domain.scores import LEAST_SQUARE, SCALE, Centre, Match, Scored, in_units, match_of

__all__ = ["LEAST_SQUARE", "SCALE", "Floats", "Index", "Integers", "Match", "Units", "in_units"]

_PRIOR_TEXTS = 20
"""The running mean starts as that of so many texts at the origin."""
_MOST_LIKELY = 64
_SPREAD = 0.01
"""What the last of the best scores differs by from one text to the next, to begin with."""
_NARROWER, _WIDER, _CLOSER = 0.7, 1.2, 0.97
"""What becomes of it where more than ``_MOST_LIKELY`` lie above, where something was missed, and where nothing was: one of seven misses."""


class _Members(NamedTuple):
    """Rows, their dot products with a text and with the sum of all texts, and their cosines with the text."""

    rows: Integers
    dots: Floats
    against: Floats
    cosines: Floats


class Index:
    """Rows of vectors, each a text of one idea; ideas are slots 0, 1, 2, … in the order in which they were opened."""

    def __init__(self, dimensions: int) -> None:
        self._rows = Rows(dimensions)
        self._crowds = Crowds(self._rows)
        self._bounds = Bounds(self._rows, self._crowds)
        self._cells = Cells(self._rows)
        self._alone = array("i")
        """The row of each slot that has one row; -1 of others."""
        self._sum = np.zeros(dimensions)
        """Whole numbers below 2⁵³ / 2¹¹, so that a dot product with a text is exact."""
        self._sum_square = 0
        self._count = 0
        self._expected: dict[int, tuple[NDArray[np.float32], Coarse]] = {}
        """Texts that are to come, by the identities of their vectors."""
        self._last: Coarse | None = None
        self._guess = math.inf
        """What the last of the best may score: a look begins with what lies above. What it finds does not depend on it."""
        self._spread = _SPREAD

    def __len__(self) -> int:
        return self._count

    def open(self) -> int:
        """Return the slot of a new idea, without a row yet."""
        self._alone.append(-1)
        return len(self._alone) - 1

    def vector(self, row: int) -> Units:
        """Return a copy of *row*."""
        vector: Units = self._rows.units(np.array([row]))[0]
        return vector

    def vectors(self, rows: Integers) -> Units:
        """Return copies of *rows*."""
        return self._rows.units(rows)

    def slot_of(self, row: int) -> int:
        """Return the idea that *row* belongs to; -1 where the row is gone."""
        return self._rows.slots.item(row)

    def slots_of(self, rows: Integers) -> Integers:
        """Return the ideas that *rows* belong to."""
        return self._rows.slots.take(rows).astype(np.int64)

    def live_rows(self) -> Integers:
        """Return the rows that are in use, in ascending order."""
        rows: Integers = np.flatnonzero(self._rows.slots[: self._rows.used] >= 0)
        return rows

    def seen_from_the_mean(self, rows: Integers) -> tuple[Units, Floats, Floats, float]:
        """Return the vectors of *rows*, their dot products with the board's mean, their squares, and |mean|²."""
        texts = self._texts
        units = self._rows.units(rows)
        return units, self._against(units) / texts, self._rows.squares[rows], self._sum_square / (texts * texts)

    def mean(self) -> Floats:
        """Return the board's running mean, in units."""
        mean: Floats = self._sum / self._texts
        return mean

    def add(self, slot: int, units: Units) -> int:
        """Add a text to the idea *slot*; return its row."""
        text = self._coarse(units)
        row = self._rows.put(slot, text)
        self._sum_square += 2 * self._dot_sum(units) + int(text.square)
        self._sum += units
        self._count += 1
        first, self._alone[slot] = self._alone[slot], -1
        if first >= 0:
            self._crowds.form(slot, first, row)
        elif self._crowds.has(slot):
            self._crowds.add(slot, row, units)
        else:
            self._alone[slot] = row
        self._bounds.added(row, text, first, is_alone=self._alone[slot] >= 0)
        self._cells.added(row, text, self._count, self.mean)
        if self._cells.are_cut:
            self._rows.foresight.let_go()
        return row

    def remove(self, row: int) -> None:
        """Take a text out again, as if it had never been there."""
        units, slot = self.vector(row), int(self._rows.slots[row])
        last = None
        if self._alone[slot] == row:
            self._alone[slot] = -1
        else:
            last = self._crowds.remove(slot, row, units)
            if last is not None:
                self._alone[slot] = last
        self._sum_square += int(self._rows.squares[row]) - 2 * self._dot_sum(units)
        self._sum -= units
        self._count -= 1
        self._rows.clear(row)
        self._bounds.removed(row, last)
        self._cells.removed(row)

    def expect(self, texts: Sequence[NDArray[np.float32]]) -> None:
        """Expect queries of *texts*, L2-normalised, in this order: they cost less together. What they find is the same."""
        given = Coarse.of_each(np.stack([in_units(text) for text in texts])) if len(texts) else []
        self._expected = {id(text): (text, coarse) for text, coarse in zip(texts, given, strict=True)}
        self._rows.foresight.expect([] if self.is_cut else [coarse.numbers for coarse in given])

    def units_of(self, vector: NDArray[np.float32]) -> Units:
        """Return *vector*, L2-normalised, in units; one that is expected was looked at before."""
        known = self._expected.get(id(vector))
        if known is None:
            return in_units(vector)
        self._last = known[1]
        return known[1].units

    @property
    def is_cut(self) -> bool:
        """Tell whether the board is so large that not all of it is looked through."""
        return self._cells.are_cut

    def query(self, units: Units, best: int, *, exhaustive: bool = False) -> tuple[Match, ...]:
        """Return the *best* matches of *units* among the ideas that have a text, best first; of equals the oldest idea first.

        Of a large board they are those in the cells nearby, unless it is to be *exhaustive*: no decision asks for that.
        """
        if not self._count:
            return ()
        text = self._coarse(units)
        centre = self._centre(text)
        found = self._near(text, centre) if self._cells.are_cut and not exhaustive else self._best(text, centre, best)
        found.sort()
        return tuple([match_of(*scored) for scored in found[:best]])

    def _best(self, text: Coarse, centre: Centre, best: int) -> list[Scored]:
        """Return what may be among the *best* of all."""
        units, look = text.units, self._bounds.look(text, centre.offset, centre.length, self._sum / self._texts)
        worth_it = partial(self._worth_it, units=units, centre=centre, look=look)
        likely = look.above(self._guess, _MOST_LIKELY)
        too_many = likely is None
        if likely is None or likely.ideas < best:
            likely = look.first(best).and_also(likely)
        found = self._exact(units, centre, likely, worth_it)
        least = -sorted(found)[best - 1][0] if len(found) >= best else -math.inf
        others = look.above(least)
        missed = others is not None and others.ideas > 0
        if others is not None and missed:
            found += self._exact(units, centre, others, worth_it)
        self._spread *= _NARROWER if too_many else _WIDER if missed else _CLOSER
        self._guess = least - self._spread
        return found

    def _near(self, text: Coarse, centre: Centre) -> list[Scored]:
        """Return the ideas of the rows in the cells nearest to a text."""
        of_slot: dict[int, list[int]] = {}
        near = self._cells.near(text)
        for row, slot in zip(near.tolist(), self._rows.slots.take(near).tolist(), strict=True):
            of_slot.setdefault(slot, []).append(row)
        alone = np.array([rows[0] for slot, rows in of_slot.items() if self._alone[slot] >= 0], np.int64)
        crowds = [slot for slot in of_slot if self._alone[slot] < 0]
        return self._exact(text.units, centre, Found(alone, crowds), lambda slot: np.array(of_slot[slot], np.int64))

    def _coarse(self, units: Units) -> Coarse:
        """Return *units* as bytes; a text that is looked for is often the next one to be added."""
        if self._last is None or self._last.units is not units:
            self._last = Coarse(units)
        return self._last

    def _exact(self, units: Units, centre: Centre, found: Found, worth_it: Callable[[int], Integers]) -> list[Scored]:
        """Score the ideas of the rows found, which are alone in theirs, and of the slots found, which are not.

        Of a large crowd those rows are looked at that are *worth it*.
        """
        small = [slot for slot in found.slots if not self._crowds.is_large(slot)]
        large = [slot for slot in found.slots if self._crowds.is_large(slot)] if len(small) < len(found.slots) else []
        parts = [found.rows, *self._crowds.rows_of(small), *(worth_it(slot) for slot in large)]
        rows = np.concatenate(parts) if found.slots else found.rows
        vectors = self._rows.units(rows)
        dots, against = (vectors @ units).astype(np.float64), self._against(vectors)
        cosines = centre.cosines(dots, against / self._texts, self._rows.squares.take(rows))
        at = len(found.rows)
        alone, own = cosines[:at].tolist(), self._rows.slots.take(found.rows).tolist()
        matches = [(-score, slot, score, score, row) for slot, score, row in zip(own, alone, found.rows.tolist(), strict=True)]
        if small:
            seen = slice(at, at + len(parts[1]))
            matches += self._small(small, centre, _Members(rows[seen], dots[seen], against[seen], cosines[seen]))
            at = seen.stop
        for slot, part in zip(large, parts[len(parts) - len(large) :], strict=True):
            matches.append(self._large(slot, units, centre, part, cosines[at : at + len(part)]))
            at += len(part)
        return matches

    def _small(self, slots: Sequence[int], centre: Centre, seen: _Members) -> list[Scored]:
        """Score crowds all of whose rows were *seen*, one crowd's after another's: their sums' dot products are the sums of theirs."""
        squares, counts = self._crowds.squares_and_counts(slots)
        starts = np.cumsum(counts) - counts
        with_text, with_mean = np.add.reduceat(seen.dots, starts) / counts, np.add.reduceat(seen.against, starts) / (counts * self._texts)
        centroids = centre.cosines(with_text, with_mean, squares / (counts * counts)).tolist()
        best = np.maximum.reduceat(seen.cosines, starts)
        hits = np.flatnonzero(seen.cosines == best.repeat(counts))
        first = hits[np.searchsorted(hits, starts)]  # of equals the one that was added first
        return [
            (-(centroid + member) / 2, slot, centroid, member, row)
            for slot, centroid, member, row in zip(slots, centroids, best.tolist(), seen.rows[first].tolist(), strict=True)
        ]

    def _large(self, slot: int, units: Units, centre: Centre, rows: Integers, cosines: Floats) -> Scored:
        """Score a crowd whose sum is kept by those of its rows that are given."""
        squares, counts = self._crowds.squares_and_counts([slot])
        total = self._crowds.sum_of(slot)
        with_text = np.array([float(total @ units.astype(np.int64))]) / counts
        with_mean = np.array([float(total @ self._sum.astype(np.int64))]) / (counts * self._texts)
        centroid = centre.cosines(with_text, with_mean, squares / (counts * counts)).item()
        place = int(cosines.argmax())  # of equals the one that was added first
        member = cosines.item(place)
        return -(centroid + member) / 2, slot, centroid, member, rows.item(place)

    def _worth_it(self, slot: int, units: Units, centre: Centre, look: Look) -> Integers:
        """Return the rows of a large crowd that may be nearest."""
        rows = self._crowds.rows(slot)
        likely = rows[[look.nearest(slot)]]
        vectors = self._rows.units(likely)
        score = centre.cosines((vectors @ units).astype(np.float64), self._against(vectors) / self._texts, self._rows.squares[likely])
        worthy: Integers = rows[look.worthy(slot, score.item())]
        return worthy

    def _centre(self, text: Coarse) -> Centre:
        mean_square = self._sum_square / (self._texts * self._texts)
        with_mean = self._dot_sum(text.units) / self._texts
        length = math.sqrt(max(text.square - 2 * with_mean + mean_square, LEAST_SQUARE))
        return Centre(mean_square, mean_square - with_mean, length)

    @property
    def _texts(self) -> int:
        return _PRIOR_TEXTS + self._count

    def _against(self, vectors: Units) -> Floats:
        """Return the dot products of *vectors* with the sum of all texts."""
        found: Floats = vectors.astype(np.float64) @ self._sum
        return found

    def _dot_sum(self, units: Units) -> int:
        return int(units.astype(np.float64) @ self._sum)
