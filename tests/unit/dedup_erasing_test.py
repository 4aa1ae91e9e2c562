"""Persons who are forgotten: their words leave the board and its log, links and counts stay, a lost log does not bring them back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.events import BoardEvent, Decision, Idea
from services.common.outcome import Drop, Emit, Outcome
from services.common.records import Output, Received, Record
from services.dedup.domain import calibration, ideas
from services.dedup.recalling import DecisionRecall
from tests.fakes_dedup import BOARDS, CODEC, WORKSPACE, MemoryBoardLog, MemorySaidLog, event_of, handle_all, handler_on, received, submitted
from tests.unit.dedup_histories import HISTORIES

LAW = settings(max_examples=25, deadline=None)
_MARK = "zyx"
_PERSON = f"{WORKSPACE}:person:0"
_ERASER = 500


@pytest.fixture(scope="module", autouse=True)
def _small_boards_take_a_census() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "FIRST_TEXTS", 3)
        patch.setattr(ideas, "_KEPT_FROM", 2)
        yield


def _marked(history: Sequence[BoardEvent]) -> list[BoardEvent]:
    """Let every other text of the person hold a word that nobody else says, so that others repeat some of them and some not."""
    return [
        replace(event, text=f"{event.text} {_MARK}", external_id=_MARK) if _is_marked(place, event) else event
        for place, event in enumerate(history)
    ]


def _is_marked(place: int, event: BoardEvent) -> bool:
    return event.person_id == _PERSON and event.text is not None and place % 2 == 0


def _erasure(place: int, board: str) -> BoardEvent:
    return event_of(place, type="commanded", command="erase", source="people.commands", board=board, person_id=_PERSON)


def _erasures() -> list[Received[BoardEvent]]:
    return received([_erasure(_ERASER + n, board) for n, board in enumerate(BOARDS)], first_offset=_ERASER)


def _outputs(outcomes: Sequence[Outcome], topic: str) -> dict[bytes | None, Output]:
    """Return what a reader of the compacted topic sees."""
    return {o.key: o for outcome in outcomes if isinstance(outcome, Emit) for o in outcome.outputs if o.topic == topic}


def _ideas(outcomes: Sequence[Outcome]) -> dict[str, Idea]:
    decode = CODEC.decoder(Idea)
    states = [decode(Record(o.topic, 0, 0, 0, o.key, o.value)) for o in _outputs(outcomes, Idea.TOPIC).values()]
    return {idea.idea_id: idea for idea in states}


def _counts(outcomes: Sequence[Outcome]) -> dict[str, tuple[object, ...]]:
    return {name: (i.root_id, i.status, i.people, i.mentions, i.first_seen, i.last_seen) for name, i in _ideas(outcomes).items()}


def _bytes(log: MemoryBoardLog) -> bytes:
    return b"".join(body for rows in log.rows.values() for body, _ in rows)


@LAW
@given(HISTORIES)
def test_the_words_are_gone_and_the_counts_stay(history: Sequence[BoardEvent]) -> None:
    log = MemoryBoardLog()
    handler = handler_on(log)
    before = handle_all(handler, [received(_marked(history))])
    after = [*before, *handle_all(handler, [_erasures()])]

    assert _MARK.encode() not in _bytes(log)
    for topic in (Decision.TOPIC, Idea.TOPIC):
        assert not [output for output in _outputs(after, topic).values() if _MARK.encode() in (output.value or b"")]
    assert _counts(before) == _counts(after)
    assert all(idea.title for idea in _ideas(after).values())
    versions = {name: idea.version for name, idea in _ideas(before).items()}
    assert all(idea.version >= versions[name] for name, idea in _ideas(after).items())


@LAW
@given(HISTORIES, HISTORIES)
def test_a_restart_goes_on_as_the_same_board(history: Sequence[BoardEvent], later: Sequence[BoardEvent]) -> None:
    """Folded from its log without the words, whatever follows; also where the process died before the log was written anew."""
    first, then = [*received(_marked(history)), *_erasures()], received(_renamed(later), first_offset=700)
    log = MemoryBoardLog()
    handler = handler_on(log)
    handle_all(handler, [first])
    dead = MemoryBoardLog()
    handle_all(handler_on(dead), [received(_marked(history))])
    handle_all(handler_on(_ReadOnce(dead)), [_erasures()])
    assert handle_all(handler_on(dead), [_erasures()]) == handle_all(handler_on(log), [_erasures()])
    assert log.rows == dead.rows

    assert handle_all(handler, [then]) == handle_all(handler_on(dead), [then])
    assert log.rows == dead.rows


class _ReadOnce(MemoryBoardLog):
    """A log whose process dies instead of writing it anew."""

    def __init__(self, log: MemoryBoardLog) -> None:
        super().__init__()
        self.rows = log.rows

    async def rewrite(self, entries: Sequence[object]) -> None:
        """Do nothing."""


def _renamed(later: Sequence[BoardEvent]) -> list[BoardEvent]:
    """Return *later* as other events of the same boards, about the same feedback and ideas."""
    return [replace(event, event_id=f"{event.event_id}-later", revision=event.revision + 3) for event in later]


@LAW
@given(HISTORIES, st.booleans())
def test_what_is_said_again_holds_no_word(history: Sequence[BoardEvent], is_one_batch: bool) -> None:
    log, records = MemoryBoardLog(), [*received(_marked(history)), *_erasures()]
    handle_all(handler_on(log), [records])
    again = handle_all(handler_on(log), [records] if is_one_batch else [[record] for record in records])
    assert _MARK not in repr(again)


def _is_hers(event: BoardEvent, history: Sequence[BoardEvent]) -> bool:
    """Tell whether *event* speaks of feedback that she alone wrote: ingest lets nobody else edit it, histories do."""
    return {other.person_id for other in history if other.feedback_id == event.feedback_id and other.text is not None} == {_PERSON}


@LAW
@given(HISTORIES, st.booleans())
def test_a_lost_log_does_not_bring_them_back(history: Sequence[BoardEvent], is_compacted: bool) -> None:
    records = [*received(_marked(history)), *_erasures()]
    expected = handle_all(handler_on(MemoryBoardLog()), [records])
    said = MemorySaidLog()
    outputs = [o for outcome in expected if isinstance(outcome, Emit) for o in outcome.outputs if o.topic == Decision.TOPIC]
    asyncio.run(
        DecisionRecall(said, CODEC).recall(Decision.TOPIC, [Record(o.topic, 0, n, 0, o.key, o.value) for n, o in enumerate(outputs)])
    )
    log = MemoryBoardLog()
    hers = {received.record.offset for received in records if received.event.text is not None and _is_hers(received.event, history)}
    left = [Received(r.record, None) if is_compacted and r.record.offset in hers else r for r in records]
    actual = handle_all(handler_on(log, said=said), [left])
    assert _MARK.encode() not in _bytes(log)
    said_again, counted_again = _outputs(actual, Decision.TOPIC), _counts(actual)
    assert said_again.items() <= _outputs(expected, Decision.TOPIC).items()
    assert is_compacted or said_again.keys() == _outputs(expected, Decision.TOPIC).keys()
    assert counted_again.items() <= _counts(expected).items()


def test_a_repeat_that_rests_on_her_repeat_of_a_text_that_is_gone_keeps_its_vector() -> None:
    log = MemoryBoardLog()
    said = [submitted(0, "dark mode", person="ann"), submitted(1, "dark mode", person="0"), submitted(2, "dark mode", person="bob")]
    gone = event_of(3, type="retracted", feedback_id=said[0].feedback_id, revision=1)
    handle_all(handler_on(log), [received([*said[:2], gone, said[2]]), _erasures()])
    again = handle_all(handler_on(log), [received([submitted(4, "dark mode", person="bob")], first_offset=900)])
    assert [output.topic for outcome in again if isinstance(outcome, Emit) for output in outcome.outputs] == [Decision.TOPIC, Idea.TOPIC]


def test_an_idea_is_named_by_what_others_say_of_it() -> None:
    handler = handler_on(MemoryBoardLog())
    events = [
        submitted(0, "dark mode zyx", person="0"),
        submitted(1, "dark mode zyx", person="ann"),
        submitted(2, "billing zyx", person="0"),
    ]
    handle_all(handler, [received(events)])
    outcomes = handle_all(handler, [_erasures()[:1]])
    assert sorted(idea.title for idea in _ideas(outcomes).values()) == ["(erased)", "dark mode zyx"]


def test_an_erasure_published_twice_says_nothing_the_second_time() -> None:
    handler = handler_on(MemoryBoardLog())
    handle_all(handler, [received([submitted(0, "dark mode zyx", person="0")]), _erasures()])
    again = handle_all(handler, [received([_erasure(_ERASER, BOARDS[0])], first_offset=900)])
    assert [Drop("repeat")] == again
