"""What a board would like to know from a human, most useful answer first."""

from __future__ import annotations

from services.dedup.domain.board import Board
from services.dedup.domain.doubts import Pair

_STEEP = 0.05
"""On boards where things are said again and again: scores below the threshold over which a yes becomes rare."""
_BELOW, _AROUND = 0.05, 0.03
"""On others: how far below the threshold an answer teaches most about it, give or take."""


def questions(board: Board) -> list[Pair]:
    """Return the open suggestions whose ideas are still apart, in the direction in which they would be merged, most useful first.

    What the last pass found comes before what only earlier ones did, whose scores are those of smaller ideas. Of suggestions about the same
    two families one is returned, and none about families of which a human kept something apart.
    """
    crowded = board.calibration.pull > 0
    apart = {_roots(board, pair) for pair in board.kept_apart}
    ranked: list[tuple[bool, float, Pair]] = []
    for pair, state in board.suggestions.items():
        roots = _roots(board, pair)
        if state == "open" and len(roots) == 2 and roots not in apart:
            margin = board.scores.get(pair, 0.0) - board.calibration.threshold
            sizes = (board.family(root).mentions for root in roots)
            ranked.append((crowded and pair not in board.fresh, -worth(margin, *sizes, crowded=crowded), pair))
    once = {_roots(board, pair): pair for _, _, pair in sorted(ranked, reverse=True)}
    return [pair for _, _, pair in sorted(ranked) if once[_roots(board, pair)] == pair]


def worth(margin: float, one: int, other: int, *, crowded: bool) -> float:
    """Return how much an answer is worth about a pair that scores *margin* above the threshold and whose ideas have so many texts.

    Where things are said again and again a yes gathers large ideas, and is the likelier the better the pair fits. On other boards a single
    yes gathers little, but each answer moves the threshold, most of all a yes that was not expected.
    """
    texts = one * other / (one + other)
    if crowded:
        away = 1.0 - min(margin, 0.0) / _STEEP
        return round(texts / (1.0 + away * away * away), 6)
    away = (margin + _BELOW) / _AROUND
    return round(texts / (1.0 + away * away), 6)


def _roots(board: Board, pair: Pair) -> frozenset[str]:
    return frozenset(map(board.root_of, pair))
