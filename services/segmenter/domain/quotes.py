"""Which words stand for an idea: one piece of feedback a person and idea, the best of a segment found without looking at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

from services.common.clock import Micros
from services.common.values import placer

_LONGEST = 280
"""Characters of a quote; what is longer is cut at a blank."""
_CUT = "…"
_READABLE = 40
"""A text of so many characters says something; one that had to be cut is not read to its end."""
_LEAST_WORDS = 3
_SPARE = 16

Rank: TypeAlias = tuple[int, Micros, str]
"""The smaller the better: 0 where the text is whole and of a readable length, else 1; the newest first; the feedback's id."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a piece of feedback says, as far as it may stand for an idea."""

    rank: Rank
    text: str
    source: str

    @property
    def occurred_at(self) -> Micros:
        """When it was said."""
        return -self.rank[1]


_QUOTE = placer(Quote, ["rank", "text", "source"])


def excerpt(text: str) -> str:
    """Return the beginning of *text* as it may be quoted; empty where it is too short to say anything."""
    words = text.split()
    if len(words) < _LEAST_WORDS:
        return ""
    short = " ".join(words)
    return short if len(short) <= _LONGEST else (short[: _LONGEST - 1].rpartition(" ")[0] or short[: _LONGEST - 1]) + _CUT


def quote(feedback_id: str, occurred_at: Micros, said: str, source: str) -> Quote | None:
    """Return the quote of a piece of feedback whose excerpt is *said*; None where that is empty."""
    if not said:
        return None
    return _QUOTE((int(len(said) < _READABLE or said.endswith(_CUT)), -occurred_at, feedback_id), said, source)


class Best:
    """Ranks of quotes, of which those that do not count any more are found out when they come up.

    Mostly each is better than all before it, being newer: it goes on a stack, whose top is its best. What comes late goes on a heap.
    """

    __slots__ = ("_late", "_stack")

    def __init__(self) -> None:
        self._stack: list[Rank] = []
        self._late: list[Rank] = []

    def put(self, rank: Rank) -> None:
        """Add *rank*."""
        if not self._stack or rank < self._stack[-1]:
            self._stack.append(rank)
        else:
            heappush(self._late, rank)

    def likely(self, counted: int) -> Rank | None:
        """Return the best of all, which mostly counts; None where nothing is there, or so much that ``first`` has to look through it."""
        return None if self._is_crowded(counted) else self._top()

    def first(self, counted: int, counts: Callable[[Rank], bool]) -> Rank | None:
        """Return the best that counts, of at most *counted* that do; None where none does."""
        if self._is_crowded(counted):
            self._stack = sorted((kept for kept in {*self._stack, *self._late} if counts(kept)), reverse=True)
            self._late = []
        while (best := self._top()) is not None and not counts(best):
            if self._stack and best is self._stack[-1]:
                self._stack.pop()
            else:
                heappop(self._late)
        return best

    def _is_crowded(self, counted: int) -> bool:
        return len(self._stack) + len(self._late) > 2 * counted + _SPARE

    def _top(self) -> Rank | None:
        if self._late and (not self._stack or self._late[0] < self._stack[-1]):
            return self._late[0]
        return self._stack[-1] if self._stack else None
