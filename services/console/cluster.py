"""A broker as an operator sees it: its topics, what lies in them, how far each group has read."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import KafkaError

from services.common.deadletter import SPARE_BYTES
from services.common.errors import PermanentError, TransientError
from services.common.kafka import connection, partition_of
from services.common.ports import Partition
from services.common.records import Output, Record
from services.common.settings import KafkaSettings
from services.common.topics import TopicContract

_TOPIC_EXISTS = 36
_POLL_MS = 200
_BATCH_BYTES = 512 * 1024


class Cluster:
    """An async context manager over one admin client and one producer."""

    def __init__(self, settings: KafkaSettings, *, max_record_bytes: int = 1024 * 1024) -> None:
        self._settings = settings
        self._counts: dict[str, int] = {}
        self._admin = AIOKafkaAdminClient(**connection(settings))
        self._producer = AIOKafkaProducer(
            **connection(settings),
            acks="all",
            # A retry may publish a raw record twice; ingest knows a repeat. So the console needs nothing that a broker may lack.
            enable_idempotence=False,
            max_request_size=max_record_bytes + SPARE_BYTES,
            max_batch_size=_BATCH_BYTES,
        )

    @property
    def bootstrap_servers(self) -> str:
        """Where it was found."""
        return self._settings.bootstrap_servers

    async def __aenter__(self) -> Cluster:
        """Connect.

        Raises:
            TransientError: No broker answers.
        """
        try:
            await self._admin.start()
            await self._producer.start()
        except (KafkaError, OSError) as error:
            await self._close()
            raise TransientError(
                f"no Kafka broker answers at {self._settings.bootstrap_servers}; start one with `groundswell up`, or pass --bootstrap"
            ) from error
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._close()

    async def _close(self) -> None:
        await self._producer.stop()
        await self._admin.close()

    async def topics(self) -> dict[str, int]:
        """Return the partition count of every topic."""
        names = await self._admin.list_topics()
        if not names:
            return {}
        return {entry["topic"]: len(entry["partitions"]) for entry in await self._admin.describe_topics(names)}

    async def create(self, contract: TopicContract, *, partitions: int, replication: int) -> None:
        """Create a topic as its contract says; a topic that exists stays as it is.

        Raises:
            PermanentError: The broker refuses.
        """
        topic = NewTopic(contract.topic, partitions, replication, topic_configs=contract.config())
        for answer in (await self._admin.create_topics([topic])).topic_errors:
            if answer[1] not in (0, _TOPIC_EXISTS):
                raise PermanentError(f"Kafka refuses to create {contract.topic}: {answer[2] or f'error {answer[1]}'}")

    async def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset up to which *group* has acknowledged each of *partitions*; 0 where it has not begun.

        Raises:
            TransientError: The broker does not know yet, as right after its start.
        """
        wanted = [TopicPartition(*place) for place in partitions]
        if not wanted:
            return {}
        answer = await self._admin.list_consumer_group_offsets(group, partitions=wanted)
        if not answer.keys() >= set(wanted):  # aiokafka passes over an error that is about the whole group, and gives nothing
            raise TransientError(f"the broker does not tell how far {group} has read; try again")
        return {(place.topic, place.partition): max(found.offset, 0) for place, found in answer.items()}

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Publish *outputs* in order; return when the broker has confirmed every one.

        Raises:
            PermanentError: A topic does not exist; a broker that would create it at once is not asked to.
        """
        if not {output.topic for output in outputs} <= self._counts.keys():
            self._counts = await self.topics()
        by_place: defaultdict[Partition, list[Output]] = defaultdict(list)
        for output in outputs:
            count = self._counts.get(output.topic)
            if count is None:
                raise PermanentError(f"topic {output.topic} does not exist; `groundswell topics apply` creates those that services read")
            by_place[output.topic, partition_of(output.partition_key, count)].append(output)
        await asyncio.gather(*(self.put(place, part) for place, part in by_place.items()))

    async def put(self, place: Partition, outputs: Sequence[Output], timestamps_ms: Sequence[int] | None = None) -> list[int]:
        """Publish *outputs* to the partition *place*, whatever their keys; return their offsets when the broker has confirmed every one.

        *timestamps_ms* holds one moment an output; without it all are of now.
        """
        position = 0
        offsets: list[int] = []
        while position < len(outputs):
            batch = self._producer.create_batch()
            while position < len(outputs):
                output, at = outputs[position], None if timestamps_ms is None else timestamps_ms[position]
                if batch.append(key=output.key, value=output.value, timestamp=at, headers=list(output.headers)) is None:
                    break
                position += 1
            confirmed = await (await self._producer.send_batch(batch, place[0], partition=place[1]))
            offsets += range(confirmed.offset, confirmed.offset + position - len(offsets))
        return offsets

    async def cut(self, place: Partition, offset: int) -> bool:
        """Delete the records of a partition before *offset*; tell whether the broker did: not every one knows how."""
        try:
            await self._admin.delete_records({TopicPartition(*place): RecordsToDelete(offset)})
        except KafkaError:
            return False
        return True

    async def read(self, topics: Sequence[str]) -> dict[str, list[Record]]:
        """Return all that lies in *topics* at this moment, each partition's records in order; a topic that does not exist is empty."""
        async with Tail(self._settings, await self._places(topics)) as tail:
            await tail.catch_up()
            return {topic: tail.records.get(topic, []) for topic in topics}

    async def ends(self, topics: Sequence[str]) -> dict[Partition, int]:
        """Return the offset after the last record of every partition of *topics*."""
        async with Tail(self._settings, await self._places(topics), from_end=True) as tail:
            await tail.catch_up()
            return tail.ends()

    async def tail(self, topics: Sequence[str]) -> Tail:
        """Return a reader of *topics* from their beginning, not yet entered."""
        return Tail(self._settings, await self._places(topics))

    async def _places(self, topics: Sequence[str]) -> list[Partition]:
        counts = await self.topics()
        return [(topic, number) for topic in topics for number in range(counts.get(topic, 0))]


class Tail:
    """Follows partitions without a group; an async context manager.

    The end of a partition is what a fetch says (its high watermark): Tansu's answer to ListOffsets points into the last batch.
    """

    def __init__(self, settings: KafkaSettings, places: Sequence[Partition], *, from_end: bool = False) -> None:
        self._settings = settings
        self._places = [TopicPartition(*place) for place in places]
        self._from_end = from_end
        self._consumer: Any = None
        self.records: dict[str, list[Record]] = {topic: [] for topic, _ in places}
        """All that was read so far, by topic."""

    async def __aenter__(self) -> Tail:
        if not self._places:
            return self
        self._consumer = AIOKafkaConsumer(
            **connection(self._settings), enable_auto_commit=False, auto_offset_reset="earliest", max_partition_fetch_bytes=8 * 1024 * 1024
        )
        await self._consumer.start()
        self._consumer.assign(self._places)
        starts = await self._consumer.beginning_offsets(self._places)
        known = await self._consumer.end_offsets(self._places)
        for place in self._places:
            first = starts[place]
            self._consumer.seek(place, max(known[place] - 1, first) if self._from_end else first)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._places:
            await self._consumer.stop()

    async def catch_up(self) -> None:
        """Read until nothing is left that was there when this was called."""
        async for records in self.batches():
            for record in records:
                self.records[record.topic].append(record)

    async def batches(self) -> AsyncIterator[list[Record]]:
        """Yield, once, what ``catch_up`` would read, and keep nothing of it: each partition's records in order."""
        if not self._places:
            return
        least = await self._consumer.end_offsets(self._places)
        starts = await self._consumer.beginning_offsets(self._places)
        waiting = {place for place in self._places if least[place] > starts[place]}
        while waiting:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
            yield [
                Record(place.topic, place.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
                for place, records in fetched.items()
                for r in records
            ]
            waiting = {place for place in waiting if await self._consumer.position(place) < self._end(place, least)}

    def _end(self, place: TopicPartition, least: Mapping[TopicPartition, int]) -> int:
        return max(least[place], self._consumer.highwater(place) or 0)

    def ends(self) -> dict[Partition, int]:
        """Return the end of every partition as last seen; right after ``catch_up`` it is the broker's."""
        return {(place.topic, place.partition): self._consumer.highwater(place) or 0 for place in self._places}
