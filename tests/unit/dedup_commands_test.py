"""What humans say about ideas, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.events import Decision
from services.dedup.domain import ideas
from services.dedup.domain.board import Board
from services.dedup.domain.decide import decide
from services.dedup.domain.entry import Entry
from services.dedup.domain.states import idea_state
from tests.fakes_dedup import BOARDS, DIMENSIONS, WORKSPACE, FakeEncoder, command, event_of, idea_name, submitted

_APART = ("dark mode", "export to pdf", "crash on start", "billing page")


class Scene:
    """A board on which something happens, event by event."""

    def __init__(self) -> None:
        self.board = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
        self._encoder = FakeEncoder()
        self._place = 0

    def say(self, text: str, **fields: Any) -> Entry:
        """Submit *text*."""
        return self._decide(submitted(self._next(), text, **fields))

    def order(self, name: str, **fields: Any) -> list[Decision]:
        """Give a command; return the decisions."""
        return list(self._decide(command(self._next(), name, **fields)).decisions)

    def happen(self, kind: str, **fields: Any) -> Entry:
        """Let any event happen."""
        return self._decide(event_of(self._next(), type=kind, **fields))

    def counts(self, place: int) -> tuple[str, int, int, int]:
        """Return (root, people, mentions, merged ideas) of the idea that event *place* opened."""
        idea = idea_state(self.board, idea_name(place), 0, 0)
        return idea.root_id, idea.people, idea.mentions, idea.merged_ideas

    def _next(self) -> int:
        self._place += 1
        return self._place

    def _decide(self, event: Any) -> Entry:
        return decide(self.board, event, "board.events/0/0", lambda text: self._encoder.encode([text])[0])


@pytest.fixture
def scene() -> Scene:
    """Four ideas that have nothing in common, opened by the events 1 to 4."""
    scene = Scene()
    for place, text in enumerate(_APART):
        assert [decision.type for decision in scene.say(text, person=f"p{place % 2}").decisions] == ["opened", "linked"]
    return scene


def _types(decisions: list[Decision] | tuple[Decision, ...]) -> list[str]:
    return [decision.type for decision in decisions]


def test_an_exact_repeat_joins_without_a_vector(scene: Scene) -> None:
    entry = scene.say("  DARK\n mode ", person="eve")

    assert [("linked", "exact", idea_name(1))] == [(d.type, d.method, d.idea_id) for d in entry.decisions]
    assert entry.vector is None
    assert scene.counts(1) == (idea_name(1), 2, 2, 0)


def test_a_similar_text_joins_and_says_why(scene: Scene) -> None:
    entry = scene.say("dark mode please mode dark dark mode", person="eve")
    linked = entry.decisions[0]

    assert (linked.type, linked.method, linked.idea_id, linked.threshold) == ("linked", "semantic", idea_name(1), 0.69)
    assert (linked.score or 0) >= 0.64
    assert (linked.candidates_json or "").startswith(f'[{{"idea":"{idea_name(1)}","score":{linked.score},"centroid":')
    assert scene.board.links[f"{WORKSPACE}:feedback:1"].event_id in (linked.candidates_json or "")


def test_a_merge_points_root_at_root(scene: Scene) -> None:
    scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(2))

    (merged,) = scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(3))

    assert (merged.type, merged.idea_id, merged.other_idea_id, merged.root_id) == ("merged", idea_name(2), idea_name(3), idea_name(3))
    assert scene.counts(3) == (idea_name(3), 2, 3, 2)
    assert scene.counts(2) == (idea_name(3), 1, 1, 1)
    assert scene.counts(1) == (idea_name(3), 1, 1, 0)


def test_a_merge_publishes_every_idea_whose_root_changed(scene: Scene) -> None:
    scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(2))

    entry = scene.happen("commanded", command="merge", idea_id=idea_name(2), other_idea_id=idea_name(3))

    assert [idea_name(1), idea_name(2), idea_name(3)] == [idea.idea_id for idea in entry.ideas]
    assert {idea_name(3)} == {idea.root_id for idea in entry.ideas}


def test_a_merge_the_other_way_round_is_no_circle(scene: Scene) -> None:
    scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(2))

    assert scene.order("merge", idea_id=idea_name(2), other_idea_id=idea_name(1)) == []


@pytest.mark.parametrize("pair", [(1, 3), (3, 1)])
def test_unmerging_a_pair_removes_the_pointer_that_joined_them(scene: Scene, pair: tuple[int, int]) -> None:
    scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(2))
    scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(3))

    (unmerged,) = scene.order("unmerge", idea_id=idea_name(pair[0]), other_idea_id=idea_name(pair[1]))

    assert (unmerged.idea_id, unmerged.other_idea_id, unmerged.root_id) == (idea_name(2), idea_name(3), idea_name(2))
    assert scene.counts(2) == (idea_name(2), 2, 2, 1)


def test_unmerging_one_idea_removes_its_own_pointer(scene: Scene) -> None:
    scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(2))

    assert _types(scene.order("unmerge", idea_id=idea_name(1))) == ["unmerged"]
    assert scene.order("unmerge", idea_id=idea_name(1)) == []


def test_a_move_takes_the_vector_along_and_repeats_follow_it(scene: Scene) -> None:
    moved = scene.order("move", feedback_id=f"{WORKSPACE}:feedback:1", idea_id=idea_name(2))

    assert [("moved", idea_name(2), idea_name(1))] == [(d.type, d.idea_id, d.other_idea_id) for d in moved]
    assert scene.say("dark mode").decisions[0].idea_id == idea_name(2)
    assert scene.counts(1) == (idea_name(1), 0, 0, 0)
    assert scene.order("move", feedback_id=f"{WORKSPACE}:feedback:1", idea_id=idea_name(2)) == []


def test_a_suggestion_is_accepted_once(scene: Scene) -> None:
    scene.board.suggestions[idea_name(2), idea_name(1)] = "open"
    pair = {"idea_id": idea_name(1), "other_idea_id": idea_name(2)}

    accepted = scene.order("accept", **pair)

    assert [("accepted", idea_name(2), idea_name(1)), ("merged", idea_name(2), idea_name(1))] == [
        (d.type, d.idea_id, d.other_idea_id) for d in accepted
    ]
    assert scene.order("accept", **pair) == []
    assert _types(scene.order("dismiss", **pair)) == ["refused"]


def test_a_suggestion_is_dismissed_once_and_may_be_accepted_later(scene: Scene) -> None:
    scene.board.suggestions[idea_name(2), idea_name(1)] = "open"
    pair = {"idea_id": idea_name(2), "other_idea_id": idea_name(1)}

    assert _types(scene.order("dismiss", **pair)) == ["dismissed"]
    assert scene.order("dismiss", **pair) == []
    assert _types(scene.order("accept", **pair)) == ["accepted", "merged"]


def test_a_text_inside_the_band_is_suggested() -> None:
    scene = Scene()
    scene.say("dark mode please export")

    opened, linked, suggested = scene.say("dark mode").decisions

    assert (opened.type, linked.type, suggested.type) == ("opened", "linked", "suggested")
    assert (opened.idea_id, linked.idea_id, suggested.idea_id) == (idea_name(2), idea_name(2), idea_name(2))
    assert suggested.other_idea_id == idea_name(1)
    assert suggested.score is not None
    assert 0.56 <= suggested.score < 0.64
    assert _types(scene.order("accept", idea_id=idea_name(2), other_idea_id=idea_name(1))) == ["accepted", "merged"]


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("merge", {}, "idea_id: the command needs it"),
        ("merge", {"idea_id": "x", "other_idea_id": "y"}, "idea_id: no such idea on this board"),
        ("merge", {"idea_id": idea_name(1)}, "other_idea_id: the command needs it"),
        ("merge", {"idea_id": idea_name(1), "other_idea_id": idea_name(1)}, "idea_id and other_idea_id are the same idea"),
        ("unmerge", {"idea_id": "x"}, "idea_id: no such idea on this board"),
        ("unmerge", {"idea_id": idea_name(1), "other_idea_id": "x"}, "other_idea_id: no such idea on this board"),
        ("move", {"idea_id": idea_name(1)}, "feedback_id: no such feedback is linked on this board"),
        ("rename", {"idea_id": idea_name(1), "title": "  "}, "title: an idea needs one"),
        ("accept", {"idea_id": idea_name(1), "other_idea_id": idea_name(2)}, "no suggestion joins these two ideas; merge them instead"),
        ("explode", {}, "unknown command; expected one of merge, unmerge, move, split, rename, accept, dismiss, undo"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(scene: Scene, name: str, fields: dict[str, str], reason: str) -> None:
    (refused,) = scene.order(name, **fields)

    assert (refused.type, refused.reason, refused.actor) == ("refused", reason, "mo")


def test_a_rename_stays(scene: Scene) -> None:
    assert _types(scene.order("rename", idea_id=idea_name(1), title=" Night \n theme ")) == ["renamed"]
    assert scene.order("rename", idea_id=idea_name(1), title="Night theme") == []
    assert idea_state(scene.board, idea_name(1), 0, 0).title == "Night theme"


def test_a_status_names_its_release_and_root(scene: Scene) -> None:
    scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(2))
    shipped = {"idea_id": idea_name(1), "status": "shipped", "release_id": "r1", "release_name": "One"}

    (decision,) = scene.happen("status_changed", **shipped).decisions

    assert (decision.idea_id, decision.root_id, decision.release_name) == (idea_name(1), idea_name(2), "One")
    assert scene.happen("status_changed", **shipped).decisions == ()
    assert _types(scene.happen("status_changed", idea_id="x", status="shipped").decisions) == ["refused"]


def test_a_revision_leaves_its_old_words_behind(scene: Scene) -> None:
    scene.say("dark mode", person="eve")

    entry = scene.say("export to pdf", feedback_id=f"{WORKSPACE}:feedback:1", revision=1)

    assert [("unlinked", idea_name(1)), ("linked", idea_name(2))] == [(d.type, d.idea_id) for d in entry.decisions]
    assert scene.counts(1)[2] == 1


def test_a_sole_member_that_joins_nothing_stays(scene: Scene) -> None:
    entry = scene.say("something else entirely", feedback_id=f"{WORKSPACE}:feedback:1", revision=1)

    assert [("unlinked", idea_name(1), "revision"), ("linked", idea_name(1), "revision")] == [
        (d.type, d.idea_id, d.method) for d in entry.decisions
    ]


def test_one_of_many_that_joins_nothing_opens_an_idea(scene: Scene) -> None:
    scene.say("dark mode", person="eve")

    entry = scene.say("something else entirely", feedback_id=f"{WORKSPACE}:feedback:1", revision=1)

    assert _types(entry.decisions) == ["unlinked", "opened", "linked"]


def test_a_revision_with_the_same_words_stays_where_a_human_put_it(scene: Scene) -> None:
    scene.order("move", feedback_id=f"{WORKSPACE}:feedback:1", idea_id=idea_name(2))

    entry = scene.say("Dark mode", feedback_id=f"{WORKSPACE}:feedback:1", revision=1, rating=4.0)

    assert [(d.type, d.rating) for d in entry.decisions] == [("unlinked", None), ("linked", 4.0)]
    assert entry.decisions[1].idea_id == idea_name(2)
    assert scene.say("dark mode").decisions[0].idea_id == idea_name(2)


def test_older_revisions_establish_nothing(scene: Scene) -> None:
    feedback = f"{WORKSPACE}:feedback:1"
    scene.say("export to pdf", feedback_id=feedback, revision=3)

    assert scene.say("dark mode", feedback_id=feedback, revision=2).decisions == ()
    assert scene.happen("retracted", feedback_id=feedback, revision=2).decisions == ()


def test_a_retraction_holds_until_a_newer_revision(scene: Scene) -> None:
    feedback = f"{WORKSPACE}:feedback:1"

    assert _types(scene.happen("retracted", feedback_id=feedback, revision=1).decisions) == ["unlinked"]
    assert scene.counts(1)[1:] == (0, 0, 0)
    assert scene.say("dark mode", feedback_id=feedback, revision=1).decisions == ()
    assert "linked" in _types(scene.say("dark mode", feedback_id=feedback, revision=2).decisions)


def test_a_retraction_that_comes_first_holds_too(scene: Scene) -> None:
    assert scene.happen("retracted", feedback_id="f", revision=1).decisions == ()
    assert scene.say("anything", feedback_id="f", revision=0).decisions == ()


def test_joined_persons_count_once_and_apart_again(scene: Scene) -> None:
    scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(2))
    pair = {"person_id": f"{WORKSPACE}:person:p0", "other_person_id": f"{WORKSPACE}:person:p1"}
    assert scene.counts(2)[1] == 2

    joined = scene.happen("persons_joined", **pair)

    assert [(idea_name(2), 1)] == [(idea.idea_id, idea.people) for idea in joined.ideas]
    assert scene.happen("persons_joined", **pair).ideas == ()
    parted = scene.happen("persons_separated", **pair)
    assert [(idea_name(2), 2)] == [(idea.idea_id, idea.people) for idea in parted.ideas]
    assert parted.ideas[0].version > joined.ideas[0].version


def test_a_move_out_of_a_family_changes_its_root(scene: Scene) -> None:
    scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(2))

    entry = scene.happen("commanded", command="move", feedback_id=f"{WORKSPACE}:feedback:1", idea_id=idea_name(3))

    assert [(idea_name(1), 0), (idea_name(2), 1), (idea_name(3), 2)] == [(idea.idea_id, idea.mentions) for idea in entry.ideas]


def test_a_family_that_was_merged_away_and_back_counts_what_came_meanwhile(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ideas, "_KEPT_FROM", 1)
    scene.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(2))
    pair = {"idea_id": idea_name(2), "other_idea_id": idea_name(3)}
    scene.order("merge", **pair)
    scene.say("dark mode", person="eve")

    scene.order("unmerge", **pair)

    assert scene.counts(2) == (idea_name(2), 3, 3, 1)
    assert scene.counts(3) == (idea_name(3), 1, 1, 0)
