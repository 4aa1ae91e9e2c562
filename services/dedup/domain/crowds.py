"""The ideas of two texts or more, as segments of one array, so that one numpy call reduces all of them."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


class Centre(Protocol):
    """Turns dot products into cosines around the board's mean."""

    def cosines(self, dots: Floats, with_mean: Floats, squares: Floats) -> Floats:
        """Return one cosine a vector."""


class Crowds:
    """Rows grouped by idea. A slot is an idea's number; a place, its number among these."""

    def __init__(self) -> None:
        self.slots: Integers = np.empty(0, np.int64)
        self._places: dict[int, int] = {}
        self._order: Integers = np.empty(0, np.int64)
        self._starts: Integers = np.empty(0, np.int64)
        self._counts: Integers = np.empty(0, np.int64)
        self._squares: Integers = np.empty(0, np.int64)
        """|sum of the idea's rows|²."""

    def has(self, slot: int) -> bool:
        """Tell whether *slot* has two rows or more."""
        return slot in self._places

    def place(self, slot: int) -> int:
        """Return where the arrays of ``cosines`` speak of *slot*."""
        return self._places[slot]

    def rows(self, slot: int) -> Integers:
        """Return the rows of *slot*, in the order in which they were added."""
        place = self._places[slot]
        start = self._starts[place]
        return self._order[start : start + self._counts[place]]

    def form(self, slot: int, first: int, second: int, first_square: float, dots: Floats | None) -> None:
        """Begin with the two rows of *slot*; *dots* are those of the second with every row, None where ``recount`` will follow."""
        self._places[slot] = len(self.slots)
        self.slots = np.append(self.slots, slot)
        self._starts = np.append(self._starts, len(self._order))
        self._counts = np.append(self._counts, 2)
        self._order = np.append(self._order, (first, second))
        square = 0 if dots is None else int(first_square) + 2 * int(dots[first]) + int(dots[second])
        self._squares = np.append(self._squares, square)

    def add(self, slot: int, row: int, dots: Floats | None) -> None:
        """Add *row* to *slot*, which has two rows at least."""
        place = self._places[slot]
        if dots is not None:
            self._squares[place] += 2 * int(dots[self.rows(slot)].sum()) + int(dots[row])
        end = self._starts[place] + self._counts[place]
        self._order = np.insert(self._order, end, row)
        self._counts[place] += 1
        self._starts[place + 1 :] += 1

    def remove(self, slot: int, row: int, dots: Floats | None) -> int | None:
        """Remove *row* from *slot*; return the last row where only one is left, which is no crowd any more."""
        place = self._places[slot]
        rows = self.rows(slot)
        if dots is not None:
            self._squares[place] -= 2 * int(dots[rows].sum()) - int(dots[row])
        at = int(self._starts[place]) + int(np.flatnonzero(rows == row)[0])
        self._order = np.delete(self._order, at)
        self._counts[place] -= 1
        self._starts[place + 1 :] -= 1
        return self._dissolve(place) if self._counts[place] == 1 else None

    def recount(self, vectors: NDArray[np.float32]) -> None:
        """Compute every idea's square from the rows themselves."""
        for place, slot in enumerate(self.slots):
            total = vectors[self.rows(int(slot))].sum(axis=0, dtype=np.float64).astype(np.int64)
            self._squares[place] = total @ total

    def cosines(self, centre: Centre, dots: Floats, against: Floats, members: Floats, texts: int) -> tuple[Floats, Floats]:
        """Return, a place each, the cosine of the centroid and the best of the members' cosines.

        *dots*, *against* (with the sum of the board's *texts*) and *members* (cosines) are of every row of the board.
        """
        if not len(self.slots):
            return np.empty(0), np.empty(0)
        counts = self._counts.astype(np.float64)
        with_text = np.add.reduceat(dots.take(self._order), self._starts) / counts
        with_mean = np.add.reduceat(against.take(self._order), self._starts) / (counts * texts)
        nearest = np.maximum.reduceat(members.take(self._order), self._starts)
        return centre.cosines(with_text, with_mean, self._squares / (counts * counts)), nearest

    def _dissolve(self, place: int) -> int:
        row = int(self._order[self._starts[place]])
        self._order = np.delete(self._order, self._starts[place])
        self._starts[place + 1 :] -= 1
        self.slots = np.delete(self.slots, place)
        self._starts = np.delete(self._starts, place)
        self._counts = np.delete(self._counts, place)
        self._squares = np.delete(self._squares, place)
        self._places = {int(slot): number for number, slot in enumerate(self.slots)}
        return row
