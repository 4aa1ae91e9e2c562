"""The loops that ``bench/worker.py`` compares; each runs as a process of its own and prints what it cost.

All read the same topic of framed Avro, decode each record to a ``BoardEvent``, encode it again and publish it to another topic, with
the very same ``Codec``. The clock and the CPU counter of the process (all its threads) start at the first decoded record and stop
when the last one is confirmed and committed, as far as the framework lets one know.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from services.common.codec import Codec
from services.common.events import BoardEvent
from services.common.records import Record
from services.common.registry import open_schemas

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Job:
    """What a contender has to carry from where to where."""

    bootstrap: str
    source: str
    target: str
    group: str
    events: int


class Meter:
    """Counts records between the first and the last one."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._seen = 0
        self._started = (0.0, 0.0)

    def count(self, records: int = 1) -> None:
        """Note that *records* are about to be decoded."""
        if self._seen == 0:
            self._started = (time.perf_counter(), _cpu_seconds())
        self._seen += records

    @property
    def complete(self) -> bool:
        """Whether all records have been counted."""
        return self._seen >= self._events

    def finish(self) -> NoReturn:
        """Print seconds and CPU seconds since the first record, and end the process."""
        wall, cpu = time.perf_counter() - self._started[0], _cpu_seconds() - self._started[1]
        print(json.dumps({"seconds": wall, "cpu_seconds": cpu, "events": self._seen}), flush=True)
        os._exit(0)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _change(codec: Codec) -> Callable[[bytes], bytes]:
    decode, encode = codec.frame_decoder(BoardEvent), codec.encode
    return lambda value: encode(decode(value))


def ours(job: Job, codec: Codec, meter: Meter) -> None:
    """Run the service's own ``Worker``: loop, crash marks, metrics, health server and all."""
    from prometheus_client import CollectorRegistry

    from services.common.crash import CrashMark
    from services.common.kafka_source import KafkaSource
    from services.common.outcome import Emit
    from services.common.ports import Route
    from services.common.records import Output, Received
    from services.common.settings import KafkaSettings, Settings
    from services.common.worker import Wiring, Worker

    class NoMarks:
        async def load(self, partitions: Any) -> Sequence[CrashMark]:
            return ()

        async def put(self, mark: CrashMark) -> None:
            raise AssertionError("the bench does not crash")

        async def clear(self, topic: str, partition: int) -> None:
            raise AssertionError("nothing is suspect")

    async def handle(batch: Sequence[Received[BoardEvent]]) -> Sequence[Emit]:
        meter.count(len(batch))
        return [Emit((output(received.event),)) for received in batch]

    def output(event: BoardEvent) -> Output:  # Codec.output, to a topic of the bench's own
        return Output(job.target, event.key().encode(), codec.encode(event), event.partition_key().encode())

    @asynccontextmanager
    async def wire(_codec: Codec, _registry: CollectorRegistry) -> AsyncIterator[Wiring]:
        yield Wiring([Route(job.source, codec.decoder(BoardEvent), handle)], NoMarks())

    fetch, commit = KafkaSource.fetch, KafkaSource.commit

    async def first(self: KafkaSource, max_records: int) -> Sequence[Record]:
        records = await fetch(self, max_records)
        if records:
            meter.count(0)
        return records

    async def last(self: KafkaSource, positions: Any) -> None:
        await commit(self, positions)
        if meter.complete:
            meter.finish()

    KafkaSource.fetch, KafkaSource.commit = first, last  # type: ignore[method-assign]  # the only place that knows the last commit

    async def run() -> None:
        kafka = KafkaSettings(bootstrap_servers=job.bootstrap, idempotence=False, session_timeout_ms=6000)
        await Worker(job.group, Settings(batch_records=_BATCH), kafka, wire).run()

    asyncio.run(run())


def bare(job: Job, codec: Codec, meter: Meter) -> None:
    """Run aiokafka by hand: getmany, one batch, send_batch, commit; nothing else that a service needs."""
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    change = _change(codec)

    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=job.bootstrap, acks="all", max_batch_size=512 * 1024)
        consumer = AIOKafkaConsumer(
            job.source,
            bootstrap_servers=job.bootstrap,
            group_id=job.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=6000,
            heartbeat_interval_ms=1200,
            max_partition_fetch_bytes=2 * 1024 * 1024,
        )
        await producer.start()
        await consumer.start()
        while not meter.complete:
            for place, records in (await consumer.getmany(timeout_ms=500, max_records=_BATCH)).items():
                meter.count(len(records))
                batch = producer.create_batch()
                for record in records:
                    batch.append(key=record.key, value=change(record.value), timestamp=None)
                await (await producer.send_batch(batch, job.target, partition=place.partition))
                await consumer.commit({place: records[-1].offset + 1})
        meter.finish()

    asyncio.run(run())


def faust(job: Job, codec: Codec, meter: Meter) -> None:
    """Run a Faust agent as its guide shows it: ``async for``, ``await topic.send``, with an Avro codec."""
    import faust as framework
    from faust.serializers.codecs import Codec as FaustCodec
    from faust.serializers.codecs import register

    decode = codec.frame_decoder(BoardEvent)

    class Avro(FaustCodec):  # type: ignore[misc]  # publishes no types
        def _loads(self, s: bytes) -> BoardEvent:
            return decode(s)

        def _dumps(self, obj: BoardEvent) -> bytes:
            return codec.encode(obj)

    register("board_event", Avro())
    app = framework.App(
        job.group,
        broker=f"kafka://{job.bootstrap}",
        value_serializer="board_event",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=6,
        broker_heartbeat_interval=1.2,
    )
    source, target = app.topic(job.source), app.topic(job.target)

    @app.agent(source)  # type: ignore[untyped-decorator]
    async def carry(events: Any) -> None:
        async for event in events:
            meter.count()
            await target.send(value=event)
            if meter.complete:
                await app.producer.flush()
                await app.consumer.commit()
                meter.finish()

    framework.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()


def faststream(job: Job, codec: Codec, meter: Meter) -> None:
    """Run FastStream with ``@subscriber`` and ``@publisher`` as its guide shows them."""
    from faststream import AckPolicy, FastStream
    from faststream.kafka import KafkaBroker, KafkaMessage

    decode = codec.frame_decoder(BoardEvent)
    broker = KafkaBroker(job.bootstrap, logger=None)

    async def decoder(message: KafkaMessage) -> BoardEvent:
        return decode(message.body)

    @broker.subscriber(
        job.source,
        group_id=job.group,
        auto_offset_reset="earliest",
        decoder=decoder,
        ack_policy=AckPolicy.ACK,
        session_timeout_ms=6000,
        heartbeat_interval_ms=1200,
    )
    @broker.publisher(job.target)
    async def carry(event: Any) -> bytes:
        meter.count()
        if meter.complete:  # its own publication is not awaited any more: one record in its favour
            meter.finish()
        return codec.encode(event)

    asyncio.run(FastStream(broker, logger=None).run())


def quix(job: Job, codec: Codec, meter: Meter) -> None:
    """Run a Quix Streams dataframe from topic to topic, at least once, with the codec as its (de)serializers."""
    from quixstreams import Application
    from quixstreams.models import Deserializer, Serializer

    decode = codec.frame_decoder(BoardEvent)

    class FromAvro(Deserializer):  # type: ignore[misc]  # publishes no types
        def __call__(self, value: bytes, ctx: Any) -> BoardEvent:
            meter.count()
            return decode(value)

    class ToAvro(Serializer):  # type: ignore[misc]  # publishes no types
        def __call__(self, value: BoardEvent, ctx: Any) -> bytes:
            return codec.encode(value)

    app = Application(
        broker_address=job.bootstrap,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        loglevel=None,
        consumer_extra_config={"session.timeout.ms": 6000},
        producer_extra_config={"acks": "all", "enable.idempotence": False},
    )
    source = app.topic(job.source, value_deserializer=FromAvro(), key_deserializer="bytes")
    target = app.topic(job.target, value_serializer=ToAvro(), key_serializer="bytes")
    app.dataframe(source).to_topic(target)
    app.run(count=job.events, collect=False)  # returns when all is flushed and committed
    meter.finish()


CONTENDERS: dict[str, Callable[[Job, Codec, Meter], None]] = {
    "ours": ours,
    "bare": bare,
    "quix": quix,
    "faust": faust,
    "faststream": faststream,
}


def main() -> None:
    """Run the contender that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=CONTENDERS)
    for name in ("bootstrap", "source", "target", "group"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--events", type=int, required=True)
    given = parser.parse_args()
    job = Job(given.bootstrap, given.source, given.target, given.group, given.events)
    CONTENDERS[given.contender](job, Codec(open_schemas(None)), Meter(given.events))


if __name__ == "__main__":
    main()
