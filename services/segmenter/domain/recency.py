"""When a rule that looks at recency could change by the passing of time alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.common.clock import Micros

DAY: Micros = 86_400_000_000

_FIELD = re.compile(r"\b(?:first|last)_seen_days\b")
_BEFORE = re.compile(r"(?<![\w.+*/%-])(?P<days>\d+)\s*(?:<=|>=|==|!=|<|>)\s*activity(?:\.\w+|\[[^\]]*\])\.(?:first|last)_seen_days\b")
_AFTER = re.compile(r"\b(?:first|last)_seen_days\s*(?:<=|>=|==|!=|<|>)\s*(?P<days>\d+)(?![\w.])(?!\s*[-+*/%])")
_ARITHMETIC_BEFORE = re.compile(r"[-+*/%]\s*activity(?:\.\w+|\[[^\]]*\])\.(?:first|last)_seen_days\b")


@dataclass(frozen=True, slots=True)
class Recency:
    """Which day counts a rule compares recency with.

    Days are whole: ``last_seen_days`` steps exactly every 24 hours after the activity. A rule that only compares it with literals
    can change at the literal and the day after; one that computes with it is looked at every day.
    """

    used: bool
    days: frozenset[int] | None
    """The day counts at which the rule can change; None means any."""

    @classmethod
    def of(cls, source: str) -> Recency:
        """Read the CEL *source* of a rule."""
        uses = len(_FIELD.findall(source))
        if not uses:
            return cls(used=False, days=frozenset())
        literals = [int(match["days"]) for pattern in (_BEFORE, _AFTER) for match in pattern.finditer(source)]
        if len(literals) != uses or _ARITHMETIC_BEFORE.search(source):
            return cls(used=True, days=None)
        return cls(used=True, days=frozenset(day for literal in literals for day in (literal, literal + 1)))

    def plus(self, other: Recency) -> Recency:
        """Return what two rules together compare with."""
        both = None if self.days is None or other.days is None else self.days | other.days
        return Recency(self.used or other.used, both)

    def next_change(self, moments: Mapping[str, tuple[Micros, Micros]], as_of: Micros) -> Micros | None:
        """Return the earliest moment after *as_of* at which a day count that matters is reached; None where none is."""
        found = [moment for pair in moments.values() for seen in pair if (moment := self._after(seen, as_of)) is not None]
        return min(found, default=None)

    def _after(self, seen: Micros, as_of: Micros) -> Micros | None:
        passed = days_since(seen, as_of)
        if self.days is None:
            return seen + (passed + 1) * DAY
        return min((seen + day * DAY for day in self.days if seen + day * DAY > as_of), default=None)


NO_RECENCY = Recency(used=False, days=frozenset())
"""That of a rule which asks for none."""


def days_since(seen: Micros, as_of: Micros) -> int:
    """Return the whole days between two moments; 0 where *seen* is still ahead."""
    return max(0, (as_of - seen) // DAY)
