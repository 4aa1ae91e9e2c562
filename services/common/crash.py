"""What a worker remembers of its own deaths, so that one record cannot kill it for ever.

A batch at which the process died is taken record by record after the restart; a record at which it died three times is
dead-lettered as ``crash``. A process that an exception ends leaves a mark; one that is killed (out of memory, a fault in native code)
cannot, and is known by what it held: a partition that was taken up twice at the same position, and not let go of in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

DEATHS_BEFORE_DEAD_LETTER = 3


@dataclass(frozen=True, slots=True)
class CrashMark:
    """The worker died between *suspect* and *until* (offsets, inclusive) of a partition.

    *deaths* counts those at *suspect* alone; 0 while the culprit is only known to be somewhere in the batch.
    """

    topic: str
    partition: int
    suspect: int
    until: int
    deaths: int


class CrashMarks(Protocol):
    """Keeps at most one mark a partition, across restarts."""

    async def load(self, partitions: Iterable[tuple[str, int]]) -> Sequence[CrashMark]:
        """Return the marks of *partitions*."""

    async def put(self, mark: CrashMark) -> None:
        """Insert or replace the mark of its partition; repeating the call changes nothing."""

    async def clear(self, topic: str, partition: int) -> None:
        """Forget a partition's mark; repeating the call changes nothing."""

    async def hold(self, worker: str, positions: Mapping[tuple[str, int], int]) -> frozenset[tuple[str, int]]:
        """Note that *worker* takes up partitions at *positions*; return those that another took up there and never let go of."""

    async def let_go(self, worker: str) -> None:
        """Forget what *worker* holds; repeating the call changes nothing."""


def marks_for_batch(offsets: dict[tuple[str, int], tuple[int, int]]) -> list[CrashMark]:
    """Return the marks to leave when a batch with these first and last *offsets* killed the process."""
    alone = len(offsets) == 1 and all(first == last for first, last in offsets.values())
    return [CrashMark(topic, partition, first, last, int(alone)) for (topic, partition), (first, last) in offsets.items()]


def mark_for_single(known: CrashMark, offset: int) -> CrashMark:
    """Return the mark to leave when the record at *offset*, handled alone under *known*, killed the process."""
    deaths = known.deaths + 1 if known.suspect == offset else 1
    return CrashMark(known.topic, known.partition, offset, max(known.until, offset), deaths)


def is_given_up(mark: CrashMark, offset: int) -> bool:
    """Tell whether the record at *offset* has killed the process often enough to be dead-lettered."""
    return mark.suspect == offset and mark.deaths >= DEATHS_BEFORE_DEAD_LETTER
