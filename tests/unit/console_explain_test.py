"""Why a piece of feedback is where it is, from what was published."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.common.codec import Codec
from services.common.events import Decision
from services.common.records import Record
from services.common.registry import open_schemas
from services.console.failures import CommandFailed
from services.console.ideas import BoardView, Explanation
from services.dedup.domain import calibration
from services.dedup.offline import cluster_events
from tests.fakes_dedup import BOARDS, WORKSPACE, FakeEncoder, command, event_name, idea_name, submitted


@pytest.fixture
def view() -> BoardView:
    """Four texts of three ideas, two of them merged by hand."""
    events = [
        submitted(1, "dark mode please"),
        submitted(2, "export to pdf"),
        submitted(3, "dark mode please mode dark dark mode"),
        submitted(4, "Dark mode  please"),
        submitted(5, "crash on start"),
        command(6, "merge", idea_id=idea_name(5), other_idea_id=idea_name(2)),
    ]
    found = cluster_events(events, encoder=FakeEncoder())
    return BoardView({idea.idea_id: idea for idea in found.ideas}, {}, found.decisions)


def _linked(explanations: list[Explanation]) -> Explanation:
    return next(one for one in explanations if one.decision.type == "linked")


def test_candidates_come_best_first_with_the_parts_of_their_scores_and_the_nearest_text(view: BoardView) -> None:
    told = _linked(view.explained(event_name(3)))
    best, other = told.candidates

    assert (best.idea_id, best.title, best.nearest_text) == (idea_name(1), "dark mode please", "dark mode please")
    assert (other.idea_id, other.nearest_event) == (idea_name(2), event_name(2))
    assert best.score == told.decision.score
    assert (best.score or 0) > (other.score or 0)
    assert best.score == pytest.approx(((best.centroid or 0) + (best.member or 0)) / 2, abs=1e-5)
    assert told.decision.threshold == pytest.approx(calibration.START + calibration._EAGER)


def test_an_exact_repeat_names_the_text_that_it_repeats(view: BoardView) -> None:
    told = _linked(view.explained(event_name(4)))

    assert (told.decision.method, told.decision.score) == ("exact", 1.0)
    assert [(weighed.idea_id, weighed.score, weighed.nearest_event) for weighed in told.candidates] == [(idea_name(1), 1.0, event_name(1))]


def test_feedback_is_found_by_its_own_ids(view: BoardView) -> None:
    by_event = view.explained(event_name(2))

    assert view.explained("lumora:feedback:2") == by_event == view.explained("2")
    assert [one.decision.type for one in by_event] == ["opened", "linked"]


def test_a_command_is_explained_by_who_gave_it(view: BoardView) -> None:
    (told,) = view.explained(event_name(6))

    assert (told.decision.type, told.decision.method, told.decision.actor, told.candidates) == ("merged", "command", "mo", [])


def test_an_unknown_event_is_no_event(view: BoardView) -> None:
    with pytest.raises(CommandFailed, match="no event or feedback"):
        view.explained("nothing")


def test_suggestions_are_listed_until_they_are_answered() -> None:
    events = [submitted(1, "dark mode please export"), submitted(2, "dark mode")]
    asked = cluster_events(events, encoder=FakeEncoder())
    answer = command(3, "dismiss", idea_id=idea_name(2), other_idea_id=idea_name(1))
    answered = cluster_events([*events, answer], encoder=FakeEncoder())

    (suggested,) = BoardView({idea.idea_id: idea for idea in asked.ideas}, {}, asked.decisions).open_suggestions()
    assert (suggested.idea_id, suggested.other_idea_id) == (idea_name(2), idea_name(1))
    assert BoardView({}, {}, answered.decisions).open_suggestions() == []
    undoing = command(4, "undo", idea_id=idea_name(2), undone_event_id=answer.event_id)
    undone = cluster_events([*events, answer, undoing], encoder=FakeEncoder())
    assert [made.type for made in undone.decisions[-2:]] == ["dismissed", "suggested"]
    assert BoardView({}, {}, undone.decisions).open_suggestions() == [suggested]


def test_what_the_last_pass_suggests_is_listed_first_as_it_ranked_it() -> None:
    events = [submitted(1, "dark mode please export"), submitted(2, "dark mode")]
    clustering = cluster_events(events, encoder=FakeEncoder())
    (one,) = [made for made in clustering.decisions if made.type == "suggested"]

    def suggested(place: int, by: str, score: float, method: str) -> Decision:
        changes: dict[str, Any] = {"sequence": 100 + place, "event_id": by, "score": score, "method": method}
        return replace(one, idea_id=f"idea-{place}", other_idea_id=f"other-{place}", **changes)

    made = [
        suggested(1, "earlier", 0.9, "repair"),
        suggested(2, "text", 0.7, "semantic"),
        suggested(3, "last", 0.4, "repair"),
        suggested(4, "last", 0.6, "repair"),
    ]
    listed = BoardView({}, {}, made).open_suggestions()

    assert [decision.idea_id for decision in listed] == ["idea-3", "idea-4", "idea-1", "idea-2"]


def test_a_board_without_ideas_says_where_there_are_some() -> None:
    events = [submitted(1, "dark mode please"), submitted(2, "export to pdf")]
    codec = Codec(open_schemas(None))
    ideas = [codec.output(idea) for idea in cluster_events(events, encoder=FakeEncoder()).ideas]
    records = [Record("ideas", 0, place, 0, idea.key, idea.value) for place, idea in enumerate(ideas)]
    topics = {"ideas": records, "ideas.demand": [], "board.decisions": []}

    assert BoardView.of(codec, topics, WORKSPACE, BOARDS[0]).lacks(WORKSPACE, BOARDS[0]) is None
    told = BoardView.of(codec, topics, WORKSPACE, "nowhere").lacks(WORKSPACE, "nowhere")
    assert told == f"{WORKSPACE}/nowhere has no ideas; there are some on {WORKSPACE}/{BOARDS[0]} (2)"
    nothing = BoardView.of(codec, {**topics, "ideas": []}, WORKSPACE, "nowhere").lacks(WORKSPACE, "nowhere")
    assert nothing == f"{WORKSPACE}/nowhere has no ideas; nor has any other board"
