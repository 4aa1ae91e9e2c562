"""``python -m services.ingest`` on a real broker: raw records of every channel and poison in, events and dead letters out."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.common import ids
from services.common.records import Output
from services.console.embedded.broker import EmbeddedBroker
from tests.fakes_ingest import BOARD, CHANNELS, WORKSPACE, event_of
from tests.ingest_samples import GOOD, POISON
from tests.support.one_service import ServiceProcess, broker_with_topics, publish, reading

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

_PATIENCE_SECONDS = 120


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with broker_with_topics(tmp_path, CHANNELS.topics()) as running:
        yield running


@pytest.fixture
def ingest(broker: EmbeddedBroker, tmp_path: Path) -> Iterator[ServiceProcess]:
    service = ServiceProcess("ingest", broker.bootstrap_servers, tmp_path, GROUNDSWELL_BATCH_RECORDS="100")
    service.start()
    yield service
    service.end(signal.SIGKILL)


async def _publish(bootstrap: str, records: Sequence[tuple[str, bytes, bytes | None]]) -> None:
    """Publish (topic, key, value); equal keys keep their order."""
    await publish(bootstrap, [Output(topic, key, value, key) for topic, key, value in records])


async def _read(bootstrap: str, topics: Sequence[str], enough: Callable[[list[Any]], bool], ingest: ServiceProcess) -> list[Any]:
    """Return the records of *topics* once there are *enough* of them."""
    found: list[Any] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    async with reading(bootstrap, topics) as consumer:
        while not enough(found):
            assert time.monotonic() < deadline, f"{len(found)} records of {topics}\n{ingest.log()[-3000:]}"
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(records)
    return found


def _events(records: Sequence[Any]) -> list[Any]:
    return [event_of(Output(record.topic, record.key, record.value, b"")) for record in records]


def _letters(records: Sequence[Any]) -> Counter[tuple[bytes | None, bytes | None, str]]:
    return Counter((r.key, r.value, dict(r.headers)["__connect.errors.exception.class.name"].decode()) for r in records)


async def test_every_channel_and_every_poison(broker: EmbeddedBroker, ingest: ServiceProcess) -> None:
    bootstrap = broker.bootstrap_servers
    poison = [(topic, b"poison", value) for topic, value, _ in POISON]
    good = [(topic, b"good", orjson.dumps(value)) for topic, value in GOOD]
    await _publish(bootstrap, [*good, *poison])

    published = ["board.events", "people.events", "accounts"]
    wanted = {"email", "ticket", "chat", "review", "nps", "forum", "ideas.commands", "ideas.status"}
    records = await _read(
        bootstrap,
        published,
        lambda found: len(found) >= 20 and wanted <= {getattr(event, "source", "") for event in _events(found)},
        ingest,
    )
    letters = await _read(bootstrap, ["ingest.deadletter"], lambda found: len(found) >= len(POISON), ingest)

    assert Counter((b"poison", value, reason) for _, value, reason in POISON) == _letters(letters)
    events = {event.source: event for event in _events(records) if getattr(event, "feedback_id", None)}
    assert "Let me lock a frame." in (events["email"].text or "")
    assert ids.feedback_id(WORKSPACE, "email", "<1@example.com>") == events["email"].feedback_id
    assert (events["review"].rating, events["nps"].rating) == (5.0, 9.0)
    for record, event in zip(records, _events(records), strict=True):
        assert event.key().encode() == record.key


async def test_a_kill_in_the_middle_loses_nothing_and_a_second_publication_adds_nothing(
    broker: EmbeddedBroker, ingest: ServiceProcess
) -> None:
    bootstrap = broker.bootstrap_servers
    log = []
    for number in range(2_000):
        value = {
            "id": f"k-{number}",
            "workspace": WORKSPACE,
            "board": "kill",
            "text": "Offline mode.",
            "author": {"email": f"p{number % 50}@example.org"},
        }
        log.append(("feedback.raw", str(number).encode(), orjson.dumps(value)))
        if number % 10 == 0:
            log.append(("feedback.raw", str(number).encode(), b"{poison %d" % number))
    await _publish(bootstrap, log)
    await _read(bootstrap, ["board.events"], lambda found: sum(event.board == "kill" for event in _events(found)) > 300, ingest)
    ingest.end(signal.SIGKILL)
    ingest.start()

    def all_there(found: list[Any]) -> bool:
        return len({event.external_id for event in _events(found) if event.board == "kill"}) == 2_000

    def all_buried(found: list[Any]) -> bool:
        return len({r.value for r in found if (r.value or b"").startswith(b"{poison")}) == 200

    records = await _read(bootstrap, ["board.events"], all_there, ingest)
    letters = await _read(bootstrap, ["ingest.deadletter"], all_buried, ingest)
    by_key: dict[bytes, set[bytes]] = {}
    for record, event in zip(records, _events(records), strict=True):
        if event.board == "kill":
            by_key.setdefault(record.key, set()).add(record.value)
    assert {1} == {len(values) for values in by_key.values()}  # what came twice is the same byte for byte
    assert len(by_key) == 2_000
    assert {value for _, _, value in log if value.startswith(b"{poison")} == {
        r.value for r in letters if (r.value or b"").startswith(b"{poison")
    }

    marker = {"id": "last", "workspace": WORKSPACE, "board": BOARD, "text": "The end.", "channel": "marker"}
    await _publish(bootstrap, [entry for entry in log if not entry[2].startswith(b"{poison")])
    ends = [("feedback.raw", str(number).encode(), orjson.dumps(marker | {"id": f"last-{number}"})) for number in range(40)]
    await _publish(bootstrap, ends)
    after = await _read(bootstrap, ["board.events"], lambda found: sum(event.source == "marker" for event in _events(found)) == 40, ingest)
    assert len(records) + 40 == len(after)
    assert ingest.end(signal.SIGTERM) == 0, ingest.log()[-3000:]
