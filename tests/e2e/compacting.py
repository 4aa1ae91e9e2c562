"""A broker's own compaction, made to happen while one looks on: Apache Kafka only, the embedded broker compacts nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.common.records import Output, Record
from services.console.cluster import Cluster
from services.console.topics import wanted_topics

_AT_ONCE = {
    "cleanup.policy": "compact",
    "segment.ms": "500",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "500",
    "delete.retention.ms": "0",
}
_LOOK_AGAIN_SECONDS = 2.0
_SPREAD = 40
"""Keys that reach every partition."""


async def compacted(
    cluster: Cluster,
    bootstrap: str,
    topics: Sequence[str],
    *,
    idle: Sequence[str],
    speaking: Callable[[Sequence[Record]], Sequence[Record]],
    go_on: Callable[[int], Awaitable[None]],
    seconds: float,
) -> dict[str, int]:
    """Let *topics* be compacted at once, until no record in them is *speaking*; return how many still do after *seconds*. Afterwards they
    are as they were.

    A segment is compacted once another one was begun behind it: *go_on* has the services write more, and to the *idle* ones, which no
    service reads while it runs, tombstones of keys that nobody used are published.
    """
    await _alter(bootstrap, dict.fromkeys(topics, _AT_ONCE))
    try:
        return await _until_silent(cluster, topics, idle, speaking=speaking, go_on=go_on, seconds=seconds)
    finally:
        await _alter(bootstrap, {topic: wanted_topics()[topic].config() for topic in topics})


async def _alter(bootstrap: str, configs: Mapping[str, Mapping[str, str]]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(config)) for topic, config in configs.items()])
    finally:
        await admin.close()


async def _until_silent(
    cluster: Cluster,
    topics: Sequence[str],
    idle: Sequence[str],
    *,
    speaking: Callable[[Sequence[Record]], Sequence[Record]],
    go_on: Callable[[int], Awaitable[None]],
    seconds: float,
) -> dict[str, int]:
    deadline, turn = time.monotonic() + seconds, 0
    while True:
        await go_on(turn)
        for topic in idle:
            keys = [f"nobody-{turn}-{number}".encode() for number in range(_SPREAD)]
            await cluster.publish([Output(topic, key, None, key) for key in keys])
        read = await cluster.read(topics)
        left = {topic: len(found) for topic, records in read.items() if (found := speaking(records))}
        if not left or time.monotonic() > deadline:
            return left
        turn += 1
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
