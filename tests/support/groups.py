"""Consumer groups, set back to the beginning."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

_PATIENCE_SECONDS = 30.0


async def reset_group(bootstrap_servers: str, group: str, topics: list[str]) -> None:
    """Set *group*, which must have no members any more, back to the first record of each of *topics*."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=group, enable_auto_commit=False)
            await consumer.start()
            try:
                await consumer._client.force_metadata_update()
                counts = {topic: await consumer._client._wait_on_metadata(topic) for topic in topics}
                places = [TopicPartition(topic, number) for topic in counts for number in consumer.partitions_for_topic(topic) or ()]
                consumer.assign(places)
                await consumer.commit(dict.fromkeys(places, 0))
                return
            except KafkaError:
                await asyncio.sleep(0.5)  # the last member is still being counted out
            finally:
                await consumer.stop()
