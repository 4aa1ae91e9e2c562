"""Segments by what people ask for: heard from boards, forgotten with the feedback, known after a rollout."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.common.events import PersonSegments, SegmentTransition
from services.segmenter.domain.definition import Definition
from tests.unit.segmenter_world import START, WORKSPACE, Board, Segmenter, define, person_event, told

ANN, BOB = f"{WORKSPACE}:person:ann", f"{WORKSPACE}:person:bob"
NEEDS = """
version: "2"
schemes:
  - name: need
    rules:
      - {segment: reporting, when: 'asked.count("export pdf") >= 2 && asked.confidence("export") > 0.3'}
      - {segment: curious, when: 'asked.idea("i9")'}
    default: unstated
"""


@pytest.fixture
def needs(tmp_path: Path) -> Definition:
    return define(tmp_path, NEEDS)


def segments(segmenter: Segmenter) -> list[str]:
    return [change.segment for change in segmenter.events(SegmentTransition)]


async def test_a_need_follows_what_a_person_asks_for_and_takes_back(needs: Definition) -> None:
    segmenter, board = Segmenter(needs), Board()
    await told(segmenter, person_event(1, "profile", ANN, START))
    link = {"source": "mail", "external_id": "x"}
    for feedback, text in (("f1", "PDF export please"), ("f2", "please export to pdf")):
        event = board.decide("linked", START, feedback_id=feedback, person_id=ANN, idea_id="i1", text=text, **link)
        await told(segmenter, event)
    assert segments(segmenter) == ["unstated", "reporting"]
    fields = {"feedback_id": "f2", "person_id": ANN, "idea_id": "i1", "method": "retraction", "reason": "retracted"}
    await told(segmenter, board.decide("unlinked", START, **fields))
    assert segments(segmenter) == ["unstated", "reporting", "unstated"]
    await told(segmenter, board.decide("moved", START, feedback_id="f1", person_id=ANN, idea_id="i9", other_idea_id="i1"))
    assert segments(segmenter)[-1] == "curious"


async def test_wishes_from_before_a_profile_and_before_a_rollout_count(tmp_path: Path, needs: Definition) -> None:
    segmenter, board = Segmenter(define(tmp_path)), Board()
    await told(segmenter, person_event(1, "profile", ANN, START), board.link("f1", ANN, "i9"), board.link("f2", BOB, "i9"))
    newer = Segmenter(needs, segmenter.stores, topics=segmenter.topics, read=segmenter.read)
    await newer.ticks()
    await newer.drain()
    assert segments(newer)[-1] == "curious"
    await told(newer, person_event(2, "profile", BOB, START))
    assert {row.person_id: row.primary_segment for row in newer.events(PersonSegments)} == {ANN: "curious", BOB: "curious"}
