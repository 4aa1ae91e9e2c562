"""A service's records on their way: everything between the process and its handlers."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry

from services.common.codec import Codec
from services.common.crash import CrashMarks
from services.common.errors import ConfigurationError
from services.common.http import HealthServer
from services.common.kafka import KafkaSink
from services.common.kafka_source import KafkaSource
from services.common.kafka_transactions import open_sink
from services.common.logs import get_logger
from services.common.loop import Loop
from services.common.metrics import LoopMetrics
from services.common.ports import Assignment, Birth, Recall, Route, Tick
from services.common.rebirth import complete_store
from services.common.registry import Schemas, open_schemas
from services.common.retry import retrying
from services.common.settings import KafkaSettings, Settings
from services.common.topics import TopicContract, load_topics

log = get_logger(__name__)
T = TypeVar("T")

_COLLECT_AFTER_OBJECTS = 200_000
"""Python's own is 700; a batch of 500 records makes some 5,000 that live as long as it does, the segmenter's larger ones 100,000."""
_LONG_TICK_SECONDS = 0.1
"""A tick of so long that leaves more to do is work like any other, and no reason to wait while no records come: a rollout, say."""
_CANCEL_SECONDS = 5.0
"""A handler that was cancelled has so long to clean up."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a service hands to its worker, once its store is open."""

    routes: Sequence[Route[Any]]
    """In the order in which the topics of one batch are taken."""
    marks: CrashMarks
    assignment: Assignment | None = None
    tick: Tick | None = None
    birth: Birth | None = None
    recall: Recall | None = None
    """With *birth*: gives a store that is new what the service has said."""


Wire: TypeAlias = Callable[[Codec, CollectorRegistry], AbstractAsyncContextManager[Wiring]]
"""Opens the service's store, models and connections for as long as the worker runs.

Entering raises ``TransientError`` while something is away (it is entered again) and ``ConfigurationError`` for what is wrong.
"""


class _Stopped(Exception):  # noqa: N818 - a state, not a failure
    """The worker was asked to stop while it was still waiting for something."""


class Worker:
    """Runs one service's loop from start to stop."""

    def __init__(self, service: str, settings: Settings, kafka: KafkaSettings, wire: Wire) -> None:
        if settings.retry_seconds * 1000 >= kafka.max_poll_interval_ms:
            raise ConfigurationError("GROUNDSWELL_RETRY_SECONDS must be below GROUNDSWELL_KAFKA_MAX_POLL_INTERVAL_MS, or retries evict us")
        self._service = service
        self._settings = settings
        self._kafka = kafka
        self._wire = wire
        running = asyncio.get_running_loop()
        self._stopping: asyncio.Future[None] = running.create_future()
        self._failed: asyncio.Future[None] = running.create_future()
        self._loop: Loop | None = None
        self._source: KafkaSource | None = None
        self._in_hand: asyncio.Task[Any] | None = None
        self._dropped: asyncio.Task[Any] | None = None

    def stop(self) -> None:
        """Ask ``run`` to finish the batch in hand, leave the group and return; repeating the call changes nothing."""
        if not self._stopping.done():
            self._stopping.set_result(None)

    async def run(self) -> None:
        """Move records until ``stop``.

        Raises:
            ConfigurationError: A setting, a definition or a topic is wrong.
            TransientError: A dependency stayed away longer than the budget.
            Exception: A bug; nothing of the batch in hand was acknowledged.
        """
        registry = CollectorRegistry()
        server = HealthServer(
            self._settings.http_host, self._settings.http_port, registry, is_alive=self._is_alive, is_ready=self._is_ready
        )
        port = await server.start()
        log.info("listening", host=self._settings.http_host, port=port)
        try:
            codec = Codec(await self._waiting(self._schemas))
            wired, wiring = await self._waiting(lambda: _entered(self._wire(codec, registry)))
            try:
                await self._move(wiring, LoopMetrics(self._service, registry))
            finally:
                await wired.__aexit__(None, None, None)
        except _Stopped:
            log.info("stopped", why="before it had started")
        finally:
            await server.stop()

    async def _schemas(self) -> Schemas:
        return await asyncio.to_thread(open_schemas, self._settings.schema_registry_url)

    async def _move(self, wiring: Wiring, metrics: LoopMetrics) -> None:
        group, topics = f"groundswell-{self._service}", [route.topic for route in wiring.routes]
        source = KafkaSource(self._kafka, group, topics, batch_bytes=self._settings.batch_bytes)
        sink = open_sink(self._kafka, group, source, max_record_bytes=self._settings.max_record_bytes)
        loop = Loop(
            self._service,
            source,
            sink,
            wiring.routes,
            marks=wiring.marks,
            assignment=wiring.assignment,
            metrics=metrics,
            batch_records=self._settings.batch_records,
            max_output_bytes=self._settings.max_record_bytes,
            retry_seconds=self._settings.retry_seconds,
        )
        try:
            await self._waiting(sink.start)
            await self._waiting(lambda: sink.check_partitions(self._expected(topics)))
            await self._waiting(lambda: self._complete_store(wiring, group, topics, sink))
            await self._waiting(lambda: source.start(loop.on_assigned, lambda: self._revoke(loop)))
            self._source, self._loop = source, loop
            spare_collector()
            log.info("started", topics=topics)
            await self._steps(loop, wiring.tick)
            await loop.on_revoked()  # who ends on purpose leaves nothing behind for the next one to suspect
        finally:
            await source.stop()
            await sink.stop()
        log.info("stopped")

    async def _complete_store(self, wiring: Wiring, group: str, topics: Sequence[str], sink: KafkaSink) -> None:
        birth, recall = wiring.birth, wiring.recall
        if birth is None or recall is None:
            return
        inputs = [(topic, number) for topic in topics for number in range(await sink.partitions(topic))]
        outputs = {topic: await sink.partitions(topic) for topic in recall.topics}
        await complete_store(
            self._kafka, group, inputs=inputs, outputs=outputs, birth=birth, recall=recall, batch_bytes=self._settings.batch_bytes
        )

    async def _steps(self, loop: Loop, tick: Tick | None) -> None:
        next_tick, is_long = time.monotonic(), False
        while not self._stopping.done():
            if tick is not None and time.monotonic() >= next_tick:
                began = time.monotonic()
                more = await self._take_in_hand(loop.publish_due(tick.due))
                took, pause = time.monotonic() - began, self._settings.tick_seconds
                is_long = bool(more) and took >= _LONG_TICK_SECONDS
                next_tick = began + took + (min(pause, took) if more else pause)  # records have half of the time, at least
            elif not await self._take_in_hand(loop.step(hurry=is_long)) and is_long:
                next_tick = time.monotonic()  # but only if there are any

    async def _take_in_hand(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Run *work* to its end and return what it returns.

        None where it is dropped: by a revocation, by a failure beside it or by a stop that it outlasts.
        """
        task = asyncio.create_task(work)
        self._in_hand = task
        await asyncio.wait((task, self._stopping, self._failed), return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and not self._failed.done():
            await asyncio.wait((task, self._failed), timeout=self._settings.stop_seconds, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            self._drop("failed" if self._failed.done() else "stopping")
            await asyncio.wait((task,), timeout=_CANCEL_SECONDS)
            if not task.done():
                raise RuntimeError("the batch in hand does not let itself be cancelled")
        if self._failed.done():
            self._failed.result()
        if not task.cancelled():
            return task.result()
        if task is not self._dropped:
            raise RuntimeError("the batch in hand was cancelled from within")
        return None

    def _drop(self, why: str) -> None:
        """Cancel what is in hand; nothing of it was acknowledged, so it comes again."""
        if self._in_hand is not None and not self._in_hand.done():
            log.warning("batch_dropped", why=why)
            self._dropped = self._in_hand
            self._in_hand.cancel()

    async def _revoke(self, loop: Loop) -> None:
        """Let go of everything; an exception ends the worker, where aiokafka would log it and go on."""
        try:
            try:
                async with asyncio.timeout(self._settings.stop_seconds):
                    await loop.on_revoked()
            except TimeoutError:
                self._drop("revoked")
                await loop.on_revoked()
        except Exception as error:  # noqa: BLE001 - handed to run(), which raises it
            if not self._failed.done():
                self._failed.set_exception(error)

    async def _waiting(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await *call*, again and again while what it needs is away, for the start's budget.

        Raises:
            TransientError: The budget is spent.
            _Stopped: The worker was asked to stop meanwhile.
        """
        attempt = asyncio.ensure_future(
            retrying(
                call,
                budget_seconds=self._settings.startup_seconds,
                on_retry=lambda error, wait: log.warning("waiting", error=str(error), wait_seconds=round(wait, 3)),
            )
        )
        await asyncio.wait((attempt, self._stopping), return_when=asyncio.FIRST_COMPLETED)
        if attempt.done():
            return attempt.result()
        attempt.cancel()
        await asyncio.wait((attempt,))
        raise _Stopped

    def _expected(self, consumed: Sequence[str]) -> dict[str, int | None]:
        """Return the partition count that each topic of ours must have; None where any count will do."""
        contracts = load_topics()
        wanted: dict[str, int | None] = {}
        for topic in consumed:
            contract = contracts.get(topic)
            wanted[topic] = None if contract is None else self._count(contract)
        for contract in contracts.values():
            if self._service in contract.producers:
                wanted[contract.topic] = self._count(contract)
        return wanted

    def _count(self, contract: TopicContract) -> int | None:
        if contract.partition_by == "producer":
            return None
        return self._settings.topic_partitions or contract.partitions

    def _is_alive(self) -> bool:
        return self._loop is None or time.monotonic() - self._loop.last_alive < self._settings.liveness_seconds

    def _is_ready(self) -> bool:
        return self._source is not None and bool(self._source.assigned())


def spare_collector() -> None:
    """Let Python look for reference cycles seldom: it would walk through every batch several times while it is alive.

    Records, events and outputs form no cycles; they go when the batch goes. What was made until now, models included, stays anyhow.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 10, 10)


async def _entered(context: AbstractAsyncContextManager[Wiring]) -> tuple[AbstractAsyncContextManager[Wiring], Wiring]:
    return context, await context.__aenter__()
