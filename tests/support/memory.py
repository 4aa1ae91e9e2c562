"""A broker, crash marks and a clock in memory: the loop's ports without a network, and with faults on demand."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from services.common.crash import CrashMark
from services.common.errors import TransientError
from services.common.ports import Glance, Partition
from services.common.records import Output, Record

T = TypeVar("T")

Fault = Callable[[str], None]
"""Called with the name of each operation before it happens; may raise what the operation may raise."""


def no_fault(_operation: str) -> None:
    """Let everything happen."""


class MemoryBirth:
    """Whether a store in memory is complete."""

    def __init__(self) -> None:
        self.born = False

    async def is_born(self) -> bool:
        """Tell whether ``mark_born`` was called."""
        return self.born

    async def mark_born(self) -> None:
        """Note it."""
        self.born = True


class MemoryMarks:
    """Crash marks in a dictionary, which survives the loops that write to it."""

    def __init__(self) -> None:
        self.marks: dict[Partition, CrashMark] = {}
        self.held: dict[Partition, tuple[str, int]] = {}
        self.away = False

    async def load(self, partitions: Iterable[tuple[str, int]]) -> Sequence[CrashMark]:
        """Return the marks of *partitions*."""
        self._reach()
        return [self.marks[place] for place in partitions if place in self.marks]

    async def put(self, marks: Sequence[CrashMark]) -> None:
        """Insert or replace the mark of each one's partition."""
        self._reach()
        self.marks |= {(mark.topic, mark.partition): mark for mark in marks}

    async def clear(self, partitions: Sequence[Partition]) -> None:
        """Forget the marks of *partitions*."""
        self._reach()
        for place in partitions:
            self.marks.pop(place, None)

    async def hold(self, worker: str, positions: Mapping[Partition, int]) -> frozenset[Partition]:
        """Note who holds what since where; return what another never let go of."""
        self._reach()
        left = {
            place
            for place, position in positions.items()
            if self.held.get(place, (worker, 0))[0] != worker and self.held[place][1] == position
        }
        self.held |= {place: (worker, position) for place, position in positions.items()}
        return frozenset(left)

    async def let_go(self, worker: str) -> None:
        """Forget what *worker* holds."""
        self._reach()
        self.held = {place: entry for place, entry in self.held.items() if entry[0] != worker}

    def _reach(self) -> None:
        if self.away:
            raise TransientError("the marks are away")


class MemoryLog:
    """What a broker keeps: records, committed positions, and what was published, for any number of workers' lives."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.partitions: defaultdict[Partition, list[Record]] = defaultdict(list)
        for record in records:
            self.partitions[record.topic, record.partition].append(record)
        self.committed: dict[Partition, int] = {}
        self.published: list[Output] = []

    def drained(self) -> bool:
        """Tell whether all is committed."""
        return all(self.committed.get(place, 0) > records[-1].offset for place, records in self.partitions.items())


class MemorySource:
    """One member of the group, which owns all partitions while it owns any."""

    def __init__(self, log: MemoryLog, fault: Fault = no_fault) -> None:
        self._log = log
        self._fault = fault
        self._positions: dict[Partition, int] = {}
        self._ahead: Sequence[Record] = ()
        """Read before they were asked for."""
        self.paused = False
        self.pauses = 0
        self.on_commit: Callable[[Mapping[Partition, int]], None] = lambda _: None

    def reassign(self) -> frozenset[Partition]:
        """Start anew from the committed positions, as after every rebalance; return what is owned."""
        self._positions = {place: self._log.committed.get(place, 0) for place in self._log.partitions}
        self._ahead = ()
        return self.assigned()

    async def fetch(self, max_records: int, *, hurry: bool = False) -> Sequence[Record]:
        """Return the next records."""
        assert not self.paused, "nothing is fetched for a paused partition"
        await asyncio.sleep(0)
        self._fault("fetch")
        found, self._ahead = self._ahead or self._next(max_records), ()
        return found

    def look_ahead(self, max_records: int, tell: Glance) -> None:
        """Read and tell of the next records at once."""
        if not self._ahead:
            self._ahead = self._next(max_records)
        tell(self._ahead)

    def _next(self, max_records: int) -> list[Record]:
        found: list[Record] = []
        for place, position in self._positions.items():
            found += [record for record in self._log.partitions[place] if record.offset >= position][: max_records - len(found)]
        self._positions |= {(record.topic, record.partition): record.offset + 1 for record in found}
        return found

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Acknowledge all before each position."""
        await asyncio.sleep(0)
        self._fault("commit")
        self.on_commit(positions)
        self._log.committed.update(positions)

    async def rewind(self) -> None:
        """Go back to the committed positions."""
        self._fault("rewind")
        self.reassign()

    def pause(self) -> None:
        """Fetch nothing."""
        self.paused = True
        self.pauses += 1

    def resume(self) -> None:
        """Fetch again."""
        self.paused = False

    def assigned(self) -> frozenset[Partition]:
        """Return what is owned."""
        return frozenset(self._positions)


class MemorySink:
    """Publishes to the log; a fault may come after any number of outputs."""

    def __init__(self, log: MemoryLog, fault: Fault = no_fault) -> None:
        self._log = log
        self._fault = fault

    async def take_over(self, partitions: frozenset[Partition]) -> bool:
        """Leave the source where it is."""
        return False

    async def publish(self, outputs: Sequence[Output], positions: Mapping[Partition, int]) -> None:
        """Publish *outputs* in order."""
        await asyncio.sleep(0)
        half = len(outputs) // 2
        self._log.published += outputs[:half]
        self._fault("publish")
        self._log.published += outputs[half:]


class _FastLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        """Return the time by the loop's own clock, in seconds."""
        return self._now

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready  # type: ignore[attr-defined]
        if scheduled and not ready:
            self._now = max(self._now, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


def run_fast(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* with a clock that jumps to the next thing that is due."""
    with asyncio.Runner(loop_factory=_FastLoop) as runner:
        return runner.run(work)
