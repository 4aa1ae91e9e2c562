"""What a board's owner allows: precision, suggestions only, and what is wrong with the file that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.errors import ConfigurationError
from services.common.events import Decision
from services.common.paths import EXAMPLES
from services.dedup.definition import load_boards
from services.dedup.domain.board import Board
from services.dedup.domain.calibration import NEVER, Census
from services.dedup.domain.decide import decide
from services.dedup.domain.policy import BALANCED, Policy
from tests.fakes_dedup import BOARDS, DIMENSIONS, WORKSPACE, FakeEncoder, command, idea_name, submitted

_TICKETS = Census(texts=1000, sampled=1000, around=50_000, third=300, wedges=70_000, closed=20_000)


class _Desk:
    """A board with a policy, and texts that come to it."""

    def __init__(self, policy: Policy) -> None:
        self.board = Board(WORKSPACE, BOARDS[0], DIMENSIONS, policy)
        self._place = 0

    def say(self, text: str, **fields: Any) -> list[Decision]:
        self._place += 1
        event = submitted(self._place, text, **fields)
        return list(decide(self.board, event, f"o/0/{self._place}", lambda said: FakeEncoder().encode([said])[0]).decisions)

    def order(self, name: str, **fields: Any) -> list[Decision]:
        self._place += 1
        return list(
            decide(
                self.board, command(self._place, name, **fields), f"o/0/{self._place}", lambda _: np.zeros(DIMENSIONS, np.float32)
            ).decisions
        )


def _kinds(decisions: list[Decision]) -> list[str]:
    return [decision.type for decision in decisions]


def test_the_example_is_balanced() -> None:
    assert load_boards(EXAMPLES / "boards.yaml").policies()("lumora", "product") == BALANCED


def test_a_listed_board_takes_the_rest_from_the_default(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("version: 1\ndefault:\n  auto_merge: off\nboards:\n  - {workspace: lumora, board: api, precision: 0.95}\n")
    policy_of = load_boards(path).policies()

    assert policy_of("lumora", "api") == Policy(precision=0.95, auto_merge=False)
    assert policy_of("lumora", "product") == Policy(auto_merge=False)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("version: 1\nboards:\n  - workspace: lumora\n    board: Not A Slug\n", r"b\.yaml:4: boards\.0\.board: .*a-z"),
        ("version: 1\ndefault:\n  precision: 95\n", r"b\.yaml:3: default\.precision: .*less than or equal to 1"),
        ("version: 1\ndefault:\n  auto_merge: perhaps\n", r"b\.yaml:3: default\.auto_merge: "),
        ("version: 1\ncosine: 0.8\n", r"b\.yaml:2: cosine: Extra inputs"),
        ("version: 1\nboards:\n  - board: product\n", r"b\.yaml:3: boards\.0\.workspace: Field required"),
        ("version: 1\nboards: [a\n", r"b\.yaml:3: not YAML: "),
        ("", r"b\.yaml:1: file: "),
    ],
)
def test_a_wrong_definition_names_line_and_field(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        load_boards(path)


def test_a_missing_definition_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="GROUNDSWELL_BOARDS_FILE"):
        load_boards(tmp_path / "none.yaml")


def test_more_precision_merges_less_and_asks_more() -> None:
    asked = [Policy(precision=wanted).bands(0.6) for wanted in (0.6, 0.75, 0.9, 0.95, 0.99, 1.0)]

    assert [bands.merge for bands in asked] == sorted(bands.merge for bands in asked)
    assert asked[0].merge < BALANCED.bands(0.6).merge < asked[-1].merge == NEVER
    assert all(bands.suggest < bands.merge for bands in asked)
    assert {bands.suggest for bands in asked[1:]} == {BALANCED.bands(0.6).suggest}


def test_what_would_have_merged_is_suggested_to_a_careful_owner() -> None:
    balanced, careful = _Desk(BALANCED), _Desk(Policy(precision=1.0))
    for desk in (balanced, careful):
        desk.say("dark mode please")

    assert _kinds(balanced.say("dark mode please mode dark dark mode")) == ["linked"]
    assert _kinds(careful.say("dark mode please mode dark dark mode")) == ["opened", "linked", "suggested"]


def test_without_auto_merge_an_exact_repeat_is_suggested_too_and_a_human_may_accept_it() -> None:
    desk = _Desk(Policy(auto_merge=False))
    desk.say("dark mode please")

    assert _kinds(desk.say("dark mode please")) == ["opened", "linked", "suggested"]
    assert _kinds(desk.order("accept", idea_id=idea_name(2), other_idea_id=idea_name(1))) == ["accepted", "merged"]


def test_equal_titles_are_suggested_on_a_board_of_tickets_unless_one_person_says_both() -> None:
    desk = _Desk(BALANCED)
    desk.board.calibration.take(_TICKETS)
    desk.say("update guava", person="ann")

    assert desk.board.bands.merge > 1.0
    assert _kinds(desk.say("update guava", person="bob")) == ["opened", "linked", "suggested"]
    assert [(made.type, made.method, made.idea_id) for made in desk.say("update guava", person="ann")] == [
        ("linked", "exact", idea_name(1))
    ]
