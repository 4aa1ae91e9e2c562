"""A board's texts as vectors, and how well a new text fits each of its ideas. Exact, so that no bit depends on how it is computed.

A vector's components are rounded to multiples of 1/2048 (an error of about 10⁻⁴ in a cosine; the quantised model's own is 10⁻²) and
kept as whole numbers in float32. By Cauchy-Schwarz every partial sum of a dot product of two unit vectors stays below 2²⁴, so float32
holds each exactly and BLAS gives the same bits whatever the matrix's shape, the order of summation, the thread count or the machine.
What is summed over texts is whole too (float64 below 2⁵³, int64, or Python's own). Only quotients and roots are rounded, element by
element, as IEEE 754 prescribes. So the same texts give the same scores whether they came one by one, in batches, or out of the store.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.crowds import Crowds

Units: TypeAlias = NDArray[np.float32]
"""Whole numbers: a vector's components times 2048."""
Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

SCALE = 2048
"""Units in 1."""
_LARGEST_SQUARE = 1 << 24
_PRIOR_TEXTS = 20
"""The running mean starts as that of so many texts at the origin."""
LEAST_SQUARE = 1.0
"""Of a centred vector, in units: a text at the mean itself resembles nothing."""
_FIRST_ROWS = 8
_CHUNK_ROWS = 4096


def in_units(vector: NDArray[np.float32]) -> Units:
    """Return *vector*, L2-normalised, in units.

    Raises:
        ValueError: It is longer than 1, or not finite; sums would no longer be exact.
    """
    units: Units = np.rint(vector * np.float32(SCALE))
    if not float(np.square(units, dtype=np.float64).sum()) < _LARGEST_SQUARE:
        raise ValueError("expected an L2-normalised vector")
    return units


@dataclass(frozen=True, slots=True)
class Match:
    """How well a text fits one idea: *score* is half *centroid*, half *member*, all cosines around the board's mean."""

    slot: int
    score: float
    centroid: float
    member: float
    """Of the best member, which is *row*."""
    row: int


@dataclass(frozen=True, slots=True)
class Query:
    """The best matches of a text, best first, and its dot product with every row."""

    matches: tuple[Match, ...]
    dots: Floats


class Index:
    """Rows of vectors, each a text of one idea; ideas are slots 0, 1, 2, … in the order in which they were opened."""

    def __init__(self, dimensions: int) -> None:
        self._rows: Units = np.zeros((_FIRST_ROWS, dimensions), np.float32)
        self._against: Floats = np.zeros(_FIRST_ROWS)
        """Each row's dot product with the sum of all."""
        self._squares: Floats = np.zeros(_FIRST_ROWS)
        self._slot_of = np.full(_FIRST_ROWS, -1, np.int64)
        self._used = 0
        self._free: list[int] = []
        self._alone = np.full(_FIRST_ROWS, -1, np.int64)
        """The row of a slot that has one row; -1 for others. One longer than the slots at least."""
        self._slots = 0
        self._crowds = Crowds()
        self._sum = np.zeros(dimensions, np.int64)
        self._sum_square = 0
        self._count = 0
        self._is_stale = False

    def __len__(self) -> int:
        return self._count

    def open(self) -> int:
        """Return the slot of a new idea, without a row yet."""
        if self._slots == len(self._alone):
            self._alone = np.concatenate([self._alone, np.full_like(self._alone, -1)])
        self._slots += 1
        return self._slots - 1

    def vector(self, row: int) -> Units:
        """Return a copy of *row*."""
        copy: Units = self._rows[row].copy()
        return copy

    def slot_of(self, row: int) -> int:
        """Return the idea that *row* belongs to; -1 where the row is gone."""
        return int(self._slot_of[row])

    def live_rows(self) -> Integers:
        """Return the rows that are in use, in ascending order."""
        rows: Integers = np.flatnonzero(self._slot_of[: self._used] >= 0)
        return rows

    def seen_from_the_mean(self, rows: Integers) -> tuple[Units, Floats, Floats, float]:
        """Return the vectors of *rows*, their dot products with the board's mean, their squares, and |mean|²."""
        if self._is_stale:
            self._recount()
        texts = _PRIOR_TEXTS + self._count
        return self._rows[rows], self._against[rows] / texts, self._squares[rows], self._sum_square / (texts * texts)

    def add(self, slot: int, units: Units, query: Query | None = None) -> int:
        """Add a text to the idea *slot*; return its row. *query*, if it is that of *units* on this very state, saves the work."""
        row = self._take_row()
        square = int(units.astype(np.int64) @ units.astype(np.int64))
        with_sum = self._dot_sum(units)
        if query is None or self._is_stale:
            self._is_stale = True
            self._place(slot, row, None)
        else:
            self._against[: len(query.dots)] += query.dots
            self._against[row] = with_sum + square
            dots = np.append(query.dots, 0.0) if row >= len(query.dots) else query.dots.copy()
            dots[row] = square
            self._place(slot, row, dots)
        self._rows[row] = units
        self._squares[row] = square
        self._slot_of[row] = slot
        self._sum += units.astype(np.int64)
        self._sum_square += 2 * with_sum + square
        self._count += 1
        return row

    def remove(self, row: int) -> None:
        """Take a text out again, as if it had never been there."""
        units = self._rows[row]
        slot = int(self._slot_of[row])
        dots = None if self._is_stale else (self._rows[: self._used] @ units).astype(np.float64)
        if self._alone[slot] == row:
            self._alone[slot] = -1
        else:
            last = self._crowds.remove(slot, row, dots)
            if last is not None:
                self._alone[slot] = last
        if dots is not None:
            self._against[: self._used] -= dots
        square = int(self._squares[row])
        self._sum_square += square - 2 * self._dot_sum(units)
        self._sum -= units.astype(np.int64)
        self._count -= 1
        self._slot_of[row] = -1
        self._rows[row] = 0
        self._against[row] = 0
        self._squares[row] = 0
        self._free.append(row)

    def query(self, units: Units, best: int) -> Query:
        """Return the *best* matches of *units* among the ideas that have a text, best first; of equals the oldest idea first."""
        if self._is_stale:
            self._recount()
        dots = (self._rows[: self._used] @ units).astype(np.float64)
        if not self._count:
            return Query((), dots)
        texts = _PRIOR_TEXTS + self._count
        mean_square = self._sum_square / (texts * texts)
        with_mean = self._dot_sum(units) / texts
        square = int(units.astype(np.int64) @ units.astype(np.int64))
        length = math.sqrt(max(square - 2 * with_mean + mean_square, LEAST_SQUARE))
        centre = _Centre(mean_square, mean_square - with_mean, length)
        members = centre.cosines(dots, self._against[: self._used] / texts, self._squares[: self._used])
        centroids, nearest = self._crowds.cosines(centre, dots, self._against, members, texts)
        return Query(self._best(members, centroids, nearest, best), dots)

    def _best(self, members: Floats, centroids: Floats, nearest: Floats, best: int) -> tuple[Match, ...]:
        alone = self._alone[: self._slots]
        none = np.append(members, -np.inf)  # what a slot without a row of its own (-1) takes
        scores = none.take(alone, mode="wrap")
        slots = self._crowds.slots
        scores[slots] = (centroids + nearest) / 2
        found: list[Match] = []
        for _ in range(min(best, self._slots)):
            slot = int(scores.argmax())
            score = float(scores[slot])
            if score == -math.inf:
                break
            row = int(alone[slot])
            if row >= 0:
                found.append(Match(slot, round(score, 6), round(score, 6), round(score, 6), row))
            else:
                place = self._crowds.place(slot)
                rows = self._crowds.rows(slot)
                row = int(rows[members[rows].argmax()])
                found.append(Match(slot, round(score, 6), round(float(centroids[place]), 6), round(float(nearest[place]), 6), row))
            scores[slot] = -np.inf
        return tuple(found)

    def _dot_sum(self, units: Units) -> int:
        return int(units.astype(np.int64) @ self._sum)

    def _place(self, slot: int, row: int, dots: Floats | None) -> None:
        first = int(self._alone[slot])
        if first >= 0:
            self._alone[slot] = -1
            self._crowds.form(slot, first, row, self._squares[first], dots)
        elif self._crowds.has(slot):
            self._crowds.add(slot, row, dots)
        else:
            self._alone[slot] = row

    def _take_row(self) -> int:
        if self._free:
            return self._free.pop()
        if self._used == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
            self._against = np.concatenate([self._against, np.zeros_like(self._against)])
            self._squares = np.concatenate([self._squares, np.zeros_like(self._squares)])
            self._slot_of = np.concatenate([self._slot_of, np.full_like(self._slot_of, -1)])
        self._used += 1
        return self._used - 1

    def _recount(self) -> None:
        """Compute at once what ``add`` and ``remove`` keep up to date with a query's work at hand."""
        total = self._sum.astype(np.float64)
        for start in range(0, self._used, _CHUNK_ROWS):
            rows = self._rows[start : min(start + _CHUNK_ROWS, self._used)]
            self._against[start : start + len(rows)] = rows.astype(np.float64) @ total
        self._crowds.recount(self._rows)
        self._is_stale = False


@dataclass(frozen=True, slots=True)
class _Centre:
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
