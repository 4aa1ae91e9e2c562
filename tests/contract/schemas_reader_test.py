"""The independent reader reads a running broker to its end, tombstones and all versions included."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from services.common.codec import Codec
from services.common.events import ALL_EVENTS
from services.common.paths import SCHEMAS
from services.common.registry import FileIds, Schemas
from services.console.embedded.broker import EmbeddedBroker
from tests.independent_reader import as_micros, read_topics

pytestmark = pytest.mark.stack


def test_a_stranger_reads_every_published_topic(tmp_path: Path) -> None:
    codec = Codec(Schemas(FileIds()))
    written: dict[str, dict[str | None, object]] = {event.TOPIC: {} for event in ALL_EVENTS}
    with EmbeddedBroker(tmp_path / "broker.log") as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        for made in admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1) for topic in written]).values():
            made.result(timeout=30)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        for kind in ALL_EVENTS:
            for number, path in enumerate(sorted((SCHEMAS / "examples" / kind.TOPIC).glob("v*/*.json"))):
                event, name = kind(**json.loads(path.read_text())), f"{path.parent.name}/{path.stem}"
                producer.produce(kind.TOPIC, codec.encode(event), name, partition=number % 3)
                written[kind.TOPIC][name] = asdict(event)
            producer.produce(kind.TOPIC, None, "gone", partition=0)
            written[kind.TOPIC]["gone"] = None
        assert producer.flush(30) == 0
        rows = read_topics(broker.bootstrap_servers, written)
        with pytest.raises(KafkaException):
            read_topics(broker.bootstrap_servers, ["no.such.topic"], timeout_seconds=5)
    assert written == {topic: {row.key: row.value and as_micros(row.value) for row in found} for topic, found in rows.items()}
