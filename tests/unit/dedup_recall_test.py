"""A log that is lost comes back out of what was said: at whatever point it is lost, however its events are read again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.events import BoardEvent, Decision, Idea
from services.common.outcome import Drop, Emit, Outcome
from services.common.records import Output, Received, Record
from services.dedup.domain import calibration, ideas
from services.dedup.recalling import DecisionRecall
from tests.fakes_dedup import (
    BOARDS,
    CODEC,
    FakeEncoder,
    MemoryBoardLog,
    MemorySaidLog,
    command,
    event_of,
    handle_all,
    handler_on,
    idea_name,
    received,
    submitted,
)
from tests.unit.dedup_histories import CUTS, HISTORIES

LAW = settings(max_examples=40, deadline=None)
SHARES = st.floats(0, 1)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module", autouse=True)
def _small_boards_take_a_census() -> Iterator[None]:
    """Histories this short would see neither a census, nor a repair, nor a kept tally."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "FIRST_TEXTS", 3)
        patch.setattr(ideas, "_KEPT_FROM", 2)
        yield


def _batches(records: Sequence[Received[BoardEvent]], cuts: Sequence[int]) -> list[Sequence[Received[BoardEvent]]]:
    edges = sorted({0, len(records), *(cut for cut in cuts if cut < len(records))})
    return [records[start:stop] for start, stop in pairwise(edges)]


def _outputs(outcomes: Sequence[Outcome], topic: str) -> list[Output]:
    return [output for outcome in outcomes if isinstance(outcome, Emit) for output in outcome.outputs if output.topic == topic]


def _recalled(said: Sequence[Output], seed: int = 0) -> MemorySaidLog:
    """Return what a new store is given back of *said*: in any order, some of it twice, in batches."""
    kept = MemorySaidLog()
    order = random.Random(seed)
    records = [Record(o.topic, 0, offset, 0, o.key, o.value) for offset, o in enumerate([*said, *order.sample(said, len(said) // 2)])]
    order.shuffle(records)
    recall = DecisionRecall(kept, CODEC)

    async def read() -> None:
        for start in range(0, len(records), 3):
            await recall.recall(Decision.TOPIC, records[start : start + 3])

    asyncio.run(read())
    return kept


def _decisions(outputs: Sequence[Output]) -> list[Decision]:
    decode = CODEC.decoder(Decision)
    return [decode(Record(output.topic, 0, 0, 0, output.key, output.value)) for output in outputs]


def _present(outcomes: Sequence[Outcome]) -> dict[str, Idea]:
    decode = CODEC.decoder(Idea)
    states = [decode(Record(output.topic, 0, 0, 0, output.key, output.value)) for output in _outputs(outcomes, Idea.TOPIC)]
    return {idea.idea_id: idea for idea in states}


@LAW
@given(history=HISTORIES, cuts=CUTS, share=SHARES, seed=SEEDS)
def test_a_lost_log_comes_back_byte_for_byte(history: Sequence[BoardEvent], cuts: list[int], share: float, seed: int) -> None:
    """The loss comes at any decision, in the middle of an event's too: what was not said yet is said as it would have been."""
    log, records = MemoryBoardLog(), received(history)
    expected = handle_all(handler_on(log), [records])
    published = _outputs(expected, Decision.TOPIC)
    said = _recalled(published[: round(share * len(published))], seed)
    rebuilt = MemoryBoardLog()

    actual = handle_all(handler_on(rebuilt, said=said), _batches(records, cuts))

    assert expected == actual
    assert log.rows == rebuilt.rows
    assert not said.rows


@LAW
@given(history=HISTORIES, cuts=CUTS, share=SHARES)
def test_restarts_while_it_comes_back_change_no_byte(history: Sequence[BoardEvent], cuts: list[int], share: float) -> None:
    records = received(history)
    expected = handle_all(handler_on(MemoryBoardLog()), [records])
    published = _outputs(expected, Decision.TOPIC)
    said, rebuilt = _recalled(published[: round(share * len(published))]), MemoryBoardLog()

    actual = [o for batch in _batches(records, cuts) for o in handle_all(handler_on(rebuilt, said=said), [batch])]
    again = handle_all(handler_on(rebuilt, said=_recalled(published)), [records])

    assert expected == actual == again


def _apart_from_quotes(outcome: Outcome) -> Outcome | list[object]:
    """Return *outcome* without what a model alone decides: which of an idea's texts is its middle one."""
    if not isinstance(outcome, Emit):
        return outcome
    decode = CODEC.decoder(Idea)
    return [
        output if output.topic != Idea.TOPIC else replace(decode(Record(output.topic, 0, 0, 0, output.key, output.value)), quote=None)
        for output in outcome.outputs
    ]


@LAW
@given(history=HISTORIES, cuts=CUTS, share=SHARES)
def test_with_another_model_and_threshold_what_was_said_stays(history: Sequence[BoardEvent], cuts: list[int], share: float) -> None:
    records = received(history)
    expected = handle_all(handler_on(MemoryBoardLog()), [records])
    published = _outputs(expected, Decision.TOPIC)
    kept = published[: round(share * len(published))]
    cut = {decision.board: decision.event_id for decision in _decisions(kept)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "START", 0.3)
        patch.setattr(calibration, "FITTED", replace(calibration.FITTED, constant=0.4))
        log = MemoryBoardLog()
        actual = handle_all(handler_on(log, said=_recalled(kept), encoder=FakeEncoder("other")), _batches(records, cuts))
        assert actual == handle_all(handler_on(log, encoder=FakeEncoder("other")), [records])

    said = _outputs(actual, Decision.TOPIC)
    assert {output.key: output.value for output in kept}.items() <= {output.key: output.value for output in said}.items()
    assert len({output.key for output in said}) == len(said)
    for name in BOARDS:
        sequences = [decision.sequence for decision in _decisions(said) if decision.board == name]
        assert list(range(1, len(sequences) + 1)) == sequences
        of_board = [place for place, event in enumerate(history) if event.board == name]
        for place in of_board:
            if history[place].event_id == cut.get(name):
                break
            if name in cut:  # before the last event of which something was said: decisions and states as they were
                assert _apart_from_quotes(expected[place]) == _apart_from_quotes(actual[place])


@LAW
@given(history=HISTORIES, moved=st.sets(st.integers(0, 25)), cuts=CUTS)
def test_events_of_which_only_a_later_copy_is_left_change_no_decision(
    history: Sequence[BoardEvent], moved: set[int], cuts: list[int]
) -> None:
    """Compaction keeps the last copy of an event. One that was published twice comes after what it came before."""
    records = received(history)
    expected = handle_all(handler_on(MemoryBoardLog()), [records])
    speaking = {place for place, outcome in enumerate(expected) if isinstance(outcome, Emit) and _outputs([outcome], Decision.TOPIC)}
    later = sorted(moved & speaking)
    left = [record for place, record in enumerate(records) if place not in later]
    copies = received([history[place] for place in later], first_offset=1000)
    said = _recalled(_outputs(expected, Decision.TOPIC))

    actual = handle_all(handler_on(MemoryBoardLog(), said=said), _batches([*left, *copies], cuts))

    was = {output.key: output.value for output in _outputs(expected, Decision.TOPIC)}
    assert {output.key: output.value for output in _outputs(actual, Decision.TOPIC)}.items() <= was.items()
    if not later:
        assert _present(expected) == _present(actual)


@LAW
@given(history=HISTORIES, erased=st.sets(st.integers(0, 40), max_size=5), lost=st.sets(st.integers(0, 25), max_size=5), cuts=CUTS)
def test_holes_in_what_was_said_stop_nothing(history: Sequence[BoardEvent], erased: set[int], lost: set[int], cuts: list[int]) -> None:
    records = received(history)
    published = _outputs(handle_all(handler_on(MemoryBoardLog()), [records]), Decision.TOPIC)
    kept = [output for place, output in enumerate(published) if place not in erased]
    left = [record for place, record in enumerate(records) if place not in lost]
    new = submitted(500, "a new wish", board=BOARDS[0])

    log = MemoryBoardLog()
    actual = handle_all(handler_on(log, said=_recalled(kept)), _batches([*left, *received([new], first_offset=500)], cuts))
    said = {output.key: output.value for output in _outputs(actual, Decision.TOPIC)}

    was = {output.key: output.value for output in kept}
    assert all(was[key] == value for key, value in said.items() if key in was)
    assert [decision.feedback_id for decision in _decisions(_outputs(actual[-1:], Decision.TOPIC)) if decision.type == "linked"] == [
        new.feedback_id
    ]
    assert actual == handle_all(handler_on(log), _batches([*left, *received([new], first_offset=500)], []))


def test_what_changed_nothing_then_changes_nothing_now() -> None:
    """A command whose wish held already was undone later: read again after the whole board was folded, it would wish again."""
    pair = {"idea_id": idea_name(0), "other_idea_id": idea_name(1)}
    history = [
        submitted(0, "dark mode"),
        submitted(1, "export to pdf"),
        command(2, "merge", **pair),
        command(3, "merge", **pair),
        command(4, "unmerge", **pair),
        event_of(5, type="status_changed", idea_id=idea_name(0), status="planned"),
    ]
    expected = handle_all(handler_on(MemoryBoardLog()), [received(history)])
    assert expected[3] == Drop("no_change")

    said = _recalled(_outputs(expected, Decision.TOPIC))

    assert expected == handle_all(handler_on(MemoryBoardLog(), said=said), [received(history)])


def test_an_erased_event_is_dropped_and_its_board_goes_on() -> None:
    history = [submitted(0, "dark mode"), submitted(1, "export to pdf")]
    (first, second) = received(history)
    expected = handle_all(handler_on(MemoryBoardLog()), [[first, second]])
    said = _recalled(_outputs(expected, Decision.TOPIC))

    actual = handle_all(handler_on(MemoryBoardLog(), said=said), [[Received(first.record, None), second]])

    assert [Drop("erased"), expected[1]] == actual


def test_a_feedback_whose_idea_was_opened_and_not_linked_is_linked_whatever_the_model_says() -> None:
    history = [submitted(0, "dark mode"), submitted(1, "export to pdf")]
    published = _outputs(handle_all(handler_on(MemoryBoardLog()), [received(history)]), Decision.TOPIC)
    said = _recalled(published[:3])
    assert _decisions(published[2:3])[0].type == "opened"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "START", -1.0)
        (_, second) = handle_all(handler_on(MemoryBoardLog(), said=said), [received(history)])

    opened, linked = _decisions(_outputs([second], Decision.TOPIC))
    assert (opened.type, linked.type, linked.sequence) == ("opened", "linked", 4)
    assert (opened.idea_id, history[1].feedback_id, "export to pdf") == (linked.idea_id, linked.feedback_id, linked.text)
