"""``python -m services.dedup`` with its model on a real broker: board events in, decisions and states out, a kill -9 in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.common.events import BoardEvent, Decision, Idea
from services.common.kafka import KafkaSink
from services.common.paths import ROOT
from services.common.records import Record
from services.common.settings import KafkaSettings
from services.common.topics import load_topics
from services.console.embedded.broker import EmbeddedBroker, free_port
from services.dedup.offline import cluster_events, open_encoder
from services.dedup.settings import DedupSettings
from tests.fakes_dedup import BOARDS, CODEC, command, event_of, idea_name, models_folder, submitted

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(300)]

_PARTITIONS = 4
_PATIENCE_SECONDS = 90
_WISHES = ("add a dark mode", "export a board to PDF", "the app crashes when I open a large board", "lock a frame", "a mobile app")
_WAYS = (
    "{}",
    "please {}",
    "could you {}?",
    "{} would be great",
    "I need this: {}",
    "why is there no way: {}",
    "{}!!!",
    "Hi team, {} thanks",
)


def _history() -> list[BoardEvent]:
    texts = [way.format(wish) for way in _WAYS for wish in _WISHES]
    events = [submitted(n, text, board=BOARDS[n % 2], person=f"p{n % 7}") for n, text in enumerate(texts)]
    after = len(events)
    pair = {"idea_id": idea_name(0), "other_idea_id": idea_name(2)}
    return [
        *events,
        command(after, "merge", **pair),
        event_of(after + 1, type="status_changed", idea_id=idea_name(0), status="shipped", release_id="r1"),
        submitted(after + 2, "Add a  DARK mode"),
        event_of(after + 3, type="retracted", feedback_id=events[4].feedback_id, revision=1),
        command(after + 4, "rename", idea_id="nowhere", title="x"),
    ]


class Dedup:
    """The service as a process of its own, started again after a kill on the same store."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self._folder = folder
        self.http_port = free_port()
        self._environment = os.environ | {
            "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "GROUNDSWELL_KAFKA_IDEMPOTENCE": "false",
            "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": "6000",
            "GROUNDSWELL_TOPIC_PARTITIONS": str(_PARTITIONS),
            "GROUNDSWELL_DATA_DIR": str(folder),
            "GROUNDSWELL_MODEL_CACHE": str(models_folder()),
            "GROUNDSWELL_HTTP_PORT": str(self.http_port),
            "GROUNDSWELL_BATCH_RECORDS": "3",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "dedup.log").open("ab") as log:
            command_line = [sys.executable, "-m", "services.dedup"]
            self._process = subprocess.Popen(command_line, cwd=ROOT, env=self._environment, stderr=log, stdout=log)

    def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(how)
        return self._process.wait(30)

    def log(self) -> str:
        return (self._folder / "dedup.log").read_text()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A broker with every topic."""
    with EmbeddedBroker(tmp_path / "broker.log") as running:
        asyncio.run(_create_topics(running.bootstrap_servers))
        yield running


@pytest.fixture
def dedup(broker: EmbeddedBroker, tmp_path: Path) -> Iterator[Dedup]:
    """The service, not started yet."""
    service = Dedup(broker.bootstrap_servers, tmp_path)
    yield service
    service.end(signal.SIGKILL)


async def _create_topics(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, _PARTITIONS, 1) for name in sorted(load_topics())])
    finally:
        await admin.close()


class Readers:
    """Reads what dedup has published so far."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.decisions: list[Decision] = []
        self.ideas: list[Idea] = []

    async def until(self, is_enough: Callable[[], bool], log: Callable[[], str]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_enough():
            assert time.monotonic() < deadline, f"{len(self.decisions)} decisions after {_PATIENCE_SECONDS} s\n{log()}"
            await self.take(500)

    async def take(self, wait_ms: int) -> None:
        for records in (await self._consumer.getmany(timeout_ms=wait_ms)).values():
            for record in records:
                taken = Record(record.topic, record.partition, record.offset, record.timestamp, record.key, record.value)
                if record.topic == Decision.TOPIC:
                    self.decisions.append(CODEC.decoder(Decision)(taken))
                else:
                    self.ideas.append(CODEC.decoder(Idea)(taken))

    def distinct(self) -> list[Decision]:
        """Return every decision once, each board's in its sequence; a crash may have published some twice, byte for byte."""
        kept = {decision.decision_id: decision for decision in self.decisions}
        assert all(kept[decision.decision_id] == decision for decision in self.decisions)
        return sorted(kept.values(), key=lambda decision: (decision.board, decision.sequence))


@contextlib.asynccontextmanager
async def _reading(bootstrap: str) -> AsyncIterator[Readers]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, n) for topic in (Decision.TOPIC, Idea.TOPIC) for n in range(_PARTITIONS)])
        yield Readers(consumer)
    finally:
        await consumer.stop()


async def _publish(bootstrap: str, events: Sequence[BoardEvent]) -> None:
    sink = KafkaSink(KafkaSettings(bootstrap_servers=bootstrap, idempotence=False), "test", max_record_bytes=1 << 20)
    await sink.start()
    try:
        await sink.publish([CODEC.output(event) for event in events])
    finally:
        await sink.stop()


def _healthz(port: int) -> float:
    started = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
        assert answer.status == 200
    return time.monotonic() - started


async def test_decisions_survive_a_kill_and_a_second_publication(broker: EmbeddedBroker, dedup: Dedup) -> None:
    history = _history()
    encoder = open_encoder(DedupSettings(model_cache=models_folder()))
    expected = cluster_events(history, encoder=encoder)
    wanted = sorted(
        (replace(decision, origin=None) for decision in expected.decisions), key=lambda decision: (decision.board, decision.sequence)
    )
    await _publish(broker.bootstrap_servers, history)

    async with _reading(broker.bootstrap_servers) as readers:
        dedup.start()
        await readers.until(lambda: len(readers.decisions) >= len(wanted) // 3, dedup.log)
        assert await asyncio.to_thread(_healthz, dedup.http_port) < 2
        dedup.end(signal.SIGKILL)
        dedup.start()
        await readers.until(lambda: len(readers.distinct()) >= len(wanted), dedup.log)

        assert wanted == [replace(decision, origin=None) for decision in readers.distinct()]
        present: dict[str, Idea] = {}
        for idea in readers.ideas:
            if idea.idea_id not in present or idea.version >= present[idea.idea_id].version:
                present[idea.idea_id] = idea
        assert {idea.idea_id: idea for idea in expected.ideas} == present

        said = len(readers.decisions)
        await _publish(
            broker.bootstrap_servers,
            [*history, event_of(999, type="status_changed", idea_id=idea_name(1, BOARDS[1]), status="planned", board=BOARDS[1])],
        )
        await readers.until(lambda: len(readers.decisions) > said, dedup.log)
        await readers.take(2000)
        assert [event_of(999).event_id] == [decision.event_id for decision in readers.decisions[said:]]

    assert dedup.end(signal.SIGTERM) == 0, dedup.log()
    for line in dedup.log().splitlines():
        assert "crash" not in json.loads(line)["event"]
        assert not any(wish in line for wish in _WISHES), "a log line quotes a payload"
