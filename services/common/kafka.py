"""The broker through aiokafka: a source, a sink, and how to reach it."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    MessageSizeTooLargeError,
    RebalanceInProgressError,
    RecordTooLargeError,
    UnknownMemberIdError,
)
from aiokafka.partitioner import murmur2

from services.common.deadletter import SPARE_BYTES
from services.common.errors import ConfigurationError, Evicted, PermanentError, TransientError
from services.common.ports import Partition
from services.common.records import Output, Record
from services.common.settings import KafkaSettings

_EVICTIONS = (CommitFailedError, IllegalGenerationError, UnknownMemberIdError, RebalanceInProgressError, IllegalStateError)
_FETCH_WAIT_MS = 500
_BATCH_BYTES = 512 * 1024


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """Return the keyword arguments that every aiokafka client needs to reach the broker."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": settings.request_timeout_ms,
    }
    if settings.security_protocol in ("SSL", "SASL_SSL"):
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
        if settings.ssl_certfile is not None:
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile)
        options["ssl_context"] = context
    if settings.security_protocol.startswith("SASL"):
        password = settings.sasl_password
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": None if password is None else password.get_secret_value(),
        }
    return options


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of *key* as Kafka's Java client and aiokafka compute it (murmur2), and librdkafka's default does not."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class KafkaSource:
    """A member of a consumer group."""

    def __init__(self, settings: KafkaSettings, group: str, topics: Sequence[str], *, batch_bytes: int) -> None:
        self._topics = topics
        self._consumer = AIOKafkaConsumer(
            **connection(settings),
            group_id=group,
            client_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=max(settings.session_timeout_ms // 5, 200),
            max_poll_interval_ms=settings.max_poll_interval_ms,
            rebalance_timeout_ms=settings.max_poll_interval_ms,
            max_partition_fetch_bytes=max(batch_bytes // 4, 2 * 1024 * 1024),
            fetch_max_bytes=batch_bytes,
            partition_assignment_strategy=(RangePartitionAssignor,),
            isolation_level="read_committed",
        )

    async def start(
        self,
        on_assigned: Callable[[frozenset[Partition]], Awaitable[None]],
        on_revoked: Callable[[], Awaitable[None]],
    ) -> None:
        """Join the group; from now on the callbacks follow each rebalance."""
        self._consumer.subscribe(topics=list(self._topics), listener=_Listener(on_assigned, on_revoked))
        try:
            await self._consumer.start()
        except KafkaError as error:
            raise TransientError(f"Kafka: {error}") from error

    async def stop(self) -> None:
        """Leave the group."""
        await self._consumer.stop()

    async def fetch(self, max_records: int) -> Sequence[Record]:
        """Return the next records of all assigned partitions; empty after half a second without any."""
        fetched = await self._consumer.getmany(timeout_ms=_FETCH_WAIT_MS, max_records=max_records)
        return [
            Record(place.topic, place.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
            for place, records in fetched.items()
            for r in records
        ]

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Acknowledge all before each position."""
        try:
            await self._consumer.commit({TopicPartition(*place): offset for place, offset in positions.items()})
        except _EVICTIONS as error:
            raise Evicted(f"the commit was refused: {type(error).__name__}") from error
        except KafkaError as error:
            if error.retriable:
                raise TransientError(f"Kafka: commit: {error}") from error
            raise

    async def rewind(self) -> None:
        """Go back to the last acknowledged positions."""
        places = self._consumer.assignment()
        if places:
            try:
                await self._consumer.seek_to_committed(*places)
            except IllegalStateError:
                return  # a rebalance is under way: the new assignment starts from the last commit anyhow
            except KafkaError as error:
                raise TransientError(f"Kafka: {error}") from error

    def pause(self) -> None:
        """Fetch nothing until ``resume``."""
        self._consumer.pause(*self._consumer.assignment())

    def resume(self) -> None:
        """Fetch again."""
        paused = self._consumer.paused()
        if paused:
            self._consumer.resume(*paused)

    def assigned(self) -> frozenset[Partition]:
        """Return the partitions that this worker owns."""
        return frozenset((place.topic, place.partition) for place in self._consumer.assignment())


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # publishes no types
    def __init__(self, on_assigned: Callable[[frozenset[Partition]], Awaitable[None]], on_revoked: Callable[[], Awaitable[None]]) -> None:
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        if revoked:
            await self._on_revoked()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        await self._on_assigned(frozenset((place.topic, place.partition) for place in assigned))


class KafkaSink:
    """Publishes outputs as one batch a partition, confirmed by all in-sync replicas."""

    def __init__(self, settings: KafkaSettings, client: str, *, max_record_bytes: int) -> None:
        self._producer = AIOKafkaProducer(
            **connection(settings),
            client_id=client,
            acks="all",
            enable_idempotence=settings.idempotence,
            max_request_size=max_record_bytes + SPARE_BYTES,
            max_batch_size=_BATCH_BYTES,
        )
        self._counts: dict[str, int] = {}

    async def start(self) -> None:
        """Connect."""
        try:
            await self._producer.start()
        except KafkaError as error:
            raise TransientError(f"Kafka: {error}") from error

    async def stop(self) -> None:
        """Disconnect, with nothing left unsent."""
        await self._producer.stop()

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Publish *outputs* in order; return when the broker has confirmed every one."""
        by_place: defaultdict[Partition, list[Output]] = defaultdict(list)
        try:
            for output in outputs:
                count = self._counts.get(output.topic) or await self._count(output.topic)
                by_place[output.topic, partition_of(output.partition_key, count)].append(output)
            deliveries = await asyncio.gather(*(self._send(place, part) for place, part in by_place.items()), return_exceptions=True)
        except KafkaError as error:
            raise _publish_error(error) from error
        for failure in deliveries:
            if isinstance(failure, KafkaError):
                raise _publish_error(failure) from failure
            if isinstance(failure, BaseException):
                raise failure

    async def check_partitions(self, expected: Mapping[str, int | None]) -> None:
        """Return if every topic exists with its expected partition count; None accepts any.

        Raises:
            TransientError: A topic does not exist (yet).
            ConfigurationError: A topic has another count: keys would move to other partitions and lose their order.
        """
        for topic, count in expected.items():
            found = await self._count(topic)
            if count is not None and found != count:
                raise ConfigurationError(
                    f"Kafka: topic {topic} has {found} partitions, configured are {count}; set GROUNDSWELL_TOPIC_PARTITIONS, "
                    "or follow the stop-and-drain procedure of docs/RUNBOOK.md"
                )

    async def _send(self, place: Partition, outputs: Sequence[Output]) -> None:
        topic, partition = place
        unsent = list(outputs)
        position = 0
        while position < len(unsent):
            batch = self._producer.create_batch()
            while position < len(unsent):
                output = unsent[position]
                if batch.append(key=output.key, value=output.value, timestamp=None, headers=list(output.headers)) is None:
                    break
                position += 1
            delivery = await self._producer.send_batch(batch, topic, partition=partition)
            await delivery

    async def _count(self, topic: str) -> int:
        partitions = await self._producer.partitions_for(topic)
        if not partitions:
            raise TransientError(f"Kafka: topic {topic} does not exist; create it with: groundswell topics apply")
        self._counts[topic] = len(partitions)
        return len(partitions)


def _publish_error(error: KafkaError) -> TransientError | PermanentError:
    if isinstance(error, MessageSizeTooLargeError | RecordTooLargeError):
        return PermanentError(f"Kafka: {error}")
    return TransientError(f"Kafka: publish: {type(error).__name__}")
