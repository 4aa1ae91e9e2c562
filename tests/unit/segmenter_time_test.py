"""What changes without any event: by the passing of time, and by a new definition."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.common.events import PersonSegments, SegmentTransition
from tests.unit.segmenter_world import DAY, PARTITIONS, START, WORKSPACE, Board, Segmenter, define, person_event, told

ANN = f"{WORKSPACE}:person:ann"
RECENCY = """
version: "1"
schemes:
  - name: engagement
    rules:
      - {segment: active, when: activity.export.last_seen_days < 30}
      - {segment: lapsed, when: activity.export.last_seen_days >= 30}
    default: quiet
"""


@pytest.fixture
def board() -> Board:
    return Board()


async def test_time_alone_changes_what_depends_on_it(tmp_path: Path, board: Board) -> None:
    segmenter = Segmenter(define(tmp_path, RECENCY))
    await told(segmenter, person_event(1, "profile", ANN, START), person_event(2, "activity", ANN, START + 5, name="export"))
    await told(segmenter, board.link("f1", ANN, "i1"))
    segmenter.clock.moment = START + 30 * DAY + 4
    await segmenter.ticks()
    assert [change.segment for change in segmenter.events(SegmentTransition)] == ["quiet", "active"]
    segmenter.clock.moment += 1
    await segmenter.ticks()
    await segmenter.drain()
    last = segmenter.events(SegmentTransition)[-1]
    assert (last.segment, last.cause, last.evaluated_at) == ("lapsed", "time", START + 5 + 30 * DAY)
    assert set(segmenter.demand()["i1"]["segments"]["engagement"]) == {"lapsed"}
    count = len(segmenter.published)
    segmenter.clock.moment += 400 * DAY
    await segmenter.ticks()
    assert segmenter.published[count:] == []


async def test_an_event_before_the_tick_gives_the_same_history(tmp_path: Path) -> None:
    histories = []
    for ticks in (True, False):
        segmenter = Segmenter(define(tmp_path, RECENCY))
        await told(segmenter, person_event(1, "profile", ANN, START), person_event(2, "activity", ANN, START, name="export"))
        segmenter.clock.moment = START + 40 * DAY
        if ticks:
            await segmenter.ticks()
        await told(segmenter, person_event(3, "activity", ANN, START + 40 * DAY, name="export"))
        histories.append([(c.segment, c.cause, c.evaluated_at, c.transition_id) for c in segmenter.events(SegmentTransition)])
    assert histories[0] == histories[1]
    assert [segment for segment, *_ in histories[0]] == ["quiet", "active", "lapsed", "active"]


async def test_what_a_tick_found_is_published_again_after_a_crash(tmp_path: Path) -> None:
    segmenter = Segmenter(define(tmp_path, RECENCY))
    await told(segmenter, person_event(1, "profile", ANN, START), person_event(2, "activity", ANN, START, name="export"))
    segmenter.clock.moment = START + 31 * DAY
    assert segmenter.tick is not None
    partitions = frozenset(range(3))
    lost = await segmenter.tick.due(partitions)
    segmenter.restart()
    again = await segmenter.tick.due(partitions)
    assert lost
    assert again == lost
    assert await segmenter.tick.due(partitions) == []
    assert await segmenter.tick.due(partitions) == []


async def test_a_new_definition_looks_at_everyone_again(tmp_path: Path, board: Board) -> None:
    segmenter = Segmenter(define(tmp_path))
    await told(segmenter, person_event(1, "profile", ANN, START, traits_json='{"role":"cook"}'), board.link("f1", ANN, "i1"))
    newer = define(
        tmp_path, 'version: "2"\nschemes:\n  - {name: role, rules: [{segment: cook, when: person.traits.role == "cook"}], default: other}\n'
    )
    changed = Segmenter(newer, segmenter.stores, topics=segmenter.topics, read=segmenter.read)
    await changed.ticks()
    await changed.drain()
    (change,) = changed.events(SegmentTransition)
    assert (change.scheme, change.previous_segment, change.segment, change.cause) == ("role", "other", "cook", "definition")
    assert changed.events(PersonSegments)[-1].definition_version == "2"
    assert changed.demand()["i1"]["segments"] == {"role": {"cook": {"people": 1, "accounts": 0, "mentions": 1, "mrr_cents": 0}}}


async def test_a_rollout_says_who_is_left_and_goes_on_where_a_worker_died(tmp_path: Path) -> None:
    people = [f"{WORKSPACE}:person:{number:04}" for number in range(1_200)]
    segmenter = Segmenter(define(tmp_path))
    segmenter.publish(*(person_event(number, "profile", person, START) for number, person in enumerate(people)))
    await segmenter.drain()
    newer = 'version: "2"\nschemes:\n  - {name: role, rules: [{segment: any, when: "true"}], default: none}\n'
    changed = Segmenter(define(tmp_path, newer), segmenter.stores)
    assert changed.tick is not None
    everywhere = frozenset(range(PARTITIONS))
    first = await changed.tick.due(everywhere)
    assert changed.gauges.left == [700]
    changed.restart()
    again = await changed.tick.due(everywhere)
    assert sorted((o.topic, o.key, o.value) for o in first) == sorted((o.topic, o.key, o.value) for o in again)  # perhaps never published
    await changed.ticks()
    assert changed.gauges.left[-1] == 0
    rows = {row.person_id: row for row in [*changed.events(PersonSegments)]}
    said = {output.key for output in (*first, *again, *changed.published) if output.topic == PersonSegments.TOPIC}
    assert said == {person.encode() for person in people}
    assert {row.definition_version for row in rows.values()} == {"2"}
