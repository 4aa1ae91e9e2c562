"""Batches, redeliveries and second publications: whatever is thrown at ingest, it decides the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.common import ids
from services.common.outcome import Emit, Outcome
from services.common.records import Record
from tests.fakes_ingest import START_MS, WORKSPACE, FakeMemory, Front, raw

_IDS = st.sampled_from(["1", "2", "3"])
_EMAILS = st.sampled_from(["ann@example.com", "Ann+x@Example.com", "bob@example.com", None])
_ALIASES = st.sampled_from(["slack:U1", "slack:U2", None])
_CRM = st.sampled_from(["7", "8", None])
_MOMENTS = st.integers(0, 3).map(lambda day: f"2026-11-2{day}T00:00:00Z")
_PERSONS = st.sampled_from(
    [ids.person_id(WORKSPACE, alias) for alias in ("email:ann@example.com", "email:bob@example.com", "slack:U1", "crm:7")]
)


def _object(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"workspace": st.just(WORKSPACE), **fields})


_AUTHOR = st.fixed_dictionaries({"email": _EMAILS, "alias": _ALIASES, "crm_id": _CRM})
_PERSON = _AUTHOR.filter(lambda person: any(person.values()))
_VALUES = {
    "feedback.raw": _object(
        id=_IDS,
        board=st.sampled_from(["product", "api"]),
        text=st.sampled_from(["Lock frames.", "Dark mode."]),
        author=_AUTHOR,
        revision=st.integers(0, 2),
        deleted=st.booleans(),
        occurred_at=st.one_of(st.none(), _MOMENTS),
    ),
    "people.raw": _object(id=_CRM, email=_EMAILS, updated_at=_MOMENTS, name=st.sampled_from(["Ann", "Anna"])),
    "activity.raw": _object(id=_IDS, person=_PERSON, name=st.just("exported")),
    "preferences.raw": _object(id=_IDS, person=_PERSON, opted_out=st.booleans(), updated_at=_MOMENTS),
    "accounts.raw": _object(id=_IDS, updated_at=_MOMENTS, plan=st.sampled_from(["free", "team"])),
    "people.commands": _object(
        id=st.integers(0, 2**40), command=st.sampled_from(["join", "separate"]), person_id=_PERSONS, other_person_id=_PERSONS
    ),
    "ideas.status": _object(
        id=st.integers(0, 2**40),
        board=st.just("product"),
        idea_id=st.just(f"{WORKSPACE}:idea:x"),
        status=st.sampled_from(["planned", "shipped"]),
        updated_at=_MOMENTS,
    ),
}


@st.composite
def _logs(draw: st.DrawFn) -> list[Record]:
    """Raw records of few ids and few persons, so that everything meets everything; offsets rise by topic.

    Each log is of a few topics only, so that those meet each other more often than by chance.
    """
    chosen = draw(st.lists(st.sampled_from(sorted(_VALUES)), min_size=1, max_size=4, unique=True))
    topics = draw(st.lists(st.sampled_from(chosen), min_size=1, max_size=25))
    offsets = dict.fromkeys(_VALUES, 0)
    records = []
    for topic in topics:
        records.append(raw(topic, offsets[topic], draw(_VALUES[topic])))
        offsets[topic] += 1
    return records


def _published(outcomes: Sequence[Outcome]) -> list[Any]:
    return [outcome.outputs if isinstance(outcome, Emit) else outcome for outcome in outcomes]


async def _take(front: Front, records: Sequence[Record], cuts: set[int]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for _, batch in groupby(enumerate(records), key=lambda entry: sum(cut <= entry[0] for cut in cuts)):
        outcomes += await front.take([record for _, record in batch])
    return outcomes


@given(records=_logs(), cuts=st.sets(st.integers(0, 25)))
def test_any_split_into_batches_gives_the_same_outputs_and_the_same_memory(records: list[Record], cuts: set[int]) -> None:
    whole, split, single = FakeMemory(), FakeMemory(), FakeMemory()
    expected = asyncio.run(_take(Front(whole), records, set()))
    assert expected == asyncio.run(_take(Front(split), records, cuts))
    assert expected == asyncio.run(_take(Front(single), records, set(range(len(records)))))
    assert _rows(whole) == _rows(split) == _rows(single)


def _rows(memory: FakeMemory) -> Any:
    """Return what is remembered, without how many writes it took."""
    known = {key: row.entries for key, row in memory.known.items()}
    people = {
        key: (row.boards, row.contact, row.contact_at, row.profile_at, row.preferences, row.links) for key, row in memory.people.items()
    }
    return memory.bound, known, people


@given(records=_logs(), start=st.integers(0, 24), cuts=st.sets(st.integers(0, 25)))
def test_redelivery_of_any_suffix_publishes_the_same_bytes_and_changes_nothing(records: list[Record], start: int, cuts: set[int]) -> None:
    memory = FakeMemory()
    first = asyncio.run(_take(Front(memory), records, cuts))
    before = _rows(memory)
    again = asyncio.run(_take(Front(memory), records[start:], set()))
    assert _published(first[start:]) == _published(again)
    assert before == _rows(memory)


@given(records=_logs(), picked=st.lists(st.integers(0, 24), max_size=25))
def test_redelivery_of_any_records_in_any_order_publishes_the_same_bytes(records: list[Record], picked: list[int]) -> None:
    memory = FakeMemory()
    first = asyncio.run(_take(Front(memory), records, set()))
    before = _rows(memory)
    chosen = [number for number in picked if number < len(records)]
    again = asyncio.run(_take(Front(memory), [records[number] for number in chosen], set()))
    assert _published([first[number] for number in chosen]) == _published(again)
    assert before == _rows(memory)


@given(records=_logs(), shuffled=st.randoms(use_true_random=False), interleaved=st.booleans())
def test_a_second_publication_emits_nothing(records: list[Record], shuffled: Any, interleaved: bool) -> None:
    front = Front()
    again = [Record(r.topic, 1, r.offset, START_MS + 10_000 + r.offset, r.key, r.value) for r in records]
    if interleaved:
        both = [record for pair in zip(records, again, strict=True) for record in pair]
        second = asyncio.run(front.take(both))[1::2]
    else:
        asyncio.run(front.take(records))
        shuffled.shuffle(again)
        second = asyncio.run(front.take(again))
    assert [outcome for outcome in second if isinstance(outcome, Emit)] == []


@given(records=_logs())
def test_facts_have_ids_of_their_own(records: list[Record]) -> None:
    outputs = [output for outcome in asyncio.run(Front().take(records)) if isinstance(outcome, Emit) for output in outcome.outputs]
    facts = [(output.topic, output.key) for output in outputs if output.topic != "accounts"]
    assert len(set(facts)) == len(facts)
