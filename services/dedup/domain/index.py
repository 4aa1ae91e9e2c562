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
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.bounds import Bounds, Found, Look
from services.dedup.domain.cells import Cells
from services.dedup.domain.crowds import Crowds
from services.dedup.domain.rows import Coarse, Floats, Integers, Rows, Units

__all__ = ["LEAST_SQUARE", "SCALE", "Floats", "Index", "Integers", "Match", "Units", "in_units"]

SCALE = 2048
"""Units in 1."""
_LARGEST_SQUARE = 1 << 24
_PRIOR_TEXTS = 20
"""The running mean starts as that of so many texts at the origin."""
LEAST_SQUARE = 1.0
"""Of a centred vector, in units: a text at the mean itself resembles nothing."""


def in_units(vector: NDArray[np.float32]) -> Units:
    """Return *vector*, L2-normalised, in units.

    Raises:
        ValueError: It is longer than 1, or not finite; sums would no longer be exact.
    """
    units: Units = np.rint(vector * np.float32(SCALE))
    if not float(np.square(units, dtype=np.float64).sum()) < _LARGEST_SQUARE:
        raise ValueError("expected an L2-normalised vector")
    return units


class Match(NamedTuple):
    """How well a text fits one idea: *score* is half *centroid*, half *member*, all cosines around the board's mean."""

    slot: int
    score: float
    centroid: float
    member: float
    """Of the best member, which is *row*."""
    row: int


_Scored: TypeAlias = tuple[float, int, float, float, int]
"""As a match, unrounded, with the score first and below zero: in the order of these the best comes first, of equals the oldest idea."""


class Index:
    """Rows of vectors, each a text of one idea; ideas are slots 0, 1, 2, … in the order in which they were opened."""

    def __init__(self, dimensions: int) -> None:
        self._rows = Rows(dimensions)
        self._crowds = Crowds(self._rows)
        self._bounds = Bounds(self._rows, self._crowds)
        self._cells = Cells(self._rows)
        self._alone = array("i")
        """The row of each slot that has one row; -1 of others."""
        self._sum = np.zeros(dimensions, np.int64)
        self._sum_square = 0
        self._count = 0
        self._last: tuple[Units, Coarse] | None = None

    def __len__(self) -> int:
        return self._count

    def open(self) -> int:
        """Return the slot of a new idea, without a row yet."""
        self._alone.append(-1)
        return len(self._alone) - 1

    def vector(self, row: int) -> Units:
        """Return a copy of *row*."""
        return self._rows.units(row)

    def slot_of(self, row: int) -> int:
        """Return the idea that *row* belongs to; -1 where the row is gone."""
        return int(self._rows.slots[row])

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
        coarse = self._coarse(units)
        row = self._rows.put(slot, units, coarse)
        self._sum_square += 2 * self._dot_sum(units) + int(self._rows.squares[row])
        self._sum += units.astype(np.int64)
        self._count += 1
        first, self._alone[slot] = self._alone[slot], -1
        if first >= 0:
            self._crowds.form(slot, first, row)
        elif self._crowds.has(slot):
            self._crowds.add(slot, row, units)
        else:
            self._alone[slot] = row
        self._bounds.added(row, units, first, is_alone=self._alone[slot] >= 0)
        self._cells.added(row, units, coarse, self._count, self.mean)
        return row

    def remove(self, row: int) -> None:
        """Take a text out again, as if it had never been there."""
        units, slot = self._rows.units(row), int(self._rows.slots[row])
        last = None
        if self._alone[slot] == row:
            self._alone[slot] = -1
        else:
            last = self._crowds.remove(slot, row, units)
            if last is not None:
                self._alone[slot] = last
        self._sum_square += int(self._rows.squares[row]) - 2 * self._dot_sum(units)
        self._sum -= units.astype(np.int64)
        self._count -= 1
        self._rows.clear(row)
        self._bounds.removed(row, last)
        self._cells.removed(row)

    def expect(self, texts: Sequence[NDArray[np.float32]]) -> None:
        """Expect queries of *texts*, L2-normalised, in this order: they cost less together. What they find is the same."""
        self._rows.foresight.expect([Coarse(in_units(text)).numbers for text in texts])

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
        centre = self._centre(units)
        found = self._near(units, centre) if self._cells.are_cut and not exhaustive else self._best(units, centre, best)
        found.sort()
        return tuple(
            Match(slot, round(-negative, 6), round(centroid, 6), round(member, 6), row)
            for negative, slot, centroid, member, row in found[:best]
        )

    def _best(self, units: Units, centre: _Centre, best: int) -> list[_Scored]:
        """Return what may be among the *best* of all."""
        look = self._bounds.look(self._coarse(units), centre.offset, centre.length, self._sum / self._texts)
        worth_it = partial(self._worth_it, units=units, centre=centre, look=look)
        found = self._exact(units, centre, look.first(best), worth_it)
        least = -max(found)[0] if len(found) == best else -math.inf
        others = look.others(least)
        if not others.is_empty:
            found += self._exact(units, centre, others, worth_it)
        return found

    def _near(self, units: Units, centre: _Centre) -> list[_Scored]:
        """Return the ideas of the rows in the cells nearest to a text."""
        of_slot: dict[int, list[int]] = {}
        for row in self._cells.near(self._coarse(units)):
            of_slot.setdefault(self.slot_of(row), []).append(row)
        alone = [rows[0] for slot, rows in of_slot.items() if self._alone[slot] >= 0]
        crowds = [slot for slot in of_slot if self._alone[slot] < 0]
        return self._exact(units, centre, Found(alone, crowds), lambda slot: self._known(slot, of_slot[slot]))

    def _known(self, slot: int, rows: Sequence[int]) -> Integers:
        """Return the rows of a crowd to be looked at where *rows* are those nearby: all of a small one."""
        return np.array(rows, np.int64) if self._crowds.is_large(slot) else self._crowds.rows(slot)

    def _coarse(self, units: Units) -> Coarse:
        """Return *units* as bytes; a text that is looked for is often the next one to be added."""
        if self._last is None or self._last[0] is not units:
            self._last = units, Coarse(units)
        return self._last[1]

    def _exact(self, units: Units, centre: _Centre, found: Found, worth_it: Callable[[int], Integers]) -> list[_Scored]:
        """Score the ideas of the rows found, which are alone in theirs, and of the slots found, which are not."""
        parts = [worth_it(slot) for slot in found.slots]
        rows = np.concatenate([np.array(found.rows, np.int64), *parts])
        vectors = self._rows.units(rows)
        cosines = self._members(vectors, rows, units, centre)
        alone, at = cosines.tolist(), len(found.rows)
        own = self._rows.slots[rows[:at]].tolist()
        matches = [(-score, slot, score, score, row) for slot, score, row in zip(own, alone, found.rows, strict=False)]
        if not parts:
            return matches
        edges = np.cumsum([at, *map(len, parts)]).tolist()
        spans = [slice(start, stop) for start, stop in pairwise(edges)]
        sums = np.array([self._crowds.sum_of(slot, vectors[span]) for slot, span in zip(found.slots, spans, strict=True)])
        centroids = self._centroids(sums, found.slots, units, centre).tolist()
        for slot, span, centroid in zip(found.slots, spans, centroids, strict=True):
            place = span.start + int(cosines[span].argmax())  # of equals the one that was added first
            matches.append((-(centroid + alone[place]) / 2, slot, centroid, alone[place], int(rows[place])))
        return matches

    def _worth_it(self, slot: int, units: Units, centre: _Centre, look: Look) -> Integers:
        """Return the rows of a crowd to be looked at: all of a small one, of a large one those that may be nearest."""
        rows, bounds = self._crowds.rows(slot), look.bounds_of(slot)
        if not self._crowds.is_large(slot):
            return rows
        likely = rows[[int(bounds.argmax())]]
        worthy: Integers = rows[bounds >= self._members(self._rows.units(likely), likely, units, centre)[0]]
        return worthy

    def _members(self, vectors: Units, rows: Integers, units: Units, centre: _Centre) -> Floats:
        dots = (vectors @ units).astype(np.float64)
        return centre.cosines(dots, self._against(vectors) / self._texts, self._rows.squares[rows])

    def _centroids(self, sums: Integers, slots: Sequence[int], units: Units, centre: _Centre) -> Floats:
        places = self._crowds.places(slots)
        counts, squares = self._crowds.counts[places].astype(np.float64), self._crowds.squares[places]
        with_text = (sums @ units.astype(np.int64)).astype(np.float64) / counts
        with_mean = (sums @ self._sum).astype(np.float64) / (counts * self._texts)
        return centre.cosines(with_text, with_mean, squares / (counts * counts))

    def _centre(self, units: Units) -> _Centre:
        mean_square = self._sum_square / (self._texts * self._texts)
        with_mean = self._dot_sum(units) / self._texts
        square = int(float(units @ units))
        length = math.sqrt(max(square - 2 * with_mean + mean_square, LEAST_SQUARE))
        return _Centre(mean_square, mean_square - with_mean, length)

    @property
    def _texts(self) -> int:
        return _PRIOR_TEXTS + self._count

    def _against(self, vectors: Units) -> Floats:
        """Return the dot products of *vectors* with the sum of all texts."""
        found: Floats = vectors.astype(np.float64) @ self._sum.astype(np.float64)
        return found

    def _dot_sum(self, units: Units) -> int:
        return int(units.astype(np.int64) @ self._sum)


class _Centre(NamedTuple):
    """The board's mean, seen from one text: what turns dot products into cosines around it."""

    mean_square: float
    offset: float
    """|mean|² - text·mean."""
    length: float
    """|text - mean|."""

    def cosines(self, dots: Floats, with_mean: Floats, squares: Floats) -> Floats:
        """Return (text-mean)·(v-mean) / (|text-mean| |v-mean|) of vectors v with these dot products and squares."""
        above = dots - with_mean
        above += self.offset
        below = squares - 2.0 * with_mean
        below += self.mean_square
        np.maximum(below, LEAST_SQUARE, out=below)
        np.sqrt(below, out=below)
        below *= self.length
        above /= below
        return above
