"""A bare "+1" in a thread wants what the thread's first message wants."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.events import BoardEvent, Decision, Idea
from services.common.outcome import Drop
from services.dedup.domain.board import Board
from services.dedup.domain.decide import decide
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
    submitted,
)

_PARENT = submitted(0, "let me export boards as pdf")
_DECISION, _IDEA = CODEC.decoder(Decision), CODEC.decoder(Idea)


def _vote(place: int, *, parent: int = 0, feedback: int | None = None, **fields: Any) -> BoardEvent:
    name = f"{WORKSPACE}:feedback:{place if feedback is None else feedback}"
    said = {"type": "submitted", "text": "+1", "person_id": f"{WORKSPACE}:person:bob", "parent_id": f"{WORKSPACE}:feedback:{parent}"}
    return event_of(place, **{"feedback_id": name, "is_vote": True, **said, **fields})


def _decide(*events: BoardEvent) -> tuple[list[Decision], dict[str, Idea], list[Any]]:
    batch = received(events)
    outcomes = handle_all(handler_on(MemoryBoardLog()), [batch])
    decisions, ideas = [], {}
    for outcome in outcomes:
        for output in getattr(outcome, "outputs", ()):
            record = batch[0].record.__class__(output.topic, 0, 0, 0, output.key, output.value)
            if output.topic == Decision.TOPIC:
                decisions.append(_DECISION(record))
            else:
                idea = _IDEA(record)
                ideas[idea.idea_id] = idea
    return decisions, ideas, list(outcomes)


def test_a_vote_is_linked_where_its_parent_is_and_says_nothing_but_its_own() -> None:
    decisions, ideas, _ = _decide(_PARENT, _vote(1))
    opened, _, voted = decisions
    assert (voted.type, voted.method, voted.idea_id) == ("linked", "vote", opened.idea_id)
    assert (voted.text, voted.person_id) == ("+1", f"{WORKSPACE}:person:bob")
    (idea,) = ideas.values()
    assert (idea.people, idea.mentions) == (2, 2)


def test_what_merely_says_the_same_as_a_vote_does_not_join_its_idea() -> None:
    decisions, ideas, _ = _decide(_PARENT, _vote(1), submitted(2, "+1"))
    assert [decision.method for decision in decisions if decision.type == "linked"] == ["semantic", "vote", "semantic"]
    assert len(ideas) == 2


def test_a_vote_for_nothing_that_is_known_establishes_nothing() -> None:
    decisions, ideas, outcomes = _decide(_vote(1))
    assert (decisions, ideas, outcomes) == ([], {}, [Drop("no_change")])


def test_a_vote_that_becomes_a_wish_leaves_and_a_wish_that_becomes_a_vote_joins() -> None:
    wish = _vote(2, feedback=1, type="revised", revision=1, text="a timer everyone can hear", is_vote=False)
    _, ideas, _ = _decide(_PARENT, _vote(1), wish, _vote(3, feedback=1, type="revised", revision=2))
    assert sorted((idea.title, idea.people) for idea in ideas.values()) == [
        ("a timer everyone can hear", 0),
        ("let me export boards as pdf", 2),
    ]


def test_a_vote_taken_back_counts_no_more_and_a_late_one_changes_nothing() -> None:
    back = event_of(2, type="retracted", feedback_id=f"{WORKSPACE}:feedback:1", revision=5)
    decisions, ideas, _ = _decide(_PARENT, _vote(1), back, _vote(3, feedback=1, type="revised", revision=2))
    assert [decision.type for decision in decisions] == ["opened", "linked", "linked", "unlinked"]
    assert [idea.people for idea in ideas.values()] == [1]


_TEXTS = ("export boards as pdf", "a timer everyone hears", "dark mode at night")
_PIECES = st.integers(0, 4)
_STEPS = st.lists(st.tuples(st.sampled_from(["wish", "vote", "vote", "retract"]), _PIECES, _PIECES), min_size=1, max_size=14)


def _step(place: int, kind: str, one: int, other: int, revision: int) -> BoardEvent:
    name = f"{WORKSPACE}:feedback:{one}"
    if kind == "retract":
        return event_of(place, type="retracted", feedback_id=name, revision=revision)
    if kind == "vote":
        return _vote(place, feedback=one, parent=other, revision=revision, type="revised")
    said = {"type": "revised", "text": _TEXTS[other % len(_TEXTS)], "person_id": f"{WORKSPACE}:person:{one}"}
    return event_of(place, feedback_id=name, revision=revision, **said)


def _wanted(piece: int, newest: Mapping[int, tuple[str, int]], passed: frozenset[int] = frozenset()) -> int | None:
    """Return the piece with words that *piece* is, or is a vote for in the end."""
    kind, other = newest.get(piece, ("retract", 0))
    if kind == "retract" or piece in passed:
        return None
    return piece if kind == "wish" else _wanted(other, newest, passed | {piece})


@settings(max_examples=300, deadline=None)
@given(steps=_STEPS, shuffled=st.randoms(use_true_random=False))
def test_each_vote_is_where_its_parent_is_whatever_the_order_and_whatever_becomes_of_it(
    steps: list[tuple[str, int, int]], shuffled: random.Random
) -> None:
    numbered = [(revision, *step) for revision, step in enumerate(steps)]
    shuffled.shuffle(numbered)
    board, newest, revisions = Board(WORKSPACE, BOARDS[0], DIMENSIONS), dict[int, tuple[str, int]](), dict[int, int]()
    encoder = FakeEncoder()
    for place, (revision, kind, one, other) in enumerate(numbered):
        decide(board, _step(place, kind, one, other, revision), f"board.events/0/{place}", lambda text: encoder.encode([text])[0])
        if revision >= revisions.get(one, -1):
            newest[one], revisions[one] = (kind, other), revision
        for piece in range(5):
            wanted = _wanted(piece, newest)
            idea = board.idea_of(f"{WORKSPACE}:feedback:{piece}")
            assert (wanted is None) == (idea is None)
            assert wanted is None or idea == board.idea_of(f"{WORKSPACE}:feedback:{wanted}")


def test_a_vote_that_came_first_counts_as_if_it_had_come_later() -> None:
    _, before, _ = _decide(_vote(1), _PARENT)
    _, after, _ = _decide(_PARENT, _vote(1))
    ((one,), (other,)) = before.values(), after.values()
    assert (one.people, one.mentions, one.first_seen, one.last_seen) == (other.people, other.mentions, other.first_seen, other.last_seen)
    assert one.people == 2


def test_votes_follow_an_edit_and_go_with_a_deletion() -> None:
    edit = event_of(
        2, type="revised", feedback_id=f"{WORKSPACE}:feedback:0", revision=1, text="dark mode", person_id=f"{WORKSPACE}:person:0"
    )
    back = event_of(3, type="retracted", feedback_id=f"{WORKSPACE}:feedback:0", revision=2)
    decisions, ideas, _ = _decide(_PARENT, submitted(9, "dark mode"), _vote(1), edit, back)
    of_vote = [(one.type, one.method, one.reason) for one in decisions if one.feedback_id == f"{WORKSPACE}:feedback:1"]
    assert of_vote == [
        ("linked", "vote", None),
        ("unlinked", "vote", "revised"),
        ("linked", "vote", None),
        ("unlinked", "vote", "retracted"),
    ]
    assert sorted(idea.people for idea in ideas.values()) == [0, 1]


def test_a_vote_that_a_human_moved_stays_there() -> None:
    moved = command(3, "move", idea_id=idea_name(2), feedback_id=f"{WORKSPACE}:feedback:1")
    back = event_of(4, type="retracted", feedback_id=f"{WORKSPACE}:feedback:0", revision=2)
    decisions, _, _ = _decide(_PARENT, _vote(1), submitted(2, "a timer everyone can hear"), moved, back)
    assert [one.type for one in decisions if one.feedback_id == f"{WORKSPACE}:feedback:1"] == ["linked", "moved"]


def test_of_an_erased_persons_vote_that_waits_nothing_is_left_but_that_it_counts() -> None:
    bob = f"{WORKSPACE}:person:bob"
    log = MemoryBoardLog()
    waits, gone = _vote(1, url="https://mark.example/", external_id="mark-1"), command(2, "erase", person_id=bob)
    outcomes = handle_all(handler_on(log), [received([waits, gone, submitted(0, "export boards as pdf")])])
    assert b"mark" not in b"".join(body for rows in log.rows.values() for body, _ in rows)
    assert b"mark" not in b"".join(output.value or b"" for one in outcomes for output in getattr(one, "outputs", ()))


def test_a_human_who_moves_a_wish_moves_its_votes_and_takes_all_of_it_back() -> None:
    move = command(3, "move", feedback_id=_PARENT.feedback_id, idea_id=idea_name(2))
    there = (_PARENT, _vote(1), submitted(2, "a timer everyone can hear"), move)
    decisions, moved, _ = _decide(*there)
    assert [(decision.type, decision.feedback_id) for decision in decisions[-2:]] == [
        ("moved", f"{WORKSPACE}:feedback:0"),
        ("moved", f"{WORKSPACE}:feedback:1"),
    ]
    assert [idea.mentions for idea in moved.values()] == [0, 3]

    late = _vote(4, person_id=f"{WORKSPACE}:person:eve", feedback=4)
    _, back, _ = _decide(*there, late, command(5, "undo", undone_event_id=move.event_id))
    assert [idea.mentions for idea in back.values()] == [3, 1]


def test_what_is_split_off_takes_its_votes_along() -> None:
    parts = (_PARENT, _vote(1), submitted(2, "let me export boards as pdf", person="bob"), submitted(3, "something else entirely"))
    merge = command(4, "merge", idea_id=idea_name(3), other_idea_id=idea_name(0))
    split = command(5, "split", idea_id=idea_name(0), feedback_id=_PARENT.feedback_id)
    decisions, _, _ = _decide(*parts, merge, split)
    gone = {decision.feedback_id for decision in decisions if decision.type == "split"}
    assert {f"{WORKSPACE}:feedback:{number}" for number in (0, 1)} <= gone


_ACTS = st.lists(
    st.tuples(st.sampled_from(["wish", "vote", "vote", "retract", "move", "move", "undo"]), _PIECES, _PIECES), min_size=4, max_size=18
)


@settings(max_examples=300, deadline=None)
@given(steps=_ACTS)
def test_votes_stay_with_their_wishes_wherever_humans_put_them_and_back(steps: list[tuple[str, int, int]]) -> None:
    board, newest, moves = Board(WORKSPACE, BOARDS[0], DIMENSIONS), dict[int, tuple[str, int]](), list[str]()
    encoder = FakeEncoder()
    for place, (kind, one, other) in enumerate(steps):
        name, idea = f"{WORKSPACE}:feedback:{one}", board.idea_of(f"{WORKSPACE}:feedback:{other}")
        if kind == "move":
            if idea is None or newest.get(one, ("", 0))[0] != "wish":
                continue
            event = command(place, "move", feedback_id=name, idea_id=idea)
            moves.append(event.event_id)
        elif kind == "undo":
            if not moves:
                continue
            event = command(place, "undo", undone_event_id=moves[one % len(moves)])
        else:
            event, newest[one] = _step(place, kind, one, other, place), (kind, other)
        decide(board, event, f"board.events/0/{place}", lambda text: encoder.encode([text])[0])
        for piece in range(5):
            wanted = _wanted(piece, newest)
            assert board.idea_of(f"{WORKSPACE}:feedback:{piece}") == (
                None if wanted is None else board.idea_of(f"{WORKSPACE}:feedback:{wanted}")
            )
