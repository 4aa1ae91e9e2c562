"""What an idea is shown as: its medoid, its distinctive words, its trend; a function of the log, and nobody's words after they are gone."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.events import Idea
from services.dedup.domain.board import Board
from services.dedup.domain.decide import decide
from services.dedup.domain.entry import Entry, read_entry
from services.dedup.domain.ideas import Tally
from services.dedup.domain.portrait import Portrait, is_due
from services.dedup.domain.states import portrait_of
from tests.fakes_dedup import BOARDS, DIMENSIONS, WORKSPACE, FakeEncoder, command, event_of, idea_name, submitted

_WEEK = 7 * 24 * 3600 * 1_000_000


class _Stage:
    """A board, and a board that is folded from what the first one decided."""

    def __init__(self) -> None:
        self.board, self.folded = (Board(WORKSPACE, BOARDS[0], DIMENSIONS) for _ in range(2))
        self._place = 0

    def say(self, text: str, **fields: Any) -> list[Idea]:
        self._place += 1
        return self._decide(submitted(self._place, text, person=f"p{self._place}", **fields))

    def order(self, name: str, **fields: Any) -> list[Idea]:
        self._place += 1
        return self._decide(command(self._place, name, **fields))

    def retract(self, place: int) -> list[Idea]:
        self._place += 1
        return self._decide(event_of(self._place, type="retracted", feedback_id=f"{WORKSPACE}:feedback:{place}", revision=1))

    def _decide(self, event: Any) -> list[Idea]:
        entry: Entry = decide(self.board, event, "o/0/0", lambda text: FakeEncoder().encode([text])[0])
        self.folded.fold(read_entry(entry.board, entry.position, entry.body(), entry.vector))
        portraits = [{name: portrait_of(board, name) for name in board.ideas} for board in (self.board, self.folded)]
        assert portraits[0] == portraits[1]
        return list(entry.ideas)


@pytest.fixture
def stage() -> _Stage:
    """Three texts of one wish, the second nearest to the others, and two of another."""
    stage = _Stage()
    for text in ("dark mode please", "dark mode", "dark dark mode", "export to pdf please", "export to pdf"):
        stage.say(text)
    assert set(stage.board.ideas) == {idea_name(1), idea_name(4)}
    return stage


def test_the_quote_is_the_medoid_and_the_words_are_distinctive(stage: _Stage) -> None:
    (idea,) = stage.say("mode dark")

    assert idea.quote in {"dark mode", "mode dark"}
    assert set((idea.keywords or "").split()[:2]) == {"dark", "mode"}
    assert "please" not in (idea.keywords or "")
    assert idea.title == "dark mode please"


def test_a_portrait_stays_until_the_idea_has_grown_by_half() -> None:
    drawn = Portrait("quote", (), 20)

    assert not any(is_due(drawn, mentions) for mentions in (20, 21, 25))
    assert is_due(drawn, 40)
    assert is_due(drawn, 9)
    assert is_due(None, 1)


def test_a_retracted_text_is_quoted_no_longer(stage: _Stage) -> None:
    (idea,) = stage.retract(5)
    assert idea.quote == "export to pdf please"

    (idea,) = stage.retract(4)
    assert (idea.quote, idea.keywords, idea.mentions) == (None, None, 0)


def test_a_merge_shows_the_family_and_an_unmerge_the_idea_again(stage: _Stage) -> None:
    (before,) = stage.say("export pdf")
    merged = stage.order("merge", idea_id=idea_name(1), other_idea_id=idea_name(4))
    apart = stage.order("unmerge", idea_id=idea_name(1))

    family = next(idea for idea in merged if idea.idea_id == idea_name(4))
    again = next(idea for idea in apart if idea.idea_id == idea_name(4))
    assert {"dark", "export"} & set((family.keywords or "").split())
    assert (again.quote, again.keywords, again.mentions) == (before.quote, before.keywords, before.mentions)


def test_the_trend_goes_by_the_latest_moment_of_the_board() -> None:
    stage = _Stage()
    said = [stage.say(f"dark mode{' please' * place}", occurred_at=_WEEK * week)[0] for place, week in enumerate((10, 11, 12, 15, 16))]

    assert [(idea.trend, idea.recent_people, idea.earlier_people) for idea in said] == [
        ("new", 1, 0),
        ("new", 2, 0),
        ("new", 3, 0),
        ("steady", 2, 2),
        ("fading", 2, 3),
    ]


@pytest.mark.parametrize("weeks", [(3, 3, 9, 4, 8, 8, 1, 9, 14, 10), (1, 2, 3, 4, 5, 6, 7, 8, 9, 10), (20, 1, 20, 17, 16, 15, 13, 20, 24)])
def test_a_kept_trend_is_that_of_a_recount(weeks: tuple[int, ...]) -> None:
    kept = Tally()
    for place, week in enumerate(weeks):
        fresh = Tally()
        for earlier in range(place + 1):
            fresh.add(f"p{earlier % 4}", _WEEK * weeks[earlier])
        kept.add(f"p{place % 4}", _WEEK * week)
        latest = max(weeks[: place + 1])
        assert kept.trend(latest) == fresh.trend(latest)


def test_an_idea_that_has_a_text_again_is_quoted_again(stage: _Stage) -> None:
    for place in (4, 5):
        stage.order("move", feedback_id=f"{WORKSPACE}:feedback:{place}", idea_id=idea_name(1))
    assert portrait_of(stage.board, idea_name(4)) == Portrait("", (), 0)

    moved = stage.order("move", feedback_id=f"{WORKSPACE}:feedback:4", idea_id=idea_name(4))

    again = next(idea for idea in moved if idea.idea_id == idea_name(4))
    assert (again.quote, again.mentions) == ("export to pdf please", 1)
    assert again.keywords
