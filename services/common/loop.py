"""fetch → decode → handle → durable output → commit: the one place that orders these, and the only one that commits.

One batch is in hand at a time, over all partitions of this worker; a revocation waits for it. Three outcomes: transient trouble is
retried in place, permanent trouble is dead-lettered, anything else leaves ``step`` as an exception, unacknowledged, and the process
with it (``services.common.guard``).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, assert_never

from services.common.crash import CrashMark, CrashMarks, is_given_up, mark_for_single, marks_for_batch
from services.common.deadletter import dead_letter
from services.common.errors import Evicted, Fenced, MalformedRecord, PermanentError, TransientError
from services.common.logs import get_logger
from services.common.metrics import LoopMetrics
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.ports import Assignment, Partition, Route, Sink, Source
from services.common.records import Output, Received, Record
from services.common.retry import retrying

log = get_logger(__name__)
T = TypeVar("T")

_FENCES_BEFORE_DEATH = 20
_RECORD_OVERHEAD_BYTES = 256
"""What the broker adds to a record at most, beside key, value and headers."""


class Loop:
    """Moves one service's records."""

    def __init__(
        self,
        service: str,
        source: Source,
        sink: Sink,
        routes: Sequence[Route[Any]],
        *,
        marks: CrashMarks,
        assignment: Assignment | None,
        metrics: LoopMetrics,
        batch_records: int,
        max_output_bytes: int,
        retry_seconds: float,
    ) -> None:
        self._service = service
        self._source = source
        self._sink = sink
        self._routes = routes
        self._marks = marks
        self._assignment = assignment
        self._metrics = metrics
        self._batch_records = batch_records
        self._max_output_bytes = max_output_bytes
        self._retry_seconds = retry_seconds
        self._busy = asyncio.Lock()
        self._epoch = 0
        self._suspects: dict[Partition, CrashMark] = {}
        self._fenced_in_a_row = 0
        self.last_alive = time.monotonic()
        """When the loop last showed a sign of life (monotonic seconds): a fetch, or a retry of what is in hand."""

    async def step(self) -> int:
        """Take one batch through; return how many records were acknowledged."""
        epoch = self._epoch
        records = await self._source.fetch(self._batch_records)
        self.last_alive = time.monotonic()
        if not records:
            return 0
        async with self._busy:
            if epoch != self._epoch:
                return 0  # a rebalance came between; what we still own is fetched again from its last commit
            try:
                await self._take(records)
            except (Fenced, Evicted) as error:
                await self._step_back(error)
                return 0
            self._fenced_in_a_row = 0
            return len(records)

    async def publish_due(self, due: Callable[[frozenset[int]], Awaitable[Sequence[Output]]]) -> None:
        """Publish what *due* finds due for the partitions in hand; never beside a batch."""
        async with self._busy:
            partitions = frozenset(number for _, number in self._source.assigned())
            if partitions:
                outputs = await self._retry("tick", lambda: due(partitions))
                await self._publish(outputs)

    async def on_assigned(self, partitions: frozenset[Partition]) -> None:
        """Begin with *partitions*, all that this worker owns now."""
        async with self._busy:
            self._epoch += 1
            marks = await self._retry("crash marks", lambda: self._marks.load(partitions))
            self._suspects = {(mark.topic, mark.partition): mark for mark in marks}
            if self._assignment is not None:
                await self._assignment.assigned(frozenset(number for _, number in partitions))
            self._metrics.assigned(len(partitions))

    async def on_revoked(self) -> None:
        """Finish the batch in hand, then let go of everything."""
        async with self._busy:
            self._epoch += 1
            if self._assignment is not None:
                await self._assignment.revoked()
            self._metrics.assigned(0)

    async def _take(self, records: Sequence[Record]) -> None:
        by_topic: defaultdict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_topic[record.topic].append(record)
        positions: dict[Partition, int] = {}
        for route in self._routes:
            together = []
            for record in by_topic.get(route.topic, ()):
                suspect = self._suspects.get((record.topic, record.partition))
                if suspect is None:
                    together.append(record)
                else:
                    await self._take_alone(route, record, suspect)
                positions[record.topic, record.partition] = record.offset + 1
            if together:
                await self._take_batch(route, together)
        await self._retry("commit", lambda: self._source.commit(positions))
        self._note_age(records)

    async def _take_batch(self, route: Route[Any], records: Sequence[Record]) -> None:
        try:
            await self._process(route, records)
        except (Fenced, Evicted, TransientError):
            raise
        except Exception:
            offsets: dict[Partition, tuple[int, int]] = {}
            for record in records:
                place = (record.topic, record.partition)
                offsets[place] = (offsets.get(place, (record.offset, 0))[0], record.offset)
            for mark in marks_for_batch(offsets):
                await self._marks.put(mark)
            raise

    async def _take_alone(self, route: Route[Any], record: Record, suspect: CrashMark) -> None:
        """Take *record* of a partition at which this service has died before."""
        place = (record.topic, record.partition)
        if is_given_up(suspect, record.offset):
            log.error("record_killed_worker", topic=record.topic, partition=record.partition, offset=record.offset, deaths=suspect.deaths)
            letter = Reject("crash", f"the worker died {suspect.deaths} times at this record; see its log for the exception")
            await self._finish([(record, letter)])
        else:
            try:
                await self._process(route, [record])
            except (Fenced, Evicted, TransientError):
                raise
            except Exception:
                await self._marks.put(mark_for_single(suspect, record.offset))
                raise
        if record.offset >= suspect.until:
            await self._retry("crash marks", lambda: self._marks.clear(*place))
            del self._suspects[place]
        await self._retry("commit", lambda: self._source.commit({place: record.offset + 1}))

    async def _process(self, route: Route[Any], records: Sequence[Record]) -> None:
        decided: list[tuple[Record, Outcome] | None] = []
        good: list[Received[Any]] = []
        for record in records:
            try:
                good.append(Received(record, route.decode(record)))
                decided.append(None)
            except MalformedRecord as error:
                decided.append((record, Reject(error.reason, error.detail)))
        if good:
            started = time.perf_counter()
            outcomes = await self._retry("handle", lambda: route.handle(good))
            self._metrics.handled(route.topic, time.perf_counter() - started)
            fresh = iter(zip((received.record for received in good), outcomes, strict=True))
            await self._finish([entry if entry is not None else next(fresh) for entry in decided])
        else:
            await self._finish([entry for entry in decided if entry is not None])

    async def _finish(self, decided: Sequence[tuple[Record, Outcome]]) -> None:
        outputs: list[Output] = []
        emitted = dropped = 0
        rejected: list[tuple[Record, Reject]] = []
        for record, outcome in decided:
            match self._bounded(outcome):
                case Emit(events):
                    outputs.extend(events)
                    emitted += 1
                case Drop():
                    dropped += 1
                case Reject() as reject:
                    outputs.append(dead_letter(self._service, record, reject))
                    rejected.append((record, reject))
                case _ as never:
                    assert_never(never)
        await self._publish(outputs)
        topic = decided[0][0].topic
        self._metrics.decided(topic, "emitted", emitted)
        self._metrics.decided(topic, "dropped", dropped)
        self._metrics.decided(topic, "rejected", len(rejected))
        for record, reject in rejected:
            self._metrics.dead_lettered(topic, reject.reason)
            log.warning(
                "dead_letter", topic=topic, partition=record.partition, offset=record.offset, reason=reject.reason, detail=reject.detail
            )

    def _bounded(self, outcome: Outcome) -> Outcome:
        """Turn what no broker would take into a reject."""
        if isinstance(outcome, Emit):
            for output in outcome.outputs:
                size = len(output.value or b"") + len(output.key or b"") + _RECORD_OVERHEAD_BYTES
                if size > self._max_output_bytes:
                    return Reject("oversized_output", f"its {output.topic} record has {size} bytes; {self._max_output_bytes} are allowed")
        return outcome

    async def _publish(self, outputs: Sequence[Output]) -> None:
        if not outputs:
            return
        await self._retry("publish", lambda: self._sink.publish(outputs))
        counts: defaultdict[str, int] = defaultdict(int)
        for output in outputs:
            counts[output.topic] += 1
        for topic, count in counts.items():
            self._metrics.published(topic, count)

    async def _retry(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        def note(error: TransientError, wait: float) -> None:
            self.last_alive = time.monotonic()
            self._source.pause()
            self._metrics.retried(what)
            log.warning("retrying", what=what, error=str(error), wait_seconds=round(wait, 3))

        try:
            return await retrying(call, budget_seconds=self._retry_seconds, on_retry=note)
        finally:
            self._source.resume()
            self.last_alive = time.monotonic()

    async def _step_back(self, error: Fenced | Evicted) -> None:
        """Another worker owns what we have in hand: forget it and read again from the last commit, whoever's that is."""
        self._fenced_in_a_row += 1
        if self._fenced_in_a_row > _FENCES_BEFORE_DEATH:
            raise PermanentError(f"fenced {self._fenced_in_a_row} times in a row: two workers fight for the same partitions") from error
        log.warning("stepping_back", why=type(error).__name__, detail=str(error), in_a_row=self._fenced_in_a_row)
        if self._assignment is not None:
            await self._assignment.revoked()
            await self._assignment.assigned(frozenset(number for _, number in self._source.assigned()))
        await self._retry("rewind", self._source.rewind)

    def _note_age(self, records: Sequence[Record]) -> None:
        now = time.time()
        oldest: dict[str, int] = {}
        for record in records:
            oldest[record.topic] = min(oldest.get(record.topic, record.timestamp_ms), record.timestamp_ms)
        for topic, timestamp_ms in oldest.items():
            self._metrics.acknowledged(topic, now - timestamp_ms / 1000)
