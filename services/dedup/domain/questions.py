"""What a board would like to know from a human, most useful answer first."""

from __future__ import annotations

from services.dedup.domain.board import Board


def questions(board: Board) -> list[tuple[str, str]]:
    """Return the open suggestions whose ideas are still apart, in the direction in which they would be merged, likeliest first.

    Asking about the largest ideas first was measured and is worse: most of those pairs are not the same.
    """
    pairs = [pair for pair, state in board.suggestions.items() if state == "open" and board.root_of(pair[0]) != board.root_of(pair[1])]
    return sorted(pairs, key=lambda pair: (-board.scores.get(pair, 0.0), pair))
