"""Ingest without a store or a broker: its memory as dictionaries, and outside records made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson

from services.common.codec import Codec
from services.common.errors import MalformedRecord
from services.common.events import Account, BoardEvent, PersonEvent
from services.common.outcome import Emit, Outcome, Reject
from services.common.paths import EXAMPLES
from services.common.records import Output, Received, Record
from services.common.registry import FileIds, Schemas
from services.ingest.app import routes
from services.ingest.channels import Channels, TextSpec, load_channels
from services.ingest.domain.rows import Binding, Changes, Person, Subject
from services.ingest.ports import Contended, Memory

CODEC = Codec(Schemas(FileIds()))
CHANNELS = load_channels(EXAMPLES / "channels.yaml")
SPLITTING = CHANNELS.model_copy(
    update={"channels": [channel.model_copy(update={"text": TextSpec(split="lists")}) for channel in CHANNELS.channels]}
)
"""The same channels, where the items of lists are requests of their own."""
START_MS = 1_790_000_000_000
WORKSPACE, BOARD = "lumora", "product"

_DECODERS = {event.TOPIC: CODEC.decoder(event) for event in (BoardEvent, PersonEvent, Account)}


class FakeMemory:
    """Ingest's memory as dictionaries; a failed save keeps nothing."""

    def __init__(self) -> None:
        self.bound: dict[str, Binding] = {}
        self.known: dict[str, Subject] = {}
        self.people: dict[str, Person] = {}

    def forget(self) -> None:
        """Be as new."""
        self.bound.clear()
        self.known.clear()
        self.people.clear()

    async def bindings(self, keys: Collection[str]) -> Mapping[str, Binding]:
        """Return those of *keys* that are bound."""
        return {key: self.bound[key] for key in keys if key in self.bound}

    async def bindings_of(self, person_ids: Collection[str]) -> Sequence[Binding]:
        """Return every alias that is one of *person_ids*'s."""
        return [row for row in self.bound.values() if row.person_id in person_ids]

    async def subjects(self, keys: Collection[str]) -> Mapping[str, Subject]:
        """Return those of *keys* of which something was accepted."""
        return {key: self.known[key] for key in keys if key in self.known}

    async def persons(self, keys: Collection[str]) -> Mapping[str, Person]:
        """Return those of *keys* whom something is known of."""
        return {key: self.people[key] for key in keys if key in self.people}

    async def save(self, changes: Changes) -> None:
        """Write all of *changes*, or nothing."""
        stored: list[tuple[int, Subject | Person | None]] = [(row.version, self.known.get(row.key)) for row in changes.subjects]
        stored += [(row.version, self.people.get(row.person_id)) for row in changes.persons]
        if any(version != (0 if row is None else row.version) + 1 for version, row in stored):
            raise Contended("a row was written by another worker")
        if any(row.key in self.bound for row in changes.bindings):
            raise Contended("an alias was bound by another worker")
        self.bound |= {row.key: row for row in changes.bindings}
        for key in changes.unbound:
            self.bound.pop(key, None)
        self.known |= {row.key: row for row in changes.subjects}
        self.people |= {row.person_id: row for row in changes.persons}


class Front:
    """Ingest between raw records and outcomes, as the loop calls it."""

    def __init__(self, memory: Memory | None = None, *, text_limit: int = 20_000, channels: Channels = CHANNELS) -> None:
        self.memory = FakeMemory() if memory is None else memory
        self._routes = {route.topic: route for route in routes(self.memory, CODEC, channels, text_limit)}
        self.topics = list(self._routes)

    async def take(self, records: Sequence[Record]) -> list[Outcome]:
        """Return the outcomes of one batch; each run of records of one topic is one call of the handler, as in the loop."""
        outcomes: list[Outcome] = []
        batch: list[Record] = []
        for record in [*records, None]:
            if batch and (record is None or record.topic != batch[0].topic):
                outcomes += await self._take(batch)
                batch = []
            if record is not None:
                batch.append(record)
        return outcomes

    async def _take(self, records: Sequence[Record]) -> list[Outcome]:
        route = self._routes[records[0].topic]
        outcomes: list[Outcome | None] = []
        good = []
        for record in records:
            try:
                good.append(Received(record, route.decode(record)))
                outcomes.append(None)
            except MalformedRecord as error:
                outcomes.append(Reject(error.reason, error.detail))
        decided = iter(await route.handle(good) if good else ())
        return [next(decided) if outcome is None else outcome for outcome in outcomes]

    def events(self, *records: Record) -> list[Any]:
        """Return the events that *records*, taken as one batch, become; a record that is refused fails the test."""
        outcomes = asyncio.run(self.take(records))
        refused = [outcome for outcome in outcomes if isinstance(outcome, Reject)]
        assert refused == []
        return [event for outcome in outcomes for event in events_of(outcome)]

    def outcome(self, record: Record) -> Outcome:
        """Return what becomes of one record."""
        (outcome,) = asyncio.run(self.take([record]))
        return outcome


def events_of(outcome: Outcome) -> list[Any]:
    """Return the events that *outcome* publishes, read back from their bytes."""
    return [event_of(output) for output in outcome.outputs] if isinstance(outcome, Emit) else []


def event_of(output: Output) -> Any:
    """Return the event in *output*."""
    decode = _DECODERS[output.topic]
    return decode(Record(output.topic, 0, 0, 0, output.key, output.value))


def kinds(events: Iterable[Any]) -> list[str]:
    """Return the type of each event."""
    return [getattr(event, "type", "account") for event in events]


def raw(topic: str, offset: int, value: Any, *, partition: int = 0) -> Record:
    """Return the record at *offset* that says *value*: bytes as they are, anything else as JSON."""
    encoded = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
    return Record(topic, partition, offset, START_MS + offset, b"key", encoded)


def feedback(offset: int, **fields: Any) -> Record:
    """Return canonical feedback, complete but for what *fields* say."""
    value = {"id": "f-1", "workspace": WORKSPACE, "board": BOARD, "text": "Let me lock a frame.", "author": {"email": "ann@example.com"}}
    return raw("feedback.raw", offset, value | fields)


def join(offset: int, one: str, other: str, *, number: int = 1, command: str = "join") -> Record:
    """Return the command that joins two persons, or separates them."""
    value = {"id": f"j-{number}", "workspace": WORKSPACE, "command": command, "person_id": one, "other_person_id": other}
    return raw("people.commands", offset, value)


def erase(offset: int, person: str, *, number: int = 1) -> Record:
    """Return the command that has a person forgotten."""
    return raw("people.commands", offset, {"id": f"e-{number}", "workspace": WORKSPACE, "command": "erase", "person_id": person})


def rows_of(memory: FakeMemory) -> Any:
    """Return what is remembered, without how many writes it took."""
    known = {key: row.entries for key, row in memory.known.items()}
    people = {
        key: (row.boards, row.contact, row.contact_at, row.profile_at, row.preferences, row.links, row.erased_at)
        for key, row in memory.people.items()
    }
    return memory.bound, known, people
