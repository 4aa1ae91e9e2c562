"""An idea that turns out to be two is proposed for a split, at positions in the log, and split when a human says so."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.events import Decision
from services.dedup.domain.board import Board
from services.dedup.domain.decide import decide
from services.dedup.domain.questions import questions
from services.dedup.domain.split import part_around, splits_to_propose
from tests.fakes_dedup import BOARDS, DIMENSIONS, WORKSPACE, FakeEncoder, command, idea_name, submitted

_DARK = ("dark mode", "dark mode please", "dark mode now", "a dark mode")
_PDF = ("export to pdf", "export to pdf please", "export to pdf now")
_MIXED = (*_DARK, *_PDF)
_ALL = {f"{WORKSPACE}:feedback:{place}" for place in range(1, 8)}
_OUT = {f"{WORKSPACE}:feedback:{place}" for place in range(5, 8)}


class _Room:
    """A board on which everything once looked like one idea."""

    def __init__(self) -> None:
        self.board = Board(WORKSPACE, BOARDS[0], DIMENSIONS)
        self.board.calibration.threshold = -1.0
        self._place = 0
        for text in _MIXED:
            self.say(text)
        assert set(self.board.ideas) == {idea_name(1)}
        self.board.calibration.threshold = 0.6

    def say(self, text: str) -> list[Decision]:
        self._place += 1
        return self._decide(submitted(self._place, text, person=f"p{self._place}"))

    def order(self, name: str, **fields: Any) -> list[Decision]:
        self._place += 1
        return self._decide(command(self._place, name, **fields))

    def look_over(self) -> list[Decision]:
        """Let a pass come with the next text, which is none of these ideas."""
        self.board.calibration.next_at = 0
        return [made for made in self.say(f"logo {self._place}") if made.method == "split"]

    def _decide(self, event: Any) -> list[Decision]:
        return list(decide(self.board, event, "o/0/0", lambda text: FakeEncoder().encode([text])[0]).decisions)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> _Room:
    """A room whose censuses leave the threshold alone."""
    monkeypatch.setattr("services.dedup.domain.calibration.threshold_of", lambda _census, _by: 0.6)
    return _Room()


def test_two_wishes_in_one_idea_are_found(room: _Room) -> None:
    (split,) = splits_to_propose(room.board, 0.52, 5)

    assert (split.root, set(split.leaving)) == (idea_name(1), _OUT)
    assert split.staying in _ALL - _OUT
    assert split.score == pytest.approx((split.centroid + split.member) / 2, abs=1e-5)
    assert splits_to_propose(room.board, split.score, 5) == []


def test_a_proposal_changes_nothing_and_explains_itself(room: _Room) -> None:
    (proposed,) = room.look_over()

    assert (proposed.type, proposed.idea_id, proposed.other_idea_id) == ("suggested", idea_name(1), None)
    assert (proposed.score or 0) < (proposed.threshold or 0)
    assert all(feedback in (proposed.candidates_json or "") for feedback in _OUT)
    assert {room.board.idea_of(feedback) for feedback in _ALL} == {idea_name(1)}
    assert not any(idea_name(1) in pair for pair in questions(room.board))


def test_what_is_proposed_leaves_when_a_human_says_so(room: _Room) -> None:
    room.look_over()

    opened, *split = room.order("split", idea_id=idea_name(1))

    assert (opened.type, opened.title) in {("opened", text) for text in _PDF}
    assert {(made.type, made.feedback_id, made.other_idea_id) for made in split} == {("split", out, idea_name(1)) for out in _OUT}
    assert {feedback for feedback in _ALL if room.board.idea_of(feedback) == opened.idea_id} == _OUT
    assert room.board.splits == {}
    assert [made.type for made in room.order("split", idea_id=idea_name(1))] == ["refused"]
    assert (opened.idea_id, idea_name(1)) in room.board.kept_apart


def test_a_dismissed_proposal_comes_again_only_when_the_idea_has_doubled(room: _Room) -> None:
    room.look_over()
    assert [made.type for made in room.order("dismiss", idea_id=idea_name(1))] == ["dismissed"]
    assert room.order("dismiss", idea_id=idea_name(1)) == []
    assert room.look_over() == []
    assert splits_to_propose(room.board, 2.0, 5) == []

    room.board.calibration.threshold = -1.0
    assert room.board.looked_at[idea_name(1)] == len(_MIXED)
    room.board.looked_at[idea_name(1)] = len(_MIXED) // 2  # as if it had been half as large then

    assert len(room.look_over()) == 1


def test_a_human_names_what_leaves_by_one_piece_of_it(room: _Room) -> None:
    assert set(part_around(room.board, idea_name(1), f"{WORKSPACE}:feedback:6")) == _OUT

    opened, *split = room.order("split", idea_id=idea_name(1), feedback_id=f"{WORKSPACE}:feedback:6")

    assert opened.type == "opened"
    assert {made.feedback_id for made in split} == _OUT


def test_what_a_human_merged_is_not_proposed_for_a_split(room: _Room) -> None:
    (opened, *_) = room.order("split", idea_id=idea_name(1), feedback_id=f"{WORKSPACE}:feedback:6")
    assert [made.type for made in room.order("merge", idea_id=opened.idea_id, other_idea_id=idea_name(1))] == ["merged"]

    assert splits_to_propose(room.board, 2.0, 5) == []
    room.order("unmerge", idea_id=opened.idea_id)
    assert splits_to_propose(room.board, 2.0, 5) == []  # neither part has texts enough by itself
