"""Where this service has died before, and word left of where it may die next (see ``services.common.crash``)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from uuid import uuid4

from services.common.crash import CrashMark, CrashMarks, mark_for_single, marks_for_batch
from services.common.errors import TransientError
from services.common.logs import get_logger
from services.common.ports import Partition
from services.common.records import Record

log = get_logger(__name__)


class Suspicion:
    """Tells which partitions a worker has to take record by record, and keeps what the next one has to know."""

    def __init__(self, marks: CrashMarks) -> None:
        self._marks = marks
        self._worker = uuid4().hex
        self._suspects: dict[Partition, CrashMark] = {}
        self._held: set[Partition] = set()

    def __bool__(self) -> bool:
        """Whether any partition is suspected."""
        return bool(self._suspects)

    def of(self, record: Record) -> CrashMark | None:
        """Return the mark by which *record* has to be taken alone, if there is one."""
        return self._suspects.get((record.topic, record.partition))

    async def arrive(self, partitions: Iterable[Partition]) -> None:
        """Learn what is known of *partitions*, all that this worker owns from now on."""
        self._suspects = {(mark.topic, mark.partition): mark for mark in await self._marks.load(partitions)}
        self._held = set()

    async def take_up(self, records: Sequence[Record]) -> None:
        """Note where this worker begins; suspect what another began with, too, and never got beyond, as a process does that is killed."""
        reach = _reach(record for record in records if (record.topic, record.partition) not in self._held)
        if not reach:
            return
        for place in await self._marks.hold(self._worker, {place: first for place, (first, _) in reach.items()}):
            if place not in self._suspects:
                first, last = reach[place]
                log.warning("taken_record_by_record", topic=place[0], partition=place[1], offset=first, why="a worker never got beyond")
                self._suspects[place] = CrashMark(*place, first, last, 0)
        self._held |= reach.keys()

    async def batch_died(self, records: Iterable[Record]) -> None:
        """Leave word that an exception at *records* ends this process."""
        await self._remember(marks_for_batch(_reach(records)))

    async def arm(self, record: Record, suspect: CrashMark) -> None:
        """Leave word, before *record* is taken alone, that it was if the process does not outlive it."""
        await self._marks.put(mark_for_single(suspect, record.offset))

    async def disarm(self, suspect: CrashMark) -> None:
        """Take that word back: something else stopped us."""
        await self._remember([suspect])

    async def passed(self, record: Record, suspect: CrashMark) -> None:
        """Note that *record* is acknowledged, and with the last one of *suspect* that nothing is suspected there any more."""
        if record.offset >= suspect.until:
            await self._marks.clear(record.topic, record.partition)
            self._suspects.pop((record.topic, record.partition), None)

    async def let_go(self) -> None:
        """Nothing is owned any more; whoever takes it up next has nothing to suspect because of us."""
        self._suspects = {}
        if self._held:
            self._held = set()
            await self._kept(self._marks.let_go(self._worker))

    async def _remember(self, marks: Iterable[CrashMark]) -> None:
        for mark in marks:
            await self._kept(self._marks.put(mark))

    async def _kept(self, write: Awaitable[None]) -> None:
        """Await *write*; whatever made us leave word must come out whether or not that succeeds."""
        try:
            await write
        except TransientError as error:
            log.error("crash_mark_not_kept", error=str(error))


def _reach(records: Iterable[Record]) -> dict[Partition, tuple[int, int]]:
    """Return the first and the last offset of each partition."""
    reach: dict[Partition, tuple[int, int]] = {}
    for record in records:
        place = (record.topic, record.partition)
        reach[place] = (reach.get(place, (record.offset, 0))[0], record.offset)
    return reach
