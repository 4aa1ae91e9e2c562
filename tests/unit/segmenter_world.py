"""A segmenter without a broker: topics are lists, and whoever tests decides in which order which partition is read."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import orjson

from services.common.clock import Micros
from services.common.codec import Codec, Reader
from services.common.events import ALL_EVENTS, Account, Decision, Event, IdeaDemand, PersonEvent, PersonSegments, SegmenterWork
from services.common.ids import account_id, decision_id
from services.common.outcome import Emit, Outcome
from services.common.ports import Route
from services.common.records import Output, Received, Record
from services.common.registry import open_schemas
from services.common.store import OpenStore
from services.segmenter.app import create_wiring
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.loading import load_definition
from services.segmenter.ports import Stores
from tests.fakes_segmenter import memory_stores
from tests.support.memory import MemoryBirth

PARTITIONS = 3
DAY: Micros = 86_400_000_000
START: Micros = 1_790_000_000_000_000
WORKSPACE, BOARD = "lumora", "product"
CODEC = Codec(open_schemas(None))
READERS = {event.TOPIC: Reader(CODEC.schemas, f"{event.TOPIC}-value") for event in ALL_EVENTS}
STATES = (IdeaDemand.TOPIC, PersonSegments.TOPIC)
CLASSES = {event.TOPIC: event for event in ALL_EVENTS}

DEFINITION = """
version: "1"
schemes:
  - name: plan
    rules:
      - {segment: enterprise, when: account.plan == "enterprise"}
      - {segment: paying, when: account.mrr > 0}
    default: free
  - name: engagement
    rules:
      - {segment: power, when: activity.export.count >= 3}
      - {segment: active, when: activity.export.count >= 1}
    default: quiet
  - name: role
    rules:
      - {segment: designer, when: person.traits.role == "designer" || answers.role == "designer"}
    default: other
"""


def define(folder: Path, text: str = DEFINITION) -> Definition:
    """Return the definition that *text* gives."""
    path = folder / "segments.yaml"
    path.write_text(text)
    return load_definition(path)


def partition(key: str) -> int:
    """Return the partition of a key, by any function at all."""
    return sum(key.encode()) % PARTITIONS


class SetClock:
    """Stands at the moment that it was set to."""

    def __init__(self) -> None:
        self.moment: Micros = START

    def now(self) -> Micros:
        """Return that moment."""
        return self.moment


class Shown:
    """What the segmenter shows of itself."""

    def __init__(self) -> None:
        self.left: list[int] = []
        self.refused: bool | None = None
        self.mistyped: list[tuple[str, str]] = []

    def trait_mistyped(self, scope: str, trait: str) -> None:
        """Remember it."""
        self.mistyped.append((scope, trait))

    def left_to_evaluate(self, people: int) -> None:
        """Remember it."""
        self.left.append(people)

    def definition_refused(self, refused: bool) -> None:
        """Remember it."""
        self.refused = refused


class _NoMarks:
    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(name)


@dataclass
class Segmenter:
    """The service, with all topics that it reads and writes."""

    definition: Definition
    stores: Stores = field(default_factory=memory_stores)
    clock: SetClock = field(default_factory=SetClock)
    topics: dict[tuple[str, int], list[Record]] = field(default_factory=lambda: defaultdict(list))
    read: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    published: list[Output] = field(default_factory=list)
    """All but the notes to itself, in the order of publication."""
    given: dict[str, tuple[Output, ...] | None] = field(default_factory=dict)
    """What came of each record, by its origin."""
    birth: MemoryBirth = field(default_factory=MemoryBirth)
    gauges: Shown = field(default_factory=Shown)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin with nothing but the store."""
        marks: Any = _NoMarks()
        store = OpenStore(self.stores, marks, self.birth)
        wiring = create_wiring(store, self.definition, CODEC, clock=self.clock, partition=partition, gauges=self.gauges)
        self.routes: dict[str, Route[Any]] = {route.topic: route for route in wiring.routes}
        self.memory = wiring.recall
        self.tick = wiring.tick
        self.assignment = wiring.assignment

    def publish(self, *events: Event) -> None:
        """Let *events* come in from other services."""
        for event in events:
            self._append(CODEC.output(event))

    def _append(self, output: Output) -> None:
        place = (output.topic, partition(output.partition_key.decode()))
        offset = self.topics[place][-1].offset + 1 if self.topics[place] else 0
        self.topics[place].append(Record(place[0], place[1], offset, 0, output.key, output.value))

    def emit(self, output: Output) -> None:
        """Let the broker have an output."""
        self._append(output)
        if output.topic != SegmenterWork.TOPIC:
            self.published.append(output)

    def unread(self) -> list[tuple[str, int]]:
        """Return the partitions with records that were not handled yet."""
        return sorted(place for place, records in self.topics.items() if self.read[place] < len(records) and place[0] in self.routes)

    async def take(self, place: tuple[str, int], count: int) -> None:
        """Handle the next *count* records of a partition and acknowledge them."""
        start = self.read[place]
        records = self.topics[place][start : start + count]
        outcomes = await self.handle(records)
        for record, outcome in zip(records, outcomes, strict=True):
            outputs = outcome.outputs if isinstance(outcome, Emit) else None
            self.given[record.origin] = outputs
            for output in outputs or ():
                self.emit(output)
        self.read[place] = start + len(records)

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Handle *records* of one topic without acknowledging them."""
        route = self.routes[records[0].topic]
        return await route.handle([Received(record, route.decode(record)) for record in records])

    async def ticks(self) -> None:
        """Let time pass: publish what is due until nothing is."""
        assert self.tick is not None
        while outputs := await self.tick.due(frozenset(range(PARTITIONS))):
            for output in outputs:
                self.emit(output)

    async def drain(self, chance: random.Random | None = None, batch: int = 500) -> None:
        """Handle all there is, partition by partition; with *chance* in any order, in any batches, with restarts and redeliveries."""
        while unread := self.unread():
            if chance is None:
                await self.take(unread[0], batch)
                continue
            await self.take(chance.choice(unread), chance.choice([1, 2, 3, 500]))
            if chance.random() < 0.1:
                self.restart()
            if chance.random() < 0.2:
                await self.redeliver(chance)

    async def redeliver(self, chance: random.Random) -> None:
        """Handle some records once more, as after a crash before the commit or from an offset that was set back.

        The same facts have to come, and no state that is older than one that was published.
        """
        place = chance.choice([place for place, offset in self.read.items() if offset])
        first = chance.randrange(self.read[place])
        records = self.topics[place][first : self.read[place]]
        for record, outcome in zip(records, await self.handle(records), strict=True):
            before = self.given[record.origin]
            if before:
                assert isinstance(outcome, Emit), record.origin
                said, again = _facts(before), _facts(outcome.outputs)
                if self._person_of(record) in self.forgotten():
                    assert [output.key for output in said if output.topic == SegmenterWork.TOPIC] == [
                        output.key for output in again if output.topic == SegmenterWork.TOPIC
                    ]
                    assert {output.key for output in again} <= {output.key for output in said}
                else:
                    assert said == again, record.origin
                assert [state for state in self._states(outcome.outputs) if state[1] < self._newest(state[0])] == []
            else:
                assert not isinstance(outcome, Emit) or not outcome.outputs

    def forgotten(self) -> set[str | None]:
        """Return the persons whose erasure was handled."""
        read = [r for (topic, n), records in self.topics.items() if topic == PersonEvent.TOPIC for r in records[: self.read[topic, n]]]
        return {
            name
            for record in read
            if READERS[record.topic].read(record.value or b"")["type"] == "erased" and (name := self._person_of(record))
        }

    @staticmethod
    def _person_of(record: Record) -> str | None:
        """Return the person whose worker *record* is for."""
        fields = READERS[record.topic].read(record.value or b"")
        return fields["person_id"] if record.topic in (PersonEvent.TOPIC, SegmenterWork.TOPIC) else None

    def _newest(self, name: tuple[str, str]) -> int:
        return max((version for other, version in self._states(self.published) if other == name), default=0)

    @staticmethod
    def _states(outputs: Iterable[Output]) -> list[tuple[tuple[str, str], int]]:
        """Return topic, key and version of each state among *outputs*."""
        values = [(output, READERS[output.topic].read(output.value)) for output in outputs if output.topic in STATES and output.value]
        return [((output.topic, (output.key or b"").decode()), int(fields["version"])) for output, fields in values]

    def events(self, kind: type[Any]) -> list[Any]:
        """Return what was published to a class's topic; a tombstone is None."""
        return [event for _, event in self.outputs(kind)]

    def outputs(self, kind: type[Any]) -> list[tuple[Output, Any]]:
        """Return what was published to a class's topic, with what it says; a tombstone says None."""
        return [
            (output, None if output.value is None else kind(**READERS[kind.TOPIC].read(output.value)))
            for output in self.published
            if output.topic == kind.TOPIC
        ]

    def demand(self) -> dict[str, dict[str, Any]]:
        """Return each idea's present demand, without version and time; ideas without any are left out."""
        newest: dict[str, IdeaDemand] = {}
        for row in self.events(IdeaDemand):
            if row.idea_id not in newest or newest[row.idea_id].version < row.version:
                newest[row.idea_id] = row
        return {
            idea: {
                "root": row.root_id,
                "people": row.people,
                "accounts": row.accounts,
                "mentions": row.mentions,
                "mrr_cents": row.mrr_cents,
                "segments": counted(row),
            }
            for idea, row in newest.items()
            if row.mentions
        }


def counted(row: IdeaDemand) -> dict[str, dict[str, dict[str, int]]]:
    """Return the counts of each segment, without what is held against the time and the board."""
    return {
        scheme: {segment: {name: cell[name] for name in ("people", "accounts", "mentions", "mrr_cents")} for segment, cell in cells.items()}
        for scheme, cells in orjson.loads(row.segments_json).items()
    }


def _facts(outputs: Iterable[Output]) -> list[Output]:
    return [output for output in outputs if output.topic not in STATES]


class Board:
    """Writes a board's decisions as dedup would: in one sequence."""

    def __init__(self, board: str = BOARD) -> None:
        self.board = board
        self.sequence = 0

    def decide(self, kind: Any, at: Micros, **fields: Any) -> Decision:
        """Return the next decision."""
        self.sequence += 1
        return Decision(
            decision_id=decision_id(WORKSPACE, self.board, self.sequence),
            type=kind,
            workspace=WORKSPACE,
            board=self.board,
            sequence=self.sequence,
            event_id=f"{WORKSPACE}:event:{self.board}{self.sequence}",
            occurred_at=at,
            ingested_at=at,
            **fields,
        )

    def link(self, feedback: str, person: str, idea: str, at: Micros = START, **fields: Any) -> Decision:
        """Return the decision that links a piece of feedback."""
        return self.decide(
            "linked", at, feedback_id=feedback, person_id=person, idea_id=idea, text="words", source="mail", external_id="x", **fields
        )


def person_event(number: int, kind: Any, person: str, at: Micros, **fields: Any) -> PersonEvent:
    """Return one event of a person; *number* makes its id."""
    fields = {"occurred_at": at, **fields}
    return PersonEvent(
        event_id=f"{WORKSPACE}:event:p{number}",
        type=kind,
        workspace=WORKSPACE,
        person_id=person,
        source="crm",
        ingested_at=at,
        origin=f"people.raw/0/{number}",
        **fields,
    )


def account(external_id: str, version: int, at: Micros = START, **fields: Any) -> Account:
    """Return a state of an account."""
    return Account(
        account_id=account_id(WORKSPACE, external_id),
        workspace=WORKSPACE,
        external_id=external_id,
        version=version,
        updated_at=version,
        ingested_at=at,
        origin=f"accounts.raw/0/{version}",
        **fields,
    )


async def told(segmenter: Segmenter, *events: Any) -> None:
    """Let the segmenter hear *events*, each with all that follows from it before the next one."""
    for event in events:
        segmenter.publish(event)
        await segmenter.drain()
