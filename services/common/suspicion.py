"""Where this service has died before, and word left of where it may die next (see ``services.common.crash``)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from uuid import uuid4

from services.common.crash import CrashMark, CrashMarks, is_given_up, marks_for, reach_of, runs_of
from services.common.errors import TransientError
from services.common.logs import get_logger
from services.common.ports import Partition
from services.common.records import Record

log = get_logger(__name__)


class Suspicion:
    """Tells what a worker has to take in parts, and keeps what the next one has to know."""

    def __init__(self, marks: CrashMarks) -> None:
        self._marks = marks
        self._worker = uuid4().hex
        self._suspects: dict[Partition, CrashMark] = {}
        self._held: set[Partition] = set()

    def __bool__(self) -> bool:
        """Whether any partition is suspected."""
        return bool(self._suspects)

    def runs(self, records: Iterable[Record]) -> tuple[list[list[Record]], list[Record]]:
        """Return the runs in which the suspected of *records* have to be taken, and those that nobody suspects."""
        return runs_of(records, self._suspects)

    def given_up(self, run: Sequence[Record]) -> CrashMark | None:
        """Return the mark of a record that has killed enough workers, if *run* is that record."""
        mark = self._suspects.get((run[0].topic, run[0].partition))
        return mark if mark is not None and len(run) == 1 and is_given_up(mark, run[0].offset) else None

    async def arrive(self, partitions: Iterable[Partition]) -> None:
        """Learn what is known of *partitions*, all that this worker owns from now on."""
        self._suspects = {(mark.topic, mark.partition): mark for mark in await self._marks.load(partitions)}
        self._held = set()

    async def take_up(self, records: Sequence[Record]) -> None:
        """Note where this worker begins; suspect what another began with, too, and never got beyond, as a process does that is killed."""
        reach = reach_of(record for record in records if (record.topic, record.partition) not in self._held)
        if not reach:
            return
        for place in await self._marks.hold(self._worker, {place: first for place, (first, _) in reach.items()}):
            if place not in self._suspects:
                first, last = reach[place]
                log.warning("taken_in_parts", topic=place[0], partition=place[1], offset=first, why="a worker never got beyond")
                self._suspects[place] = CrashMark(*place, first, last, last, 0)
        self._held |= reach.keys()

    async def batch_died(self, records: Iterable[Record]) -> None:
        """Leave word that an exception at *records* ends this process."""
        await self._kept(self._marks.put(marks_for(records, {})))

    async def arm(self, run: Sequence[Record]) -> None:
        """Leave word, before *run* is taken, that it was if the process does not outlive it."""
        await self._marks.put(marks_for(run, self._suspects))

    async def disarm(self, run: Sequence[Record]) -> None:
        """Take that word back: something else stopped us."""
        await self._kept(self._marks.put([self._suspects[place] for place in reach_of(run)]))

    async def got_beyond(self, records: Iterable[Record]) -> None:
        """Note that all before the last of *records* are acknowledged, and that nothing is suspected where that was all."""
        cleared = [
            place for place, (_, last) in reach_of(records).items() if place in self._suspects and last >= self._suspects[place].until
        ]
        if cleared:
            await self._marks.clear(cleared)
            for place in cleared:
                del self._suspects[place]

    async def let_go(self) -> None:
        """Nothing is owned any more; whoever takes it up next has nothing to suspect because of us."""
        self._suspects = {}
        if self._held:
            self._held = set()
            await self._kept(self._marks.let_go(self._worker))

    async def _kept(self, write: Awaitable[None]) -> None:
        """Await *write*; whatever made us leave word must come out whether or not that succeeds."""
        try:
            await write
        except TransientError as error:
            log.error("crash_mark_not_kept", error=str(error))
