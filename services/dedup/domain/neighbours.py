"""Texts as their neighbourhoods see them: each drawn towards those nearest to it, so that what is said in other words comes together.

Second-order evidence: two texts that share their neighbours are nearer than their own words say, and two that only share a word are not.
On boards where the same is said many times it lets a looser gathering join fewer texts falsely; where nothing repeats there are no
neighbours worth following, and nothing is drawn (bench/RESULTS.md). Whole numbers throughout, exact in any order of summation.
"""

from __future__ import annotations

import numpy as np

from services.dedup.domain.index import LEAST_SQUARE, SCALE, Floats, Integers, Units
from services.dedup.domain.sample import Sample

NEIGHBOURS = 8
"""Texts that each one is drawn towards, with their cosines as weights."""
_CHUNK = 128
"""Rows at a time: what is summed of more of them does not stay near the processor."""
_SQUARE = float(SCALE * SCALE)
_FRACTION = 4.0
"""Parts of a unit that a drawn vector is rounded to before its length is taken."""


def around_mean(seen: Sample, mean: Floats) -> Units:
    """Return the rows of *seen* as they look from the board's *mean*, each of length 1, in units."""
    lengths = np.sqrt(np.maximum(seen.squares - 2.0 * seen.with_mean + seen.mean_square, LEAST_SQUARE))
    units = np.empty(seen.rows.shape, np.float32)
    for start in range(0, len(units), _CHUNK):
        part = slice(start, start + _CHUNK)
        units[part] = np.rint((seen.rows[part] - mean) * (SCALE / lengths[part])[:, None])
    return units


def drawn(units: Units, pull: int) -> Units:
    """Return *units*, each row drawn towards its nearest ones, *pull* times as much as it weighs itself; length 1 again."""
    count = min(NEIGHBOURS, len(units) - 1)
    if not pull or count < 1:
        return units
    found = np.empty_like(units)
    for start in range(0, len(units), _CHUNK):
        own = units[start : start + _CHUNK].astype(np.float64)
        nearest, weights = _nearest(units, start, count)
        total = own * (count * _SQUARE)
        for place in range(count):
            total += (pull * weights[:, place])[:, None] * units[nearest[:, place]]
        parts = np.rint(total * (_FRACTION / (count * _SQUARE)))
        lengths = np.sqrt(np.maximum((parts * parts).sum(axis=1), LEAST_SQUARE))
        found[start : start + _CHUNK] = np.rint(parts * (SCALE / lengths)[:, None])
    return found


def _nearest(units: Units, start: int, count: int) -> tuple[Integers, Floats]:
    """Return the *count* nearest rows of each row of a chunk, of equals the earlier ones, and their dot products, at least 0."""
    dots = (units[start : start + _CHUNK] @ units.T).astype(np.float64)
    own = np.arange(len(dots))
    dots[own, own + start] = -_SQUARE
    ranks = dots * len(units) - np.arange(len(units))  # no two are equal, so that a partition has one result only
    nearest: Integers = np.argpartition(ranks, -count, axis=1)[:, -count:]
    weights: Floats = np.maximum(np.take_along_axis(dots, nearest, axis=1), 0.0)
    return nearest, weights
