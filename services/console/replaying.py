"""A service's group set back, so that it reads again what it has read before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from services.common.kafka import connection
from services.common.ports import Partition
from services.common.settings import KafkaSettings
from services.console.failures import CommandFailed, ExitCode

_JOIN_SECONDS = 60.0
_LOOK_MS = 200


async def set_back(
    kafka: KafkaSettings, service: str, partitions: Sequence[Partition], since: datetime | None = None
) -> Mapping[Partition, int]:
    """Let *service* begin again, in each of *partitions*, with its first record, or its first since *since*; return those positions.

    We join the service's group for that moment: who gets every partition is alone, so no worker runs that would go on where it is.

    Raises:
        CommandFailed: Workers of the service still run; nothing was changed.
    """
    consumer = AIOKafkaConsumer(
        **connection(kafka),
        group_id=f"groundswell-{service}",
        enable_auto_commit=False,
        session_timeout_ms=kafka.session_timeout_ms,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )
    wanted = {TopicPartition(*place) for place in partitions}
    await consumer.start()
    try:
        consumer.subscribe(topics=sorted({topic for topic, _ in partitions}))
        await _joined(consumer, service, wanted)
        positions = await _positions(consumer, wanted, since)
        try:
            await consumer.commit(positions)
        except KafkaError as error:
            raise _running(service) from error
    finally:
        await consumer.stop()
    return {(place.topic, place.partition): position for place, position in positions.items()}


async def _joined(consumer: Any, service: str, wanted: set[TopicPartition]) -> None:
    try:
        async with asyncio.timeout(_JOIN_SECONDS):
            while not consumer.assignment():
                await consumer.getmany(timeout_ms=_LOOK_MS, max_records=1)  # read, never acknowledged
    except TimeoutError:
        raise _running(service) from None
    if not wanted <= consumer.assignment():
        raise _running(service)


async def _positions(consumer: Any, wanted: set[TopicPartition], since: datetime | None) -> dict[TopicPartition, int]:
    first: dict[TopicPartition, int] = await consumer.beginning_offsets(list(wanted))
    if since is None:
        return first
    ends = await consumer.end_offsets(list(wanted))
    found = await consumer.offsets_for_times(dict.fromkeys(wanted, int(since.timestamp() * 1000)))
    return {place: ends[place] if (at := found.get(place)) is None else at.offset for place in wanted}


def _running(service: str) -> CommandFailed:
    return CommandFailed(f"workers of {service} still run, or have not been counted out yet; stop them first", ExitCode.UNAVAILABLE)
