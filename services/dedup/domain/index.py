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
_DECIMALS = 6
_MOST_LIKELY = 64
_SPREAD = 0.005
LEAST_SQUARE = 1.0
"""Of a centred vector, in units: a text at the mean itself resembles nothing."""


def in_units(vector: NDArray[np.float32]) -> Units:
    """Return *vector*, L2-normalised, in units.

    Raises:
        ValueError: It is longer than 1, or not finite; sums would no longer be exact.
    """
    units: Units = np.rint(vector * np.float32(SCALE))
    if not float(units @ units) < _LARGEST_SQUARE:  # a sum of squares is rounded to no less than 2²⁴ where it is not below that
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


def _match(negative: float, slot: int, centroid: float, member: float, row: int) -> Match:
    if centroid == member:
        score = round(centroid, _DECIMALS)
        return Match(slot, score, score, score, row)
    return Match(slot, round(-negative, _DECIMALS), round(centroid, _DECIMALS), round(member, _DECIMALS), row)


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
        self._sum -= units
        self._count -= 1
        self._rows.clear(row)
        self._bounds.removed(row, last)
        self._cells.removed(row)

    def expect(self, texts: Sequence[NDArray[np.float32]]) -> None:
        """Expect queries of *texts*, L2-normalised, in this order: they cost less together. What they find is the same."""
        given = Coarse.of_each(np.stack([in_units(text) for text in texts])) if len(texts) else []
        self._expected = {id(text): (text, coarse) for text, coarse in zip(texts, given, strict=True)}
        self._rows.foresight.expect([coarse.numbers for coarse in given])

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
        return tuple([_match(*scored) for scored in found[:best]])

    def _best(self, text: Coarse, centre: _Centre, best: int) -> list[_Scored]:
        """Return what may be among the *best* of all."""
        units, look = text.units, self._bounds.look(text, centre.offset, centre.length, self._sum / self._texts)
        worth_it = partial(self._worth_it, units=units, centre=centre, look=look)
        likely = look.above(self._guess, _MOST_LIKELY)
        found = [] if likely is None else self._exact(units, centre, likely, worth_it)
        if len(found) < best:
            found += self._exact(units, centre, look.first(best), worth_it)
        least = -sorted(found)[best - 1][0] if len(found) >= best else -math.inf
        others = look.above(least)
        if others is not None:
            found += self._exact(units, centre, others, worth_it)
        self._guess = least - _SPREAD
        return found

    def _near(self, text: Coarse, centre: _Centre) -> list[_Scored]:
        """Return the ideas of the rows in the cells nearest to a text."""
        of_slot: dict[int, list[int]] = {}
        near = self._cells.near(text)
        for row, slot in zip(near.tolist(), self._rows.slots.take(near).tolist(), strict=True):
            of_slot.setdefault(slot, []).append(row)
        alone = np.array([rows[0] for slot, rows in of_slot.items() if self._alone[slot] >= 0], np.int64)
        crowds = [slot for slot in of_slot if self._alone[slot] < 0]
        return self._exact(text.units, centre, Found(alone, crowds), lambda slot: self._known(slot, of_slot[slot]))

    def _known(self, slot: int, rows: Sequence[int]) -> Integers:
        """Return the rows of a crowd to be looked at where *rows* are those nearby: all of a small one."""
        return np.array(rows, np.int64) if self._crowds.is_large(slot) else self._crowds.rows(slot)

    def _coarse(self, units: Units) -> Coarse:
        """Return *units* as bytes; a text that is looked for is often the next one to be added."""
        if self._last is None or self._last.units is not units:
            self._last = Coarse(units)
        return self._last

    def _exact(self, units: Units, centre: _Centre, found: Found, worth_it: Callable[[int], Integers]) -> list[_Scored]:
        """Score the ideas of the rows found, which are alone in theirs, and of the slots found, which are not."""
        parts = [worth_it(slot) for slot in found.slots]
        rows = np.concatenate([found.rows, *parts]) if parts else found.rows
        vectors = self._rows.units(rows)
        cosines = self._members(vectors, rows, units, centre)
        alone, at = cosines.tolist(), len(found.rows)
        own = self._rows.slots.take(found.rows).tolist()
        matches = [(-score, slot, score, score, row) for slot, score, row in zip(own, alone, found.rows.tolist(), strict=False)]
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
        rows = self._crowds.rows(slot)
        if not self._crowds.is_large(slot):
            return rows
        likely = rows[[look.nearest(slot)]]
        worthy: Integers = rows[look.worthy(slot, float(self._members(self._rows.units(likely), likely, units, centre)[0]))]
        return worthy

    def _members(self, vectors: Units, rows: Integers, units: Units, centre: _Centre) -> Floats:
        dots = (vectors @ units).astype(np.float64)
        return centre.cosines(dots, self._against(vectors) / self._texts, self._rows.squares.take(rows))

    def _centroids(self, sums: Integers, slots: Sequence[int], units: Units, centre: _Centre) -> Floats:
        places = self._crowds.places(slots)
        counts, squares = self._crowds.counts[places].astype(np.float64), self._crowds.squares[places]
        with_text = (sums @ units.astype(np.int64)).astype(np.float64) / counts
        with_mean = (sums @ self._sum.astype(np.int64)).astype(np.float64) / (counts * self._texts)
        return centre.cosines(with_text, with_mean, squares / (counts * counts))

    def _centre(self, text: Coarse) -> _Centre:
        mean_square = self._sum_square / (self._texts * self._texts)
        with_mean = self._dot_sum(text.units) / self._texts
        length = math.sqrt(max(text.square - 2 * with_mean + mean_square, LEAST_SQUARE))
        return _Centre(mean_square, mean_square - with_mean, length)

    @property
    def _texts(self) -> int:
        return _PRIOR_TEXTS + self._count

    def _against(self, vectors: Units) -> Floats:
        """Return the dot products of *vectors* with the sum of all texts."""
        found: Floats = vectors.astype(np.float64) @ self._sum
        return found

    def _dot_sum(self, units: Units) -> int:
        return int(units.astype(np.float64) @ self._sum)


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
