"""``python -m services.dedup`` with its model on a real broker: board events in, decisions and states out, kill -9s in between."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.common.events import BoardEvent, Decision, Idea
from services.common.records import Record
from services.console.embedded.broker import EmbeddedBroker
from services.dedup.offline import cluster_events, open_encoder
from services.dedup.settings import DedupSettings
from tests.fakes_dedup import BOARDS, CODEC, command, event_of, idea_name, models_folder, submitted
from tests.support.one_service import ServiceProcess, broker_with_topics, publish, reading

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(500)]

_PATIENCE_SECONDS = 150
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


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A broker with every topic."""
    with broker_with_topics(tmp_path) as running:
        yield running


@pytest.fixture
def dedup(broker: EmbeddedBroker, tmp_path: Path) -> Iterator[ServiceProcess]:
    """The service, not started yet."""
    settings = {"GROUNDSWELL_MODEL_CACHE": str(models_folder()), "GROUNDSWELL_BATCH_RECORDS": "3"}
    service = ServiceProcess("dedup", broker.bootstrap_servers, tmp_path, **settings)
    yield service
    service.end(signal.SIGKILL)


class Readers:
    """Reads what dedup has published so far."""

    def __init__(self, consumer: Any) -> None:
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


def _healthz(port: int) -> float:
    started = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
        assert answer.status == 200
    return time.monotonic() - started


async def test_decisions_survive_a_kill_and_a_second_publication(broker: EmbeddedBroker, dedup: ServiceProcess) -> None:
    history = _history()
    encoder = open_encoder(DedupSettings(model_cache=models_folder()))
    expected = cluster_events(history, encoder=encoder)
    wanted = sorted(
        (replace(decision, origin=None) for decision in expected.decisions), key=lambda decision: (decision.board, decision.sequence)
    )
    await publish(broker.bootstrap_servers, [CODEC.output(event) for event in history])

    async with reading(broker.bootstrap_servers, (Decision.TOPIC, Idea.TOPIC)) as consumer:
        readers = Readers(consumer)
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
        planned = event_of(999, type="status_changed", idea_id=idea_name(1, BOARDS[1]), status="planned", board=BOARDS[1])
        await publish(broker.bootstrap_servers, [CODEC.output(event) for event in (*history, planned)])
        await readers.until(lambda: len(readers.decisions) > said, dedup.log)
        await readers.take(2000)
        assert [event_of(999).event_id] == [decision.event_id for decision in readers.decisions[said:]]

        said = len(readers.decisions)
        (encoder_process,) = psutil.Process(dedup.pid).children()
        encoder_process.kill()
        unheard_of = submitted(1000, "a barometer in the footer", board=BOARDS[0])
        await publish(broker.bootstrap_servers, [CODEC.output(unheard_of)])
        await readers.until(lambda: len(readers.decisions) > said, dedup.log)
        assert {unheard_of.event_id} == {decision.event_id for decision in readers.decisions[said:]}

    assert "encoder_died" in dedup.log()
    assert dedup.end(signal.SIGTERM) == 0, dedup.log()
    for line in dedup.log().splitlines():
        assert "crash" not in json.loads(line)["event"]
        assert not any(wish in line for wish in _WISHES), "a log line quotes a payload"
