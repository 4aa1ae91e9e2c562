"""``python -m services.segmenter`` on a real broker: people, accounts and decisions in, facts and states out, a kill -9 in between."""

from __future__ import annotations

import contextlib
import random
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.common.events import Decision, EnrichedFeedback, Event, IdeaDemand, PersonSegments, SegmentTransition
from services.common.records import Output
from services.console.embedded.broker import EmbeddedBroker
from tests.support.one_service import ServiceProcess, broker_with_topics, publish, reading
from tests.unit.segmenter_history import History, Truth
from tests.unit.segmenter_mortal import Mortal
from tests.unit.segmenter_world import CODEC, DEFINITION, START, Board, Segmenter, define

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

_PATIENCE_SECONDS = 120
_READ = (EnrichedFeedback, PersonSegments, SegmentTransition, IdeaDemand)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A broker with every topic."""
    with broker_with_topics(tmp_path) as running:
        yield running


def _segmenter(bootstrap: str, folder: Path, segments: str = DEFINITION) -> ServiceProcess:
    """Return the service by the definition *segments*, not started yet."""
    (folder / "segments.yaml").write_text(segments)
    settings = {"GROUNDSWELL_SEGMENTS_FILE": str(folder / "segments.yaml"), "GROUNDSWELL_BATCH_RECORDS": "20"}
    return ServiceProcess("segmenter", bootstrap, folder, **settings)


@pytest.fixture
def service(broker: EmbeddedBroker, tmp_path: Path) -> Iterator[ServiceProcess]:
    """The service, started."""
    running = _segmenter(broker.bootstrap_servers, tmp_path)
    running.start()
    yield running
    running.end(signal.SIGKILL)


async def _publish(bootstrap: str, events: Sequence[Event]) -> None:
    await publish(bootstrap, [CODEC.output(event) for event in events])


class Reader:
    """Reads what the segmenter has published so far, in the shape of the in-memory one."""

    def __init__(self, consumer: Any, shape: Segmenter) -> None:
        self._consumer = consumer
        self.seen = shape

    async def until(self, is_so: Callable[[], bool], log: Callable[[], str]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < deadline, f"{len(self.seen.published)} records after {_PATIENCE_SECONDS} s\n{log()}"
            await self.take(300)

    async def take(self, wait_ms: int) -> int:
        """Read what comes within *wait_ms*; return how many records that was."""
        before = len(self.seen.published)
        for records in (await self._consumer.getmany(timeout_ms=wait_ms)).values():
            for record in records:
                self.seen.published.append(Output(record.topic, record.key, record.value, record.key))
        return len(self.seen.published) - before

    async def rest(self) -> None:
        """Read until nothing comes for two seconds."""
        while await self.take(2_000):
            pass


@contextlib.asynccontextmanager
async def _reading(bootstrap: str, shape: Segmenter) -> AsyncIterator[Reader]:
    async with reading(bootstrap, [kind.TOPIC for kind in _READ]) as consumer:
        yield Reader(consumer, shape)


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def test_a_kill_and_a_second_publication_change_nothing(broker: EmbeddedBroker, service: ServiceProcess, tmp_path: Path) -> None:
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
        await reader.until(lambda: present(reader.seen) == truth.memberships_of_somebody(), service.log)

        await reader.rest()
        said = len(reader.seen.published)
        other = Board("last")
        await _publish(bootstrap, [*history.events, *(other.link(f"last{n}", f"nobody{n}", "last", START) for n in range(5))])
        await reader.until(lambda: "last" in reader.seen.demand() and reader.seen.demand()["last"]["mentions"] == 5, service.log)
        await reader.rest()
        news = reader.seen.published[said:]
        assert sum(output.topic == EnrichedFeedback.TOPIC for output in news) == 5
        demands = [output for output in news if output.topic == IdeaDemand.TOPIC]  # one a batch
        assert len(news) == 5 + len(demands)
        assert {output.key for output in demands} == {b"last"}
    assert service.end(signal.SIGTERM) == 0, service.log()
    assert not any("words" in line or "crash" in orjson.loads(line)["event"] for line in service.log().splitlines())


async def test_a_store_that_is_deleted_comes_back_and_contradicts_nothing(
    broker: EmbeddedBroker, service: ServiceProcess, tmp_path: Path
) -> None:
    definition = define(tmp_path)
    history = History(random.Random(8), 400)
    truth = Truth(history, definition)
    bootstrap = broker.bootstrap_servers
    async with _reading(bootstrap, Mortal(definition)) as reader:
        await _publish(bootstrap, history.events[:350])
        await reader.until(lambda: len(reader.seen.events(EnrichedFeedback)) > 60, service.log)
        service.end(signal.SIGKILL)
        await _publish(bootstrap, history.events[350:])
        service.lose_store()
        service.start()
        await reader.until(lambda: "recalled" in service.log(), service.log)
        service.end(signal.SIGKILL)  # perhaps before the store was born, perhaps after
        service.start()
        await reader.until(lambda: reader.seen.demand() == truth.demand(), service.log)
        await reader.until(lambda: present(reader.seen) == truth.memberships_of_somebody(), service.log)
        await reader.rest()
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
    service = _segmenter("127.0.0.1:1", tmp_path, DEFINITION.replace("account.mrr > 0", "acount.mrr > 0"))
    service.start()
    assert service.end() == 78
    assert "segments.yaml:7: schemes.plan.rules.paying.when: unknown variable 'acount'" in service.log()
