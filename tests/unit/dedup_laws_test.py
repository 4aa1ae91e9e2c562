"""Whatever way a board's events come, they establish the same decisions, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.events import BoardEvent, Decision, Idea
from services.common.outcome import Drop, Emit, Outcome, Reject
from services.common.records import Received, Record
from services.dedup.domain import ideas
from services.dedup.domain.board import Board
from services.dedup.domain.decide import decide
from services.dedup.domain.states import idea_state
from services.dedup.offline import cluster_events
from tests.fakes_dedup import (
    BOARDS,
    CODEC,
    DIMENSIONS,
    WORKSPACE,
    FakeEncoder,
    MemoryBoardLog,
    command,
    event_of,
    handle_all,
    handler_on,
    idea_name,
    received,
)
from tests.unit.dedup_histories import CUTS, HISTORIES, NAMES, PLACES

LAW = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module", autouse=True)
def _small_tallies_are_kept() -> Iterator[None]:
    """Histories this short would count everything anew, and never see a kept tally that is wrong."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ideas, "_KEPT_FROM", 2)
        yield


def _batches(records: Sequence[Received[BoardEvent]], cuts: Sequence[int]) -> list[Sequence[Received[BoardEvent]]]:
    edges = sorted({0, len(records), *(cut for cut in cuts if cut < len(records))})
    return [records[start:stop] for start, stop in pairwise(edges)]


def _said(outcomes: Sequence[Outcome]) -> tuple[list[Decision], list[Idea]]:
    """Return what was published, read back from its bytes."""
    decisions: list[Decision] = []
    states: list[Idea] = []
    for outcome in outcomes:
        for output in outcome.outputs if isinstance(outcome, Emit) else ():
            record = Record(output.topic, 0, 0, 0, output.key, output.value)
            if output.topic == Decision.TOPIC:
                decisions.append(CODEC.decoder(Decision)(record))
            else:
                states.append(CODEC.decoder(Idea)(record))
    return decisions, states


def _folded(history: Sequence[BoardEvent]) -> dict[str, Board]:
    boards = {name: Board(WORKSPACE, name, DIMENSIONS) for name in BOARDS}
    encoder = FakeEncoder()
    for record in received(history):
        if record.event.text is not None or record.event.type not in ("submitted", "revised"):
            decide(boards[record.event.board], record.event, record.record.origin, lambda text: encoder.encode([text])[0])
    return boards


@LAW
@given(history=HISTORIES, cuts=CUTS)
def test_batches_change_no_byte(history: Sequence[BoardEvent], cuts: list[int]) -> None:
    one, many = MemoryBoardLog(), MemoryBoardLog()
    records = received(history)

    expected = handle_all(handler_on(one), [records])

    assert expected == handle_all(handler_on(many), _batches(records, cuts))
    assert one.rows == many.rows


@LAW
@given(history=HISTORIES, cuts=CUTS)
def test_restarts_change_no_byte(history: Sequence[BoardEvent], cuts: list[int]) -> None:
    one, many = MemoryBoardLog(), MemoryBoardLog()
    records = received(history)

    expected = handle_all(handler_on(one), [records])
    actual = [outcome for batch in _batches(records, cuts) for outcome in handle_all(handler_on(many), [batch])]

    assert expected == actual
    assert one.rows == many.rows


@LAW
@given(history=HISTORIES, cuts=CUTS)
def test_a_memory_for_one_board_changes_no_byte(history: Sequence[BoardEvent], cuts: list[int]) -> None:
    records = received(history)

    expected = handle_all(handler_on(MemoryBoardLog()), [records])

    assert expected == handle_all(handler_on(MemoryBoardLog(), boards=1, texts=1), _batches(records, cuts))


@LAW
@given(history=HISTORIES, start=PLACES, restarted=st.booleans())
def test_a_redelivery_says_the_same_again(history: Sequence[BoardEvent], start: int, restarted: bool) -> None:
    log = MemoryBoardLog()
    handler = handler_on(log)
    records = received(history)
    expected = handle_all(handler, [records])
    stored = {board: list(rows) for board, rows in log.rows.items()}

    again = handle_all(handler_on(log) if restarted else handler, [records[start:]])

    assert expected[start:] == again
    assert stored == log.rows


@LAW
@given(history=HISTORIES)
def test_a_second_publication_says_nothing(history: Sequence[BoardEvent]) -> None:
    log = MemoryBoardLog()
    handler = handler_on(log)
    handle_all(handler, [received(history)])

    again = handle_all(handler, [received(history, first_offset=1000), received(history, first_offset=2000)])

    assert all(outcome == Drop("repeat") or isinstance(outcome, Reject) for outcome in again)


@LAW
@given(history=HISTORIES)
def test_a_batch_that_repeats_itself_says_each_thing_once(history: Sequence[BoardEvent]) -> None:
    expected = handle_all(handler_on(MemoryBoardLog()), [received(history)])

    outcomes = handle_all(handler_on(MemoryBoardLog()), [[*received(history), *received(history, first_offset=1000)]])

    assert expected == outcomes[: len(history)]
    assert not any(isinstance(outcome, Emit) for outcome in outcomes[len(history) :])


@LAW
@given(history=HISTORIES)
def test_decisions_are_numbered_without_a_gap_and_versions_grow(history: Sequence[BoardEvent]) -> None:
    decisions, states = _said(handle_all(handler_on(MemoryBoardLog()), [received(history)]))

    for board in BOARDS:
        sequences = [decision.sequence for decision in decisions if decision.board == board]
        assert list(range(1, len(sequences) + 1)) == sequences
    versions: dict[str, int] = {}
    for idea in states:
        assert idea.version > versions.get(idea.idea_id, 0)
        versions[idea.idea_id] = idea.version


@settings(max_examples=250, deadline=None)
@given(history=HISTORIES)
def test_counters_equal_a_recount_from_decisions(history: Sequence[BoardEvent]) -> None:
    decisions, states = _said(handle_all(handler_on(MemoryBoardLog()), [received(history)]))
    present = {idea.idea_id: idea for idea in states}

    links, pointers, titles = _recount(decisions)

    boards = _folded(history)
    assert set(titles) == set(present)
    for idea_id, idea in present.items():
        family = {other for other in titles if _root(pointers, other) == idea_id} if idea.root_id == idea_id else {idea_id}
        counted = [(person, at) for linked, person, at in links.values() if linked in family]
        persons = {boards[idea.board].persons.root(person) for person, _ in counted}
        assert (_root(pointers, idea_id), titles[idea_id]) == (idea.root_id, idea.title)
        assert (len(counted), len(persons)) == (idea.mentions, idea.people)
        if counted:
            assert (min(at for _, at in counted), max(at for _, at in counted)) == (idea.first_seen, idea.last_seen)


def _recount(decisions: Sequence[Decision]) -> tuple[dict[str, tuple[str, str, int]], dict[str, str], dict[str, str]]:
    """Fold *decisions* as a reader outside would: links by feedback, pointers and titles by idea."""
    links: dict[str, tuple[str, str, int]] = {}
    pointers: dict[str, str] = {}
    titles: dict[str, str] = {}
    for decision in decisions:
        feedback = f"{decision.board}/{decision.feedback_id}"
        idea = decision.idea_id or ""
        match decision.type:
            case "opened" | "renamed":
                titles[idea] = decision.title or ""
            case "linked":
                links[feedback] = (idea, decision.person_id or "", decision.occurred_at)
            case "unlinked":
                del links[feedback]
            case "moved" | "split":
                links[feedback] = (idea, *links[feedback][1:])
            case "merged":
                pointers[idea] = decision.other_idea_id or ""
            case "unmerged":
                del pointers[idea]
        if decision.type != "refused" and idea:
            assert _root(pointers, idea) == decision.root_id
    return links, pointers, titles


def _root(pointers: dict[str, str], idea: str) -> str:
    while idea in pointers:
        idea = pointers[idea]
    return idea


@LAW
@given(history=HISTORIES, one=NAMES, other=NAMES)
def test_unmerge_undoes_merge(history: Sequence[BoardEvent], one: int, other: int) -> None:
    board = _folded([event for event in history if event.board == BOARDS[0]])[BOARDS[0]]
    before = _states(board)
    pair = {"idea_id": idea_name(one), "other_idea_id": idea_name(other)}

    merged = decide(board, command(1000, "merge", **pair), "o/0/1", _no_vector)
    if any(decision.type == "merged" for decision in merged.decisions):
        assert before != _states(board)
        decide(board, command(1001, "unmerge", **pair), "o/0/2", _no_vector)

    assert before == _states(board)


@LAW
@given(history=HISTORIES)
def test_commands_are_idempotent(history: Sequence[BoardEvent]) -> None:
    board = _folded([event for event in history if event.board == BOARDS[0]])[BOARDS[0]]
    for place, event in enumerate(history, start=1000):
        if event.type in ("commanded", "status_changed"):
            asked = {"board": BOARDS[0], "type": event.type, "command": event.command, "status": event.status, "title": event.title}
            asked |= {"idea_id": event.idea_id, "other_idea_id": event.other_idea_id, "feedback_id": event.feedback_id}
            decide(board, event_of(2 * place, **asked), "o/0/1", _no_vector)
            before = _states(board)

            again = decide(board, event_of(2 * place + 1, **asked), "o/0/2", _no_vector)

            if event.command != "unmerge":  # a chain of pointers is removed one at a time
                assert before == _states(board)
                assert all(decision.type == "refused" for decision in again.decisions)


@LAW
@given(history=HISTORIES)
def test_offline_decides_what_the_service_decides(history: Sequence[BoardEvent]) -> None:
    good = [event for event in history if event.text is not None or event.type not in ("submitted", "revised")]
    decisions, states = _said(handle_all(handler_on(MemoryBoardLog()), [received(good)]))

    found = cluster_events(good, encoder=FakeEncoder())

    assert [replace(decision, origin=None) for decision in decisions] == [replace(decision, origin=None) for decision in found.decisions]
    assert {idea.idea_id: idea for idea in states} == {idea.idea_id: idea for idea in found.ideas}


def _states(board: Board) -> list[Idea]:
    """Return the states of all ideas but for their portraits, which are drawn again from what the whole board says by now."""
    return [replace(idea_state(board, idea_id, 0, 0), quote=None, keywords=None) for idea_id in board.ideas]


def _no_vector(text: str) -> Any:
    raise AssertionError("a command encodes nothing")
