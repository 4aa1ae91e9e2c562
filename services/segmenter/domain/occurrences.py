"""All occurrences of one activity, by whole UTC days: in whatever order they come, they add up to the same, in bounded room.

A window of n days, as of a moment, is the UTC day of that moment and the n - 1 days before it. So what a window holds changes by
itself only at midnight UTC, and only where a day with occurrences enters or leaves it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.common.clock import Micros
from services.segmenter.domain.recency import DAY

KEPT_DAYS = 400
"""Days before the newest arrival of which an activity keeps its count a day; counts of all time are kept for ever."""
LONGEST_WINDOW = 366
"""The widest window a rule may ask for, in days: well inside what is kept."""
UNITS = 10_000
"""Amounts are kept in ten-thousandths: sums of whole numbers do not depend on their order, those of floats do."""
_LARGEST = 10**10

Bucket = tuple[int, int, int]
"""A UTC day (days since 1970), how often, and the sum of the amounts in ten-thousandths."""


@dataclass(frozen=True, slots=True)
class Activity:
    """All occurrences of one activity of one person."""

    count: int
    units: int
    """The sum of all amounts, in ten-thousandths."""
    first_seen: Micros
    last_seen: Micros
    days: tuple[Bucket, ...] = ()
    """Those of the last ``KEPT_DAYS``, ascending."""

    @property
    def total(self) -> float:
        """The sum of all amounts."""
        return self.units / UNITS

    def plus(self, other: Activity) -> Activity:
        """Return both together."""
        return Activity(
            self.count + other.count,
            self.units + other.units,
            min(self.first_seen, other.first_seen),
            max(self.last_seen, other.last_seen),
            merged((self.days, other.days)),
        )

    def since(self, day: int) -> Activity:
        """Return this without the days before *day*."""
        return self if not self.days or self.days[0][0] >= day else self.only(tuple(b for b in self.days if b[0] >= day))

    def only(self, days: tuple[Bucket, ...]) -> Activity:
        """Return this with these days and no others; what counts all time stays."""
        return Activity(self.count, self.units, self.first_seen, self.last_seen, days)


def occurrence(moment: Micros, amount: float | None) -> Activity:
    """Return one occurrence at *moment*. Without an amount it counts 1; one beyond ten thousand millions counts as that."""
    given = 1.0 if amount is None or math.isnan(amount) else max(-_LARGEST, min(_LARGEST, amount))
    units = round(given * UNITS)
    return Activity(1, units, moment, moment, ((moment // DAY, 1, units),))


def merged(several: Sequence[tuple[Bucket, ...]]) -> tuple[Bucket, ...]:
    """Return the days of several activities as if they were one."""
    filled = [days for days in several if days]
    if len(filled) <= 1:
        return filled[0] if filled else ()
    sums: dict[int, tuple[int, int]] = {}
    for days in filled:
        for day, count, units in days:
            before = sums.get(day, (0, 0))
            sums[day] = (before[0] + count, before[1] + units)
    return tuple((day, *sums[day]) for day in sorted(sums))


def restored(raw: dict[str, object]) -> Activity:
    """Return the activity that was stored as *raw*."""
    days = raw.get("days", ())
    return Activity(**{**raw, "days": tuple((b[0], b[1], b[2]) for b in days)})  # type: ignore[arg-type, attr-defined]


@dataclass(frozen=True, slots=True)
class Window:
    """Whole UTC days that move with the present: *length* of them, the newest of which is *ago* days back."""

    length: int
    ago: int = 0

    def holds(self, day: int, today: int) -> bool:
        """Tell whether *day* lies in the window as of *today*."""
        newest = today - self.ago
        return newest - self.length < day <= newest


@dataclass(slots=True)
class Totals:
    """What a window holds; not frozen, as many are made, and nobody changes one."""

    count: int = 0
    units: int = 0
    days: int = 0
    """On how many distinct UTC days."""

    def plus(self, bucket: Bucket, sign: int) -> Totals:
        """Return this with a day more (*sign* 1) or less (-1)."""
        return Totals(self.count + sign * bucket[1], self.units + sign * bucket[2], self.days + sign)


def totals(days: Sequence[Bucket], window: Window, today: int) -> Totals:
    """Return what *window* holds as of *today*; *days* ascend."""
    newest = today - window.ago
    inside = days[bisect_left(days, (newest - window.length + 1,)) : bisect_left(days, (newest + 1,))]
    count = units = 0
    for _, times, amount in inside:
        count += times
        units += amount
    return Totals(count, units, len(inside))


def is_inside(days: Sequence[Bucket], window: Window, today: int) -> bool:
    """Tell whether anything lies in *window* as of *today*; *days* ascend."""
    newest = today - window.ago
    first = bisect_left(days, (newest - window.length + 1,))
    return first < len(days) and days[first][0] <= newest


def turning(days: Sequence[Bucket], window: Window, today: int) -> Iterator[tuple[int, int]]:
    """Yield the days after *today* from which on *window* holds anything (1), or nothing any more (-1); *days* ascend."""
    until: int | None = None
    for bucket in days[bisect_left(days, (today - window.ago - window.length + 1,)) :]:
        enters = bucket[0] + window.ago
        if until is None or enters > until:
            if until is not None and until > today:
                yield until, -1
            if enters > today:
                yield enters, 1
        until = enters + window.length
    if until is not None and until > today:
        yield until, -1


def coming(days: Sequence[Bucket], window: Window, today: int) -> Iterator[tuple[int, Totals]]:
    """Yield the days after *today* on which what *window* holds changes by itself, ascending, with what it holds from then on."""
    newest = today - window.ago
    leaving, entering = bisect_left(days, (newest - window.length + 1,)), bisect_left(days, (newest + 1,))
    held = totals(days, window, today)
    while leaving < len(days):
        leaves = days[leaving][0] + window.ago + window.length
        enters = days[entering][0] + window.ago if entering < len(days) else leaves
        if enters <= leaves and entering < len(days):
            held = held.plus(days[entering], 1)
            entering += 1
        if leaves <= enters:
            held = held.plus(days[leaving], -1)
            leaving += 1
        yield min(enters, leaves), held
