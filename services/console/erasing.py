"""``groundswell people erase``: the command, tombstones for what ingest wrote, dead letters, and what is left until when."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from services.common.deadletter import topic_of
from services.common.events import BoardEvent, PersonEvent
from services.common.ports import Partition
from services.common.records import Output, Record
from services.console.board import decoded, end_of, find, joined
from services.console.cluster import Cluster
from services.console.context import codec
from services.console.embedded.stack import SERVICES
from services.console.failures import CommandFailed, ExitCode
from services.console.lag import acknowledged
from services.console.letter_moves import take_out
from services.console.topics import wanted_topics

E = TypeVar("E")

_LOOK_AGAIN_SECONDS = 0.3
_SHORT = 6
"""Names of fewer characters are in too many other words to be looked for."""
_KEPT_EVENTS = frozenset({"erased", "joined", "separated", "unknown"})
"""Events of persons that say nothing personal, and that counts rest on."""
_WAITS: Sequence[tuple[str, Sequence[str]]] = (
    ("board.events", ("dedup",)),
    ("people.events", ("segmenter", "notifier")),
    ("board.decisions", ("segmenter", "notifier")),
    ("segmenter.work", ("segmenter",)),
)
"""Topics in the order in which an erasure passes through them, and who has to have read them."""


@dataclass(frozen=True, slots=True)
class Left:
    """Records that still speak of the person."""

    topic: str
    records: int
    until: str
    """When the last of them goes."""


@dataclass(slots=True)
class Erased:
    """What was done, and what is left."""

    persons: list[str]
    tombstones: dict[str, int] = field(default_factory=dict)
    letters: int = 0
    """Dead letters that were taken out."""
    left: list[Left] = field(default_factory=list)


async def erase_person(cluster: Cluster, workspace: str, wanted: str, *, wait: float) -> Erased:
    """Have the person that *wanted* names, and everyone who is the same human, forgotten; wait up to *wait* seconds for the services.

    Safe to repeat: what a run that was cut off left behind, the next one takes.

    Raises:
        CommandFailed: Nobody is called so, or the services did not finish; running it again goes on.
    """
    deadline = time.monotonic() + wait
    events = decoded(codec(), PersonEvent, (await cluster.read(["people.events"]))["people.events"])
    persons = family_of(workspace, events, wanted)
    names = names_of(events, persons)
    await _command(cluster, workspace, persons, deadline)
    for topic, services in _WAITS:
        await _passed(cluster, topic, services, deadline)
    report = Erased(sorted(persons))
    records = await cluster.read(sorted(wanted_topics()))
    tombs = tombstones(records, persons)
    await cluster.publish(tombs)
    report.tombstones = dict(Counter(output.topic for output in tombs))
    speaks = speaking_of({*persons, *names})
    letters = {topic_of(name): records.get(topic_of(name), []) for name in SERVICES}
    report.letters = await take_out(cluster, letters, speaks)
    report.left = left_of(await cluster.read(sorted(records)), speaks, speaking_of(names))
    return report


def family_of(workspace: str, events: Iterable[PersonEvent], wanted: str) -> set[str]:
    """Return the person that *wanted* (an id, the beginning of one, an alias) names, and everyone who is the same human.

    Raises:
        CommandFailed: Nobody, or more than one, is called so.
    """
    mine = [event for event in events if event.workspace == workspace]
    by_alias = {event.alias: event.person_id for event in mine if event.type == "alias" and event.alias}
    person = by_alias.get(wanted) or find((event.person_id for event in mine), wanted, "person")
    pointers = joined(mine)
    human = end_of(person, pointers)
    return {human, person, *(member for member in pointers if end_of(member, pointers) == human)}


def names_of(events: Iterable[PersonEvent], persons: set[str]) -> set[str]:
    """Return what *persons* are called outside, as far as it can be looked for in other records."""
    found: set[str] = set()
    for event in events:
        if event.person_id in persons:
            found.update(name for name in (event.address, event.alias, (event.alias or "").partition(":")[2]) if name)
    return {name for name in found if len(name) >= _SHORT}


def speaking_of(names: Iterable[str]) -> Callable[[Record], bool]:
    """Return what tells whether a record names any of *names*, whatever their case."""
    wanted = [name.lower().encode() for name in names]

    def speaks(record: Record) -> bool:
        told = (record.value or b"").lower() + b" " + (record.key or b"").lower()
        return any(name in told for name in wanted)

    return speaks


def tombstones(records: Mapping[str, Sequence[Record]], persons: set[str]) -> list[Output]:
    """Return what takes the events of *persons* out of the topics that ingest writes; what is gone already is passed over."""
    people = [
        event
        for event in last_of(records.get("people.events", []), codec().optional_decoder(PersonEvent))
        if event.person_id in persons and event.type not in _KEPT_EVENTS
    ]
    boards = [
        event
        for event in last_of(records.get("board.events", []), codec().optional_decoder(BoardEvent))
        if event.person_id in persons and event.feedback_id is not None
    ]
    return [Output(event.TOPIC, event.key().encode(), None, event.partition_key().encode()) for some in (people, boards) for event in some]


def last_of(records: Iterable[Record], decode: Callable[[Record], E | None]) -> list[E]:
    """Return what a reader of a compacted topic sees: the last record of each key, none where that is a tombstone."""
    last = {record.key: record for record in records}
    return [event for record in last.values() if (event := decode(record)) is not None]


def left_of(records: Mapping[str, Sequence[Record]], speaks: Callable[[Record], bool], names: Callable[[Record], bool]) -> list[Left]:
    """Return which topics that forget by age still speak of the person, and until when; of compacted ones which name it."""
    contracts, found = wanted_topics(), []
    for topic, some in sorted(records.items()):
        contract = contracts[topic]
        if contract.cleanup == "compact":
            still = [record for record in {(r.partition, r.key): r for r in some}.values() if record.value is not None and names(record)]
            if still:
                found.append(Left(topic, len(still), "whoever else has these names is erased, too"))
            continue
        told = [record for record in some if speaks(record)]
        if told and contract.retention_hours is not None:
            last = datetime.fromtimestamp(max(record.timestamp_ms for record in told) / 1000, UTC)
            found.append(Left(topic, len(told), (last + timedelta(hours=contract.retention_hours)).isoformat(timespec="minutes")))
        elif told:
            found.append(Left(topic, len(told), "for ever"))
    return found


async def _command(cluster: Cluster, workspace: str, persons: set[str], deadline: float) -> None:
    """Send the commands, and wait until ingest has told of each."""
    values = {
        person: json.dumps({"id": uuid.uuid4().hex, "workspace": workspace, "command": "erase", "person_id": person}).encode()
        for person in sorted(persons)
    }
    tail = await cluster.tail(["people.commands", "people.events"])
    async with tail:
        await tail.catch_up()
        await cluster.publish([Output("people.commands", person.encode(), value, person.encode()) for person, value in values.items()])
        while True:
            await tail.catch_up()
            ours = {record.origin for record in tail.records["people.commands"] if record.value in values.values()}
            told = {e.person_id for e in decoded(codec(), PersonEvent, tail.records["people.events"]) if e.origin in ours}
            if told >= persons:
                return
            await _look_again("ingest has not answered yet", deadline)


async def _passed(cluster: Cluster, topic: str, services: Sequence[str], deadline: float) -> None:
    """Wait until *services* have read all that lies in *topic* now."""
    ends = await cluster.ends([topic])
    while True:
        positions = await acknowledged(cluster, await cluster.topics())
        behind = [name for name in services if any(positions[name].get(place, 0) < end for place, end in _of(topic, ends))]
        if not behind:
            return
        await _look_again(f"{', '.join(behind)} has not read {topic} to its end yet", deadline)


def _of(topic: str, ends: Mapping[Partition, int]) -> list[tuple[Partition, int]]:
    return [(place, end) for place, end in ends.items() if place[0] == topic]


async def _look_again(what: str, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise CommandFailed(f"{what}; nothing is lost: run the command again once it has (see `groundswell lag`)", ExitCode.UNAVAILABLE)
    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
