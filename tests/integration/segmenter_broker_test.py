"""``python -m services.segmenter`` on a real broker: people, accounts and decisions in, facts and states out, a kill -9 in between."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.common.events import Decision, EnrichedFeedback, Event, IdeaDemand, PersonSegments, SegmentTransition
from services.common.kafka import KafkaSink
from services.common.paths import ROOT
from services.common.records import Output
from services.common.settings import KafkaSettings
from services.common.topics import load_topics
from services.console.embedded.broker import EmbeddedBroker, free_port
from tests.unit.segmenter_history import History, Truth
from tests.unit.segmenter_mortal import Mortal
from tests.unit.segmenter_world import CODEC, DEFINITION, START, Board, Segmenter, define

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

_PARTITIONS = 4
_PATIENCE_SECONDS = 60
_READ = (EnrichedFeedback, PersonSegments, SegmentTransition, IdeaDemand)


class Service:
    """The segmenter as a process of its own, started again after a kill on the same store."""

    def __init__(self, bootstrap: str, folder: Path, segments: str = DEFINITION) -> None:
        self._folder = folder
        self.http_port = free_port()
        (folder / "segments.yaml").write_text(segments)
        self._environment = os.environ | {
            "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "GROUNDSWELL_KAFKA_IDEMPOTENCE": "false",
            "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": "6000",
            "GROUNDSWELL_TOPIC_PARTITIONS": str(_PARTITIONS),
            "GROUNDSWELL_DATA_DIR": str(folder),
            "GROUNDSWELL_SEGMENTS_FILE": str(folder / "segments.yaml"),
            "GROUNDSWELL_HTTP_PORT": str(self.http_port),
            "GROUNDSWELL_BATCH_RECORDS": "20",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "segmenter.log").open("ab") as log:
            command_line = [sys.executable, "-m", "services.segmenter"]
            self._process = subprocess.Popen(command_line, cwd=ROOT, env=self._environment, stderr=log, stdout=log)

    def end(self, how: signal.Signals | None = None) -> int:
        assert self._process is not None
        if how is not None and self._process.poll() is None:
            self._process.send_signal(how)
        return self._process.wait(30)

    def lose(self) -> None:
        """Delete the store."""
        for path in self._folder.glob("segmenter.db*"):
            path.unlink()

    def log(self) -> str:
        return (self._folder / "segmenter.log").read_text()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A broker with every topic."""
    with EmbeddedBroker(tmp_path / "broker.log") as running:
        asyncio.run(_create_topics(running.bootstrap_servers))
        yield running


@pytest.fixture
def service(broker: EmbeddedBroker, tmp_path: Path) -> Iterator[Service]:
    """The service, started."""
    running = Service(broker.bootstrap_servers, tmp_path)
    running.start()
    yield running
    running.end(signal.SIGKILL)


async def _create_topics(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, _PARTITIONS, 1) for name in sorted(load_topics())])
    finally:
        await admin.close()


async def _publish(bootstrap: str, events: Sequence[Event]) -> None:
    sink = KafkaSink(KafkaSettings(bootstrap_servers=bootstrap, idempotence=False), "test", max_record_bytes=1 << 20)
    await sink.start()
    try:
        await sink.publish([CODEC.output(event) for event in events])
    finally:
        await sink.stop()


class Reader:
    """Reads what the segmenter has published so far, in the shape of the in-memory one."""

    def __init__(self, consumer: AIOKafkaConsumer, shape: Segmenter) -> None:
        self._consumer = consumer
        self.seen = shape

    async def until(self, is_so: Callable[[], bool], log: Callable[[], str]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < deadline, f"{len(self.seen.published)} records after {_PATIENCE_SECONDS} s\n{log()}"
            await self.take(300)

    async def take(self, wait_ms: int) -> None:
        for records in (await self._consumer.getmany(timeout_ms=wait_ms)).values():
            for record in records:
                self.seen.published.append(Output(record.topic, record.key, record.value, record.key))


@contextlib.asynccontextmanager
async def _reading(bootstrap: str, shape: Segmenter) -> AsyncIterator[Reader]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(kind.TOPIC, n) for kind in _READ for n in range(_PARTITIONS)])
        yield Reader(consumer, shape)
    finally:
        await consumer.stop()


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def test_a_kill_and_a_second_publication_change_nothing(broker: EmbeddedBroker, service: Service, tmp_path: Path) -> None:
    definition = define(tmp_path)
    history = History(random.Random(7), 400)
    truth = Truth(history, definition)
    bootstrap = broker.bootstrap_servers
    async with _reading(bootstrap, Segmenter(definition)) as reader:
        await _publish(bootstrap, history.events)
        await reader.until(lambda: len(reader.seen.events(EnrichedFeedback)) > 20, service.log)
        service.end(signal.SIGKILL)
        service.start()
        await reader.until(lambda: reader.seen.demand() == truth.demand(), service.log)
        await reader.until(lambda: _is_healthy(service.http_port), service.log)  # all may have been said before the kill

        links = {event.feedback_id for event in history.events if isinstance(event, Decision) and event.type == "linked"}
        rows = {(row.feedback_id, row.enrichment_version): row for row in reader.seen.events(EnrichedFeedback)}
        assert all(rows[row.feedback_id, row.enrichment_version] == row for row in reader.seen.events(EnrichedFeedback))
        assert links == {feedback for feedback, version in rows if version == 1}
        assert present(reader.seen) == truth.memberships_of_somebody()

        await reader.take(2_000)
        said = len(reader.seen.published)
        other = Board("last")
        await _publish(bootstrap, [*history.events, *(other.link(f"last{n}", f"nobody{n}", "last", START) for n in range(5))])
        await reader.until(lambda: "last" in reader.seen.demand() and reader.seen.demand()["last"]["mentions"] == 5, service.log)
        await reader.take(2_000)
        assert {row.board for row in reader.seen.events(IdeaDemand)[-5:]} == {"last"}
        assert len(reader.seen.published) == said + 10
    assert service.end(signal.SIGTERM) == 0, service.log()
    assert not any("words" in line or "crash" in orjson.loads(line)["event"] for line in service.log().splitlines())


async def test_a_store_that_is_deleted_comes_back_and_contradicts_nothing(broker: EmbeddedBroker, service: Service, tmp_path: Path) -> None:
    definition = define(tmp_path)
    history = History(random.Random(8), 400)
    truth = Truth(history, definition)
    bootstrap = broker.bootstrap_servers
    async with _reading(bootstrap, Mortal(definition)) as reader:
        await _publish(bootstrap, history.events[:350])
        await reader.until(lambda: len(reader.seen.events(EnrichedFeedback)) > 60, service.log)
        service.end(signal.SIGKILL)
        await _publish(bootstrap, history.events[350:])
        service.lose()
        service.start()
        await reader.until(lambda: "recalled" in service.log(), service.log)
        service.end(signal.SIGKILL)  # perhaps before the store was born, perhaps after
        service.start()
        await reader.until(lambda: reader.seen.demand() == truth.demand(), service.log)
        await reader.until(lambda: present(reader.seen) == truth.memberships_of_somebody(), service.log)
        await reader.take(2_000)
        assert isinstance(reader.seen, Mortal)
        reader.seen.check_facts()
        links = {event.feedback_id for event in history.events if isinstance(event, Decision) and event.type == "linked"}
        assert links == {row.feedback_id for row in reader.seen.events(EnrichedFeedback)}
    assert service.end(signal.SIGTERM) == 0, service.log()


def present(seen: Segmenter) -> dict[str, dict[str, str]]:
    """Return the memberships that a reader of the compacted topic sees."""
    rows: dict[str, dict[str, str] | None] = {}
    outputs = [output for output in seen.published if output.topic == PersonSegments.TOPIC]
    for output, row in zip(outputs, seen.events(PersonSegments), strict=True):
        rows[(output.key or b"").decode()] = None if row is None else orjson.loads(row.segments_json)
    return {person: segments for person, segments in rows.items() if segments is not None}


def test_a_wrong_definition_refuses_start_and_names_the_place(tmp_path: Path) -> None:
    service = Service("127.0.0.1:1", tmp_path, DEFINITION.replace("account.mrr > 0", "acount.mrr > 0"))
    service.start()
    assert service.end() == 78
    assert "segments.yaml:7: schemes.plan.rules.paying.when: unknown variable 'acount'" in service.log()
