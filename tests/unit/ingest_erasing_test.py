"""Persons who are forgotten: what was known goes, comes back neither by a redelivery nor after a loss, and the rest stays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common import ids
from services.common.outcome import Drop, Emit
from services.common.records import Record
from services.ingest.recalling import EventRecall
from tests.fakes_ingest import CODEC, WORKSPACE, FakeMemory, Front, erase, events_of, feedback, kinds, raw, rows_of
from tests.ingest_samples import ACTIVITY, ANN, BOB, PREFERENCE, PROFILE

_MARK = "zyxmark"
_MAIL = f"{_MARK}@example.com"
MARA = ids.person_id(WORKSPACE, f"email:{_MAIL}")
_MARAS = (
    feedback(1, id="f-m", text=f"{_MARK} wants it", author={"email": _MAIL, "alias": f"slack:{_MARK}", "name": _MARK}),
    raw("people.raw", 2, PROFILE | {"id": f"crm-{_MARK}", "email": _MAIL, "name": _MARK}),
    raw("activity.raw", 3, ACTIVITY | {"id": "a-m", "person": {"alias": f"slack:{_MARK}"}, "name": f"did {_MARK}"}),
    raw("preferences.raw", 4, PREFERENCE | {"id": "p-m", "person": {"crm_id": f"crm-{_MARK}"}}),
    feedback(5, id="f-m", revision=1, text=f"{_MARK} wants more", author={"alias": f"slack:{_MARK}"}),
)
_OTHERS = (feedback(6, id="f-b", author={"email": "bob@example.com"}), feedback(7, id="f-a", author={"email": "ann@example.com"}))
_ERASE = erase(50, MARA)


def _erasures(front: Front) -> list[Record]:
    """Return the commands that erase everybody who has one of her aliases: who comes first decides how many persons she is."""
    assert isinstance(front.memory, FakeMemory)
    hers = sorted({row.person_id for key, row in front.memory.bound.items() if _MARK in key})
    return [erase(50 + number, person, number=number) for number, person in enumerate(hers)]


def _said(outcomes: Sequence[Any]) -> list[Any]:
    return [event for outcome in outcomes for event in events_of(outcome)]


def test_an_erasure_is_told_to_the_person_its_aliases_and_every_board() -> None:
    front = Front()
    front.events(*_MARAS)
    events = front.events(_ERASE)
    assert kinds(events) == ["erased"] * 3 + ["commanded"]
    stand_ins = {ids.person_id(WORKSPACE, alias) for alias in (f"slack:{_MARK}", f"crm:crm-{_MARK}")}
    assert {MARA} | stand_ins == {event.person_id for event in events[:3]}
    assert (events[3].command, events[3].person_id, events[3].board) == ("erase", MARA, "product")
    assert _MARK not in repr(events)


def test_nothing_personal_is_remembered_of_the_erased() -> None:
    front = Front()
    front.events(*_MARAS, *_OTHERS, _ERASE)
    assert isinstance(front.memory, FakeMemory)
    assert _MARK not in repr(rows_of(front.memory))
    assert {f"{WORKSPACE}/email:ann@example.com", f"{WORKSPACE}/email:bob@example.com"} == set(front.memory.bound)


@given(st.permutations(_MARAS), st.permutations(_MARAS))
@settings(max_examples=40, deadline=None)
def test_what_had_come_before_an_erasure_says_nothing_ever_after(before: list[Record], after: list[Record]) -> None:
    front = Front()
    asyncio.run(front.take(before))
    front.events(*_erasures(front))
    outcomes = asyncio.run(front.take(after))
    assert {Drop("erased")} == set(outcomes)


@given(st.permutations([*_MARAS, *_OTHERS]), st.data())
@settings(max_examples=40, deadline=None)
def test_a_lost_memory_does_not_bring_the_erased_back(history: list[Record], data: st.DataObject) -> None:
    """Compaction may have removed what was tombstoned, or not yet."""
    front = Front()
    outcomes = asyncio.run(front.take(history))
    erasures = _erasures(front)
    outcomes += asyncio.run(front.take(erasures))
    outputs = [output for outcome in outcomes if isinstance(outcome, Emit) for output in outcome.outputs]
    kept = [output for output in outputs if not _is_hers(output) or data.draw(st.booleans())]
    memory = FakeMemory()
    recall = EventRecall(memory, CODEC)
    for topic in recall.topics:
        records = [Record(topic, 0, n, 0, o.key, o.value) for n, o in enumerate(kept) if o.topic == topic]
        asyncio.run(recall.recall(topic, records))
        asyncio.run(recall.recall(topic, records))
    assert _MARK not in repr(rows_of(memory))
    again = Front(memory)
    assert _MARK not in repr(_said(asyncio.run(again.take([*history, *erasures]))))


def _is_hers(output: Any) -> bool:
    (event,) = events_of(Emit((output,)))
    return _MARK in repr(event)


def test_who_writes_again_after_an_erasure_is_known_from_then_on() -> None:
    front = Front()
    front.events(*_MARAS, _ERASE)
    events = front.events(feedback(60, id="f-n", text="Hello again", author={"email": _MAIL}))
    assert kinds(events) == ["alias", "contact", "submitted"]
    assert {MARA} == {event.person_id for event in events}
    assert {Drop("erased")} == set(asyncio.run(front.take(_MARAS)))


def test_an_erasure_that_is_read_again_takes_nothing_of_what_came_since() -> None:
    front = Front()
    front.events(*_MARAS)
    first = front.events(_ERASE)
    front.events(feedback(60, id="f-n", text="Hello again", author={"email": _MAIL}))
    assert isinstance(front.memory, FakeMemory)
    before = rows_of(front.memory)
    assert first == front.events(_ERASE)
    assert before == rows_of(front.memory)


def test_that_erased_feedback_was_taken_back_still_counts() -> None:
    front = Front()
    front.events(*_MARAS, _ERASE)
    assert kinds(front.events(feedback(8, id="f-m", revision=2, deleted=True, text=None, author=None))) == ["retracted"]


def test_nobody_else_is_touched() -> None:
    front, alone = Front(), Front()
    front.events(*_MARAS, *_OTHERS, _ERASE)
    alone.events(*_OTHERS)
    later = [
        feedback(70, id="f-b", revision=1, text="more", author={"email": "bob@example.com"}),
        feedback(71, id="f-c", author={"email": "ann@example.com"}),
    ]
    assert alone.events(*later) == front.events(*later)
    assert {ANN, BOB} == {event.person_id for event in alone.events(*later)}
