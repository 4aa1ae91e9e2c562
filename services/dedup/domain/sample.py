"""Some rows of an index and the cosines between them, around the board's mean: what passes over a whole board look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.dedup.domain.calibration import AROUND, NEAR, Census
from services.dedup.domain.index import LEAST_SQUARE, Floats, Index, Integers, Units

CENSUS_ROWS = 1000
"""Rows that a census compares with each other: some 50 ms."""
_THIRD = 3
"""From the end of a row of cosines: the third nearest."""
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows, their dot products with the board's mean, and their squares."""

    rows: Units
    with_mean: Floats
    squares: Floats
    mean_square: float

    def cosines(self, start: int, stop: int) -> Floats:
        """Return the cosines of the rows from *start* to *stop*, one row each, with all rows."""
        lengths = np.sqrt(np.maximum(self.squares - 2.0 * self.with_mean + self.mean_square, LEAST_SQUARE))
        found: Floats = (self.rows[start:stop] @ self.rows.T).astype(np.float64)
        found -= self.with_mean
        found += (self.mean_square - self.with_mean[start:stop])[:, None]
        found /= lengths[start:stop, None] * lengths
        return found


def sample(index: Index, rows: Integers) -> Sample:
    """Return *rows* of *index* as it is now."""
    return Sample(*index.seen_from_the_mean(rows))


def take_census(index: Index) -> Census:
    """Count how near the texts of *index* are to each other, in at most 1,000 rows that are spread evenly over it."""
    rows = index.live_rows()
    texts = len(rows)
    if texts > CENSUS_ROWS:
        rows = rows[np.arange(CENSUS_ROWS) * texts // CENSUS_ROWS]
    return Census(texts, len(rows), *_counts(sample(index, rows)))


def _counts(seen: Sample) -> tuple[int, int, int, int]:
    """Return ``around``, ``third``, ``wedges`` and ``closed`` of a census."""
    size = len(seen.rows)
    if not size:
        return 0, 0, 0, 0
    around, place = 0, max(size - _THIRD, 0)
    thirds, near = np.empty(size), np.zeros((size, size), np.float32)
    for start in range(0, size, _CHUNK):
        stop = min(start + _CHUNK, size)
        found = seen.cosines(start, stop)
        found[np.arange(stop - start), np.arange(start, stop)] = -1.0
        around += int((found >= AROUND).sum())
        near[start:stop] = found >= NEAR
        thirds[start:stop] = np.partition(found, place, axis=1)[:, place]
    degrees = near.sum(axis=1, dtype=np.float64)
    closed = ((near @ near) * near).sum(dtype=np.float64)  # of whole numbers up to 1,000: exact in any order
    return around, round(float(np.sort(thirds)[size // 4]) * 1000), int((degrees * (degrees - 1)).sum()), int(closed)
