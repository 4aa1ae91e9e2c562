"""What a pass gathers: ideas, and which of them belong together whatever it finds, because a human joined them.

These are gathered one by one all the same, each with what is like it, and what was gathered around them is then one: if their texts were
averaged first, what says the same as one of them would find it half as like, and open another idea.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.board import Board
from services.dedup.domain.index import Integers

MOST_GROUPS = 2000
"""A pass looks at so many groups: half of them those of the largest families, the rest those of the newest."""
MOST_ROWS = 4000
"""It compares so many texts with each other."""
_ROWS_A_GROUP = 64
_MOST_BONDS = 100
"""Of more ideas that a human joined one group is made."""


@dataclass(frozen=True, slots=True)
class Group:
    """An idea with texts, or very many that a human joined."""

    held: str
    """See ``held``; groups of which it is the same belong together."""
    ideas: tuple[str, ...]
    """Those that have texts."""
    size: int
    """Texts."""
    rows: Integers
    """Of the texts, or of so many of them, evenly spread, as a pass may compare."""


def groups_of(board: Board) -> list[Group]:
    """Return the groups that a pass looks at, oldest first; of a family all or none.

    Only what is looked at becomes Python's objects: of a million ideas those would not fit beside the board.
    """
    rows = board.index.live_rows()
    slots = board.index.slots_of(rows)
    ends, roots = _ends_and_roots(board)
    bound = np.bincount(ends[np.unique(slots)], minlength=len(ends))
    parts = np.where(bound[ends] > _MOST_BONDS, ends, np.arange(len(ends)))
    looked_at = _looked_at(roots[slots], roots[np.unique(parts[slots])])
    chosen = looked_at[roots[slots]]
    groups: dict[int, list[int]] = {}
    ideas: dict[int, dict[str, None]] = {}
    for row, slot, part in zip(rows[chosen].tolist(), slots[chosen].tolist(), parts[slots[chosen]].tolist(), strict=True):
        groups.setdefault(part, []).append(row)
        ideas.setdefault(part, {})[board.slots[slot].idea_id] = None
    each = _rows_each([len(rows) for rows in groups.values()])
    names = {part: board.slots[ends[part]].idea_id for part in groups}
    return [Group(names[part], tuple(ideas[part]), len(rows), _spread(rows, each)) for part, rows in sorted(groups.items())]


def _ends_and_roots(board: Board) -> tuple[Integers, Integers]:
    """Return for each idea, all by their slots, where its pointers end that no pass may remove, and where all of them end."""
    ends = np.arange(len(board.slots))
    roots = ends.copy()
    for child, _ in board.merges.pointers():
        slot = board.ideas[child].slot
        ends[slot], roots[slot] = board.ideas[held(board, child)].slot, board.ideas[board.root_of(child)].slot
    return ends, roots


def held(board: Board, idea: str) -> str:
    """Return the idea where the pointers of *idea* end that no pass may remove: a human's, and those from or to an idea without a text."""
    while (parent := board.merges.parent(idea)) is not None:
        if idea in board.merged_by_repair and board.ideas[idea].links and board.ideas[parent].links:
            break
        idea = parent
    return idea


def _looked_at(of_texts: Integers, of_groups: Integers) -> NDArray[np.bool_]:
    """Mark the largest families, then the newest ones, that together have no more groups than a pass may gather.

    *of_texts* are the roots of the texts, *of_groups* those of the groups, all by their slots.
    """
    sizes, groups = np.bincount(of_texts), np.bincount(of_groups)
    roots = np.flatnonzero(sizes)
    largest, newest = roots[np.lexsort((roots, -sizes[roots]))], roots[::-1]
    chosen, gathered = np.zeros(len(sizes), np.bool_), 0
    for ordered, most in ((largest, MOST_GROUPS // 2), (newest, MOST_GROUPS)):
        for root in ordered:
            if gathered == most:
                break
            if not chosen[root] and gathered + groups[root] <= most:
                chosen[root] = True
                gathered += int(groups[root])
    return chosen


def _rows_each(sizes: Sequence[int]) -> int:
    """Return how many rows a group may bring, so that all bring no more than a pass may compare."""
    each = _ROWS_A_GROUP
    while each > 1 and sum(min(size, each) for size in sizes) > MOST_ROWS:
        each //= 2
    return each


def _spread(rows: Sequence[int], most: int) -> Integers:
    found = np.array(rows, np.int64)
    return found if len(found) <= most else found[np.arange(most) * len(found) // most]
