"""Ingest's memory: one suite over all three stores."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common import ids
from services.common.errors import TransientError
from services.common.outcome import Drop, Emit
from services.common.records import Record
from services.ingest.adapters.mongo import MongoMemory
from services.ingest.adapters.shapes import entry_of, entry_to_plain, person_of, person_to_plain
from services.ingest.adapters.sqlite import SCHEMA, SqliteMemory
from services.ingest.domain.rows import Binding, Changes, Entry, Link, Person, Subject
from services.ingest.ports import Contended, Memory
from services.ingest.recalling import EventRecall
from tests.fakes_ingest import CODEC, FakeMemory, Front, events_of, feedback, join
from tests.ingest_samples import ANN, BOB
from tests.support.stores import KINDS, mongo_store, sqlite_database

ENTRY = Entry(3, "feedback.raw/0/1", "d1", "submitted", "product", ANN, contact=True, links=((BOB, ANN),), boards=("a", "b.c"), change=2)
BINDING = Binding("lumora/email:ann$.x@example.com", ANN, "feedback.raw/0/1")
SUBJECT = Subject("lumora:feedback:x", 1, (ENTRY,))
PERSON = Person(
    ANN,
    1,
    frozenset({"product", "b.c"}),
    "email:ann@example.com",
    7,
    8,
    (("email/", 9),),
    (Link("o1", BOB, (ANN, BOB), 1), Link("o2", None, None, 2)),
)
EVERYTHING = Changes((BINDING,), (SUBJECT,), (PERSON,))


@pytest.fixture(params=KINDS)
async def memory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Memory]:
    match request.param:
        case "memory":
            yield FakeMemory()
        case "sqlite":
            async with sqlite_database(tmp_path, SCHEMA) as database:
                yield SqliteMemory(database)
        case _:
            async with mongo_store() as store:
                yield MongoMemory(store)


async def _all(memory: Memory) -> Changes:
    """Return the rows of ``EVERYTHING`` as they are stored."""
    bindings = await memory.bindings([BINDING.key])
    subjects = await memory.subjects([SUBJECT.key])
    persons = await memory.persons([PERSON.person_id])
    return Changes(tuple(bindings.values()), tuple(subjects.values()), tuple(persons.values()))


async def test_aliases_are_found_by_their_person_and_let_go(memory: Memory) -> None:
    await memory.save(EVERYTHING)
    other = Binding("lumora/slack:U1", BOB, "feedback.raw/0/2")
    await memory.save(Changes((other,), (), ()))
    assert list(await memory.bindings_of({ANN})) == [BINDING]
    erased = replace(PERSON, version=2, erased_at=9)
    await memory.save(Changes((), (), (erased,), (BINDING.key,)))
    assert list(await memory.bindings_of({ANN})) == []
    assert [other] == list(await memory.bindings_of({ANN, BOB}))
    assert {ANN: erased} == dict(await memory.persons({ANN}))
    assert list(await memory.bindings_of(())) == []


async def test_what_was_saved_is_read_back(memory: Memory) -> None:
    await memory.save(EVERYTHING)
    assert await _all(memory) == EVERYTHING


async def test_what_was_never_saved_is_not_there(memory: Memory) -> None:
    assert await _all(memory) == Changes((), (), ())
    assert not await memory.bindings([])
    assert not await memory.subjects([])
    assert not await memory.persons([])


async def test_only_what_is_asked_for_is_read(memory: Memory) -> None:
    others = [Binding(f"lumora/slack:U{n}", ANN, "o") for n in range(1_200)]
    await memory.save(Changes(tuple(others), (), ()))
    asked = [row.key for row in others[:1_100]]
    assert {row.key: row for row in others[:1_100]} == await memory.bindings([*asked, "lumora/slack:nobody"])


async def test_saving_nothing_is_fine(memory: Memory) -> None:
    await memory.save(Changes((), (), ()))


async def test_the_next_version_replaces(memory: Memory) -> None:
    await memory.save(EVERYTHING)
    later = Subject(SUBJECT.key, 2, (ENTRY, Entry(4, "feedback.raw/0/2", "d2", "revised")))
    person = Person(ANN, 2, frozenset({"api"}))
    await memory.save(Changes((), (later,), (person,)))
    assert await _all(memory) == Changes((BINDING,), (later,), (person,))


@pytest.mark.parametrize("version", [1, 3])
async def test_a_version_that_is_not_the_next_is_contended(memory: Memory, version: int) -> None:
    await memory.save(EVERYTHING)
    for changes in (Changes((), (Subject(SUBJECT.key, version, ()),), ()), Changes((), (), (Person(ANN, version),))):
        with pytest.raises(Contended):
            await memory.save(changes)
    assert await _all(memory) == EVERYTHING


async def test_a_later_version_of_nothing_is_contended(memory: Memory) -> None:
    with pytest.raises(Contended):
        await memory.save(Changes((), (Subject("lumora:feedback:none", 2, ()),), ()))
    assert not await memory.subjects(["lumora:feedback:none"])


async def test_an_alias_is_bound_once(memory: Memory) -> None:
    await memory.save(EVERYTHING)
    with pytest.raises(Contended):
        await memory.save(Changes((Binding(BINDING.key, BOB, "feedback.raw/0/9"),), (), ()))
    assert {BINDING.key: BINDING} == await memory.bindings([BINDING.key])


async def test_being_contended_asks_for_another_try() -> None:
    assert issubclass(Contended, TransientError)


async def test_two_workers_on_one_store_decide_as_one(memory: Memory) -> None:
    one, other = Front(memory), Front(memory)
    first = await one.take([feedback(0), join(0, ANN, BOB)])
    assert [type(outcome).__name__ for outcome in await other.take([feedback(7), join(7, ANN, BOB)])] == ["Drop", "Drop"]
    assert first == await other.take([feedback(0), join(0, ANN, BOB)])


async def _insist(front: Front, records: Sequence[Record]) -> list[Any]:
    """Return the events of *records*, decided again for as long as another worker comes between."""
    for _ in range(50):
        try:
            return [event for outcome in await front.take(records) for event in events_of(outcome)]
        except Contended:
            continue
    raise AssertionError("two workers block each other for ever")


async def test_workers_that_race_for_the_same_records_publish_each_fact_once(memory: Memory) -> None:
    def published(partition: int) -> list[Record]:
        records = [
            feedback(n, id=str(n % 20), author={"email": f"p{n % 7}@example.com", "alias": f"slack:U{n % 5}", "crm_id": str(n % 3)})
            for n in range(30)
        ]
        return [Record(r.topic, partition, r.offset, r.timestamp_ms, r.key, r.value) for r in records]

    async def work(partition: int) -> list[Any]:
        front, records = Front(memory), published(partition)
        return [event for start in range(0, 30, 5) for event in await _insist(front, records[start : start + 5])]

    events = [event for part in await asyncio.gather(*(work(number) for number in range(3))) for event in part]
    submitted = Counter(event.external_id for event in events if event.type == "submitted")
    announced = Counter(event.alias for event in events if event.type == "alias")
    assert {str(n): 1 for n in range(20)} == submitted
    assert (
        dict.fromkeys(
            [*(f"email:p{n}@example.com" for n in range(7)), *(f"slack:U{n}" for n in range(5)), *(f"crm:{n}" for n in range(3))], 1
        )
        == announced
    )


async def test_a_memory_is_recalled_by_several_at_once_and_twice(memory: Memory) -> None:
    records = [
        *(feedback(n, id=str(n), author={"email": f"p{n % 7}@example.com", "alias": f"slack:U{n}"}) for n in range(20)),
        join(0, ids.person_id("lumora", "email:p1@example.com"), ids.person_id("lumora", "email:p2@example.com")),
    ]
    expected = await Front().take(records)
    said = [output for outcome in expected if isinstance(outcome, Emit) for output in outcome.outputs]

    async def recall() -> None:
        one = EventRecall(memory, CODEC)
        for topic in one.topics:
            of_topic = [Record(topic, 0, n, 0, o.key, o.value) for n, o in enumerate(said) if o.topic == topic]
            for start in range(0, len(of_topic), 7):
                await one.recall(topic, of_topic[start : start + 7])

    await asyncio.gather(recall(), recall())
    await recall()

    assert expected == await Front(memory).take(records)
    again = [Record(r.topic, 1, r.offset, r.timestamp_ms, r.key, r.value) for r in records]
    assert all(isinstance(outcome, Drop) for outcome in await Front(memory).take(again))


_NAMES = st.text(max_size=6)
_ENTRIES = st.builds(
    Entry,
    order=st.integers(0, 2**63 - 1),
    origin=_NAMES,
    digest=_NAMES,
    kind=_NAMES,
    place=_NAMES,
    person_id=st.none() | _NAMES,
    contact=st.booleans(),
    links=st.lists(st.tuples(_NAMES, _NAMES), max_size=2).map(tuple),
    boards=st.lists(_NAMES, max_size=2).map(tuple),
    change=st.integers(0, 9),
)
_PERSONS = st.builds(
    Person,
    person_id=_NAMES,
    version=st.integers(1, 5),
    boards=st.frozensets(_NAMES, max_size=2),
    contact=st.none() | _NAMES,
    contact_at=st.integers(-1, 2**62),
    profile_at=st.integers(-1, 2**62),
    preferences=st.lists(st.tuples(_NAMES, st.integers(0, 2**62)), max_size=2).map(tuple),
    links=st.lists(
        st.builds(Link, origin=_NAMES, into=st.none() | _NAMES, pair=st.none() | st.tuples(_NAMES, _NAMES), number=st.integers(0, 9)),
        max_size=2,
    ).map(tuple),
)


@given(entry=_ENTRIES, person=_PERSONS)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_rows_keep_everything_in_their_plain_shape(entry: Entry, person: Person) -> None:
    assert entry == entry_of(entry_to_plain(entry))
    assert person == person_of(person.person_id, person.version, person_to_plain(person))
