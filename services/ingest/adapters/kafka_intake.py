"""The broker's side of the intake: each body confirmed by all replicas before anybody is told that it was accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.common.deadletter import SPARE_BYTES
from services.common.errors import ConfigurationError, TransientError
from services.common.kafka import connection, kafka_errors, partition_of
from services.common.settings import KafkaSettings
from services.ingest.ports import Publish

_LINGER_MS = 2


@asynccontextmanager
async def open_publisher(kafka: KafkaSettings, topics: Sequence[str], *, wait_seconds: float, max_bytes: int) -> AsyncIterator[Publish]:
    """Yield what publishes to *topics*; an endpoint's bodies keep their order, in one partition.

    Raises:
        TransientError: The broker does not answer.
        ConfigurationError: A topic does not exist.
    """
    # A retry may publish a body twice; ingest knows a repeat. So idempotence, whose batches never give up, is not wanted here.
    producer = AIOKafkaProducer(
        **connection(kafka), acks="all", enable_idempotence=False, linger_ms=_LINGER_MS, max_request_size=max_bytes + SPARE_BYTES
    )
    try:
        with kafka_errors("starting the intake"):
            await producer.start()
            counts = {topic: len(await producer.partitions_for(topic)) for topic in topics}
    except BaseException:
        await producer.stop()
        raise

    async def publish(topic: str, key: bytes, value: bytes) -> None:
        try:
            async with asyncio.timeout(wait_seconds):
                await producer.send_and_wait(topic, value, key=key, partition=partition_of(key, counts[topic]))
        except (KafkaError, TimeoutError) as error:
            raise TransientError(f"Kafka: the intake's record was not confirmed: {type(error).__name__}") from error

    try:
        missing = sorted(topic for topic, count in counts.items() if not count)
        if missing:
            raise ConfigurationError(
                f"the intake needs topics that do not exist: {', '.join(missing)}; `groundswell topics apply` creates them"
            )
        yield publish
    finally:
        await producer.stop()
