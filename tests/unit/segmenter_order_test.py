"""Whatever the order across people, and however often things are told: the same memberships, changes and demand.

With all that makes order matter elsewhere: hysteresis, dwell, a state machine, windows that move with time, activity that is told late.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.events import Decision, PersonEvent, SegmentTransition
from services.segmenter.domain.definition import Definition
from tests.unit.segmenter_laws_test import present
from tests.unit.segmenter_world import DAY, START, WORKSPACE, Board, Segmenter, define, person_event

PEOPLE = tuple(f"{WORKSPACE}:person:{letter}" for letter in "abcd")
DEFINITION = """
version: "1"
schemes:
  - name: use
    dwell: days(3)
    rules:
      - {segment: power, when: 'activity.count("export", days(9)) >= 3', stay: 'activity.count("export", days(9)) >= 2'}
      - {segment: active, when: 'activity.count("export", days(9)) >= 1'}
    default: quiet
  - name: life
    rules:
      - {segment: won_back, when: 'activity.since_last("*") < 6', after: [gone, won_back]}
      - {segment: gone, when: 'activity.since_last("*") >= 6'}
      - {segment: here, when: 'activity.since_last("*") < 6'}
    default: never_seen
  - name: likes
    tags:
      - {segment: dark, when: 'answer("theme", days(5)) == "dark"'}
"""
Told = PersonEvent | Decision


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("definition"), DEFINITION)


def history(chance: random.Random, length: int) -> list[tuple[int, list[Told]]]:
    """Return stretches of time: each one's end, and what is told in it, people and boards each in their order."""
    board, now, number, stretches = Board(), START, 0, list[tuple[int, list[Told]]]()
    for _ in range(length):
        now += chance.choice([0, 3_600_000_000, DAY, 4 * DAY])
        told: list[Told] = []
        for _ in range(chance.randrange(1, 6)):
            number += 1
            now += chance.choice([0, 1_000_000])
            who = chance.choice(PEOPLE)
            late = chance.choice([0, 0, 2 * DAY, 15 * DAY])
            match chance.randrange(6):
                case 0:
                    told.append(person_event(number, "profile", who, now))
                case 1:
                    answer = chance.choice(['"dark"', '"light"'])
                    told.append(person_event(number, "answer", who, now, name="theme", answer_json=answer))
                case 2:
                    told.append(board.link(f"f{number}", who, f"i{chance.randrange(3)}", now))
                case _:
                    told.append(person_event(number, "activity", who, now, name="export", occurred_at=now - late))
        stretches.append((now, told))
    return stretches


def mixed(told: list[Told], chance: random.Random) -> Iterator[Told]:
    """Yield *told* in another order that keeps that of each key."""
    lanes: dict[str, list[Told]] = defaultdict(list)
    for event in told:
        lanes[event.partition_key()].append(event)
    while lanes:
        key = chance.choice(sorted(lanes))
        yield lanes[key].pop(0)
        if not lanes[key]:
            del lanes[key]


async def lived(stretches: list[tuple[int, list[Told]]], definition: Definition, chance: random.Random) -> Segmenter:
    """Return a segmenter that heard all of it in some order and some batches, some of it again, and looked at the clock now and then."""
    segmenter = Segmenter(definition)
    for end, told in stretches:
        segmenter.publish(*mixed(told, chance))
        await segmenter.drain(chance)
        if chance.random() < 0.3:
            segmenter.clock.moment = end
            await segmenter.ticks()
            await segmenter.drain(chance)
    segmenter.clock.moment = stretches[-1][0] + 30 * DAY
    await segmenter.ticks()
    await segmenter.drain(chance)
    return segmenter


def changes(segmenter: Segmenter) -> dict[str, list[Any]]:
    """Return each person's transitions in the order in which they were published first."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for change in segmenter.events(SegmentTransition):
        fields = (change.scheme, change.previous_segment, change.segment, change.cause, change.occurred_at, change.evaluated_at)
        found[change.person_id].setdefault(change.transition_id, fields)
    return {person: list(rows.values()) for person, rows in found.items()}


def recounted(stretches: list[tuple[int, list[Told]]], memberships: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Return people and mentions by idea, scheme and segment, counted from the links and the memberships alone."""
    found: dict[str, Any] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for link in [event for _, told in stretches for event in told if isinstance(event, Decision)]:
        for scheme in ("use", "life", "likes.dark"):
            segment = memberships.get(link.person_id or "", {}).get(scheme, "unknown")
            found[link.idea_id or ""][scheme][segment].append(link.person_id)
    return {
        idea: {scheme: {segment: [len(set(people)), len(people)] for segment, people in cells.items()} for scheme, cells in schemes.items()}
        for idea, schemes in found.items()
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), length=st.integers(1, 15))
async def test_any_order_and_repetition_across_people_gives_the_same(definition: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    stretches = history(chance, length)
    one = await lived(stretches, definition, random.Random(seed + 1))
    other = await lived(stretches, definition, random.Random(seed + 2))
    assert present(one) == present(other)
    assert changes(one) == changes(other)
    for segmenter in (one, other):
        told = {
            idea: {s: {g: [c["people"], c["mentions"]] for g, c in cells.items()} for s, cells in row["segments"].items()}
            for idea, row in segmenter.demand().items()
        }
        assert told == recounted(stretches, present(segmenter))
