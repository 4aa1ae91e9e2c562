"""fetch → decode → handle → durable output → commit: the one place that orders these, and the only one that commits.

One batch is in hand at a time, over all partitions of this worker; a revocation waits for it. Three outcomes: transient trouble is
retried in place, permanent trouble is dead-lettered, anything else leaves ``step`` as an exception, unacknowledged, and the process
with it (``services.common.guard``). A sink with transactions acknowledges with the outputs; the commit then finds nothing left to do.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from services.common.crash import CrashMarks
from services.common.errors import Evicted, Fenced, MalformedRecord, PermanentError, TransientError
from services.common.logs import get_logger
from services.common.metrics import LoopMetrics
from services.common.outcome import Outcome, Reject
from services.common.ports import Assignment, Partition, Route, Sink, Source
from services.common.records import Output, Received, Record, by_topic
from services.common.retry import retrying
from services.common.settle import Settled, settle
from services.common.suspicion import Suspicion

log = get_logger(__name__)
T = TypeVar("T")

_FENCES_BEFORE_DEATH = 20
_topic_of = attrgetter("topic")


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
        self._glances = {route.topic: route.glance for route in routes if route.glance is not None}
        self._suspicion = Suspicion(marks)
        self._assignment = assignment
        self._metrics = metrics
        self._batch_records = batch_records
        self._max_output_bytes = max_output_bytes
        self._retry_seconds = retry_seconds
        self._busy = asyncio.Lock()
        self._epoch = 0
        """Counts revocations: what was fetched before one is not ours any more."""
        self._arriving: frozenset[Partition] | None = None
        self._owned: frozenset[Partition] = frozenset()
        """Partitions whose crash marks are known and of which the handlers have been told."""
        self._steps_back_in_a_row = 0
        self.last_alive = time.monotonic()
        """When the loop last showed a sign of life (monotonic seconds): a fetch, or a retry of what is in hand."""

    async def step(self, *, hurry: bool = False) -> int:
        """Take one batch through; return how many records were acknowledged. In a *hurry* it does not wait for any to come."""
        records = await self._retry("fetch", lambda: self._source.fetch(self._batch_records, hurry=hurry), paused=False)
        epoch = self._epoch  # of this very moment: nothing is awaited between the fetch and this
        async with self._busy:
            if epoch != self._epoch:
                return 0  # a new assignment starts from its last commit, so these come again to whoever owns them then
            try:
                if await self._arrive() or not records:
                    return 0
                if not self._owned:
                    raise Evicted("records came of an assignment that was lost")
                await self._take(records)
            except (Fenced, Evicted) as error:
                await self._step_back(error)
                return 0
            self._steps_back_in_a_row = 0
            return len(records)

    async def publish_due(self, due: Callable[[frozenset[int]], Awaitable[Sequence[Output]]]) -> bool:
        """Publish what *due* finds due for the partitions in hand; never beside a batch, nor while the group rebalances.

        Tell whether there was anything: then more may be due.
        """
        async with self._busy:
            try:
                await self._arrive()
                partitions = _numbers(self._owned)
                outputs = await self._retry("tick", lambda: due(partitions)) if partitions else ()
                await self._publish(outputs, {})
            except (Fenced, Evicted) as error:
                await self._step_back(error)
                return False
            return bool(outputs)

    def on_assigned(self, partitions: frozenset[Partition]) -> None:
        """Begin with *partitions*, all that this worker owns now, before the next batch.

        Only takes note: the client sends no heartbeat before this returns, so whatever may take long or fail is left to the next step.
        """
        self._arriving = partitions

    async def on_revoked(self) -> None:
        """Finish the batch in hand, then let go of everything; repeating the call changes nothing."""
        async with self._busy:
            self._epoch += 1
            await self._let_go()

    async def _arrive(self) -> bool:
        """Begin with what has been assigned; tell whether that voided what was fetched before, which then comes again."""
        if self._arriving is None:
            return False
        partitions = self._arriving
        voided = await self._retry("take over", lambda: self._sink.take_over(partitions))
        await self._retry("crash marks", lambda: self._suspicion.arrive(partitions))
        await self._tell_assigned(partitions)
        self._owned, self._arriving = partitions, None
        self._metrics.assigned(len(partitions))
        return voided

    async def _tell_assigned(self, partitions: frozenset[Partition]) -> None:
        assignment = self._assignment
        if assignment is not None:
            await self._retry("assignment", lambda: assignment.assigned(_numbers(partitions)))

    async def _let_go(self) -> None:
        self._arriving, self._owned = None, frozenset()
        self._metrics.assigned(0)
        await self._suspicion.let_go()
        if self._assignment is not None:
            await self._assignment.revoked()

    def _glance(self, records: Sequence[Record]) -> None:
        for topic, together in by_topic(records).items():
            if topic in self._glances:
                self._glances[topic](together)

    async def _take(self, records: Sequence[Record]) -> None:
        await self._retry("crash marks", lambda: self._suspicion.take_up(records))
        if self._glances and not self._suspicion:  # else one thing at a time: what comes next may be what killed a worker
            self._source.look_ahead(self._batch_records, self._glance)
        of_topic = by_topic(records)
        decided: list[tuple[str, Settled]] = []
        positions: dict[Partition, int] = {}
        for route in self._routes:
            together: Sequence[Record] = of_topic.get(route.topic, ())
            if self._suspicion:
                await self._deliver(decided, positions)  # what comes of suspects must not overtake it
                decided, positions = [], {}
                together = await self._take_suspects(route, together)
            if together:
                decided.append((route.topic, await self._take_batch(route, together)))
                positions |= _behind(together)
        await self._deliver(decided, positions)
        self._note_age(of_topic)

    async def _take_suspects(self, route: Route[Any], records: Iterable[Record]) -> list[Record]:
        """Take, run by run, the records at which this service may have died before; return the others."""
        runs, others = self._suspicion.runs(records)
        for run in runs:
            await self._take_run(route, run)
        await self._retry("crash marks", lambda: self._suspicion.got_beyond(others))
        return others

    async def _take_batch(self, route: Route[Any], records: Sequence[Record]) -> Settled:
        try:
            return await self._process(route, records)
        except (Fenced, Evicted, TransientError):
            raise
        except Exception:
            await self._suspicion.batch_died(records)
            raise

    async def _take_run(self, route: Route[Any], run: Sequence[Record]) -> None:
        try:
            settled = await self._decide_run(route, run)
            await self._deliver([(route.topic, settled)], _behind(run))
        except (Fenced, Evicted, TransientError, asyncio.CancelledError):
            await self._suspicion.disarm(run)
            raise
        await self._retry("crash marks", lambda: self._suspicion.got_beyond(run))

    async def _decide_run(self, route: Route[Any], run: Sequence[Record]) -> Settled:
        mark = self._suspicion.given_up(run)
        if mark is not None:
            log.error("record_killed_worker", topic=mark.topic, partition=mark.partition, offset=mark.suspect, deaths=mark.deaths)
            letter = Reject("crash", f"the worker died {mark.deaths} times at this record; see its log for the exception")
            return settle(self._service, [(run[0], letter)], self._max_output_bytes)
        await self._retry("crash marks", lambda: self._suspicion.arm(run))
        return await self._process(route, run)

    async def _process(self, route: Route[Any], records: Sequence[Record]) -> Settled:
        good: list[Received[Any]] = []
        malformed: dict[int, Reject] = {}
        decode = route.decode
        for index, record in enumerate(records):
            try:
                good.append(Received(record, decode(record)))
            except MalformedRecord as error:
                malformed[index] = Reject(error.reason, error.detail)
        outcomes: Sequence[Outcome] = ()
        if good:
            started = time.perf_counter()
            outcomes = await self._retry("handle", lambda: route.handle(good))
            self._metrics.handled(route.topic, time.perf_counter() - started)
        if len(outcomes) != len(good):
            raise ValueError(f"the handler of {route.topic} answered {len(good)} records with {len(outcomes)} outcomes")
        if malformed:
            rest = iter(outcomes)
            outcomes = [malformed.get(index) or next(rest) for index in range(len(records))]
        return settle(self._service, zip(records, outcomes, strict=True), self._max_output_bytes)

    async def _deliver(self, decided: Sequence[tuple[str, Settled]], positions: Mapping[Partition, int]) -> None:
        """Publish what was decided, then acknowledge all before *positions*."""
        await self._publish([output for _, settled in decided for output in settled.outputs], positions)
        for topic, settled in decided:
            self._count(topic, settled)
        if positions:
            await self._retry("commit", lambda: self._source.commit(positions))

    async def _publish(self, outputs: Sequence[Output], positions: Mapping[Partition, int]) -> None:
        if outputs:
            await self._retry("publish", lambda: self._sink.publish(outputs, positions))
            for topic, count in Counter(map(_topic_of, outputs)).items():
                self._metrics.published(topic, count)

    def _count(self, topic: str, settled: Settled) -> None:
        self._metrics.decided(topic, "emitted", settled.emitted)
        self._metrics.decided(topic, "dropped", settled.dropped)
        self._metrics.decided(topic, "rejected", len(settled.rejected))
        for record, reject in settled.rejected:
            self._metrics.dead_lettered(topic, reject.reason)
            log.warning(
                "dead_letter", topic=topic, partition=record.partition, offset=record.offset, reason=reject.reason, detail=reject.detail
            )

    async def _retry(self, what: str, call: Callable[[], Awaitable[T]], *, paused: bool = True) -> T:
        def note(error: TransientError, wait: float) -> None:
            self.last_alive = time.monotonic()
            if paused:
                self._source.pause()
            self._metrics.retried(what)
            log.warning("retrying", what=what, error=str(error), wait_seconds=round(wait, 3))

        try:
            return await retrying(call, budget_seconds=self._retry_seconds, on_retry=note)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Somebody below cancelled a future of his own. Passed on, it would look as if this batch had been given up on purpose.
            raise RuntimeError(f"{what} was cancelled from within") from None
        finally:
            self._source.resume()
            self.last_alive = time.monotonic()

    async def _step_back(self, error: Fenced | Evicted) -> None:
        """Forget what is in hand: another worker owns it."""
        self._steps_back_in_a_row += 1
        if self._steps_back_in_a_row > _FENCES_BEFORE_DEATH:
            raise PermanentError(f"stepped back {self._steps_back_in_a_row} times in a row: two workers fight for these") from error
        log.warning("stepping_back", why=type(error).__name__, detail=str(error), in_a_row=self._steps_back_in_a_row)
        owned = self._owned or self._arriving
        await self._let_go()
        if isinstance(error, Fenced):  # the group still counts on us: read again from the last commit, whoever's that is
            await self._retry("rewind", self._source.rewind)
            self._arriving = owned

    def _note_age(self, of_topic: Mapping[str, Sequence[Record]]) -> None:
        now = time.time()
        for topic, records in of_topic.items():
            self._metrics.acknowledged(topic, now - min(record.timestamp_ms for record in records) / 1000)


def _behind(records: Iterable[Record]) -> dict[Partition, int]:
    """Return the position behind the last of *records* in each partition."""
    return {(record.topic, record.partition): record.offset + 1 for record in records}


def _numbers(partitions: Iterable[Partition]) -> frozenset[int]:
    return frozenset(number for _, number in partitions)
