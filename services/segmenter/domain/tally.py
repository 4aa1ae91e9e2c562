"""Who stands behind one root idea: counts that follow each change at a cost that does not depend on the idea's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from services.segmenter.domain.quotes import Best, Rank
from services.segmenter.domain.requests import Days


@dataclass(frozen=True, slots=True)
class View:
    """How a human counts: memberships in the order of the definition's schemes, and the account."""

    segments: tuple[str, ...]
    account_id: str | None


class Part(NamedTuple):
    """What of a request comes in, or goes out."""

    mentions: int
    """Negative: out."""
    days: Days


@dataclass(slots=True)
class Cell:
    """Counts of one segment, or of all. An account counts once, however many of its people asked."""

    people: int = 0
    mentions: int = 0
    mrr_cents: int = 0
    accounts: dict[str, int] = field(default_factory=dict)
    """How many of the people are in each account."""
    days: dict[int, int] = field(default_factory=dict)
    """Mentions by the UTC day on which they were written."""
    best: Best = field(default_factory=Best, compare=False)

    def count(self, part: Part, account_id: str | None, mrr_cents: int, people: int) -> None:
        """Let mentions of an account's human in or out, and with them *people*: the human (1 in, -1 out), or nobody."""
        self.mentions += part.mentions
        days = self.days
        for day, count in part.days:  # as `bump` does, which would be called for each segment
            after = days.get(day, 0) + count
            if after:
                days[day] = after
            else:
                del days[day]
        if people:
            self._count_human(account_id, mrr_cents, people)

    def _count_human(self, account_id: str | None, mrr_cents: int, people: int) -> None:
        self.people += people
        if account_id is None:
            return
        before = self.accounts.get(account_id, 0)
        if before + people:
            self.accounts[account_id] = before + people
        else:
            del self.accounts[account_id]
        if not before:
            self.mrr_cents += mrr_cents
        elif not before + people:
            self.mrr_cents -= mrr_cents

    def revalue(self, account_id: str, difference: int) -> None:
        """Take in that an account's revenue changed by *difference* cents."""
        if account_id in self.accounts:
            self.mrr_cents += difference

    def numbers(self) -> tuple[int, int, int, int]:
        """Return people, accounts, mentions and revenue."""
        return self.people, len(self.accounts), self.mentions, self.mrr_cents


@dataclass(slots=True)
class Tally:
    """The demand of one root idea's whole family."""

    total: Cell = field(default_factory=Cell)
    cells: tuple[dict[str, Cell], ...] = ()
    """By scheme, in the definition's order, then by segment."""
    mentions: dict[str, int] = field(default_factory=dict)
    """By human."""
    turn: int = 0
    """Which change of its board's counts was the last one here; 0 where nothing was ever counted."""

    def count(self, human: str, view: View, mrr_of: Callable[[str], int], part: Part) -> None:
        """Let a part of a human's wishes in or out, counted as *view* says."""
        people = shift(self.mentions, human, part.mentions)
        account_id = view.account_id
        mrr_cents = mrr_of(account_id) if people and account_id is not None else 0
        self.total.count(part, account_id, mrr_cents, people)
        for cells, segment in zip(self.cells, view.segments, strict=True):
            cell = cells.get(segment)
            if cell is None:
                cell = cells[segment] = Cell()
            cell.count(part, account_id, mrr_cents, people)
            if people and not cell.people:
                del cells[segment]

    def quote(self, view: View, rank: Rank) -> None:
        """Let the quote of *rank*, of somebody whom *view* shows, stand for all of its segments where it is the best."""
        self.total.best.put(rank)
        for cells, segment in zip(self.cells, view.segments, strict=True):
            cells[segment].best.put(rank)

    def revalue(self, account_id: str, difference: int) -> None:
        """Take in that an account's revenue changed by *difference* cents."""
        self.total.revalue(account_id, difference)
        for cells in self.cells:
            for cell in cells.values():
                cell.revalue(account_id, difference)

    def each(self) -> Iterator[tuple[int, str, Cell]]:
        """Yield every segment's cell with the place of its scheme and its name, in the order of both."""
        for place, cells in enumerate(self.cells):
            for segment in sorted(cells):
                yield place, segment, cells[segment]


@dataclass(slots=True)
class Crowd:
    """Everybody who asks for anything on a board: those against whom an idea's people are held."""

    people: int = 0
    cells: tuple[dict[str, int], ...] = ()
    """People by scheme, in the definition's order, then by segment."""
    mentions: dict[str, int] = field(default_factory=dict)
    """By human."""

    def count(self, human: str, view: View, mentions: int) -> None:
        """Let *mentions* (negative: out) of a human in, counted as *view* says."""
        people = shift(self.mentions, human, mentions)
        if people:
            self.people += people
            for cells, segment in zip(self.cells, view.segments, strict=True):
                bump_segment(cells, segment, people)

    def groups(self) -> int:
        """Return how many segments anybody is in."""
        return sum(len(cells) for cells in self.cells)


def shift(mentions: dict[str, int], human: str, count: int) -> int:
    """Add *count* to a human's mentions; return 1 where the human comes in by that, -1 where it leaves."""
    before = mentions.get(human, 0)
    after = before + count
    if after:
        mentions[human] = after
    elif before:
        del mentions[human]
    return (after > 0) - (before > 0)


def bump_segment(cells: dict[str, int], segment: str, people: int) -> None:
    """Add *people* to a segment; one without any goes."""
    after = cells.get(segment, 0) + people
    if after:
        cells[segment] = after
    else:
        del cells[segment]


def empty_tally(schemes: int) -> Tally:
    """Return the tally of an idea nobody asks for, over so many schemes."""
    return Tally(cells=tuple({} for _ in range(schemes)))


def empty_crowd(schemes: int) -> Crowd:
    """Return the crowd of a board on which nobody asks for anything, over so many schemes."""
    return Crowd(cells=tuple({} for _ in range(schemes)))
