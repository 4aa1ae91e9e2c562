"""Vectors of whole numbers in two bytes a component: a coarse one to look with, a rest to be exact with."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.foresight import Foresight

Units: TypeAlias = NDArray[np.float32]
"""Whole numbers: a vector's components times 2048."""
Floats: TypeAlias = NDArray[np.float64]
Singles: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int64]

_COARSEST = 127
_FIRST_ROWS = 8
_STEADY_ROWS = 65_536
"""Up to here room is doubled, beyond it is made for a quarter more."""


class Coarse:
    """A vector of *units* as *step* times ``numbers``, which are bytes, and *rest*, which is exact; *slack* is the length of the rest."""

    __slots__ = ("length", "numbers", "rest", "slack", "square", "step", "units")

    def __init__(self, units: Units) -> None:
        self.units = units
        self.step = max(math.ceil(float(np.abs(units).max()) / _COARSEST), 1)
        self.numbers: Any = np.rint(units / np.float32(self.step)).astype(np.int8)
        rest = units - self.numbers * np.float32(self.step)
        self.rest: Any = rest.astype(np.int8)
        self.slack = math.sqrt(float(rest @ rest))
        self.square = float(units @ units)
        self.length = math.sqrt(self.square)

    @classmethod
    def of_each(cls, units: Units) -> list[Coarse]:
        """Return what each row of *units* is: the same as one by one, at a fifth of the cost."""
        steps = np.maximum(np.ceil(np.abs(units).max(axis=1) / float(_COARSEST)), 1).astype(np.float32)
        numbers = np.rint(units / steps[:, None]).astype(np.int8)
        rests = units - numbers * steps[:, None]
        squares, slacks = (units * units).sum(axis=1).tolist(), np.sqrt((rests * rests).sum(axis=1, dtype=np.float64)).tolist()
        found = [cls.__new__(cls) for _ in units]
        for one, *parts in zip(found, units, steps.tolist(), numbers, rests.astype(np.int8), slacks, squares, strict=True):
            one.units, one.step, one.numbers, one.rest, one.slack, one.square = parts
            one.step, one.length = int(one.step), math.sqrt(one.square)
        return found


class Rows:
    """A matrix that grows; a row that was let go of is used again. Whole numbers, so that every dot product is exact."""

    def __init__(self, dimensions: int) -> None:
        self.used = 0
        """Rows from here on were never in use."""
        self.slots: NDArray[np.int32] = np.full(_FIRST_ROWS, -1, np.int32)
        """The idea of each row; -1 where the row is free."""
        self.squares: Floats = np.zeros(_FIRST_ROWS)
        self.steps: Singles = np.zeros(_FIRST_ROWS, np.float32)
        self.widest = 0.0
        """The longest rest that there ever was."""
        self.longest = 0.0
        """The longest row that there ever was."""
        self._numbers: NDArray[np.int8] = np.zeros((_FIRST_ROWS, dimensions), np.int8)
        self._rests: NDArray[np.int8] = np.zeros((_FIRST_ROWS, dimensions), np.int8)
        self.free: list[int] = []
        """Rows that were let go of."""
        self.foresight = Foresight()

    def put(self, slot: int, text: Coarse) -> int:
        """Keep *text* as a row of the idea *slot*; return it."""
        row = self._take()
        self._numbers[row], self._rests[row] = text.numbers, text.rest
        self.steps[row], self.squares[row], self.slots[row] = text.step, text.square, slot
        self.foresight.changed(row)
        self.widest, self.longest = max(self.widest, text.slack), max(self.longest, text.length)
        return row

    def clear(self, row: int) -> None:
        """Let go of *row*."""
        self._numbers[row] = self._rests[row] = 0
        self.steps[row] = self.squares[row] = 0
        self.slots[row] = -1
        self.free.append(row)

    def units(self, rows: Any) -> Units:
        """Return the vectors of *rows* (numbers, or a slice), exactly; one vector for one row."""
        if isinstance(rows, np.ndarray):  # by far the most; ``take`` is twice as fast as an index
            found: Units = self._numbers.take(rows, 0).astype(np.float32)
            found *= self.steps.take(rows)[:, None]
            found += self._rests.take(rows, 0).astype(np.float32)  # of one type, or it takes a third longer
            return found
        steps = self.steps[rows]
        exact: Units = self._numbers[rows] * (steps[..., None] if np.ndim(steps) else steps)
        exact += self._rests[rows]
        return exact

    def dots(self, rows: slice, vector: Floats) -> Floats:
        """Return the dot products of *rows* with *vector*."""
        found: Floats = self._numbers[rows].astype(np.float64) @ vector
        found *= self.steps[rows]
        found += self._rests[rows].astype(np.float64) @ vector
        return found

    def numbers(self, rows: Integers) -> NDArray[np.int8]:
        """Return the bytes of *rows*."""
        return self._numbers.take(rows, 0)

    def coarse_dots(self, given: Coarse) -> Singles:
        """Return the dot product of each row's numbers with those of *given*: whole numbers, below 2²³."""
        return self.foresight.dots(given.numbers, self._numbers[: self.used])

    def _take(self) -> int:
        if self.free:
            return self.free.pop()
        room = len(self.slots)
        if self.used == room:
            self._grow(room * 2 if room < _STEADY_ROWS else room * 5 // 4)
        self.used += 1
        return self.used - 1

    def _grow(self, room: int) -> None:
        added = room - len(self.slots)
        self.slots = np.concatenate([self.slots, np.full(added, -1, np.int32)])
        self.squares = np.concatenate([self.squares, np.zeros(added)])
        self.steps = np.concatenate([self.steps, np.zeros(added, np.float32)])
        for matrix in (self._numbers, self._rests):  # in place: two copies of a large one would not fit
            matrix.resize((room, matrix.shape[1]), refcheck=False)
