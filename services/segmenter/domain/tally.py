"""Who stands behind one root idea: counts that follow each change at a cost that does not depend on the idea's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class View:
    """How a human counts: memberships in the order of the definition's schemes, and the account."""

    segments: tuple[str, ...]
    account_id: str | None


@dataclass(slots=True)
class Cell:
    """Counts of one segment, or of all. An account counts once, however many of its people asked."""

    people: int = 0
    mentions: int = 0
    mrr_cents: int = 0
    accounts: dict[str, int] = field(default_factory=dict)
    """How many of the people are in each account."""

    def count(self, account_id: str | None, mrr_cents: int, people: int) -> None:
        """Let *people* (1 or -1) of an account in or out."""
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


@dataclass(slots=True)
class Tally:
    """The demand of one root idea's whole family."""

    total: Cell = field(default_factory=Cell)
    cells: tuple[dict[str, Cell], ...] = ()
    """By scheme, in the definition's order, then by segment."""
    mentions: dict[str, int] = field(default_factory=dict)
    """By human."""

    def mention(self, human: str, view: View, mrr_of: Callable[[str], int], count: int) -> None:
        """Let *count* mentions (negative: out) of a human in, counted as *view* says."""
        before = self.mentions.get(human, 0)
        after = before + count
        if after:
            self.mentions[human] = after
        else:
            self.mentions.pop(human, None)
        people = (after > 0) - (before > 0)
        mrr_cents = mrr_of(view.account_id) if people and view.account_id is not None else 0
        self.total.mentions += count
        if people:
            self.total.count(view.account_id, mrr_cents, people)
        for cells, segment in zip(self.cells, view.segments, strict=True):
            cell = cells.get(segment)
            if cell is None:
                cell = cells[segment] = Cell()
            cell.mentions += count
            if people:
                cell.count(view.account_id, mrr_cents, people)
                if not cell.people:
                    del cells[segment]

    def revalue(self, account_id: str, difference: int) -> None:
        """Take in that an account's revenue changed by *difference* cents."""
        self.total.revalue(account_id, difference)
        for cells in self.cells:
            for cell in cells.values():
                cell.revalue(account_id, difference)


def empty_tally(schemes: int) -> Tally:
    """Return the tally of an idea nobody asks for, over so many schemes."""
    return Tally(cells=tuple({} for _ in range(schemes)))
