"""A vector in whole numbers, and the scores of a text against ideas: what turns exact dot products into cosines around the mean."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.rows import Floats, Units

SCALE = 2048
"""Units in 1."""
_LARGEST_SQUARE = 1 << 24
_DECIMALS = 6
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


Scored: TypeAlias = tuple[float, int, float, float, int]
"""As a match, unrounded, with the score first and below zero: in the order of these the best comes first, of equals the oldest idea."""


def match_of(negative: float, slot: int, centroid: float, member: float, row: int) -> Match:
    """Return what was scored, rounded."""
    if centroid == member:
        score = round(centroid, _DECIMALS)
        return Match(slot, score, score, score, row)
    return Match(slot, round(-negative, _DECIMALS), round(centroid, _DECIMALS), round(member, _DECIMALS), row)


class Centre(NamedTuple):
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
