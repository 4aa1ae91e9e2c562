"""Vectors of whole numbers in a byte and a half a component: a coarse byte to look with, a rest of half a byte to be exact with."""

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
"""Up to here room is doubled, beyond it is made for a sixteenth more: what lies empty counts on a board of a million texts."""
_NARROW_STEP = 15
"""Rests of this step are from -7 to 7."""
_ZERO = 8
_NO_PAIR = _ZERO << 4 | _ZERO
_BOTH: NDArray[np.complex64] = np.array([[(pair & 15) - _ZERO, (pair >> 4) - _ZERO] for pair in range(256)], np.float32).view(np.complex64)
"""Both numbers of a pair as singles, in one value of eight bytes: to look them up takes half of what shifting and masking does."""


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


class Rests:
    """What makes rows exact: whole numbers from -7 to 7, two of them a byte. Those of a vector that one component fills are wider."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._pairs = np.full((_FIRST_ROWS, (dimensions + 1) // 2), _NO_PAIR, np.uint8)
        """Of each two components that are neighbours, ``_ZERO`` more than they are."""
        self._wide: dict[int, NDArray[np.int8]] = {}

    def grow(self, room: int) -> None:
        """Make room for so many rows."""
        self._pairs.resize((room, self._pairs.shape[1]), refcheck=False)  # in place: two copies of a large one would not fit

    def put(self, row: int, rest: NDArray[np.int8], step: int) -> None:
        """Keep *rest*, that of a vector with this *step*, as that of *row*."""
        self.clear(row)
        if step > _NARROW_STEP:
            self._wide[row] = rest
            return
        above = (rest + np.int8(_ZERO)).view(np.uint8)
        pairs = self._pairs[row]
        pairs[: len(rest) // 2] = above[1::2] << 4
        pairs[len(rest) // 2 :] = _ZERO << 4
        pairs |= above[::2]

    def clear(self, row: int) -> None:
        """Let go of the rest of *row*."""
        self._wide.pop(row, None)
        self._pairs[row] = _NO_PAIR

    def of(self, rows: Integers) -> Units:
        """Return the rests of *rows*."""
        found: Units = _BOTH.take(self._pairs.take(rows, 0)).view(np.float32)[:, : self._dimensions]
        for place, row in enumerate(rows.tolist() if self._wide else ()):
            if row in self._wide:
                found[place] = self._wide[row]
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
        self._gathered: NDArray[np.int8] = np.empty((0, dimensions), np.int8)
        self._rests = Rests(dimensions)
        self.free: list[int] = []
        """Rows that were let go of."""
        self.foresight = Foresight()

    def put(self, slot: int, text: Coarse) -> int:
        """Keep *text* as a row of the idea *slot*; return it."""
        row = self._take()
        self._numbers[row] = text.numbers
        self._rests.put(row, text.rest, text.step)
        self.steps[row], self.squares[row], self.slots[row] = text.step, text.square, slot
        self.foresight.changed(row)
        self.widest, self.longest = max(self.widest, text.slack), max(self.longest, text.length)
        return row

    def clear(self, row: int) -> None:
        """Let go of *row*."""
        self._numbers[row] = 0
        self._rests.clear(row)
        self.slots[row] = -1
        self.free.append(row)

    def units(self, rows: Integers) -> Units:
        """Return the vectors of *rows*, exactly."""
        found: Units = self._numbers.take(rows, 0).astype(np.float32)
        found *= self.steps.take(rows)[:, None]
        found += self._rests.of(rows)
        return found

    def dots(self, rows: slice, vector: Floats) -> Floats:
        """Return the dot products of *rows* with *vector*."""
        found: Floats = self._numbers[rows].astype(np.float64) @ vector
        found *= self.steps[rows]
        found += self._rests.of(np.arange(rows.start, rows.stop)).astype(np.float64) @ vector
        return found

    def numbers(self, rows: Integers) -> NDArray[np.int8]:
        """Return the bytes of *rows*."""
        return self._numbers.take(rows, 0)

    def gathered(self, rows: Integers) -> NDArray[np.int8]:
        """Return the bytes of *rows* where those of the last call were: megabytes that are not asked of the system anew each time."""
        if len(rows) > len(self._gathered):
            self._gathered = np.empty((len(rows) * 5 // 4, self._numbers.shape[1]), np.int8)
        found = self._gathered[: len(rows)]
        self._numbers.take(rows, 0, out=found, mode="clip")  # "raise" would gather them elsewhere first
        return found

    def coarse_dots(self, given: Coarse) -> Singles:
        """Return the dot product of each row's numbers with those of *given*: whole numbers, below 2²³."""
        return self.foresight.dots(given.numbers, self._numbers[: self.used])

    def _take(self) -> int:
        if self.free:
            return self.free.pop()
        room = len(self.slots)
        if self.used == room:
            self._grow(room * 2 if room < _STEADY_ROWS else room * 17 // 16)
        self.used += 1
        return self.used - 1

    def _grow(self, room: int) -> None:
        added = room - len(self.slots)
        self.slots = np.concatenate([self.slots, np.full(added, -1, np.int32)])
        self.squares = np.concatenate([self.squares, np.zeros(added)])
        self.steps = np.concatenate([self.steps, np.zeros(added, np.float32)])
        self._rests.grow(room)
        self._numbers.resize((room, self._numbers.shape[1]), refcheck=False)  # in place, as the rests
