"""Carries records from topic to topic by librdkafka as its guide shows it: consume, produce, flush, commit. For ``bench/failover.py``."""

from __future__ import annotations

import argparse
import sys

from confluent_kafka import Consumer, KafkaException, Producer

_BATCH_RECORDS = 500


def main() -> None:
    """Carry until killed."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "source", "target", "group"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    common = {"bootstrap.servers": given.bootstrap, "log_level": 2}
    producer = Producer({**common, "acks": "all", "enable.idempotence": True, "partitioner": "murmur2"})
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
    consumer.subscribe([given.source])
    while True:
        records = [record for record in consumer.consume(_BATCH_RECORDS, 0.5) if record.error() is None]
        for record in records:
            producer.produce(given.target, key=record.key(), value=record.value())
        producer.flush()
        if records:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as error:
                print(error, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
