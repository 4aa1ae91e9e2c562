"""Carries records from topic to topic by librdkafka as its guide shows it, for ``bench/failover.py``.

Consume, produce, flush, commit; with ``--transactions`` outputs and offsets in one transaction, undone and read again where that fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

_BATCH_RECORDS = 500


def _carry(consumer: Any, producer: Any, target: str, records: Sequence[Any]) -> None:
    for record in records:
        producer.produce(target, key=record.key(), value=record.value())
    producer.flush()
    consumer.commit(asynchronous=False)


def _carry_in_transaction(consumer: Any, producer: Any, target: str, records: Sequence[Any]) -> None:
    producer.begin_transaction()
    try:
        for record in records:
            producer.produce(target, key=record.key(), value=record.value())
        producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata())
        producer.commit_transaction()
    except KafkaException:
        producer.abort_transaction()
        first: dict[tuple[str, int], int] = {}
        for record in records:
            first.setdefault((record.topic(), record.partition()), record.offset())
        for (topic, partition), offset in first.items():
            consumer.seek(TopicPartition(topic, partition, offset))
        raise


def main() -> None:
    """Carry until killed."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "source", "target", "group"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--transactions", action="store_true")
    given = parser.parse_args()
    common = {"bootstrap.servers": given.bootstrap, "log_level": 2}
    safety = {"transactional.id": given.group, "transaction.timeout.ms": 20_000} if given.transactions else {"enable.idempotence": True}
    producer = Producer({**common, **safety, "acks": "all", "partitioner": "murmur2"})
    consumer = Consumer(
        {
            **common,
            "group.id": given.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "partition.assignment.strategy": "range",
            "session.timeout.ms": 20_000,
        }
    )
    if given.transactions:
        producer.init_transactions()
    carry = _carry_in_transaction if given.transactions else _carry
    consumer.subscribe([given.source])
    while True:
        records = [record for record in consumer.consume(_BATCH_RECORDS, 0.5) if record.error() is None]
        try:
            if records:
                carry(consumer, producer, given.target, records)
        except KafkaException as error:
            print(error, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
