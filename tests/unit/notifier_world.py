"""A notifier in memory: its topics as lists, its handlers for real, time and crashes by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from services.common.codec import Codec
from services.common.events import Alert, Decision, DeliveryReport, Event, NotificationOutcome, PersonEvent, PersonSegments
from services.common.ids import board_key, decision_id
from services.common.outcome import Drop, Emit, Outcome
from services.common.records import Output, Received, Record
from services.common.registry import open_schemas
from services.notifier.domain.manners import Manners
from services.notifier.domain.pace import Limits
from services.notifier.domain.row import Row
from services.notifier.domain.telling import SECOND, Means, Schedule
from services.notifier.handler.boards import BoardHandler
from services.notifier.handler.due import DueRows
from services.notifier.handler.outbox import Manner, OutboxHandler
from services.notifier.handler.people import PeopleHandler
from services.notifier.handler.recall import LedgerRecall
from services.notifier.handler.reports import ReportHandler
from services.notifier.handler.segments import SegmentsHandler
from services.notifier.ports import Channel
from tests.fakes_notifier import HandClock, MemoryStore, RecordingChannel, SilentCounter

_OURS, _NO_LIMITS = Manners(), Limits()
WORKSPACE, BOARD = "lumora", "product"
PARTITIONS = 3


class _LastingCodec(Codec):
    """Parses a schema once, not with each of the many processes of a test; reads and writes each of the same few bytes once."""

    def __init__(self) -> None:
        super().__init__(open_schemas(None))
        self._decoders: dict[type[Event], Callable[[bytes], Any]] = {}
        self._frames: dict[Event, bytes] = {}

    def frame_decoder(self, event: type[Any]) -> Callable[[bytes], Any]:
        """Return the function that reads frames of *event*; it raises ``MalformedRecord`` and nothing else."""
        if event not in self._decoders:
            self._decoders[event] = lru_cache(10_000)(super().frame_decoder(event))
        return self._decoders[event]

    def encode(self, event: Event) -> bytes:
        """Return the frame of *event*."""
        if event not in self._frames:
            self._frames[event] = super().encode(event)
        return self._frames[event]


CODEC = _LastingCodec()
START = 1_700_000_000 * SECOND
TOPICS = (PersonEvent.TOPIC, PersonSegments.TOPIC, Decision.TOPIC, Alert.TOPIC, DeliveryReport.TOPIC)


def partition_of(person: str) -> int:
    return sum(person.encode()) % PARTITIONS


@dataclass
class Crash(Exception):  # noqa: N818 - not an error of ours
    """The process died where this is raised."""


class World:
    """The service and everything around it."""

    def __init__(
        self,
        *,
        statuses: Sequence[str] = ("shipped",),
        tell_again: bool = False,
        mailer: RecordingChannel | None = None,
        channels: Sequence[RecordingChannel] = (),
        manners: Manners = _OURS,
        limits: Limits = _NO_LIMITS,
    ) -> None:
        self.store = MemoryStore()
        self.mailer = mailer or RecordingChannel()
        self.clock = HandClock(START)
        self.records: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
        self.positions = dict.fromkeys(TOPICS, 0)
        self.attempted = dict.fromkeys(TOPICS, 0)
        """How far each topic was handed over at all: what lies between this and the positions, the store may know or not."""
        self.recalled = dict.fromkeys(TOPICS, 0)
        """How far each topic had been read when the store was last completed."""
        self.decided: list[Record] = []
        """All decisions, whatever compaction has taken from their topic."""
        self.said: list[Record] = []
        """``notifications.log``, as compaction leaves it."""
        self.log: list[NotificationOutcome] = []
        """All that was ever published there."""
        self.recall_records = 1000
        """So many records of a topic are recalled at once."""
        self.outcomes: list[Outcome] = []
        self.statuses = statuses
        self.tell_again = tell_again
        self.channels = channels or (self.mailer,)
        self.manners = manners
        self.limits = limits
        self.sequence = 0
        self._born = True
        self._offsets = Counter[tuple[str, int]]()
        self.restart()

    def restart(self) -> None:
        """Begin a new process: nothing in memory, everything in the store."""
        self._assigned = False
        manner = Manner(self.tell_again, Schedule(10, 100, 50, 1000), batch_seconds=1000, limits=self.limits, chunk=2)
        channels: dict[str, Channel] = {channel.name: channel for channel in self.channels}
        boards = BoardHandler(self.store, CODEC, self.statuses, partition_of)
        means = Means(channels, self.manners)
        outbox = OutboxHandler(
            store=self.store,
            codec=CODEC,
            channels=channels,
            means=means,
            clock=self.clock,
            counter=SilentCounter(),
            manner=manner,
            partition_of=partition_of,
            partitions=PARTITIONS,
        )
        people = PeopleHandler(self.store, late_contact_days=30, channels=self.channels)
        self._recall = LedgerRecall(self.store, CODEC, self.statuses, boards, people)
        self._due = DueRows(self.store, CODEC, self.clock, 1000)
        self._ticks: Sequence[BoardHandler | DueRows] = (boards, self._due)
        self._handle: Mapping[str, Callable[[Sequence[Received[Any]]], Any]] = {
            Decision.TOPIC: boards.handle,
            PersonEvent.TOPIC: people.handle,
            PersonSegments.TOPIC: SegmentsHandler(self.store).handle,
            Alert.TOPIC: outbox.handle,
            DeliveryReport.TOPIC: ReportHandler(self.store, CODEC, means).handle,
        }

    def lose(self, *, compacted: bool = False, outbox_kept: int | None = None) -> None:
        """Lose the store, and with it the process; the topics stay, the older records of each key only where not *compacted*.

        Of the outbox, which is kept for a while only, the last *outbox_kept* records are left.
        """
        self.store = MemoryStore()
        self._born = False
        self.positions, self.attempted, self.recalled = (dict.fromkeys(TOPICS, 0) for _ in range(3))
        if compacted:
            self.said = _compacted(self.said)
            for topic in (Decision.TOPIC, PersonEvent.TOPIC):
                self.records[topic] = _compacted(self.records[topic])
        if outbox_kept is not None:
            self.records[Alert.TOPIC] = self.records[Alert.TOPIC][-outbox_kept:] if outbox_kept else []
        self.restart()

    async def complete(self) -> bool:
        """Do what a worker does with a store that is new; tell whether the process is alive after it."""
        if self._born:
            return True
        try:
            for topic in self._recall.topics:
                records = self.said if topic == NotificationOutcome.TOPIC else self.records[topic]
                for start in range(0, len(records), self.recall_records):
                    await self._recall.recall(topic, records[start : start + self.recall_records])
            await self._recall.fold()
        except Crash:
            self.restart()
            return False
        self.recalled = {topic: len(self.records[topic]) if topic != Alert.TOPIC else 0 for topic in TOPICS}
        self.attempted = dict(self.recalled)
        self._born = True
        return True

    def decide(self, type_: Any, **fields: Any) -> Decision:
        """Publish the board's next decision."""
        self.sequence += 1
        self.clock.time += SECOND
        decision = Decision(
            decision_id=decision_id(WORKSPACE, BOARD, self.sequence),
            type=type_,
            workspace=WORKSPACE,
            board=BOARD,
            sequence=self.sequence,
            event_id=f"e{self.sequence}",
            occurred_at=self.clock.time,
            ingested_at=self.clock.time,
            **fields,
        )
        self._append(CODEC.output(decision), 0)
        return decision

    def decisions(self) -> list[Decision]:
        """Return all decisions that lie in their topic."""
        decode = CODEC.decoder(Decision)
        return [decode(record) for record in self.records[Decision.TOPIC]]

    def say_again(self, decision: Decision) -> None:
        """Publish *decision* under its key, whatever it said before."""
        self._append(CODEC.output(decision), 0)

    def know(self, type_: Any, person: str, **fields: Any) -> PersonEvent:
        """Publish what becomes known of a person."""
        self.clock.time += SECOND
        event = PersonEvent(
            event_id=f"{WORKSPACE}:event:{len(self.records[PersonEvent.TOPIC])}",
            type=type_,
            workspace=WORKSPACE,
            person_id=person,
            source="test",
            occurred_at=self.clock.time,
            ingested_at=self.clock.time,
            origin="x/0/0",
            **fields,
        )
        self._append(CODEC.output(event), partition_of(person))
        return event

    def segment(self, person: str, version: int, **segments: str) -> None:
        """Publish the segments that a person is in."""
        state = PersonSegments(
            person_id=person, workspace=WORKSPACE, version=version, segments_json=json.dumps(segments), primary_segment="",
            definition_version="1", evaluated_at=self.clock.time,
        )  # fmt: skip
        self._append(CODEC.output(state), partition_of(person))

    def contact(self, person: str, address: str | None = None) -> None:
        """Publish where a person is reached."""
        self.know("contact", person, channel="email", address=f"{person}@example.com" if address is None else address)

    def link(self, feedback: str, idea: str, person: str, text: str = "please") -> None:
        """Publish that *person*'s feedback was linked to *idea*."""
        self.decide("linked", feedback_id=feedback, idea_id=idea, person_id=person, text=text)

    def ship(self, idea: str, release_id: str | None = "r1", **fields: Any) -> None:
        """Publish that *idea* shipped."""
        self.decide("status_changed", idea_id=idea, status="shipped", release_id=release_id, **fields)

    def report(self, message_id: str, outcome: Any, channel: str = "email", **fields: Any) -> None:
        """Publish what was heard of a message."""
        self.clock.time += SECOND
        count = len(self.records[DeliveryReport.TOPIC])
        letter = message_id[1:].partition("@")[0]
        report = DeliveryReport(
            report_id=f"report{count}", letter=letter, channel=channel, outcome=outcome, reason="5.1.1 no such mailbox",
            occurred_at=self.clock.time, **fields,
        )  # fmt: skip
        self._append(CODEC.output(report), 0)

    def publish_again(self, topic: str, place: int) -> None:
        """Publish a record a second time: the same bytes at another offset."""
        record = self.records[topic][place]
        self._append(Output(topic, record.key, record.value, b""), record.partition)

    async def pump(self, topic: str, count: int, *, publish: bool = True, commit: bool = True) -> None:
        """Take *count* records of *topic* through; without a commit the process dies after its store writes, or after publishing."""
        batch = self.records[topic][self.positions[topic] : self.positions[topic] + count]
        if not await self.complete() or not batch:
            return
        self.attempted[topic] = max(self.attempted[topic], self.positions[topic] + len(batch))
        kinds: dict[str, Any] = {
            Decision.TOPIC: Decision,
            PersonEvent.TOPIC: PersonEvent,
            PersonSegments.TOPIC: PersonSegments,
            Alert.TOPIC: Alert,
            DeliveryReport.TOPIC: DeliveryReport,
        }
        decode = CODEC.decoder(kinds[topic])
        try:
            outcomes = await self._handle[topic]([Received(record, decode(record)) for record in batch])
        except Crash:
            self.restart()
            return
        if publish:
            self.outcomes.extend(outcomes)
            for outcome in outcomes:
                assert isinstance(outcome, Emit | Drop), outcome
                self._publish(outcome.outputs if isinstance(outcome, Emit) else ())
        if commit:
            self.positions[topic] += len(batch)
        else:
            self.restart()

    async def tick(self, *, publish: bool = True) -> int:
        """Let what is due go on; return how many alerts were."""
        if not await self.complete():
            return 0
        try:
            for part in self._ticks if not self._assigned else ():
                await part.assigned(frozenset(range(PARTITIONS)))
            self._assigned = True
            outputs = [output for part in self._ticks for output in await part.due(frozenset(range(PARTITIONS)))]
        except Crash:
            self.restart()
            return 0
        if publish:
            self._publish(outputs)
        else:
            self.restart()
        return sum(output.topic == Alert.TOPIC for output in outputs)

    async def settle(self) -> None:
        """Go on until nothing is left to do, letting as much time pass as it takes."""
        for _ in range(500):
            while any(self.positions[topic] < len(self.records[topic]) for topic in TOPICS):
                for topic in TOPICS:
                    await self.pump(topic, 1000)
            if not self.store.unfinished and not any(row.state in ("pending", "deferred") for row in self.store.ledger.values()):
                return
            waiting = [row.due_at for row in self.store.ledger.values() if row.due_at is not None]
            self.clock.time = max(self.clock.time + 200 * SECOND, min(waiting, default=0))
            await self.tick()
        raise AssertionError(f"unsettled: {[(row.state, row.attempt, row.due_at) for row in self.store.ledger.values()]}")

    def row(self, idea: str, person: str) -> Row:
        """Return the only row of *idea* and *person*."""
        (row,) = (row for row in self.store.ledger.values() if (row.alert.idea_id, row.alert.person_id) == (idea, person))
        return row

    def states(self) -> dict[tuple[str, str], str]:
        """Return each row's state by idea and person."""
        return {(row.alert.idea_id, row.alert.person_id): row.state for row in self.store.ledger.values()}

    def rows_of_mail(self, message_id: str) -> list[Row]:
        """Return the rows that a message is about to tell of."""
        letter = message_id[1:].partition("@")[0]
        return [row for row in self.store.ledger.values() if row.letter == letter and row.trying]

    def fresh_copy(self) -> World:
        """Return a world with the same decisions and nothing handled."""
        other = World(statuses=self.statuses, tell_again=self.tell_again)
        other.records[Decision.TOPIC] = list(self.decided)
        return other

    def _publish(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if output.topic == NotificationOutcome.TOPIC:
                record = self._recorded(output, partition_of(output.partition_key.decode()))
                self.said.append(record)
                self.log.append(CODEC.decoder(NotificationOutcome)(record))
            elif output.topic not in self.records:
                self._publish_other(output)
            else:
                self._append(output, partition_of(output.partition_key.decode()))

    def _publish_other(self, output: Output) -> None:
        """Publish what nobody of ours reads."""

    def _append(self, output: Output, partition: int) -> None:
        record = self._recorded(output, partition)
        self.records[output.topic].append(record)
        if output.topic == Decision.TOPIC:
            self.decided.append(record)

    def _recorded(self, output: Output, partition: int) -> Record:
        offset = self._offsets[output.topic, partition]
        self._offsets[output.topic, partition] += 1
        return Record(output.topic, partition, offset, 0, output.key, output.value)


def _compacted(records: Sequence[Record]) -> list[Record]:
    """Return the last record of each key, in their order."""
    last = {record.key: place for place, record in enumerate(records)}
    return [record for place, record in enumerate(records) if last[record.key] == place]


def key() -> str:
    """Return the board's key."""
    return board_key(WORKSPACE, BOARD)


def without_attempts(row: Row) -> Row:
    """Return what a row's board decided, without what became of it."""
    untold = replace(row, state="pending", attempt=0, due_at=None, trying=False, failures=0, first_failed_at=None, history=())
    return replace(untold, doubted=False, channel=None, letter=None, failed_channels=())
