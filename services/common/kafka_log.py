"""Topics read whole, by a consumer that belongs to no group."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.common.kafka import connection, kafka_errors
from services.common.records import Record
from services.common.settings import KafkaSettings

_WAIT_MS = 200
_RECORDS_AT_ONCE = 500


async def read_whole(settings: KafkaSettings, topic: str, partitions: int, *, batch_bytes: int) -> AsyncIterator[Sequence[Record]]:
    """Yield what lies in *topic* now, in batches, each partition's records in order; at most *batch_bytes* wait in memory.

    Raises:
        TransientError: The broker does not answer.
    """
    consumer = AIOKafkaConsumer(
        **connection(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=max(batch_bytes // 4, 2 * 1024 * 1024),
        fetch_max_bytes=batch_bytes,
        isolation_level="read_committed",
    )
    places = [TopicPartition(topic, number) for number in range(partitions)]
    with kafka_errors(f"read {topic}"):
        try:
            await consumer.start()
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            while not await _at_end(consumer, places):
                for place, records in (await consumer.getmany(timeout_ms=_WAIT_MS, max_records=_RECORDS_AT_ONCE)).items():
                    yield [Record(topic, place.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]
        finally:
            await consumer.stop()


async def _at_end(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> bool:
    """Tell whether all is read. The end comes from the fetches: not every broker's ListOffsets can be trusted (docs/DECISIONS.md)."""
    for place in places:
        end = consumer.highwater(place)
        if end is None or await consumer.position(place) < end:
            return False
    return True
