"""A service's group: how far it has read, and how it is set back so that it reads again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from services.common.errors import TransientError
from services.common.kafka import EVICTIONS, connection, kafka_errors
from services.common.kafka_group import noted
from services.common.ports import Partition
from services.common.settings import KafkaSettings

_JOIN_SECONDS = 60.0
_LOOK_MS = 200


class StillRunning(TransientError):  # noqa: N818 - a state, not a failure
    """Other members of the group are at work."""


async def has_read(kafka: KafkaSettings, group: str, partitions: Sequence[Partition]) -> bool:
    """Tell whether *group* has acknowledged anything of *partitions*.

    Raises:
        TransientError: The broker does not answer.
    """
    consumer = _member(kafka, group)
    try:
        with kafka_errors("committed offsets"):
            await consumer.start()
            for place in partitions:
                async with asyncio.timeout(kafka.request_timeout_ms / 1000):
                    if await consumer.committed(TopicPartition(*place)):
                        return True
    finally:
        await consumer.stop()
    return False


async def set_back(
    kafka: KafkaSettings, group: str, partitions: Sequence[Partition], since: datetime | None = None
) -> Mapping[Partition, int]:
    """Let *group* begin again, in each of *partitions*, with its first record, or its first since *since*; return those positions.

    We join the group for that moment: who gets every partition is alone, so no worker runs that would go on where it is.

    Raises:
        StillRunning: Workers of the group still run; nothing was changed.
        TransientError: The broker does not answer.
    """
    consumer = _member(kafka, group)
    wanted = {TopicPartition(*place) for place in partitions}
    try:
        with kafka_errors("set back"):
            await consumer.start()
            consumer.subscribe(topics=sorted({topic for topic, _ in partitions}))
            await _joined(consumer, group, wanted)
            positions = await _positions(consumer, wanted, since)
            left = await noted(kafka, group, wanted)  # whoever comes next still has to fence them
            try:
                await consumer.commit({place: (position, left[place].claim) for place, position in positions.items()})
            except EVICTIONS as error:
                raise _running(group) from error
    finally:
        await consumer.stop()
    return {(place.topic, place.partition): position for place, position in positions.items()}


def _member(kafka: KafkaSettings, group: str) -> Any:
    return AIOKafkaConsumer(
        **connection(kafka),
        group_id=group,
        enable_auto_commit=False,
        session_timeout_ms=kafka.session_timeout_ms,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )


async def _joined(consumer: Any, group: str, wanted: set[TopicPartition]) -> None:
    try:
        async with asyncio.timeout(_JOIN_SECONDS):
            while not consumer.assignment():
                await consumer.getmany(timeout_ms=_LOOK_MS, max_records=1)  # read, never acknowledged
    except TimeoutError:
        raise _running(group) from None
    if not wanted <= consumer.assignment():
        raise _running(group)


async def _positions(consumer: Any, wanted: set[TopicPartition], since: datetime | None) -> dict[TopicPartition, int]:
    first: dict[TopicPartition, int] = await consumer.beginning_offsets(list(wanted))
    if since is None:
        return first
    ends = await consumer.end_offsets(list(wanted))
    found = await consumer.offsets_for_times(dict.fromkeys(wanted, int(since.timestamp() * 1000)))
    return {place: ends[place] if (at := found.get(place)) is None else at.offset for place in wanted}


def _running(group: str) -> StillRunning:
    return StillRunning(f"workers of {group} still run, or have not been counted out yet; stop them first")
