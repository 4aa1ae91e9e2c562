"""Large boards in cells: a text is looked for among the rows of the cells nearest to it, not among all.

A board is cut into cells when it has ``FROM`` texts, and cut anew each time it has grown by half: at positions in its log, from what it
holds there, so that the same log gives the same cells. Centres are found by spherical k-means over an even sample (Dhillon and Modha 2001).
Vectors are bytes, their dot products whole numbers, and the means of rows come of whole sums, so nothing here depends on a machine or on
threads. What is found is scored exactly; an idea may be missed whose texts lie in other cells (``bench.dedup_scale`` measures how often).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable

import numkong
import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.foresight import one_by_one
from services.dedup.domain.rows import Coarse, Floats, Integers, Rows, Singles, Units

FROM = 50_000
_GROWTH = 1.5
_CELLS_A_ROOT = 2
"""Cells for each unit of the square root of a board's texts."""
_PROBED = 16
"""Cells that are looked into."""
_SAMPLED = 24
"""Texts a cell that its centre is found from."""
_ROUNDS = 4
_LENGTH = 600.0
"""Of a centre, so that bytes hold it."""
_CHUNK = 8192
_LIKELY = 64
"""Rows that are worth an exact score."""
_LEAST_SQUARE = 1.0

_Bytes = NDArray[np.int8]


class Cells:
    """Which rows lie near each other."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._due = FROM
        self._centres: _Bytes = np.empty((0, 0), np.int8)
        self._cell_of: NDArray[np.int32] = np.empty(0, np.int32)
        """The cell of each row; -1 of one that is gone."""
        self._order: NDArray[np.int32] = np.empty(0, np.int32)
        """The rows at the last cut, one cell's after another's."""
        self._starts: list[int] = []
        self._later: dict[int, array[int]] = {}
        """Rows that have come since."""
        self._mean: Units = np.empty(0, np.float32)
        self._mean_square = 0.0
        self._seen: Singles = np.empty((0, 2), np.float32)
        """Of each row row·mean and 1 / |row - mean|, the mean being that of the last cut."""
        self._last: tuple[Coarse, Singles] | None = None

    @property
    def are_cut(self) -> bool:
        """Tell whether the board has been cut into cells."""
        return len(self._centres) > 0

    def added(self, row: int, text: Coarse, count: int, mean: Callable[[], Floats]) -> None:
        """Take note of a new *row*, which is *text*, the last of so many; *mean* gives that of the board."""
        if count >= self._due:
            self._cut(count, mean())
        elif self.are_cut:
            if row >= len(self._cell_of):
                self._grow()
            cell = int(self._to_centres(text).argmax())
            self._cell_of[row] = cell
            self._later.setdefault(cell, array("i")).append(row)
            self._see(np.array([row]), text.units[None])

    def removed(self, row: int) -> None:
        """Take note that *row* is free."""
        if self.are_cut:
            self._cell_of[row] = -1

    def near(self, given: Coarse) -> Integers:
        """Return the rows that are likeliest to be nearest to a text, seen from the mean of the last cut; ascending."""
        dots = self._to_centres(given)
        cells = np.argsort(-dots, kind="stable")[:_PROBED].tolist()
        parts = [self._order[self._starts[cell] : self._starts[cell + 1]] for cell in cells]
        parts += [np.frombuffer(self._later[cell], np.int32) for cell in cells if cell in self._later]
        rows = np.concatenate(parts).astype(np.int64)
        there = self._cell_of.take(rows) >= 0
        rows = rows if there.all() else rows[there]  # one that is of another cell by now, or is there twice, does no harm
        scores = one_by_one(given.numbers, self._rows.gathered(rows)) * self._rows.steps.take(rows) * np.float32(given.step)
        seen = self._seen.take(rows, 0)
        scores -= seen[:, 0]
        scores *= seen[:, 1]
        if len(rows) > _LIKELY:
            rows = rows[scores >= np.partition(scores, -_LIKELY)[-_LIKELY]]
        likely: Integers = np.unique(rows)
        return likely

    def _to_centres(self, text: Coarse) -> Singles:
        """Return the dot products of *text* with the centres; one that was looked for is often the next one to be added."""
        if self._last is None or self._last[0] is not text:
            self._last = text, one_by_one(text.numbers, self._centres)
        return self._last[1]

    def _cut(self, count: int, mean: Floats) -> None:
        self._last = None
        self._due = math.ceil(count * _GROWTH)
        live = np.flatnonzero(self._rows.slots[: self._rows.used] >= 0)
        cells = min(_CELLS_A_ROOT * math.isqrt(count), len(live))
        sampled = live[np.arange(min(cells * _SAMPLED, len(live))) * len(live) // min(cells * _SAMPLED, len(live))]
        self._centres = self._found_centres(sampled, cells)
        self._mean = np.rint(mean).astype(np.float32)
        self._mean_square = float(self._mean @ self._mean)
        self._grow()
        self._cell_of[:] = -1
        self._later.clear()
        for start in range(0, len(live), _CHUNK):
            rows = live[start : start + _CHUNK]
            self._cell_of[rows] = self._nearest(rows)
            self._see(rows, self._rows.units(rows))
        self._order = live[np.argsort(self._cell_of[live], kind="stable")].astype(np.int32)
        self._starts = np.searchsorted(self._cell_of[self._order], np.arange(cells + 1)).tolist()

    def _found_centres(self, sampled: Integers, cells: int) -> _Bytes:
        self._centres = _centres(self._rows.numbers(sampled[np.arange(cells) * len(sampled) // cells]).astype(np.float64))
        for _ in range(_ROUNDS):
            nearest = np.concatenate([self._nearest(sampled[start : start + _CHUNK]) for start in range(0, len(sampled), _CHUNK)])
            sums = np.zeros(self._centres.shape)
            order = np.argsort(nearest, kind="stable")
            present, starts = np.unique(nearest[order], return_index=True)
            for cell, rows in zip(present.tolist(), np.split(sampled[order], starts[1:]), strict=True):
                sums[cell] = self._rows.units(rows).sum(axis=0, dtype=np.float64)  # whole numbers, so exact
            empty = np.flatnonzero(~sums.any(axis=1))
            sums[empty] = self._centres[empty]
            self._centres = _centres(sums)
        return self._centres

    def _nearest(self, rows: Integers) -> NDArray[np.int64]:
        dots = np.asarray(numkong.dots_packed(self._rows.numbers(rows), numkong.dots_pack(self._centres, "int8")))
        nearest: NDArray[np.int64] = dots.argmax(axis=1)
        return nearest

    def _see(self, rows: Integers, units: Units) -> None:
        with_mean = (units @ self._mean).astype(np.float64)  # whole numbers below 2²⁴, so exact
        squares = self._rows.squares[rows] - 2.0 * with_mean + self._mean_square
        self._seen[rows, 0] = with_mean
        self._seen[rows, 1] = 1.0 / np.sqrt(np.maximum(squares, _LEAST_SQUARE))

    def _grow(self) -> None:
        added = len(self._rows.slots) - len(self._cell_of)
        self._cell_of = np.concatenate([self._cell_of, np.full(added, -1, np.int32)])
        self._seen = np.concatenate([self._seen, np.zeros((added, 2), np.float32)])


def _centres(sums: Floats) -> _Bytes:
    """Return *sums*, one a row, at one length, in bytes."""
    lengths = np.sqrt(np.maximum((sums * sums).sum(axis=1), 1.0))
    centres: _Bytes = np.clip(np.rint(sums * (_LENGTH / lengths)[:, None]), -127, 127).astype(np.int8)
    return centres
