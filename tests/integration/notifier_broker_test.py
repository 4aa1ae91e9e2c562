"""``python -m services.notifier`` on a real broker and a real mail server, killed in the middle of its mails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from services.common.codec import Codec
from services.common.events import Decision, Event, NotificationOutcome, PersonEvent
from services.common.guard import Exit
from services.common.ids import alert_id, decision_id, person_id
from services.common.records import Output, Record
from services.common.registry import open_schemas
from services.console.embedded.broker import EmbeddedBroker
from services.console.embedded.mail import MailSink, Reply
from tests.conftest import MONGO_URL
from tests.support.one_service import ServiceProcess, broker_with_topics, publish, reading

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

PARTITIONS = 4
WORKSPACE, BOARD = "lumora", "product"
CODEC = Codec(open_schemas(None))
NOW = 1_750_000_000_000_000
_PATIENCE_SECONDS = 150
_CHUNK = 100
"""So many mails may repeat after a kill, at most: what was sent and not yet written down."""
_BATCH = 500
"""So many may repeat after a kill with which the store is lost, at most: what was written down and not yet said."""


def _notifier(folder: Path, bootstrap_servers: str, smtp_port: int, **settings: str) -> ServiceProcess:
    """Return the service, not started yet."""
    usual = {
        "GROUNDSWELL_SMTP_PORT": str(smtp_port),
        "GROUNDSWELL_SMTP_RETRY_BASE_SECONDS": "1",
        "GROUNDSWELL_SMTP_RETRY_LONGEST_SECONDS": "2",
    }
    return ServiceProcess("notifier", bootstrap_servers, folder, **usual, **settings)


class Board:
    """Makes decisions and what is known of people, in their order."""

    def __init__(self, first: int = 0) -> None:
        self.outputs: list[Output] = []
        self._sequence = first

    def decide(self, type_: Any, **fields: Any) -> None:
        self._sequence += 1
        fields = {"occurred_at": NOW, "ingested_at": NOW + self._sequence, "event_id": f"e{self._sequence}", **fields}
        identity = decision_id(WORKSPACE, BOARD, self._sequence)
        self._add(Decision(decision_id=identity, type=type_, workspace=WORKSPACE, board=BOARD, sequence=self._sequence, **fields))

    def know(self, type_: Any, person: str, **fields: Any) -> None:
        number = len(self.outputs)
        moment: dict[str, Any] = {
            "occurred_at": NOW + number,
            "ingested_at": NOW + number,
            "event_id": f"p{number}",
            "source": "test",
            "origin": "t/0/0",
        }
        self._add(PersonEvent(type=type_, workspace=WORKSPACE, person_id=person, **moment, **fields))

    def link(self, person: str, idea: str) -> None:
        self.decide(
            "linked", feedback_id=f"f{self._sequence}", idea_id=idea, person_id=person, text="Dark mode, please.\nMy eyes hurt at night."
        )

    def _add(self, event: Event) -> None:
        self.outputs.append(CODEC.output(event))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with broker_with_topics(tmp_path) as running:
        yield running


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[MailSink]:
    with MailSink(tmp_path / "mail.jsonl") as running:
        yield running


@dataclass(frozen=True, slots=True)
class Disk:
    """The notifier's store, from outside."""

    url: str

    def destroy(self) -> None:
        """Remove the store and all that it holds."""
        if self.url.startswith("sqlite:"):
            path = Path(self.url.removeprefix("sqlite:"))
            for part in path.parent.glob(f"{path.name}*"):
                part.unlink()
        else:
            with MongoClient[dict[str, Any]](self.url) as client:
                client.drop_database(client.get_default_database().name)


@pytest.fixture(params=["sqlite", pytest.param("mongo", marks=pytest.mark.mongo)])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "sqlite":
        yield Disk(f"sqlite:{tmp_path}/notifier.db")
    else:
        disk = Disk(f"{os.environ[MONGO_URL].rstrip('/')}/notifier_{uuid.uuid4().hex[:12]}")
        yield disk
        disk.destroy()


@pytest.fixture
def notifier(tmp_path: Path, broker: EmbeddedBroker, sink: MailSink, disk: Disk) -> Iterator[ServiceProcess]:
    service = _notifier(tmp_path, broker.bootstrap_servers, sink.port, GROUNDSWELL_STORE_URL=disk.url)
    service.start()
    yield service
    service.end(signal.SIGKILL)


class Log:
    """Follows a topic of ours from its beginning."""

    def __init__(self, consumer: Any, kind: type[Any], notifier: ServiceProcess) -> None:
        self.events: list[Any] = []
        self._decode = CODEC.decoder(kind)
        self._consumer = consumer
        self._notifier = notifier

    async def until(self, enough: Callable[[list[Any]], bool]) -> list[Any]:
        """Return all that was published once it is *enough*."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not enough(self.events):
            assert time.monotonic() < deadline, f"{len(self.events)} records\n{self._notifier.log()[-3000:]}"
            for place, records in (await self._consumer.getmany(timeout_ms=100)).items():
                self.events += [self._decode(Record(place.topic, place.partition, r.offset, 0, r.key, r.value)) for r in records]
        return self.events


@contextlib.asynccontextmanager
async def following(bootstrap_servers: str, kind: type[Any], notifier: ServiceProcess) -> AsyncIterator[Log]:
    """Give a log of *kind*."""
    async with reading(bootstrap_servers, [kind.TOPIC]) as consumer:
        yield Log(consumer, kind, notifier)


def last_outcomes(outcomes: Sequence[NotificationOutcome]) -> dict[str, NotificationOutcome]:
    return {outcome.alert_id: outcome for outcome in outcomes}


def mails(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "mail.jsonl").read_text().splitlines()]


async def reach(sink: MailSink, count: int, notifier: ServiceProcess) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while sink.accepted < count:
        assert time.monotonic() < deadline, f"{sink.accepted} mails\n{notifier.log()[-3000:]}"
        await asyncio.sleep(0.002)


EXPECTED = {
    "ok": "sent",
    "both": "sent",  # linked to two ideas of the family
    "gone": "failed",
    "busy": "sent",  # postponed by the server until it is told otherwise
    "mute": "unreachable",
    "silent": "opted_out",
    "late": "sent",  # whose address becomes known after the alert
}


def kind(name: str) -> str:
    return name.rstrip("0123456789")


class Crowd:
    """Everyone who asked, and the rows that they are to have."""

    def __init__(self) -> None:
        self.people = {
            f"{who}{n}": person_id(WORKSPACE, f"{who}{n}") for who in EXPECTED for n in range(350 if who in ("ok", "both") else 5)
        }
        self.rows = {alert_id(WORKSPACE, "ideaA", "2026.11", person): (name, "ideaA") for name, person in self.people.items()}
        both = {name: person for name, person in self.people.items() if kind(name) == "both"}
        self.rows |= {alert_id(WORKSPACE, "ideaB", "2026.11", person): (name, "ideaB") for name, person in both.items()}

    def history(self) -> Board:
        """Return a board on which they ask, two ideas are merged, and it ships."""
        board = Board()
        for idea in ("ideaA", "ideaB"):
            board.decide("opened", idea_id=idea, title=f"Dark mode {idea[-1]}")
        for name, person in self.people.items():
            if kind(name) not in ("mute", "late"):
                board.know("contact", person, channel="email", address=f"{name}@example.com")
            if kind(name) == "silent":
                board.know("preference", person, opted_out=True)
            board.link(person, "ideaA")
            if kind(name) == "both":
                board.link(person, "ideaB")
        board.decide("merged", idea_id="ideaB", other_idea_id="ideaA", root_id="ideaA")
        board.decide("status_changed", idea_id="ideaA", root_id="ideaA", status="shipped", release_id="2026.11", release_name="Winter")
        return board

    def are_settled(self, outcomes: list[Any]) -> bool:
        """Tell whether everyone but those whom the server postpones has been decided on."""
        last = last_outcomes(outcomes)
        return last.keys() == self.rows.keys() and all(
            last[alert].outcome != "deferred" for alert, (name, _) in self.rows.items() if kind(name) != "busy"
        )

    def are_as_expected(self, outcomes: list[Any]) -> bool:
        """Tell whether everyone's rows ended as they must: one as expected, any other as already told."""
        by_person = defaultdict(list)
        for alert, outcome in last_outcomes(outcomes).items():
            by_person[self.rows[alert][0]].append(outcome.outcome)
        return all(
            sorted(found) == sorted([EXPECTED[kind(name)], "already_told"][: len(found)]) and len(found) == 1 + (kind(name) == "both")
            for name, found in by_person.items()
        )

    def assert_mailed_once(self, sent: Sequence[dict[str, Any]], repeats: int) -> None:
        """Check that nobody was told in two mails, and that at most *repeats* came twice."""
        by_person = defaultdict(list)
        for mail in sent:
            by_person[mail["to"][0].partition("@")[0]].append(mail["message_id"])
        assert by_person.keys() == {name for name in self.people if EXPECTED[kind(name)] == "sent"}
        assert {1} == {len(set(ids)) for ids in by_person.values()}
        assert sum(len(ids) - 1 for ids in by_person.values()) <= repeats


async def test_killed_among_its_mails_it_tells_everyone_once(
    tmp_path: Path, broker: EmbeddedBroker, sink: MailSink, notifier: ServiceProcess
) -> None:
    sink.replies[:] = [Reply("^gone", "550 5.1.1 No such user"), Reply("^busy", "451 4.3.0 Later")]
    crowd = Crowd()
    board = crowd.history()
    await publish(broker.bootstrap_servers, board.outputs)
    stops = (80, 400)
    for accepted in stops:
        await reach(sink, accepted, notifier)
        notifier.end(signal.SIGKILL)
        notifier.start()

    async with following(broker.bootstrap_servers, NotificationOutcome, notifier) as log:
        await log.until(crowd.are_settled)
        late = [alert for alert, (name, _) in crowd.rows.items() if kind(name) == "late"]
        assert {"unreachable"} == {last_outcomes(log.events)[alert].outcome for alert in late}

        sink.replies.pop()
        before = len(board.outputs)
        for name, person in crowd.people.items():
            if kind(name) == "late":
                board.know("contact", person, channel="email", address=f"{name}@example.com")
        await publish(broker.bootstrap_servers, board.outputs[before:])
        await log.until(crowd.are_as_expected)
        assert all(outcome.reason and "@" not in outcome.reason for outcome in log.events)
        crowd.assert_mailed_once(mails(tmp_path), repeats=len(stops) * _CHUNK)

        accepted = sink.accepted
        await publish(broker.bootstrap_servers, [output for output in board.outputs if output.topic == Decision.TOPIC])
        last = Board(first=10_000)
        last.link(crowd.people["ok0"], "ideaC")
        last.decide("status_changed", idea_id="ideaC", root_id="ideaC", status="shipped", release_id="2026.12")
        await publish(broker.bootstrap_servers, last.outputs)
        await log.until(lambda found: any(outcome.release_id == "2026.12" and outcome.outcome == "sent" for outcome in found))
        assert sink.accepted == accepted + 1, "a second publication of the same decisions told someone again"


async def test_a_store_that_is_lost_among_its_mails_makes_nobody_hear_in_two_and_nobody_wait(
    broker: EmbeddedBroker, sink: MailSink, notifier: ServiceProcess, disk: Disk
) -> None:
    sink.replies[:] = [Reply("^gone", "550 5.1.1 No such user")]
    crowd = Crowd()
    board = crowd.history()
    for name, person in crowd.people.items():
        if kind(name) == "late":
            board.know("contact", person, channel="email", address=f"{name}@example.com")
    await publish(broker.bootstrap_servers, board.outputs)
    await reach(sink, 120, notifier)
    notifier.end(signal.SIGKILL)
    disk.destroy()
    notifier.start()

    async with following(broker.bootstrap_servers, NotificationOutcome, notifier) as log:
        await log.until(crowd.are_settled)
        await log.until(crowd.are_as_expected)
        crowd.assert_mailed_once(mails(notifier.folder), repeats=_BATCH)

        accepted = sink.accepted
        assert notifier.end(signal.SIGTERM) == 0
        disk.destroy()
        notifier.start()
        last = Board(first=10_000)
        last.link(crowd.people["ok0"], "ideaC")
        last.decide("status_changed", idea_id="ideaC", root_id="ideaC", status="shipped", release_id="2026.12")
        await publish(broker.bootstrap_servers, last.outputs)
        await log.until(lambda found: any(outcome.release_id == "2026.12" and outcome.outcome == "sent" for outcome in found))
        assert sink.accepted == accepted + 1, "a store that was lost after everyone was told told someone again"
        assert '"event": "dead_letter"' not in notifier.log()


async def test_a_mail_server_that_is_away_delays_and_loses_nothing(
    tmp_path: Path, broker: EmbeddedBroker, sink: MailSink, notifier: ServiceProcess
) -> None:
    port = sink.port
    sink.stop()
    board = Board()
    person = person_id(WORKSPACE, "ann")
    board.know("contact", person, channel="email", address="ann@example.com")
    board.decide("opened", idea_id="ideaA", title="Dark mode")
    board.link(person, "ideaA")
    board.decide("status_changed", idea_id="ideaA", root_id="ideaA", status="shipped")
    await publish(broker.bootstrap_servers, board.outputs)
    async with following(broker.bootstrap_servers, NotificationOutcome, notifier) as log:
        await log.until(lambda found: [outcome.outcome for outcome in found].count("deferred") >= 2)
        with MailSink(tmp_path / "mail.jsonl", port=port):
            await log.until(lambda found: found[-1].outcome == "sent")
    assert [outcome.attempt for outcome in log.events] == list(range(1, len(log.events) + 1))
    assert len(mails(tmp_path)) == 1
    assert notifier.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("variable", "content", "complaint"),
    [
        ("GROUNDSWELL_NOTIFICATIONS_FILE", "version: 1\nproduct: Lumora\ntell_again: perhaps\n", ":3: tell_again: "),
        ("GROUNDSWELL_TEMPLATES_DIR", "{% if %}", "default.html:1: "),
    ],
)
def test_what_cannot_be_used_is_refused_at_start(tmp_path: Path, variable: str, content: str, complaint: str) -> None:
    path = tmp_path / "n.yaml"
    path.write_text(content)
    if variable.endswith("DIR"):
        for part in ("subject.txt", "txt", "html"):
            (tmp_path / f"default.{part}").write_text(content if part == "html" else "x")
    service = _notifier(tmp_path, "127.0.0.1:1", 25, **{variable: str(tmp_path if variable.endswith("DIR") else path)})
    service.start()
    assert service.end() == Exit.CONFIGURATION
    last = json.loads(service.log().splitlines()[-1])
    assert last["event"] == "configuration"
    assert complaint in last["error"]
