"""Run the services' own ``Worker``: loop, crash marks, metrics, health server and all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from bench.worker_loops.meter import BATCH_RECORDS, SESSION_MS, Job, Meter, read_job
from services.common.codec import Codec
from services.common.crash import CrashMark
from services.common.events import BoardEvent
from services.common.kafka import KafkaSink
from services.common.kafka_source import KafkaSource
from services.common.outcome import Emit
from services.common.ports import Partition, Route
from services.common.records import Output, Received, Record
from services.common.registry import open_schemas
from services.common.settings import KafkaSettings, Settings
from services.common.worker import Wiring, Worker

DELIVERY = "GROUNDSWELL_BENCH_DELIVERY"
DELIVERIES: dict[str, dict[str, Any]] = {
    "acks=1": {"idempotence": False},
    "acks=all": {"idempotence": False},
    "acks=all, idempotent": {},
    "transactions": {"transactions": True},
}
"""What a delivery is worth, by name: the settings for it. The second is what every compared loop does, the third the services' default."""


class NoMarks:
    """Nothing crashes here."""

    async def load(self, partitions: Iterable[Partition]) -> Sequence[CrashMark]:  # noqa: ARG002 - the port's shape
        """Return no mark."""
        return ()

    async def put(self, marks: Sequence[CrashMark]) -> None:
        """Fail: a crash would spoil the figures."""
        raise AssertionError(marks)

    async def clear(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Fail: there is nothing to clear."""
        raise AssertionError(partitions)

    async def hold(self, worker: str, positions: Mapping[tuple[str, int], int]) -> frozenset[tuple[str, int]]:
        """Note nothing."""
        del worker, positions
        return frozenset()

    async def let_go(self, worker: str) -> None:
        """Forget."""
        del worker


def carry(job: Job, codec: Codec, meter: Meter) -> None:
    """Run the worker until the meter has seen all."""

    async def handle(batch: Sequence[Received[BoardEvent]]) -> Sequence[Emit]:
        meter.count(len(batch))
        return [Emit((output(received.event),)) for received in batch]

    def output(event: BoardEvent) -> Output:  # Codec.output, to a topic of the bench's own
        return Output(job.target, event.key().encode(), codec.encode(event), event.partition_key().encode())

    @asynccontextmanager
    async def wire(_codec: Codec, _registry: CollectorRegistry) -> AsyncIterator[Wiring]:
        yield Wiring([Route(job.source, codec.decoder(BoardEvent), handle)], NoMarks())

    async def run() -> None:
        delivery = DELIVERIES[os.environ.get(DELIVERY, "acks=all")]
        kafka = KafkaSettings(bootstrap_servers=job.bootstrap, session_timeout_ms=SESSION_MS, **delivery)
        await Worker(job.group, Settings(batch_records=BATCH_RECORDS), kafka, wire).run()

    if os.environ.get(DELIVERY) == "acks=1":
        _trust_the_leader()
    _watch(meter)
    asyncio.run(run())


def _trust_the_leader() -> None:
    """Let the sink be content with the leader's word, which no service is."""
    new_producer = KafkaSink._new_producer  # noqa: SLF001 - the services have no option for it

    def content(self: KafkaSink) -> Any:
        self._options["acks"] = 1
        return new_producer(self)

    KafkaSink._new_producer = content  # type: ignore[method-assign]  # noqa: SLF001


def _watch(meter: Meter) -> None:
    """Start the meter at the first fetch and read it after the last commit: nothing else knows of that."""
    fetch, commit = KafkaSource.fetch, KafkaSource.commit

    async def first(self: KafkaSource, max_records: int, *, hurry: bool = False) -> Sequence[Record]:
        records = await fetch(self, max_records, hurry=hurry)
        if records:
            meter.count(0)
        return records

    async def last(self: KafkaSource, positions: Mapping[Partition, int]) -> None:
        await commit(self, positions)
        if meter.complete:
            meter.finish()

    KafkaSource.fetch, KafkaSource.commit = first, last  # type: ignore[method-assign]


if __name__ == "__main__":
    job = read_job()
    carry(job, Codec(open_schemas(None)), Meter(job.events))
