"""Upper bounds of a text's scores against all of a board's ideas, from one byte a component: what cannot be among the best is left out.

Three things are off, and how far at most is known. A coarse vector differs from the exact one by its rest, so a dot product of two by no
more than the rests' lengths times the vectors' (Cauchy-Schwarz). The board's mean has moved since each row was last seen from it, by
*drift*: that moves a dot product with it by no more than drift times a vector's length, and a distance from it by no more than drift; so,
for a cosine of 1 at most, (dot + errors + drift · |text - mean|) / (|text - mean| |v - old mean|) is never below the cosine. Bounds of one
text's scores are compared with each other before |text - mean|, the same in all, is divided out. What single precision rounds is less
than ``_ROUNDING`` and ``_ROUNDED_UNITS``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.crowds import Crowds
from services.dedup.domain.rows import Coarse, Floats, Integers, Rows, Singles

_ROUNDING = 2e-5
_ROUNDED_UNITS = 4.0
"""Of a dot product below 2²³ that is rounded some four times: what it comes to grows where all texts are near the mean."""
_LEAST_LENGTH = 1.0
_CHUNK_ROWS = 512
_MOST_DRIFT, _DRIFT = 0.05, 0.3
"""Of a unit vector's length; of a board of so many texts .3/√texts if that is less. Then all rows are seen from the present mean."""
_NEVER = np.float32(-np.inf)
_NONE, _NOWHERE = np.empty(0, np.float32), np.empty(0, np.int64)
_POSSIBLE = -1e30


class Found(NamedTuple):
    """Ideas by the rows that are alone in theirs, and by the slots of those of several."""

    rows: Integers
    slots: list[int]

    @property
    def ideas(self) -> int:
        """Return how many they are."""
        return len(self.rows) + len(self.slots)

    def and_also(self, others: Found | None) -> Found:
        """Return these and *others*."""
        return self if others is None else Found(np.concatenate([self.rows, others.rows]), self.slots + others.slots)


class Look:
    """Upper bounds of one text's scores, times its distance from the mean, less ``_ROUNDING``: in the order of the scores' own bounds."""

    def __init__(self, crowds: Crowds, length: float, alone: Singles, together: Singles, members: Singles) -> None:
        """*alone* are bounds of rows, *together* of places, *members* of the rows in the crowds' order; *length* is |text - mean|."""
        self._crowds = crowds
        self._length = length
        self._alone = alone
        self._together = together
        self._members = members
        self._passed = np.float32(np.inf)

    def first(self, count: int) -> Found:
        """Take out the *count* ideas of one text and the *count* of several that have the highest bounds, or all where there are less."""
        return self._out(_highest(self._alone, count), _highest(self._together, count) if len(self._together) else _NOWHERE)

    def above(self, score: float, most: int | None = None) -> Found | None:
        """Take out the ideas left that may score *score* or more; None where they are more than *most*."""
        least = self._least(score)
        if least >= self._passed:
            return None
        rows = (self._alone >= least).nonzero()[0]
        places = (self._together >= least).nonzero()[0] if len(self._together) else _NOWHERE
        if most is not None and len(rows) + len(places) > most:
            return None
        self._passed = least
        return self._out(rows, places)

    def nearest(self, slot: int) -> int:
        """Return which of the rows of a crowd, counted in its order, has the highest bound."""
        return int(self._members[self._crowds.segment(slot)].argmax())

    def worthy(self, slot: int, score: float) -> NDArray[np.bool_]:
        """Tell which of the rows of a crowd may score *score* or more."""
        worthy: NDArray[np.bool_] = self._members[self._crowds.segment(slot)] >= self._least(score)
        return worthy

    def _least(self, score: float) -> np.float32:
        return np.float32(max((score - _ROUNDING) * self._length, _POSSIBLE))

    def _out(self, rows: Integers, places: Integers) -> Found:
        self._alone[rows] = _NEVER
        if not len(places):
            return Found(rows, [])
        self._together[places] = _NEVER
        return Found(rows, self._crowds.slots[places].tolist())


def _highest(bounds: Singles, count: int) -> Integers:
    """Return where the *count* highest are, more only where others equal the last of them; those that are ``_NEVER`` are none."""
    if len(bounds) <= count:
        return np.flatnonzero(bounds > _NEVER)
    last = np.partition(bounds, -count)[-count]
    return np.flatnonzero(bounds >= last) if last > _NEVER else np.flatnonzero(bounds > _NEVER)


class Bounds:
    """What is kept of each row to bound its score without looking at it."""

    def __init__(self, rows: Rows, crowds: Crowds) -> None:
        self._rows = rows
        self._crowds = crowds
        self._mean: Floats | None = None
        """The board's mean that the arrays go by."""
        self._mean_square = 0.0
        self._with_mean = np.zeros(0, np.float32)
        self._nearness = np.zeros(0, np.float32)
        """1 / |row - mean|."""
        self._crowded = np.zeros(0, np.float32)
        """0 for a row that is alone in its idea, -∞ for others and for free ones."""

    def added(self, row: int, text: Coarse, crowd: int, *, is_alone: bool) -> None:
        """Take note of a new *row*, which is *text*; *crowd* is one that is not alone any more because of it, or -1."""
        if row >= len(self._crowded):
            self._grow()
        if self._mean is not None:
            with_mean = float(text.units @ self._mean)
            square = text.square - 2.0 * with_mean + self._mean_square
            self._with_mean[row] = with_mean
            self._nearness[row] = 1.0 / math.sqrt(max(square, _LEAST_LENGTH))
        self._crowded[row] = 0.0 if is_alone else _NEVER
        if crowd >= 0:
            self._crowded[crowd] = _NEVER

    def removed(self, row: int, alone: int | None) -> None:
        """Take note that *row* is free; *alone* is a row that is alone in its idea now."""
        self._crowded[row] = _NEVER
        if alone is not None:
            self._crowded[alone] = 0.0

    def look(self, given: Coarse, offset: float, length: float, mean: Floats) -> Look:
        """Return the bounds of a text's scores; *offset* is |mean|² - text·mean, *length* |text - mean|."""
        drift = self._follow(mean)
        rows, used = self._rows, self._rows.used
        own = given.length + given.slack
        slop = own * rows.widest + given.slack * rows.longest + drift * (rows.longest + length) + _ROUNDED_UNITS
        dots = rows.coarse_dots(given)
        dots *= rows.steps[:used]
        dots *= np.float32(given.step)
        found = dots - self._with_mean[:used]
        found += np.float32(offset + slop)
        found *= self._nearness[:used]
        if not len(self._crowds):
            if rows.free:
                found += self._crowded[:used]
            return Look(self._crowds, length, found, _NONE, _NONE)
        members = found.take(self._crowds.order)
        together = self._centroids(dots, offset + slop)
        together += self._crowds.highest(members)
        together /= 2
        found += self._crowded[:used]
        return Look(self._crowds, length, found, together, members)

    def _centroids(self, dots: Singles, slack: float) -> Singles:
        crowds = self._crowds
        counts = crowds.counts.astype(np.float64)
        with_text = crowds.totals(dots.take(crowds.order)) / counts
        with_mean = crowds.totals(self._with_mean.take(crowds.order)) / counts
        distances = np.sqrt(np.maximum(crowds.squares / (counts * counts) - 2.0 * with_mean + self._mean_square, _LEAST_LENGTH))
        found: Singles = ((with_text - with_mean + slack) / distances).astype(np.float32)
        return found

    def _follow(self, mean: Floats) -> float:
        """See all rows anew where the mean has gone too far; return how far it has gone."""
        if self._mean is not None:
            away = mean - self._mean
            drift = math.sqrt(float(away @ away))
            texts = max(self._rows.used, 1)
            if drift <= self._rows.longest * min(_MOST_DRIFT, _DRIFT / math.sqrt(texts)):
                return drift
        self._mean = mean.copy()
        self._mean_square = float(mean @ mean)
        for start in range(0, self._rows.used, _CHUNK_ROWS):
            self._see(slice(start, min(start + _CHUNK_ROWS, self._rows.used)))
        return 0.0

    def _see(self, rows: slice) -> None:
        assert self._mean is not None
        with_mean = self._rows.dots(rows, self._mean)
        squares = self._rows.squares[rows] - 2.0 * with_mean + self._mean_square
        self._with_mean[rows] = with_mean
        self._nearness[rows] = 1.0 / np.sqrt(np.maximum(squares, _LEAST_LENGTH))

    def _grow(self) -> None:
        added = len(self._rows.slots) - len(self._crowded)
        self._with_mean = np.concatenate([self._with_mean, np.zeros(added, np.float32)])
        self._nearness = np.concatenate([self._nearness, np.zeros(added, np.float32)])
        self._crowded = np.concatenate([self._crowded, np.full(added, _NEVER)])
