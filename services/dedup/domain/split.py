"""Ideas that turn out to be two: found at positions in the board's log, proposed, and taken apart only when a human says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.dedup.domain.board import Board
from services.dedup.domain.index import LEAST_SQUARE, Floats
from services.dedup.domain.proposals import MOST_LEAVING
from services.dedup.domain.sample import Sample, sample

MOST_LOOKED_AT = 20
"""Ideas that a pass looks at, the largest first: those that have doubled since a split of them was last proposed."""
MOST_ROWS = 256
"""Texts of an idea that are compared with each other; a larger one is not proposed for a split: 0.1 s."""
_FEWEST_ROWS = 6
_LEAST_PART = 2
"""Texts; an outlier is no idea."""
_LEAST_SHARE = 0.15
_ROUNDS = 8
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Split:
    """A family of ideas in two parts, and how well these fit: half the cosine of their centroids, half that of their nearest texts."""

    root: str
    leaving: tuple[str, ...]
    """Feedback of the smaller part; the one whose text is nearest to all of it first."""
    staying: str
    """The same of the larger part."""
    score: float
    centroid: float
    member: float


def splits_to_propose(board: Board, ceiling: float, most: int) -> list[Split]:
    """Return at most *most* splits of large ideas into parts that score less than *ceiling*, worst fit first."""
    sizes: dict[str, int] = {}
    for row in board.index.live_rows().tolist():
        root = board.root_of(board.slots[board.index.slot_of(row)].idea_id)
        sizes[root] = sizes.get(root, 0) + 1
    by_hand = {board.root_of(idea) for idea in board.merged_by_hand}
    grown = [root for root, size in sizes.items() if _FEWEST_ROWS <= size <= MOST_ROWS and size >= 2 * board.looked_at.get(root, 0)]
    due = [root for root in grown if root not in by_hand]
    due.sort(key=lambda root: (-sizes[root], board.ideas[root].slot))
    found = [split for root in due[:MOST_LOOKED_AT] if (split := _split(board, root)) is not None and split.score < ceiling]
    return sorted(found, key=lambda split: (split.score, board.ideas[split.root].slot))[:most]


def part_around(board: Board, root: str, feedback: str) -> tuple[str, ...]:
    """Return the feedback of the family of *root* that is more like *feedback*, one of it, than like the rest, in order of linking.

    Two means, begun at *feedback* and at the text least like it; *feedback* itself always is of the part.
    """
    if board.links[feedback].row < 0:
        return (feedback,)
    rows = np.array(board.rows_below(root), np.int64)
    seen = sample(board.index, rows)
    seed = int(np.flatnonzero(rows == board.links[feedback].row)[0])
    near = _cosines(seen, seed, seed + 1)[0]
    far = int(near.argmin())
    inside = near >= _cosines(seen, far, far + 1)[0]
    for _ in range(_ROUNDS):
        inside[seed] = True
        if inside.all():
            break
        moved = _to_centroid(seen, inside) >= _to_centroid(seen, ~inside)
        moved[seed] = True
        if (moved == inside).all():
            break
        inside = moved
    return _feedback(board, root, rows[inside].tolist())


def _split(board: Board, root: str) -> Split | None:
    rows = np.array(board.rows_below(root), np.int64)
    seen = sample(board.index, rows)
    cosines = _cosines(seen, 0, len(rows))
    inside = _two_parts(cosines)
    if inside.sum() * 2 > len(rows):
        inside = ~inside
    if inside.sum() < max(_LEAST_PART, _LEAST_SHARE * len(rows)):
        return None
    first, last = (int(rows[part][_medoid(cosines[np.ix_(part, part)])]) for part in (np.flatnonzero(inside), np.flatnonzero(~inside)))
    medoid = board.wordings.first_feedback(first)
    others = _feedback(board, root, rows[inside].tolist())
    if len(others) > MOST_LEAVING:
        return None
    centroid, member = _centroids(seen, inside), float(cosines[np.ix_(inside, ~inside)].max())
    leaving = (medoid, *(feedback for feedback in others if feedback != medoid))
    score = round((centroid + member) / 2, 6)
    return Split(root, leaving, board.wordings.first_feedback(last), score, round(centroid, 6), round(member, 6))


def _two_parts(cosines: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return one of the last two clusters of average linkage; of equal pairs the first is joined first."""
    size = len(cosines)
    sums, counts = cosines.copy(), np.ones(size)
    parts = np.arange(size)
    np.fill_diagonal(sums, -np.inf)
    for _ in range(size - 2):
        one, other = divmod(int((sums / (counts[:, None] * counts)).argmax()), size)
        sums[one] += sums[other]
        sums[:, one] = sums[one]
        counts[one] += counts[other]
        sums[other] = sums[:, other] = sums[one, one] = -np.inf
        parts[parts == other] = one
    inside: np.ndarray[tuple[int], np.dtype[np.bool_]] = parts == parts[0]
    return inside


def _medoid(cosines: Floats) -> int:
    return max(range(len(cosines)), key=lambda place: (math.fsum(cosines[place].tolist()), -place))


def _cosines(seen: Sample, start: int, stop: int) -> Floats:
    found = np.concatenate([seen.cosines(at, min(at + _CHUNK, stop)) for at in range(start, stop, _CHUNK)])
    return np.round(found, 6)


def _sums(seen: Sample, part: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[Floats, float, int]:
    """Return the sum of a part's vectors, of their products with the mean, and their count."""
    count = int(part.sum())
    return seen.rows[part].sum(axis=0, dtype=np.float64) / count, math.fsum(seen.with_mean[part].tolist()) / count, count


def _centroids(seen: Sample, inside: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """Return the cosine of the two parts' centroids around the board's mean."""
    one, with_one, _ = _sums(seen, inside)
    other, with_other, _ = _sums(seen, ~inside)
    lengths = [
        math.sqrt(max(_dot(mean, mean) - 2.0 * with_mean + seen.mean_square, LEAST_SQUARE))
        for mean, with_mean in ((one, with_one), (other, with_other))
    ]
    return (_dot(one, other) - with_one - with_other + seen.mean_square) / (lengths[0] * lengths[1])


def _to_centroid(seen: Sample, part: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    """Return the cosine of each text with a part's centroid around the board's mean, but for a factor that is the same for all parts."""
    centre, with_mean, _ = _sums(seen, part)
    length = math.sqrt(max(_dot(centre, centre) - 2.0 * with_mean + seen.mean_square, LEAST_SQUARE))
    dots = np.array([_dot(row.astype(np.float64), centre) for row in seen.rows])
    near: Floats = np.round((dots - seen.with_mean - with_mean + seen.mean_square) / length, 3)
    return near


def _dot(one: Floats, other: Floats) -> float:
    """Return an exactly rounded dot product: centroids are no whole numbers."""
    return math.fsum((one * other).tolist())


def _feedback(board: Board, root: str, rows: Sequence[int]) -> tuple[str, ...]:
    wanted = set(rows)
    links = (link for idea_id in board.merges.below(root) for link in board.ideas[idea_id].links.values())
    return tuple(link.feedback_id for link in links if link.row in wanted)
