"""Batches, redeliveries and second publications: whatever is thrown at ingest, it decides the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.common.outcome import Emit, Outcome
from services.common.records import Record
from tests.fakes_ingest import SPLITTING, START_MS, FakeMemory, Front, rows_of
from tests.unit.ingest_histories import logs


def _published(outcomes: Sequence[Outcome]) -> list[Any]:
    return [outcome.outputs if isinstance(outcome, Emit) else outcome for outcome in outcomes]


async def _take(front: Front, records: Sequence[Record], cuts: set[int]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for _, batch in groupby(enumerate(records), key=lambda entry: sum(cut <= entry[0] for cut in cuts)):
        outcomes += await front.take([record for _, record in batch])
    return outcomes


@given(records=logs(), cuts=st.sets(st.integers(0, 25)))
def test_any_split_into_batches_gives_the_same_outputs_and_the_same_memory(records: list[Record], cuts: set[int]) -> None:
    whole, split, single = FakeMemory(), FakeMemory(), FakeMemory()
    expected = asyncio.run(_take(Front(whole, channels=SPLITTING), records, set()))
    assert expected == asyncio.run(_take(Front(split, channels=SPLITTING), records, cuts))
    assert expected == asyncio.run(_take(Front(single, channels=SPLITTING), records, set(range(len(records)))))
    assert rows_of(whole) == rows_of(split) == rows_of(single)


@given(records=logs(), start=st.integers(0, 24), cuts=st.sets(st.integers(0, 25)))
def test_redelivery_of_any_suffix_publishes_the_same_bytes_and_changes_nothing(records: list[Record], start: int, cuts: set[int]) -> None:
    memory = FakeMemory()
    first = asyncio.run(_take(Front(memory, channels=SPLITTING), records, cuts))
    before = rows_of(memory)
    again = asyncio.run(_take(Front(memory, channels=SPLITTING), records[start:], set()))
    assert _published(first[start:]) == _published(again)
    assert before == rows_of(memory)


@given(records=logs(), picked=st.lists(st.integers(0, 24), max_size=25))
def test_redelivery_of_any_records_in_any_order_publishes_the_same_bytes(records: list[Record], picked: list[int]) -> None:
    memory = FakeMemory()
    first = asyncio.run(_take(Front(memory, channels=SPLITTING), records, set()))
    before = rows_of(memory)
    chosen = [number for number in picked if number < len(records)]
    again = asyncio.run(_take(Front(memory, channels=SPLITTING), [records[number] for number in chosen], set()))
    assert _published([first[number] for number in chosen]) == _published(again)
    assert before == rows_of(memory)


@given(records=logs(), shuffled=st.randoms(use_true_random=False), interleaved=st.booleans())
def test_a_second_publication_emits_nothing(records: list[Record], shuffled: Any, interleaved: bool) -> None:
    front = Front(channels=SPLITTING)
    again = [Record(r.topic, 1, r.offset, START_MS + 10_000 + r.offset, r.key, r.value) for r in records]
    if interleaved:
        both = [record for pair in zip(records, again, strict=True) for record in pair]
        second = asyncio.run(front.take(both))[1::2]
    else:
        asyncio.run(front.take(records))
        shuffled.shuffle(again)
        second = asyncio.run(front.take(again))
    assert [outcome for outcome in second if isinstance(outcome, Emit)] == []


@given(records=logs())
def test_facts_have_ids_of_their_own(records: list[Record]) -> None:
    outputs = [
        output
        for outcome in asyncio.run(Front(channels=SPLITTING).take(records))
        if isinstance(outcome, Emit)
        for output in outcome.outputs
    ]
    facts = [(output.topic, output.key) for output in outputs if output.topic != "accounts"]
    assert len(set(facts)) == len(facts)
