"""A bare "+1" in a thread wants what the thread's first message wants."""

from __future__ import annotations

from typing import Any

from services.common.events import BoardEvent, Decision, Idea
from services.common.outcome import Drop
from tests.fakes_dedup import CODEC, WORKSPACE, MemoryBoardLog, event_of, handle_all, handler_on, received, submitted

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
