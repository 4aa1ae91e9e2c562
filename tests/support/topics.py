"""Topics on a running broker: made, filled, read and looked at from the outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.common.records import Header, Record

_PATIENCE_SECONDS = 90.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Sent:
    """A record to be produced, wherever its producer likes."""

    value: bytes | None
    key: bytes | None = None
    partition: int = 0
    headers: tuple[Header, ...] = ()


async def eventually(holds: Callable[[], Awaitable[bool] | bool], what: str, seconds: float = _PATIENCE_SECONDS) -> None:
    """Return once *holds* does; fail with *what* after *seconds*."""
    deadline = time.monotonic() + seconds
    while True:
        answer = holds()
        if answer if isinstance(answer, bool) else await answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(_POLL_SECONDS)


class Broker:
    """A broker as an outside producer, reader and operator sees it."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    async def create(self, partitions: int, *topics: str) -> None:
        """Create *topics*."""
        async with self._admin() as admin:
            await admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])

    async def delete(self, *topics: str) -> None:
        """Delete *topics*."""
        async with self._admin() as admin:
            await admin.delete_topics(list(topics))

    async def send(self, topic: str, records: Iterable[Sent]) -> None:
        """Produce *records*, each partition's in order; return when all are confirmed."""
        by_partition: dict[int, list[Sent]] = {}
        for record in records:
            by_partition.setdefault(record.partition, []).append(record)
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        await producer.start()
        try:
            for partition, rest in by_partition.items():
                while rest:  # by hand: ``send`` refuses a record without key and value, which other producers do not
                    batch = producer.create_batch()
                    while rest and batch.append(key=rest[0].key, value=rest[0].value, timestamp=None, headers=[*rest[0].headers]):
                        rest.pop(0)
                    await (await producer.send_batch(batch, topic, partition=partition))
        finally:
            await producer.stop()

    async def read(self, topic: str, *, committed_only: bool = False) -> list[Record]:
        """Return all records that *topic* holds now, partition by partition; *committed_only* waits for open transactions to end."""
        async with self._reader(isolation_level="read_committed" if committed_only else "read_uncommitted") as consumer:
            places = await _places(consumer, topic)
            consumer.assign(places)
            found: dict[TopicPartition, list[Record]] = {place: [] for place in places}
            while not await _at_end(consumer, places):
                for place, records in (await consumer.getmany(timeout_ms=200)).items():
                    found[place] += [
                        Record(topic, place.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records
                    ]
        return [record for place in places for record in found[place]]

    async def read_until(self, topic: str, enough: Callable[[Sequence[Record]], bool], seconds: float = _PATIENCE_SECONDS) -> list[Record]:
        """Return all records of *topic* once they are *enough*."""
        records: list[Record] = []

        async def look() -> bool:
            records[:] = await self.read(topic)
            return enough(records)

        await eventually(look, f"enough in {topic}", seconds)
        return records

    async def committed(self, group: str, topic: str) -> Mapping[int, int]:
        """Return the committed position of *group* in each partition of *topic* that has one."""
        async with self._reader(group) as consumer:
            positions = {place.partition: await consumer.committed(place) for place in await _places(consumer, topic)}
        return {number: position for number, position in positions.items() if position is not None}

    async def lag(self, group: str, topic: str) -> int:
        """Return how many records of *topic* the group has not acknowledged."""
        committed = await self.committed(group, topic)
        return sum(record.offset >= committed.get(record.partition, 0) for record in await self.read(topic))

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    @asynccontextmanager
    async def _reader(self, group: str | None = None, isolation_level: str = "read_uncommitted") -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            group_id=group,
            isolation_level=isolation_level,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()


async def _places(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    await consumer._client.force_metadata_update()
    await consumer._client._wait_on_metadata(topic)
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


async def _at_end(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> bool:
    """Tell whether all is read. The end comes from the fetches: Tansu's ``end_offsets`` are wrong within a batch."""
    for place in places:
        end = consumer.highwater(place)
        if end is None or await consumer.position(place) < end:
            return False
    return True
