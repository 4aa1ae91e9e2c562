"""What a worker remembers of its own deaths, so that one record cannot kill it for ever.

A batch at which the process died is taken in parts after the restart, and a part at which it died in parts again; a record at which it
died three times alone is dead-lettered as ``crash``. A process that an exception ends leaves a mark; one that is killed (out of memory, a
fault in native code) cannot before it is suspected, and is known by what it held: a partition that was taken up twice at the same
position, and not let go of in between.

So a deadly record among *n* of its partition in hand kills a worker once in its batch (twice where it leaves no word), once for each time
that *n* has to be cut until eight or fewer are left (twice for a full batch of 500), and three times alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Protocol

from services.common.ports import Partition
from services.common.records import Record

DEATHS_BEFORE_DEAD_LETTER = 3
PARTS = 8
"""So many runs are made of what is suspected. Fewer would cost a culprit more deaths, after each of which a supervisor waits longer."""


@dataclass(frozen=True, slots=True)
class CrashMark:
    """The worker died with *suspect* to *end* (offsets, inclusive) of a partition in hand, and before that somewhere before *until*.

    *deaths* counts those at *suspect* alone; 0 while the culprit is only known to be somewhere in the range.
    """

    topic: str
    partition: int
    suspect: int
    end: int
    until: int
    deaths: int


class CrashMarks(Protocol):
    """Keeps at most one mark a partition, across restarts."""

    async def load(self, partitions: Iterable[Partition]) -> Sequence[CrashMark]:
        """Return the marks of *partitions*."""

    async def put(self, marks: Sequence[CrashMark]) -> None:
        """Insert or replace the mark of each one's partition; repeating the call changes nothing."""

    async def clear(self, partitions: Sequence[Partition]) -> None:
        """Forget the marks of *partitions*; repeating the call changes nothing."""

    async def hold(self, worker: str, positions: Mapping[Partition, int]) -> frozenset[Partition]:
        """Note that *worker* takes up partitions at *positions*; return those that another took up there and never let go of."""

    async def let_go(self, worker: str) -> None:
        """Forget what *worker* holds; repeating the call changes nothing."""


def marks_for(records: Iterable[Record], known: Mapping[Partition, CrashMark]) -> list[CrashMark]:
    """Return the marks to leave where *records*, in hand together under *known*, killed the process."""
    reach = reach_of(records)
    alone = len(reach) == 1 and all(first == last for first, last in reach.values())
    marks = []
    for place, (first, last) in reach.items():
        before = known.get(place)
        deaths = before.deaths if before is not None and before.suspect == first else 0
        marks.append(CrashMark(*place, first, last, max(last, before.until if before else last), deaths + 1 if alone else 0))
    return marks


def runs_of(records: Iterable[Record], marks: Mapping[Partition, CrashMark]) -> tuple[list[list[Record]], list[Record]]:
    """Return the runs in which what *marks* suspect of *records* is taken, and the other records.

    Where eight records or fewer are left of a range, each makes a run of its own; larger parts of several partitions make one together. So
    every run is smaller than what died, in each of its partitions, or is a single record.
    """
    first: list[list[Record]] = []
    parts: list[list[list[Record]]] = []
    last: list[list[Record]] = []
    others: list[Record] = []
    by_place: defaultdict[Partition, list[Record]] = defaultdict(list)
    for record in records:
        by_place[record.topic, record.partition].append(record)
    for place, column in by_place.items():
        mark = marks.get(place)
        end, until = (-1, -1) if mark is None else (mark.end, mark.until)
        inner = [record for record in column if record.offset <= end]
        outer = [record for record in column if end < record.offset <= until]
        others += column[len(inner) + len(outer) :]
        together = []
        for part, alone in ((inner, first), (outer, last)):
            if len(part) <= PARTS:
                alone += [[record] for record in part]
            else:
                together += _cut(part)
        parts.append(together)
    return [*first, *([*chain(*run)] for run in zip_longest(*parts, fillvalue=[])), *last], others


def _cut(records: list[Record]) -> list[list[Record]]:
    size = -(-len(records) // PARTS)
    return [records[first : first + size] for first in range(0, len(records), size)]


def is_given_up(mark: CrashMark, offset: int) -> bool:
    """Tell whether the record at *offset* has killed the process often enough to be dead-lettered."""
    return mark.suspect == offset and mark.deaths >= DEATHS_BEFORE_DEAD_LETTER


def reach_of(records: Iterable[Record]) -> dict[Partition, tuple[int, int]]:
    """Return the first and the last offset of each partition."""
    reach: dict[Partition, tuple[int, int]] = {}
    for record in records:
        place = (record.topic, record.partition)
        reach[place] = (reach.get(place, (record.offset, 0))[0], record.offset)
    return reach
