"""A memory that is lost comes back out of what was published, and the raw records that are left are read again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.events import Account, BoardEvent, PersonEvent
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.records import Output, Record
from services.ingest.recalling import EventRecall
from tests.fakes_ingest import CODEC, SPLITTING, FakeMemory, Front, event_of, feedback, join, kinds, raw, rows_of
from tests.ingest_samples import ANN, BOB
from tests.unit.ingest_histories import logs

LAW = settings(max_examples=150, deadline=None)
_TOPICS = (PersonEvent.TOPIC, Account.TOPIC, BoardEvent.TOPIC)


def _outputs(outcomes: Iterable[Outcome]) -> list[Output]:
    return [output for outcome in outcomes if isinstance(outcome, Emit) for output in outcome.outputs]


def _recalled(published: Sequence[Output], seed: int = 0) -> FakeMemory:
    """Return the memory that a new store is given: topic by topic, compacted, the partitions one after another, in batches."""
    memory, order = FakeMemory(), random.Random(seed)
    recall = EventRecall(memory, CODEC)
    assert recall.topics == _TOPICS
    last = {(output.topic, output.key): place for place, output in enumerate(published)}
    left = [output for place, output in enumerate(published) if last[output.topic, output.key] == place]

    async def read() -> None:
        for topic in recall.topics:
            shares = {output.partition_key: order.random() for output in left}
            records = sorted((output for output in left if output.topic == topic), key=lambda output: shares[output.partition_key])
            size = order.randint(1, 5)
            for start in range(0, len(records), size):
                await recall.recall(topic, [Record(topic, 0, 0, 0, o.key, o.value) for o in records[start : start + size]])

    asyncio.run(read())
    return memory


def _take(memory: FakeMemory, records: Sequence[Record], cuts: Iterable[int] = ()) -> list[Outcome]:
    async def run() -> list[Outcome]:
        outcomes: list[Outcome] = []
        for _, batch in groupby(enumerate(records), key=lambda entry: sum(cut <= entry[0] for cut in cuts)):
            outcomes += await Front(memory, channels=SPLITTING).take([record for _, record in batch])
        return outcomes

    return asyncio.run(run())


def _contents(outputs: Iterable[Output]) -> set[tuple[str, bytes | None, bytes | None]]:
    return {(output.topic, output.key, output.value) for output in outputs}


@LAW
@given(records=logs(), lost=st.integers(0, 25), cuts=st.sets(st.integers(0, 25)), seed=st.integers(0, 2**32 - 1))
def test_a_lost_memory_comes_back(records: list[Record], lost: int, cuts: set[int], seed: int) -> None:
    """Everything is read again: nothing is said that was not said before, and what follows is decided as it would have been."""
    memory = FakeMemory()
    expected = _take(memory, records)
    rebuilt = _recalled(_outputs(expected[:lost]), seed)

    again = _take(rebuilt, records[:lost], cuts)

    assert _contents(_outputs(again)) <= _contents(_outputs(expected[:lost]))
    assert _outputs(expected[lost:]) == _outputs(_take(rebuilt, records[lost:], cuts))
    (bound, _, people), (bound_again, _, people_again) = rows_of(memory), rows_of(rebuilt)
    assert (bound, people) == (bound_again, people_again)


@LAW
@given(records=logs(), start=st.integers(0, 25), lost=st.integers(0, 25), cuts=st.sets(st.integers(0, 25)))
def test_raw_records_that_are_gone_are_not_needed(records: list[Record], start: int, lost: int, cuts: set[int]) -> None:
    """But for one thing: what contradicted a record that had come too late, and that nothing was said of, is not known to do so."""
    records = [record for record, outcome in zip(records, _take(FakeMemory(), records), strict=True) if not isinstance(outcome, Reject)]
    expected = _take(FakeMemory(), records)
    rebuilt = _recalled(_outputs(expected[:lost]))

    again = _take(rebuilt, records[min(start, lost) : lost], cuts)
    follows = _take(rebuilt, records[lost:], cuts)

    assert _contents(_outputs(again)) <= _contents(_outputs(expected[:lost]))
    facts = {output.key: output.value for output in _outputs(expected) if output.topic != Account.TOPIC}
    assert all(facts[output.key] == output.value for output in _outputs(follows) if output.key in facts)


@LAW
@given(records=logs(), batch=st.integers(0, 25), lost=st.integers(0, 25), seed=st.integers(0, 2**32 - 1))
def test_a_crash_amid_publishing_contradicts_nothing(records: list[Record], batch: int, lost: int, seed: int) -> None:
    """Of the last batch some partitions got more than others when the process died and its store with it."""
    first = min(batch, lost)
    expected = _take(FakeMemory(), records[:lost])
    order = random.Random(seed)
    reached: dict[bytes, bool] = {}
    said = _outputs(expected[:first])
    for output in _outputs(expected[first:]):
        is_said = reached.get(output.partition_key, True) and order.random() < 0.6
        reached[output.partition_key] = is_said
        if is_said:
            said.append(output)

    again = _outputs(_take(_recalled(said), records[:lost]))

    contents = _contents(output for output in [*said, *again] if output.topic != Account.TOPIC)
    assert len({(topic, key) for topic, key, _ in contents}) == len(contents)
    wanted = [event_of(output) for output in _outputs(expected) if output.topic == BoardEvent.TOPIC]
    newest = {event.feedback_id: event.revision for event in wanted if event.feedback_id is not None}
    found = [event_of(output) for output in [*said, *again] if output.topic == BoardEvent.TOPIC]
    assert newest == {event.feedback_id: event.revision for event in sorted(found, key=lambda event: event.revision) if event.feedback_id}


def test_a_join_that_changed_nothing_joins_nobody_who_was_separated_later() -> None:
    records = [
        feedback(0),
        feedback(1, id="f-2", author={"email": "bob@example.com"}),
        join(0, ANN, BOB, number=1),
        join(1, ANN, BOB, number=2),
        join(2, ANN, BOB, number=3, command="separate"),
    ]
    expected = _take(FakeMemory(), records)
    assert expected[3] == Drop("unchanged")

    again = _take(_recalled(_outputs(expected)), records)

    assert expected[3] != again[3] == Drop("decided")
    assert [*expected[:3], expected[4]] == [*again[:3], again[4]]


def test_a_record_published_again_is_a_repeat_and_another_content_a_conflict() -> None:
    expected = _take(FakeMemory(), [feedback(0)])
    rebuilt = _recalled(_outputs(expected))

    repeat, conflict = _take(rebuilt, [feedback(7), feedback(8, text="Something else.")])

    assert repeat == Drop("repeat")
    assert getattr(conflict, "reason", None) == "conflict"


def test_who_was_known_by_an_alias_is_known_by_it_still() -> None:
    known = {"id": "c-1", "workspace": "lumora", "email": "ann@example.com", "alias": "slack:U1", "updated_at": "2026-11-21T00:00:00Z"}
    expected = _take(FakeMemory(), [raw("people.raw", 0, known)])
    rebuilt = _recalled(_outputs(expected))

    events = [event_of(output) for output in _outputs(_take(rebuilt, [feedback(0, author={"alias": "slack:U1"})]))]

    assert kinds(events) == ["submitted"]
    assert [event.person_id for event in events] == [ANN]


def test_what_was_erased_or_cannot_be_read_stops_nothing() -> None:
    expected = _take(FakeMemory(), [feedback(0)])
    memory = FakeMemory()
    recall = EventRecall(memory, CODEC)
    good = next(output for output in _outputs(expected) if output.topic == BoardEvent.TOPIC)

    asyncio.run(
        recall.recall(
            BoardEvent.TOPIC, [Record(BoardEvent.TOPIC, 0, n, 0, b"k", value) for n, value in enumerate([None, b"?", good.value])]
        )
    )

    assert list(memory.known) == [event_of(good).feedback_id]


def test_a_command_that_changed_nothing_keeps_its_id_although_nothing_was_said_of_it() -> None:
    """A later join has moved the pointer by the time at which it is read again; what reuses its id is a conflict as before."""
    records = [join(0, ANN, BOB, number=7, command="separate"), join(1, ANN, BOB, number=8), join(2, ANN, BOB, number=7)]
    expected = _take(FakeMemory(), records)
    rebuilt = _recalled(_outputs(expected[:2]))
    _take(rebuilt, records[:2])

    [outcome] = _take(rebuilt, records[2:])

    assert isinstance(outcome, Reject)
    assert outcome == expected[2]
