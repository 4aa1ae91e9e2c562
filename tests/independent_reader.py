"""Reads published topics as a stranger would: librdkafka and Confluent's own deserializer, none of our code.

    rows = read_topics("127.0.0.1:9092", ["ideas", "board.decisions"])
    rows["ideas"][0].value["title"]

Schemas come over HTTP from ``tests.registry_server``, by the ids that the frames carry.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.registry_server import RegistryServer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Row:
    """One record as the stranger sees it. Moments are aware datetimes; a tombstone's value is None."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: Mapping[str, Any] | None


class StrangersDeserializer:
    """Confluent's AvroDeserializer against the registry at *url*; a context manager that closes its connections."""

    def __init__(self, url: str) -> None:
        self._client = SchemaRegistryClient({"url": url, "max.retries": 0})
        self._deserialize = AvroDeserializer(self._client, conf={"subject.name.strategy": topic_subject_name_strategy})

    def __enter__(self) -> StrangersDeserializer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.__exit__(kind, error, trace)

    def value(self, topic: str, frame: bytes | None) -> Mapping[str, Any] | None:
        """Return the fields of *frame*, a value of *topic*; None for a tombstone."""
        fields: Mapping[str, Any] | None = self._deserialize(frame, SerializationContext(topic, MessageField.VALUE))
        return fields


def as_micros(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return *fields* with every datetime as microseconds since the Unix epoch, as our events hold moments."""
    return {name: (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value for name, value in fields.items()}


def read_topics(bootstrap_servers: str, topics: Iterable[str], *, timeout_seconds: float = 60.0) -> dict[str, list[Row]]:
    """Return every row that *topics* hold at this moment, in partition order, from their beginning to their present end.

    Raises:
        TimeoutError: The broker did not deliver all of them in *timeout_seconds*.
        KafkaException: A topic does not exist, or the broker refuses.
    """
    wanted = list(topics)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"independent-reader-{time.monotonic_ns()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        partitions = [place for topic in wanted for place in _partitions(consumer, topic, timeout_seconds)]
        messages = _drain(consumer, partitions, timeout_seconds)
    finally:
        consumer.close()
    rows: dict[str, list[Row]] = {topic: [] for topic in wanted}
    with RegistryServer() as registry, StrangersDeserializer(registry.url) as stranger:
        for message in sorted(messages, key=lambda message: (message.topic(), message.partition(), message.offset())):
            key = message.key()
            value = stranger.value(message.topic(), message.value())
            rows[message.topic()].append(
                Row(message.topic(), message.partition(), message.offset(), None if key is None else key.decode(), value)
            )
    return rows


def _partitions(consumer: Consumer, topic: str, timeout_seconds: float) -> list[TopicPartition]:
    found = consumer.list_topics(topic, timeout=timeout_seconds).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    return [TopicPartition(topic, number, OFFSET_BEGINNING) for number in sorted(found.partitions)]


def _drain(consumer: Consumer, partitions: Sequence[TopicPartition], timeout_seconds: float) -> list[Message]:
    """Return all messages up to the end of every partition."""
    open_ends = {(place.topic, place.partition) for place in partitions}
    consumer.assign(list(partitions))
    deadline = time.monotonic() + timeout_seconds
    messages: list[Message] = []
    while open_ends:
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout_seconds} s these partitions were not read to their end: {sorted(open_ends)}")
        for message in consumer.consume(num_messages=500, timeout=0.5):
            error = message.error()
            if error is None:
                messages.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                open_ends.discard((message.topic(), message.partition()))
            else:
                raise KafkaException(error)
    return messages
