"""What a consumer group has acknowledged, and what its owners left beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from services.common.errors import TransientError
from services.common.kafka import closing, connection, kafka_errors
from services.common.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class Noted:
    """What a group knows of a partition."""

    position: int | None
    """The next offset to be read; None where nothing was acknowledged yet."""
    claim: str
    """What its owner left with it (see ``services.common.kafka_transactions``); empty without one."""


async def noted(settings: KafkaSettings, group: str, places: Iterable[TopicPartition]) -> Mapping[TopicPartition, Noted]:
    """Return what *group* knows of each of *places*.

    Raises:
        TransientError: The group's coordinator does not answer.
    """
    wanted = list(places)
    admin = AIOKafkaAdminClient(**connection(settings))
    with kafka_errors("committed positions"):
        async with asyncio.timeout(settings.request_timeout_ms / 1000):
            try:
                await admin.start()
                found = await admin.list_consumer_group_offsets(group, partitions=wanted)
            finally:
                await closing("admin", admin.close())
    if not found.keys() >= set(wanted):  # aiokafka passes over an error that is about the whole group
        raise TransientError("Kafka: committed positions: the group's coordinator is not ready")
    return {place: Noted(found[place].offset if found[place].offset >= 0 else None, found[place].metadata or "") for place in wanted}
