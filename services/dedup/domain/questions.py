"""What a board would like to know from a human, most useful answer first."""

from __future__ import annotations

import math

from services.dedup.domain.board import Board

_WIDTH = 0.05
"""Scores over which a pair's chance to be the same falls from a half to a quarter."""


def questions(board: Board) -> list[tuple[str, str]]:
    """Return the open suggestions whose ideas are still apart, in the direction in which they would be merged, most useful first.

    A yes is worth the more the larger both ideas are, and the likelier the better the pair fits.
    """
    threshold = board.calibration.threshold
    ranked: list[tuple[float, tuple[str, str]]] = []
    for pair, state in board.suggestions.items():
        one, other = board.root_of(pair[0]), board.root_of(pair[1])
        if state == "open" and one != other:
            size = min(board.family(one).mentions, board.family(other).mentions)
            ranked.append((-worth(board.scores.get(pair, 0.0) - threshold, size), pair))
    return [pair for _, pair in sorted(ranked)]


def worth(margin: float, size: int) -> float:
    """Return how much an answer about a pair is worth that scores *margin* above the threshold and whose smaller idea has *size* texts."""
    away = min(margin, 0.0) / _WIDTH
    return round(math.sqrt(size) / (2.0 - away), 6)
