"""The console folds what is published as any reader would."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.events import Decision, DecisionType, Idea
from services.console.board import Links, find, in_order, newest, segments_line
from services.console.demo.report import percentile
from services.console.failures import CommandFailed


def decision(sequence: int, kind: DecisionType, **fields: str) -> Decision:
    return Decision(
        decision_id=f"d{sequence}",
        type=kind,
        workspace="w",
        board="b",
        sequence=sequence,
        event_id=f"e{sequence}",
        occurred_at=sequence,
        ingested_at=sequence,
        **fields,  # type: ignore[arg-type]
    )


def idea(version: int, title: str) -> Idea:
    return Idea(
        idea_id="i",
        workspace="w",
        board="b",
        version=version,
        root_id="i",
        title=title,
        status="open",
        people=1,
        mentions=1,
        first_seen=0,
        last_seen=0,
        updated_at=0,
    )


STORY = [
    decision(1, "linked", idea_id="a", feedback_id="f1", person_id="p1"),
    decision(2, "linked", idea_id="b", feedback_id="f2", person_id="p2"),
    decision(3, "linked", idea_id="c", feedback_id="f3", person_id="p3"),
    decision(4, "merged", idea_id="b", other_idea_id="a"),
    decision(5, "merged", idea_id="a", other_idea_id="c"),
]


def test_pointers_lead_to_the_root() -> None:
    assert Links.of(STORY).by_root() == {"c": ["f1", "f2", "f3"]}


def test_an_unmerge_takes_the_pointer_back() -> None:
    links = Links.of([*STORY, decision(6, "unmerged", idea_id="a", other_idea_id="c")])
    assert links.by_root() == {"a": ["f1", "f2"], "c": ["f3"]}


def test_a_revision_leaves_one_link() -> None:
    links = Links.of([*STORY, decision(6, "unlinked", idea_id="a", feedback_id="f1"), decision(7, "linked", idea_id="b", feedback_id="f1")])
    assert (links.idea_of["f1"], links.root("b")) == ("b", "c")


@given(seed=st.integers())
def test_repeats_and_disorder_change_nothing(seed: int) -> None:
    heard = [*STORY, *STORY]
    random.Random(seed).shuffle(heard)
    assert in_order(heard) == STORY


@given(versions=st.permutations(range(1, 6)))
def test_the_highest_version_stays(versions: list[int]) -> None:
    assert newest(idea(version, str(version)) for version in versions)["i"].title == "5"


def test_an_id_is_found_by_how_its_last_part_begins() -> None:
    known = ["w:idea:abcd", "w:idea:abzz", "w:idea:qqqq"]
    assert find(known, "qq", "idea") == "w:idea:qqqq"
    assert find(known, "w:idea:abcd", "idea") == "w:idea:abcd"
    with pytest.raises(CommandFailed, match="2 ideas begin with 'ab'"):
        find(known, "ab", "idea")
    with pytest.raises(CommandFailed, match="no idea is called 'x'"):
        find(known, "x", "idea")


def test_segments_are_told_by_people() -> None:
    segments = {"plan": {"free": {"people": 1}, "enterprise": {"people": 4}}, "size": {"large": {"people": 5}}}
    assert segments_line(segments) == "enterprise 4, free 1"
    assert segments_line(segments, "size") == "large 5"
    assert segments_line({}) == ""


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 3.0), (0.95, 4.0), (1.0, 4.0)])
def test_percentiles_are_nearest_ranks(share: float, value: float) -> None:
    assert value == percentile([1.0, 2.0, 3.0, 4.0], share)
