"""The ideas of two texts or more, as segments of one array, so that one numpy call reduces all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.rows import Floats, Integers, Rows, Units

_SUM_FROM = 16
"""Rows from which on an idea's sum is kept; of fewer it is added up again each time."""


class Crowds:
    """Rows grouped by idea. A slot is an idea's number; a place, its number among these."""

    def __init__(self, rows: Rows) -> None:
        self.slots: Integers = np.empty(0, np.int64)
        self.order: Integers = np.empty(0, np.int64)
        """The rows of all places, one place's after another's."""
        self.starts: Integers = np.empty(0, np.int64)
        self.counts: Integers = np.empty(0, np.int64)
        self.squares: Floats = np.empty(0)
        """Of the sum of each place's rows."""
        self._rows = rows
        self._places: dict[int, int] = {}
        self._sums: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self.slots)

    def has(self, slot: int) -> bool:
        """Tell whether *slot* has two rows or more."""
        return slot in self._places

    def rows(self, slot: int) -> Integers:
        """Return the rows of *slot*, in the order in which they were added."""
        return self.order[self.segment(slot)]

    def segment(self, slot: int) -> slice:
        """Return which part of ``order`` is that of *slot*."""
        place = self._places[slot]
        start = int(self.starts[place])
        return slice(start, start + int(self.counts[place]))

    def is_large(self, slot: int) -> bool:
        """Tell whether *slot* has so many rows that its sum is kept."""
        return slot in self._sums

    def rows_of(self, slots: Sequence[int]) -> Sequence[Integers]:
        """Return the rows of all *slots*, one's after another's, as the only one of a list; an empty list for none."""
        if not slots:
            return ()
        places = self._at(slots)
        counts = self.counts.take(places)
        within = np.arange(counts.sum()) - (np.cumsum(counts) - counts).repeat(counts)
        return (self.order.take(self.starts.take(places).repeat(counts) + within),)

    def sum_of(self, slot: int) -> Integers:
        """Return the sum of the rows of *slot*, which is large."""
        return self._sums[slot]

    def squares_and_counts(self, slots: Sequence[int]) -> tuple[Floats, Integers]:
        """Return of each of *slots* the square of the sum of its rows, and how many they are."""
        places = self._at(slots)
        return self.squares.take(places), self.counts.take(places)

    def form(self, slot: int, first: int, second: int) -> None:
        """Begin with the two rows of *slot*."""
        self._places[slot] = len(self.slots)
        self.slots = np.append(self.slots, slot)
        self.starts = np.append(self.starts, len(self.order))
        self.counts = np.append(self.counts, 2)
        self.order = np.append(self.order, (first, second))
        self.squares = np.append(self.squares, 0.0)
        self._square(self._places[slot])

    def add(self, slot: int, row: int, units: Units) -> None:
        """Add *row*, which is *units*, to *slot*, which has two rows at least."""
        place = self._places[slot]
        self.order = np.insert(self.order, self.starts[place] + self.counts[place], row)
        self.counts[place] += 1
        self.starts[place + 1 :] += 1
        if slot in self._sums:
            self._sums[slot] += units.astype(np.int64)
        elif self.counts[place] >= _SUM_FROM:
            self._sums[slot] = self._sum(slot)
        self._square(place)

    def remove(self, slot: int, row: int, units: Units) -> int | None:
        """Remove *row*, which is *units*, from *slot*; return the last row where only one is left, which is no crowd any more."""
        place = self._places[slot]
        at = int(self.starts[place]) + int(np.flatnonzero(self.rows(slot) == row)[0])
        self.order = np.delete(self.order, at)
        self.counts[place] -= 1
        self.starts[place + 1 :] -= 1
        if slot in self._sums:
            self._sums[slot] -= units.astype(np.int64)
        if self.counts[place] == 1:
            return self._dissolve(place)
        self._square(place)
        return None

    def totals(self, values: NDArray[np.float32]) -> Floats:
        """Return the sum of *values*, which are those of ``order``, a place each."""
        found: Floats = np.add.reduceat(values, self.starts, dtype=np.float64)
        return found

    def highest(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the highest of *values*, which are those of ``order``, a place each."""
        found: NDArray[np.float32] = np.maximum.reduceat(values, self.starts)
        return found

    def _at(self, slots: Sequence[int]) -> Integers:
        return np.array([self._places[slot] for slot in slots], np.int64)

    def _sum(self, slot: int) -> Integers:
        kept = self._sums.get(slot)
        return self._rows.units(self.rows(slot)).sum(axis=0, dtype=np.float64).astype(np.int64) if kept is None else kept

    def _square(self, place: int) -> None:
        total = self._sum(int(self.slots[place]))
        self.squares[place] = float(total @ total)

    def _dissolve(self, place: int) -> int:
        row = int(self.order[self.starts[place]])
        self._sums.pop(int(self.slots[place]), None)
        self.order = np.delete(self.order, self.starts[place])
        self.starts[place + 1 :] -= 1
        self.slots = np.delete(self.slots, place)
        self.starts = np.delete(self.starts, place)
        self.counts = np.delete(self.counts, place)
        self.squares = np.delete(self.squares, place)
        self._places = {int(slot): number for number, slot in enumerate(self.slots)}
        return row
