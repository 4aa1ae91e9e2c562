"""A service's records on their way: everything between the process and its handlers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry

from services.common.codec import Codec
from services.common.crash import CrashMarks
from services.common.errors import ConfigurationError
from services.common.http import HealthServer
from services.common.kafka import KafkaSink, KafkaSource
from services.common.logs import get_logger
from services.common.loop import Loop
from services.common.metrics import LoopMetrics
from services.common.ports import Assignment, Partition, Route, Tick
from services.common.registry import open_schemas
from services.common.retry import retrying
from services.common.settings import KafkaSettings, Settings
from services.common.topics import TopicContract, load_topics

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a service hands to its worker, once its store is open."""

    routes: Sequence[Route[Any]]
    """In the order in which the topics of one batch are taken."""
    marks: CrashMarks
    assignment: Assignment | None = None
    tick: Tick | None = None


Wire: TypeAlias = Callable[[Codec, CollectorRegistry], AbstractAsyncContextManager[Wiring]]
"""Opens the service's store, models and connections for as long as the worker runs.

Entering raises ``TransientError`` while something is away (it is entered again) and ``ConfigurationError`` for what is wrong.
"""


class Worker:
    """Runs one service's loop from start to stop."""

    def __init__(self, service: str, settings: Settings, kafka: KafkaSettings, wire: Wire) -> None:
        if settings.retry_seconds * 1000 >= kafka.max_poll_interval_ms:
            raise ConfigurationError("GROUNDSWELL_RETRY_SECONDS must be below GROUNDSWELL_KAFKA_MAX_POLL_INTERVAL_MS, or retries evict us")
        self._service = service
        self._settings = settings
        self._kafka = kafka
        self._wire = wire
        self._stopping = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop: Loop | None = None
        self._source: KafkaSource | None = None
        self._in_hand: asyncio.Task[int] | None = None

    def stop(self) -> None:
        """Ask ``run`` to finish the batch in hand, leave the group and return."""
        self._stopping.set()

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
            codec = Codec(open_schemas(self._settings.schema_registry_url))
            wired, wiring = await self._waiting(lambda: _entered(self._wire(codec, registry)))
            try:
                await self._move(wiring, LoopMetrics(self._service, registry))
            finally:
                await wired.__aexit__(None, None, None)
        finally:
            await server.stop()

    async def _move(self, wiring: Wiring, metrics: LoopMetrics) -> None:
        sink = KafkaSink(self._kafka, f"groundswell-{self._service}", max_record_bytes=self._settings.max_record_bytes)
        await self._waiting(sink.start)
        topics = [route.topic for route in wiring.routes]
        source = KafkaSource(self._kafka, f"groundswell-{self._service}", topics, batch_bytes=self._settings.batch_bytes)
        self._source = source
        loop = self._loop = Loop(
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
            await self._waiting(lambda: sink.check_partitions(self._expected(topics)))
            await self._waiting(lambda: source.start(self._fatal(loop.on_assigned), self._fatal_revoke(loop)))
            log.info("started", topics=topics)
            await self._steps(loop, wiring.tick)
        finally:
            await source.stop()
            await sink.stop()
            log.info("stopped")

    async def _steps(self, loop: Loop, tick: Tick | None) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        next_tick = time.monotonic()
        try:
            while not self._stopping.is_set():
                if tick is not None and time.monotonic() >= next_tick:
                    await loop.publish_due(tick.due)
                    next_tick = time.monotonic() + self._settings.tick_seconds
                step = self._in_hand = asyncio.create_task(loop.step())
                await asyncio.wait((step, stopping, self._failed), return_when=asyncio.FIRST_COMPLETED)
                if not step.done():
                    await asyncio.wait((step,), timeout=self._settings.stop_seconds)
                if not step.done():
                    log.warning("batch_dropped", why="stopping")
                    step.cancel()
                    await asyncio.wait((step,))
                if self._failed.done():
                    self._failed.result()
                if not step.cancelled():
                    step.result()
        finally:
            stopping.cancel()

    def _fatal(self, call: Callable[[frozenset[Partition]], Any]) -> Callable[[frozenset[Partition]], Any]:
        """Let an exception in a rebalance callback end the worker: aiokafka would log it and go on."""

        async def guarded(partitions: frozenset[Partition]) -> None:
            try:
                await call(partitions)
            except Exception as error:  # noqa: BLE001 - handed to run(), which raises it
                if not self._failed.done():
                    self._failed.set_exception(error)

        return guarded

    def _fatal_revoke(self, loop: Loop) -> Callable[[], Any]:
        async def revoke(_: frozenset[Partition]) -> None:
            try:
                await asyncio.wait_for(loop.on_revoked(), self._settings.stop_seconds)
            except TimeoutError:
                log.warning("batch_dropped", why="revoked")
                if self._in_hand is not None:
                    self._in_hand.cancel()
                await loop.on_revoked()

        guarded = self._fatal(revoke)
        return lambda: guarded(frozenset())

    async def _waiting(self, call: Callable[[], Any]) -> Any:
        """Await *call*, again and again while what it needs is away, for the start's budget."""
        return await retrying(
            call,
            budget_seconds=self._settings.startup_seconds,
            on_retry=lambda error, wait: log.warning("waiting", error=str(error), wait_seconds=round(wait, 3)),
        )

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


async def _entered(context: AbstractAsyncContextManager[Wiring]) -> tuple[AbstractAsyncContextManager[Wiring], Wiring]:
    return context, await context.__aenter__()
