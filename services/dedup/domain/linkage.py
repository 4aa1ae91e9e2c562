"""Average linkage of groups of texts: the best pair is joined, again and again, while it is good enough.

Groups may be bound: these are joined to others one by one, but what is kept apart from one of them, or from what it was joined to, is kept
apart from all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.index import SCALE, Floats, Integers, Units

Marks = NDArray[np.bool_]
NEVER_JOINED = -2.0
"""The score of pairs that are kept apart: below every cosine."""
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Step:
    """The groups of *child* were joined to those of *parent*, the larger side; of equals the older one."""

    child: int
    parent: int
    score: float


class Linkage:
    """Groups, numbered oldest first, and how well they fit: the mean cosine of their texts."""

    def __init__(self, units: Units, starts: Integers, counts: Sequence[int], apart: Marks, bonds: Sequence[int] | None = None) -> None:
        """*units* are the groups' vectors, one group after the other from *starts*; *apart* marks pairs that are never joined.

        Groups of one number in *bonds* are bound to each other; without it, none is.
        """
        sums = np.add.reduceat(units.astype(np.float64), starts, axis=0)
        self._dots: Floats = sums @ sums.T  # whole numbers below 2⁵³, so exact in any order
        self._counts = np.array(counts, np.float64)
        self._apart = apart
        self.bonds = np.arange(len(counts)) if bonds is None else np.array(bonds, np.int64)
        """Of clusters that are bound to each other, through whatever they were joined to, the same number."""
        self._shared = set(np.flatnonzero(np.bincount(self.bonds) > 1).tolist())
        """Numbers of more than one cluster."""
        for bond in self._shared:
            self._keep_apart(np.flatnonzero(self.bonds == bond))
        self._alive = np.ones(len(counts), np.bool_)
        self.members: list[list[int]] = [[place] for place in range(len(counts))]
        """The groups of each cluster, by the number of the one that the others joined."""
        self.scores = self._all()
        """Of each pair of clusters; ``NEVER_JOINED`` where one was joined to another."""

    def steps(self, threshold: float) -> Iterator[Step]:
        """Join pairs while their score reaches *threshold*."""
        best, partner = _highest(self.scores)
        while True:
            one = int(best.argmax())
            if best[one] < threshold:
                return
            child, parent = self.directed(one, int(partner[one]))
            yield Step(child, parent, float(best[one]))
            bound = self._join(child, parent)
            best[child] = NEVER_JOINED
            changed = np.zeros(len(best), np.bool_)
            changed[child] = changed[bound] = True
            changed |= changed[partner]
            stale = np.flatnonzero(changed & self._alive)
            best[stale], partner[stale] = _highest(self.scores[stale])
            closer = np.flatnonzero(self.scores[parent] > best)
            best[closer], partner[closer] = self.scores[parent, closer], parent

    def directed(self, one: int, other: int) -> tuple[int, int]:
        """Return the smaller cluster, of equals the younger one, then the other."""
        child, parent = sorted((one, other), key=lambda place: (self._counts[place], -place))
        return child, parent

    def mean_cosine(self, one: int, other: int) -> float:
        """Return the mean cosine of two clusters' texts."""
        return round(float(self._dots[one, other] / (self._counts[one] * self._counts[other] * SCALE * SCALE)), _DECIMALS)

    def _join(self, child: int, parent: int) -> Integers:
        """Join *child* to *parent*; return the clusters that are bound to it, it among them."""
        self._dots[parent] += self._dots[child]
        self._dots[:, parent] += self._dots[:, child]
        self._counts[parent] += self._counts[child]
        self._alive[child] = False
        self.members[parent] += self.members[child]
        self.members[child] = []
        self.scores[child] = self.scores[:, child] = NEVER_JOINED
        self._apart[parent] |= self._apart[child]
        self._apart[:, parent] = self._apart[parent]
        bound = self._bind(child, parent)
        for place in bound.tolist():
            self.scores[place] = self.scores[:, place] = self._row(place)
        return bound

    def _bind(self, child: int, parent: int) -> Integers:
        """Bind what *child* was bound to to *parent*; return all that is bound to it, it among them."""
        one, other = int(self.bonds[child]), int(self.bonds[parent])
        if not self._shared & {one, other}:
            return np.array([parent])
        self.bonds[self.bonds == one] = other
        self._shared.add(other)
        bound: Integers = np.flatnonzero(self._alive & (self.bonds == other))
        self._keep_apart(bound)
        return bound

    def _keep_apart(self, bound: Integers) -> None:
        """Keep what is apart from one of *bound* apart from all."""
        apart = np.logical_or.reduce(self._apart[bound], axis=0)
        self._apart[bound] = apart
        self._apart[:, bound] = apart[:, None]

    def _all(self) -> Floats:
        """Return what ``_row`` says of all, at once."""
        scores: Floats = np.round(self._dots / (self._counts[:, None] * self._counts * (SCALE * SCALE)), _DECIMALS)
        scores[self._apart] = NEVER_JOINED
        np.fill_diagonal(scores, NEVER_JOINED)
        return scores

    def _row(self, place: int) -> Floats:
        row: Floats = (self._dots[place] / (self._counts[place] * self._counts * (SCALE * SCALE))).round(_DECIMALS)
        row[self._apart[place] | ~self._alive] = NEVER_JOINED
        row[place] = NEVER_JOINED
        return row


def _highest(scores: Floats) -> tuple[Floats, Integers]:
    """Return the highest of each row of *scores*, and where it is first."""
    places: Integers = scores.argmax(axis=1)
    return scores[np.arange(len(scores)), places], places
