"""Ideas that turn out to be one: found in a pass over the whole board, at positions in its log, and merged by a pointer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from services.dedup.domain.board import Board
from services.dedup.domain.index import LEAST_SQUARE, Floats, Integers
from services.dedup.domain.sample import Sample, sample

MOST_FAMILIES = 1500
"""A pass looks at so many ideas, the largest ones first."""
MOST_ROWS = 4000
"""It compares so many texts with each other: 0.3 s, once for every quarter that the board grows by."""
_ROWS_A_FAMILY = 64
_SIZE_PENALTY = 0.05
"""Times the logarithm of the smaller idea's size: the more a merge joins, the surer it must be."""
_MARGIN = 0.03
"""A merge must score so much above the threshold for a single text."""
_CHUNK = 256
_NEVER = -2.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two root ideas and how well they fit: half the cosine of their centroids, half that of their nearest texts, less *penalty*."""

    child: str
    parent: str
    """The larger one; of equals the older one."""
    score: float
    centroid: float
    member: float
    penalty: float


def pairs_to_repair(board: Board, threshold: float, floor: float) -> tuple[list[Pair], list[Pair]]:
    """Return the merges to make, in their order, and the pairs left from *floor* up to *threshold*, best first.

    A pair of ideas that a human kept apart, or ideas merged into such, is in neither.
    """
    families = _Families(board)
    merges = list(families.merges(threshold))
    return merges, families.left(floor)


class _Families:
    """The families of a board as groups of sampled rows; the matrices have a row and a column each."""

    def __init__(self, board: Board) -> None:
        self._board = board
        groups = _groups(board)
        self._roots = [root for root, _ in groups]
        self._oldest = [board.ideas[root].slot for root in self._roots]
        self._sizes = np.array([size for _, (size, _) in groups], np.int64)
        each = _rows_each([size for _, (size, _) in groups])
        rows = [_spread(rows, each) for _, (_, rows) in groups]
        self._penalties = np.array([_penalty(size) for size in self._sizes.tolist()])
        self._dots, self._means, self._squares, self._counts, self._members, self._mean_square = _matrices(board, rows)
        self._apart = _apart(board, self._roots)
        self._alive = np.ones(len(groups), np.bool_)
        self._scores = self._all_scores()

    def merges(self, threshold: float) -> Iterator[Pair]:
        """Join the best pair, again and again, while its score reaches *threshold*."""
        if len(self._roots) < 2:
            return
        while True:
            one, other = divmod(int(self._scores.argmax()), len(self._roots))
            if self._scores[one, other] < threshold:
                return
            child, parent = self._directed(one, other)
            yield self._pair(child, parent)
            self._join(child, parent)

    def left(self, floor: float) -> list[Pair]:
        """Return the pairs whose score is *floor*, above 0, or more, best first."""
        ones, others = np.nonzero(np.triu(self._scores, 1) >= floor)
        found = sorted(zip(ones.tolist(), others.tolist(), strict=True), key=lambda pair: (-self._scores[pair], pair))
        return [self._pair(*self._directed(*pair)) for pair in found]

    def _directed(self, one: int, other: int) -> tuple[int, int]:
        """Return the smaller family, of equals the younger one, then the other."""
        child, parent = sorted((one, other), key=lambda place: (self._sizes[place], -self._oldest[place]))
        return child, parent

    def _pair(self, child: int, parent: int) -> Pair:
        centroid = float(self._centroids(np.array([child]))[0, parent])
        member, score = float(self._members[child, parent]), float(self._scores[child, parent])
        penalty = (centroid + member) / 2 - score
        return Pair(self._roots[child], self._roots[parent], score, round(centroid, 6), round(member, 6), round(penalty, 6))

    def _join(self, child: int, parent: int) -> None:
        self._dots[parent] += self._dots[child]
        self._dots[:, parent] += self._dots[:, child]
        for column in (self._members, self._apart):
            np.maximum(column[parent], column[child], out=column[parent])
            column[:, parent] = column[parent]
        for sums in (self._means, self._counts, self._sizes):
            sums[parent] += sums[child]
        self._penalties[parent] = _penalty(int(self._sizes[parent]))
        self._squares[parent] = self._dots[parent, parent]
        self._alive[child] = False
        self._scores[child] = self._scores[:, child] = _NEVER
        self._scores[parent] = self._scores[:, parent] = self._row(parent)

    def _all_scores(self) -> Floats:
        scores = np.full(self._dots.shape, _NEVER)
        for start in range(0, len(self._roots), _CHUNK):
            chunk = np.arange(start, min(start + _CHUNK, len(self._roots)))
            scores[chunk] = self._rows(chunk)
        return scores

    def _row(self, place: int) -> Floats:
        row: Floats = self._rows(np.array([place]))[0]
        return row

    def _rows(self, places: Integers) -> Floats:
        scores = (self._centroids(places) + self._members[places]) / 2
        scores -= np.minimum(self._penalties[places, None], self._penalties)
        np.round(scores, 6, out=scores)
        scores[self._apart[places]] = _NEVER
        scores[:, ~self._alive] = _NEVER
        scores[np.arange(len(places)), places] = _NEVER
        return scores

    def _centroids(self, places: Integers) -> Floats:
        """Return the cosines of these families' centroids with all, a row each."""
        means, squares = self._means / self._counts, self._squares / (self._counts * self._counts)
        lengths = np.sqrt(np.maximum(squares - 2.0 * means + self._mean_square, LEAST_SQUARE))
        above = self._dots[places] / (self._counts[places, None] * self._counts)
        above -= means[places, None]
        above -= means
        above += self._mean_square
        above /= lengths[places, None] * lengths
        return above


def _groups(board: Board) -> list[tuple[str, tuple[int, Integers]]]:
    """Return (root, (size, rows)) of the largest families, oldest root first."""
    rows = board.index.live_rows()
    by_root: dict[str, list[int]] = {}
    for row in rows.tolist():
        by_root.setdefault(board.root_of(board.slots[board.index.slot_of(row)].idea_id), []).append(row)
    largest = sorted(by_root, key=lambda root: (-len(by_root[root]), board.ideas[root].slot))[:MOST_FAMILIES]
    largest.sort(key=lambda root: board.ideas[root].slot)
    return [(root, (len(by_root[root]), np.array(by_root[root], np.int64))) for root in largest]


def _rows_each(sizes: Sequence[int]) -> int:
    """Return how many rows a family may bring, so that all bring no more than a pass may compare."""
    each = _ROWS_A_FAMILY
    while each > 1 and sum(min(size, each) for size in sizes) > MOST_ROWS:
        each //= 2
    return each


def _spread(rows: Integers, most: int) -> Integers:
    return rows if len(rows) <= most else rows[np.arange(most) * len(rows) // most]


def _matrices(board: Board, rows: Sequence[Integers]) -> tuple[Floats, Floats, Floats, Floats, Floats, float]:
    """Return the groups' sums' dot products, with the mean, squares; their counts; the best cosine of two members; |mean|²."""
    seen = sample(board.index, np.concatenate([np.empty(0, np.int64), *rows]))
    counts = np.array([len(group) for group in rows], np.float64)
    starts = np.concatenate([[0], np.cumsum([len(group) for group in rows])])[:-1].astype(np.int64)
    if not len(rows):
        return np.empty((0, 0)), np.empty(0), np.empty(0), counts, np.empty((0, 0)), seen.mean_square
    sums = np.add.reduceat(seen.rows.astype(np.float64), starts, axis=0)
    dots: Floats = sums @ sums.T  # whole numbers below 2⁵³, so exact in any order
    means = np.array([sum(seen.with_mean[start : start + int(count)].tolist()) for start, count in zip(starts, counts, strict=True)])
    return dots, means, dots.diagonal().copy(), counts, _best_members(seen, starts), seen.mean_square


def _best_members(seen: Sample, starts: Integers) -> Floats:
    across = np.concatenate(
        [
            np.maximum.reduceat(seen.cosines(start, min(start + _CHUNK, len(seen.rows))), starts, axis=1)
            for start in range(0, len(seen.rows), _CHUNK)
        ]
    )
    best: Floats = np.maximum.reduceat(across, starts, axis=0)
    return best


def _apart(board: Board, roots: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Mark the pairs of families that a human kept apart."""
    places = {root: place for place, root in enumerate(roots)}
    marks = np.zeros((len(roots), len(roots)), np.bool_)
    for one, other in board.kept_apart:
        first, second = places.get(board.root_of(one)), places.get(board.root_of(other))
        if first is not None and second is not None:
            marks[first, second] = marks[second, first] = True
    return marks


def _penalty(size: int) -> float:
    """Return what a merge costs whose smaller idea has *size* texts, rounded: logarithms differ in their last bit by machine."""
    return round(_MARGIN + _SIZE_PENALTY * math.log(size), 4)
