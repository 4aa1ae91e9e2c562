"""Ideas that belong together whatever a pass finds: one alone, or those that a human joined. What a pass gathers are these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.dedup.domain.board import Board
from services.dedup.domain.index import Integers

MOST_GROUPS = 2000
"""A pass looks at so many groups: half of them those of the largest families, the rest those of the newest."""
MOST_ROWS = 4000
"""It compares so many texts with each other."""
_ROWS_A_GROUP = 64


@dataclass(frozen=True, slots=True)
class Group:
    """Some ideas of one family."""

    held: str
    """See ``held``."""
    ideas: tuple[str, ...]
    """Those that have texts."""
    size: int
    """Texts."""
    rows: Integers
    """Of the texts, or of so many of them, evenly spread, as a pass may compare."""


def groups_of(board: Board) -> list[Group]:
    """Return the groups that a pass looks at, oldest first; of a family all or none."""
    families: dict[str, dict[str, list[int]]] = {}
    ideas: dict[str, dict[str, None]] = {}
    for row in board.index.live_rows().tolist():
        idea = board.slots[board.index.slot_of(row)].idea_id
        end = held(board, idea)
        families.setdefault(board.root_of(end), {}).setdefault(end, []).append(row)
        ideas.setdefault(end, {})[idea] = None
    groups = {end: rows for root in _looked_at(board, families) for end, rows in families[root].items()}
    each = _rows_each([len(rows) for rows in groups.values()])
    return [
        Group(end, tuple(ideas[end]), len(rows), _spread(rows, each))
        for end, rows in sorted(groups.items(), key=lambda group: board.ideas[group[0]].slot)
    ]


def held(board: Board, idea: str) -> str:
    """Return the idea where the pointers of *idea* end that no pass may remove: a human's, and those from or to an idea without a text."""
    while (parent := board.merges.parent(idea)) is not None:
        if idea in board.merged_by_repair and board.ideas[idea].links and board.ideas[parent].links:
            break
        idea = parent
    return idea


def _looked_at(board: Board, families: dict[str, dict[str, list[int]]]) -> list[str]:
    """Return the roots of the largest families, then of the newest ones, that together have no more groups than a pass may gather."""
    sizes = {root: sum(map(len, groups.values())) for root, groups in families.items()}
    largest = sorted(families, key=lambda root: (-sizes[root], board.ideas[root].slot))
    newest = sorted(families, key=lambda root: -board.ideas[root].slot)
    chosen: dict[str, None] = {}
    groups = 0
    for roots, most in ((largest, MOST_GROUPS // 2), (newest, MOST_GROUPS)):
        for root in roots:
            if root not in chosen and groups + len(families[root]) <= most:
                chosen[root] = None
                groups += len(families[root])
    return list(chosen)


def _rows_each(sizes: Sequence[int]) -> int:
    """Return how many rows a group may bring, so that all bring no more than a pass may compare."""
    each = _ROWS_A_GROUP
    while each > 1 and sum(min(size, each) for size in sizes) > MOST_ROWS:
        each //= 2
    return each


def _spread(rows: Sequence[int], most: int) -> Integers:
    found = np.array(rows, np.int64)
    return found if len(found) <= most else found[np.arange(most) * len(found) // most]
