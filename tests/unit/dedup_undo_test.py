"""Commands can be taken back one by one in whatever order: what is left is what the others make, down to what was there before all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.events import Decision
from services.dedup.domain.board import Board
from services.dedup.domain.entry import read_entry
from tests.fakes_dedup import BOARDS, DIMENSIONS, WORKSPACE
from tests.unit.dedup_lossless_test import STEPS, Table, picture

LAW = settings(max_examples=40, deadline=None)
_Step = tuple[str, int, int]


def _commanded(said: Sequence[Decision]) -> str | None:
    """Return the event of a command that did something."""
    return said[0].event_id if said and said[0].type != "refused" else None


def _undo(table: Table, event_id: str) -> tuple[Decision, ...]:
    said = table.order("undo", idea_id=min(table.board.ideas), undone_event_id=event_id)
    assert all(made.type != "refused" for made in said)
    return said


def words(board: Board) -> dict[str, Any]:
    """Return what humans have said of pairs, as far as passes and questions go by it."""
    loose, mine = set(board.merged_by_repair), set(board.merged_by_hand)
    return {"apart": set(board.kept_apart), "by hand": mine, "by passes": loose, "suggestions": dict(board.suggestions)}


@LAW
@given(steps=STEPS, order=st.randoms(use_true_random=False))
def test_undoing_in_any_order_restores_all(steps: Sequence[_Step], order: Any) -> None:
    table = Table()
    before, titles, said = picture(table.board), table.titles(), words(table.board)
    done = [event for step in steps if (event := _commanded(table.act(*step))) is not None]
    order.shuffle(done)

    for event in done:
        _undo(table, event)

    assert (picture(table.board), words(table.board)) == (before, said)
    assert {name: title for name, title in table.titles().items() if name in titles} == titles


@LAW
@given(steps=STEPS, choices=st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=12), order=st.randoms(use_true_random=False))
def test_commands_and_undoings_in_any_order_restore_all(steps: Sequence[_Step], choices: Sequence[tuple[bool, int]], order: Any) -> None:
    table = Table()
    before = picture(table.board), words(table.board)
    waiting, done = list(steps), list[str]()
    for is_undo, place in choices:
        if is_undo and done:
            _undo(table, done.pop(place % len(done)))
        elif waiting and (event := _commanded(table.act(*waiting.pop(0)))) is not None:
            done.append(event)
    order.shuffle(done)

    for event in done:
        _undo(table, event)

    assert (picture(table.board), words(table.board)) == before


@LAW
@given(steps=STEPS, order=st.randoms(use_true_random=False), share=st.integers(1, 3))
def test_which_order_makes_no_difference(steps: Sequence[_Step], order: Any, share: int) -> None:
    one, other = Table(), Table()
    done = [event for step in steps if (event := _commanded(one.act(*step))) is not None][::share]
    for step in steps:
        other.act(*step)
    shuffled = list(done)
    order.shuffle(shuffled)

    for event in done:
        _undo(one, event)
    for event in shuffled:
        _undo(other, event)

    assert (picture(one.board), one.titles(), words(one.board)) == (picture(other.board), other.titles(), words(other.board))


@LAW
@given(steps=STEPS, place=st.integers(0, 11))
def test_an_undoing_can_be_undone_and_repeats_change_nothing(steps: Sequence[_Step], place: int) -> None:
    table = Table()
    done = [event for step in steps if (event := _commanded(table.act(*step))) is not None]
    if not done:
        return
    before, said = picture(table.board), words(table.board)
    event = done[place % len(done)]
    undoing = table.log[-1].event_id if _undo(table, event) else None
    without = picture(table.board)

    assert _undo(table, event) == ()
    assert without == picture(table.board)
    if undoing is not None:
        _undo(table, undoing)
        assert (before, said) == (picture(table.board), words(table.board))


@LAW
@given(steps=STEPS, order=st.randoms(use_true_random=False))
def test_a_folded_board_knows_what_was_undone(steps: Sequence[_Step], order: Any) -> None:
    table = Table()
    done = [event for step in steps if (event := _commanded(table.act(*step))) is not None]
    order.shuffle(done)
    for event in done[::2]:
        _undo(table, event)
    folded = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
    for entry in table.log:
        folded.fold(read_entry(entry.board, entry.position, entry.body(), entry.vector))
    live, table.board = table.board, folded

    assert (picture(live), words(live)) == (picture(folded), words(folded))
    for event in done[1::2]:
        _undo(table, event)
    assert (picture(table.board), words(table.board)) == (picture(Table().board), words(Table().board))


def test_what_never_did_anything_here_cannot_be_undone() -> None:
    table = Table()
    wishes: Sequence[dict[str, str]] = ({}, {"undone_event_id": "lumora:event:never"}, {"undone_event_id": table.log[0].event_id})
    for wish in wishes:
        assert [made.type for made in table.order("undo", idea_id=min(table.board.ideas), **wish)] == ["refused"]
        refusal = table.log[-1].event_id
        assert [made.type for made in table.order("undo", idea_id=min(table.board.ideas), undone_event_id=refusal)] == ["refused"]


def test_an_undoing_brings_no_erased_words_back() -> None:
    for erased_first in (True, False):
        table = Table()
        idea, state = next((name, state) for name, state in table.board.ideas.items() if state.titled_by)
        person, words = state.titled_by or "", state.title
        table.order("rename", idea_id=idea, title="Human")
        event = table.log[-1].event_id
        if erased_first:
            table.order("erase", person_id=person)
            _undo(table, event)
        else:
            _undo(table, event)
            assert (words, person) == (table.board.ideas[idea].title, table.board.ideas[idea].titled_by)
            table.order("erase", person_id=person)

        assert table.board.ideas[idea].title not in ("Human", words)
