"""Ideas that turn out to be one, and ideas that a pass took for one and that turn out not to be: found at positions in the board's log.

A pass gathers all ideas anew, by average linkage of their texts as their neighbourhoods see them (``neighbours``), and compares that with
the pointers that stand. What a human said holds: ideas that one merged or accepted stay together, those that one kept apart stay apart.
Pointers of earlier passes that the new gathering does not bear out are removed, missing ones are made; each can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from services.dedup.domain.board import Board
from services.dedup.domain.families import Group, groups_of, held
from services.dedup.domain.index import Integers
from services.dedup.domain.linkage import Linkage, Marks, Step
from services.dedup.domain.neighbours import around_mean, drawn
from services.dedup.domain.sample import Sample, sample

_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ideas and how well they fit: the mean cosine of their drawn texts (*centroid*), less *penalty*."""

    child: str
    """The smaller one; of equals the younger one."""
    parent: str
    score: float
    centroid: float
    nearest: Callable[[], float] = field(compare=False)
    """Gives ``member``: most pairs of a pass are never asked."""
    penalty: float
    """What makes the score one to compare with the threshold of a single text."""
    texts: tuple[int, int] = (0, 0)
    """Of pairs that are left: how many the two families have."""

    @property
    def member(self) -> float:
        """Return the cosine of their nearest texts as they are."""
        return self.nearest()


@dataclass(slots=True)
class Repair:
    """What a pass found, each list in the order in which it is to be done."""

    cuts: list[Pair] = field(default_factory=list)
    """Pointers of earlier passes to remove."""
    merges: list[Pair] = field(default_factory=list)
    """Of ideas that are roots once the cuts are made and those before it in the list are merged."""
    left: list[Pair] = field(default_factory=list)
    """Root ideas from the floor up to the threshold, best first."""


def repair_of(board: Board, threshold: float, floor: float) -> Repair:
    """Return what a pass finds on *board*: merges from *threshold* on, doubts from *floor* on.

    A pair of ideas that a human kept apart, or ideas gathered with such, is in neither.
    """
    groups = groups_of(board)
    return _Pass(board, groups).found(threshold, floor) if len(groups) > 1 else Repair()


class _Pass:
    def __init__(self, board: Board, groups: Sequence[Group]) -> None:
        self._board = board
        self._groups = groups
        self._penalty = board.calibration.penalty
        counts = [len(group.rows) for group in groups]
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        self._seen = sample(board.index, np.concatenate([group.rows for group in groups]))
        self._places = [np.arange(start, start + count) for start, count in zip(starts, counts, strict=True)]
        units = drawn(around_mean(self._seen, board.index.mean()), board.calibration.pull)
        bonds = {group.held: place for place, group in enumerate(groups)}
        self._linkage = Linkage(units, starts, counts, _apart(board, groups), [bonds[group.held] for group in groups])

    def found(self, threshold: float, floor: float) -> Repair:
        """Gather, and compare with the pointers that stand."""
        steps = list(self._linkage.steps(round(threshold + self._penalty, _DECIMALS)))
        cluster_of = {group: place for place, groups in enumerate(self._linkage.members) for group in groups}
        place_of = {idea: place for place, group in enumerate(self._groups) for idea in group.ideas}
        cuts = list(self._cuts(place_of, cluster_of)) if self._board.policy.auto_merge else []
        roots = _Roots(self._board, self._groups, {cut.child for cut in cuts})
        merges = [self._pair(*pair, step.score, step.child, step.parent) for step in steps if (pair := roots.join(step)) is not None]
        return Repair(cuts, merges, list(self._left(roots, floor)))

    def _cuts(self, place_of: Mapping[str, int], cluster_of: Mapping[int, int]) -> Iterator[Pair]:
        bonds = self._linkage.bonds
        for child, parent in self._board.merges.pointers():
            if child in self._board.merged_by_repair and child in place_of and parent in place_of:
                one, other = cluster_of[place_of[child]], cluster_of[place_of[parent]]
                if bonds[one] != bonds[other]:
                    yield self._pair(child, parent, self._linkage.mean_cosine(one, other), one, other)

    def _left(self, roots: _Roots, floor: float) -> Iterator[Pair]:
        scores = self._linkage.scores
        ones, others = np.nonzero(scores >= floor + self._penalty)
        each = ones < others
        ones, others = ones[each], others[each]
        named: set[frozenset[str]] = set()
        for one, other in sorted(zip(ones.tolist(), others.tolist(), strict=True), key=lambda pair: (-scores[pair], pair)):
            child, parent = self._linkage.directed(one, other)
            pair = roots.of(child), roots.of(parent)
            if len(set(pair)) > 1 and frozenset(pair) not in named:
                named.add(frozenset(pair))
                found = self._pair(*pair, float(scores[one, other]), child, parent)
                yield replace(found, texts=(roots.texts(pair[0]), roots.texts(pair[1])))

    def _pair(self, child: str, parent: str, centroid: float, one: int, other: int) -> Pair:
        return Pair(
            child,
            parent,
            round(centroid - self._penalty, _DECIMALS),
            centroid,
            partial(self._nearest, one, other),
            self._penalty,
        )

    def _nearest(self, one: int, other: int) -> float:
        """Return the cosine of the nearest texts of two groups, as they are."""
        return _best(self._seen, self._places[one], self._places[other])


class _Roots:
    """The roots of the groups, as the cuts leave them and the merges change them."""

    def __init__(self, board: Board, groups: Sequence[Group], cut: set[str]) -> None:
        self._board = board
        self._tree = [_root(board, group.held, cut) for group in groups]
        self._parent: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        for tree, group in zip(self._tree, groups, strict=True):
            self._sizes[tree] = self._sizes.get(tree, 0) + group.size

    def of(self, group: int) -> str:
        """Return the root of *group*."""
        root = self._tree[group]
        while root in self._parent:
            root = self._parent[root]
        return root

    def texts(self, root: str) -> int:
        """Return how many texts the family of *root* has."""
        return self._sizes[root]

    def join(self, step: Step) -> tuple[str, str] | None:
        """Return which root is to point at which other for *step*, from now on so; None where the pointers say it already."""
        one, other = self.of(step.child), self.of(step.parent)
        if one == other:
            return None
        child, parent = sorted((one, other), key=lambda root: (self._sizes[root], -self._board.ideas[root].slot))
        self._parent[child] = parent
        self._sizes[parent] += self._sizes[child]
        return child, parent


def _root(board: Board, idea: str, cut: set[str]) -> str:
    return next(node for node in board.merges.chain(idea) if node in cut or board.merges.parent(node) is None)


def _best(seen: Sample, ones: Integers, others: Integers) -> float:
    rows = np.concatenate([ones, others])
    part = Sample(seen.rows[rows], seen.with_mean[rows], seen.squares[rows], seen.mean_square)
    return round(float(part.cosines(0, len(ones))[:, len(ones) :].max()), _DECIMALS)


def _apart(board: Board, groups: Sequence[Group]) -> Marks:
    """Mark the pairs of groups that a human kept apart; the linkage does the same with those that are bound to them."""
    places = {group.held: place for place, group in enumerate(groups)}
    marks = np.zeros((len(groups), len(groups)), np.bool_)
    for one, other in board.kept_apart:
        first, second = places.get(held(board, one)), places.get(held(board, other))
        if first is not None and second is not None and first != second:
            marks[first, second] = marks[second, first] = True
    return marks
