"""Upper bounds of a text's scores against all of a board's ideas, from one byte a component: what cannot be among the best is left out.

Three things are off, and how far at most is known. A coarse vector differs from the exact one by its rest, so a dot product of two by no
more than the rests' lengths times the vectors' (Cauchy-Schwarz). The board's mean has moved since each row was last seen from it, by
*drift*: that moves a dot product with it by no more than drift times a vector's length, and a distance from it by no more than drift; so,
for a cosine of 1 at most, (dot + errors + drift · |text - mean|) / (|text - mean| |v - old mean|) is never below the cosine. What single
precision rounds is less than ``_ROUNDING`` and ``_ROUNDED_UNITS``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from services.dedup.domain.crowds import Crowds
from services.dedup.domain.rows import Coarse, Floats, Integers, Rows, Singles, Units

_ROUNDING = np.float32(2e-5)
_ROUNDED_UNITS = 4.0
"""Of a dot product below 2²³ that is rounded some four times: what it comes to grows where all texts are near the mean."""
_LEAST_LENGTH = 1.0
_CHUNK_ROWS = 4096
_MOST_DRIFT, _DRIFT = 0.05, 0.3
"""Of a unit vector's length; of a board of so many texts .3/√texts if that is less. Then all rows are seen from the present mean."""
_NEVER = np.float32(-np.inf)
_POSSIBLE = -1e30


class Found(NamedTuple):
    """Ideas by the rows that are alone in theirs, and by the slots of those of several."""

    rows: list[int]
    slots: list[int]

    @property
    def is_empty(self) -> bool:
        """Tell whether there is none."""
        return not self.rows and not self.slots


class Look:
    """Upper bounds of one text's scores."""

    def __init__(self, crowds: Crowds, alone: Singles, together: Singles, members: Singles) -> None:
        """*alone* are bounds of rows, *together* of places, *members* of the rows in the crowds' order."""
        self._crowds = crowds
        self._alone = alone
        self._together = together
        self._members = members

    def first(self, count: int) -> Found:
        """Return the *count* ideas with the highest bounds; they are taken out."""
        found = Found([], [])
        for _ in range(count):
            row = int(self._alone.argmax())
            place = int(self._together.argmax()) if len(self._together) else -1
            if place >= 0 and self._together[place] > self._alone[row]:
                found.slots.append(int(self._crowds.slots[place]))
                self._together[place] = _NEVER
            elif self._alone[row] > _NEVER:
                found.rows.append(row)
                self._alone[row] = _NEVER
            else:
                break
        return found

    def others(self, score: float) -> Found:
        """Return the ideas left that may score *score* or more."""
        least = np.float32(max(score, _POSSIBLE))
        places = np.flatnonzero(self._together >= least)
        return Found(np.flatnonzero(self._alone >= least).tolist(), self._crowds.slots[places].tolist())

    def bounds_of(self, slot: int) -> Singles:
        """Return the bounds of the rows of a crowd."""
        return self._members[self._crowds.segment(slot)]


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

    def added(self, row: int, units: Units, crowd: int, *, is_alone: bool) -> None:
        """Take note of a new *row*, which is *units*; *crowd* is one that is not alone any more because of it, or -1."""
        if row >= len(self._crowded):
            self._grow()
        if self._mean is not None:
            with_mean = float(units @ self._mean)
            square = float(self._rows.squares[row]) - 2.0 * with_mean + self._mean_square
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
        found *= np.float32(1.0 / length)
        found += _ROUNDING
        if not len(self._crowds):
            found += self._crowded[:used]
            return Look(self._crowds, found, np.empty(0, np.float32), np.empty(0, np.float32))
        members = found.take(self._crowds.order)
        together = self._centroids(dots, offset + slop, length)
        together += self._crowds.highest(members)
        together /= 2
        found += self._crowded[:used]
        return Look(self._crowds, found, together, members)

    def _centroids(self, dots: Singles, slack: float, length: float) -> Singles:
        crowds = self._crowds
        counts = crowds.counts.astype(np.float64)
        with_text = crowds.totals(dots.take(crowds.order)) / counts
        with_mean = crowds.totals(self._with_mean.take(crowds.order)) / counts
        distances = np.sqrt(np.maximum(crowds.squares / (counts * counts) - 2.0 * with_mean + self._mean_square, _LEAST_LENGTH))
        found: Singles = ((with_text - with_mean + slack) / (distances * length)).astype(np.float32)
        found += _ROUNDING
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
            self._see(np.arange(start, min(start + _CHUNK_ROWS, self._rows.used)))
        return 0.0

    def _see(self, rows: Integers) -> None:
        assert self._mean is not None
        with_mean = self._rows.units(rows) @ self._mean
        squares = self._rows.squares[rows] - 2.0 * with_mean + self._mean_square
        self._with_mean[rows] = with_mean
        self._nearness[rows] = 1.0 / np.sqrt(np.maximum(squares, _LEAST_LENGTH))

    def _grow(self) -> None:
        added = len(self._rows.slots) - len(self._crowded)
        self._with_mean = np.concatenate([self._with_mean, np.zeros(added, np.float32)])
        self._nearness = np.concatenate([self._nearness, np.zeros(added, np.float32)])
        self._crowded = np.concatenate([self._crowded, np.full(added, _NEVER)])
