"""A service whose store is new: it reads back what it has said, then its inputs from their beginning."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from services.common.kafka_log import read_whole
from services.common.kafka_rewind import StillRunning, has_read, set_back
from services.common.logs import get_logger
from services.common.ports import Birth, Partition, Recall
from services.common.settings import KafkaSettings

log = get_logger(__name__)

_SAY_EVERY_SECONDS = 10.0


async def complete_store(
    kafka: KafkaSettings,
    group: str,
    *,
    inputs: Sequence[Partition],
    outputs: Mapping[str, int],
    birth: Birth,
    recall: Recall,
    batch_bytes: int,
) -> None:
    """Return once the store of *birth* lacks nothing of what the service has said; at once where it was born long ago.

    What is interrupted begins anew: taking in what was taken in already changes nothing.

    Args:
        kafka: Where.
        group: The service's consumer group.
        inputs: All partitions that the group reads; they are read again from their beginning.
        outputs: The partition count of every topic that *recall* names.
        birth: Of the store.
        recall: Takes in what was said.
        batch_bytes: So much of a topic waits in memory at most.

    Raises:
        TransientError: The broker or the store is away, or other workers are still at work on the store that was lost.
    """
    if await birth.is_born():
        return
    for topic in recall.topics:
        await _read_back(kafka, topic, outputs[topic], recall, batch_bytes)
    if await has_read(kafka, group, inputs):
        log.warning("reading_again", group=group, partitions=len(inputs), why="the store is new")
        try:
            await set_back(kafka, group, inputs)
        except StillRunning:
            if await birth.is_born():
                return  # another worker was faster, and is at work
            raise
    await birth.mark_born()


async def _read_back(kafka: KafkaSettings, topic: str, partitions: int, recall: Recall, batch_bytes: int) -> None:
    began = said = time.monotonic()
    count = 0
    async for records in read_whole(kafka, topic, partitions, batch_bytes=batch_bytes):
        await recall.recall(topic, records)
        count += len(records)
        if time.monotonic() - said >= _SAY_EVERY_SECONDS:
            said = time.monotonic()
            log.info("recalling", topic=topic, records=count)
    if count:
        log.info("recalled", topic=topic, records=count, seconds=round(time.monotonic() - began, 1))
