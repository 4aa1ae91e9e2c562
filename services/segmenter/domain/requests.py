"""What one person asks of one idea, and how often whom it concerns asked on which day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from services.segmenter.domain.quotes import Quote

Days: TypeAlias = Iterable[tuple[int, int]]
"""UTC days with how many mentions more (negative: less) there are of each."""

RECENT_DAYS = 28


@dataclass(slots=True)
class Request:
    """A person's wish for an idea, in however many pieces of feedback."""

    person_id: str
    idea_id: str
    mentions: int = 0
    days: dict[int, int] = field(default_factory=dict)
    """Mentions by the UTC day on which they were written."""
    quote: Quote | None = None
    """The best of them."""

    def add(self, day: int, count: int) -> None:
        """Let *count* mentions of a day in (negative: out)."""
        self.mentions += count
        bump(self.days, day, count)


def bump(days: dict[int, int], day: int, count: int) -> None:
    """Add *count* to a day; one without any goes."""
    after = days.get(day, 0) + count
    if after:
        days[day] = after
    else:
        del days[day]


def velocity(days: dict[int, int], today: int) -> tuple[int, int]:
    """Return the mentions of the four weeks up to *today*, and of the four weeks before."""
    since, before = today - RECENT_DAYS, today - 2 * RECENT_DAYS
    if len(days) < 2 * RECENT_DAYS:
        recent = earlier = 0
        for day, count in days.items():
            if since < day <= today:
                recent += count
            elif before < day <= since:
                earlier += count
        return recent, earlier
    return sum(days.get(day, 0) for day in range(since + 1, today + 1)), sum(days.get(day, 0) for day in range(before + 1, since + 1))
