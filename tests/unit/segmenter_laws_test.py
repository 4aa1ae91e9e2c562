"""Laws of the segmenter, over any history in any order of arrival."""

from __future__ import annotations

import random
from collections import defaultdict

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.events import EnrichedFeedback, IdeaDemand, PersonSegments, SegmentTransition
from services.segmenter.domain.definition import Definition
from tests.unit.segmenter_history import History, Truth
from tests.unit.segmenter_world import Segmenter, define

SEEDS = st.integers(0, 2**32)
LENGTHS = st.integers(1, 60)


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("definition"))


def interleaved(history: History, chance: random.Random) -> list[object]:
    """Return the history's events in another order that keeps that of each key."""
    lanes: dict[str, list[object]] = defaultdict(list)
    for event in history.events:
        lanes[event.partition_key()].append(event)
    mixed = []
    while lanes:
        key = chance.choice(sorted(lanes))
        mixed.append(lanes[key].pop(0))
        if not lanes[key]:
            del lanes[key]
    return mixed


async def lived(history: History, definition: Definition, chance: random.Random) -> Segmenter:
    """Return a segmenter that heard *history*, some of it while it was still handling the rest."""
    segmenter = Segmenter(definition)
    for event in interleaved(history, chance):
        segmenter.publish(event)  # type: ignore[arg-type]
        if chance.random() < 0.3 and (unread := segmenter.unread()):
            await segmenter.take(chance.choice(unread), chance.choice([1, 2, 500]))
    await segmenter.drain(chance)
    return segmenter


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, length=LENGTHS)
async def test_demand_equals_a_recount_whatever_the_interleaving(definition: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    history = History(chance, length)
    segmenter = await lived(history, definition, chance)
    assert Truth(history, definition).demand() == segmenter.demand()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, length=LENGTHS)
async def test_memberships_equal_an_evaluation_from_scratch(definition: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    history = History(chance, length)
    segmenter = await lived(history, definition, chance)
    expected = Truth(history, definition).memberships
    assert {person: segments for person, segments in expected.items() if segments is not None} == present(segmenter)


def present(segmenter: Segmenter) -> dict[str, dict[str, str]]:
    """Return the rows that a reader of the compacted topic sees."""
    rows: dict[str, dict[str, str]] = {}
    events = iter(segmenter.events(PersonSegments))
    for output in segmenter.published:
        if output.topic == PersonSegments.TOPIC:
            row = next(events)
            key = (output.key or b"").decode()
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = orjson.loads(row.segments_json)
    return rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, length=LENGTHS)
async def test_versions_only_grow_and_changes_follow_each_other(definition: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    segmenter = await lived(History(chance, length), definition, chance)
    versions: dict[str, int] = defaultdict(int)
    for row in segmenter.events(PersonSegments):
        if row is not None:
            assert versions[row.person_id] < row.version
            versions[row.person_id] = row.version
    for row in segmenter.events(IdeaDemand):
        assert versions[row.idea_id] < row.version
        versions[row.idea_id] = row.version
    for row in segmenter.events(EnrichedFeedback):
        assert versions[row.feedback_id] + 1 == row.enrichment_version
        versions[row.feedback_id] = row.enrichment_version
    where: dict[tuple[str, str], str] = {}
    seen: set[str] = set()
    for change in segmenter.events(SegmentTransition):
        if change is None:
            continue
        assert where.get((change.person_id, change.scheme)) == change.previous_segment
        assert change.previous_segment != change.segment
        where[change.person_id, change.scheme] = change.segment
        assert change.transition_id not in seen
        seen.add(change.transition_id)
    for person, segments in present(segmenter).items():
        assert segments == {scheme: segment for (name, scheme), segment in where.items() if name == person}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, length=LENGTHS)
async def test_the_segments_of_a_scheme_add_up_to_the_people(definition: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    segmenter = await lived(History(chance, length), definition, chance)
    for row in segmenter.events(IdeaDemand):
        for cells in orjson.loads(row.segments_json).values():
            assert row.people == sum(cell["people"] for cell in cells.values())
            assert row.mentions == sum(cell["mentions"] for cell in cells.values())
            assert row.accounts <= sum(cell["accounts"] for cell in cells.values())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, length=LENGTHS, batches=st.lists(st.sampled_from([1, 2, 3, 7, 500]), min_size=1))
async def test_any_batch_split_gives_the_same_facts_and_the_same_last_states(
    definition: Definition, seed: int, length: int, batches: list[int]
) -> None:
    history = History(random.Random(seed), length)
    whole, split = Segmenter(definition), Segmenter(definition)
    for segmenter in (whole, split):
        segmenter.publish(*history.events)
    turn = 0
    while whole.unread():
        place = whole.unread()[0]
        known = len(whole.topics[place])
        await whole.take(place, 10_000)
        while split.read[place] < known:
            await split.take(place, min(batches[turn % len(batches)], known - split.read[place]))
            turn += 1
    demands = [[output for output in each.published if output.topic == IdeaDemand.TOPIC] for each in (whole, split)]
    facts = [[output for output in each.published if output.topic != IdeaDemand.TOPIC] for each in (whole, split)]
    assert facts[0] == facts[1]
    read = [{place: records for place, records in each.topics.items() if place[0] != IdeaDemand.TOPIC} for each in (whole, split)]
    assert read[0] == read[1]
    for each in demands:
        assert len({(row.key, row.value) for row in each}) == len(each)
    versions = [{(row.idea_id, row.version): row for row in each.events(IdeaDemand)} for each in (whole, split)]
    assert all(versions[0][place] == versions[1][place] for place in versions[0].keys() & versions[1].keys())
    assert whole.demand() == split.demand()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, length=LENGTHS)
async def test_a_second_publication_of_everything_changes_nothing(definition: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    segmenter = Segmenter(definition)
    history = History(chance, length)
    segmenter.publish(*history.events)
    await segmenter.drain(chance)
    count = len(segmenter.published)
    for place, records in list(segmenter.topics.items()):
        if place[0] in segmenter.routes:
            again = segmenter.topics[place]
            for record in list(records):
                again.append(type(record)(record.topic, record.partition, len(again), 0, record.key, record.value))
    await segmenter.drain(chance)
    assert segmenter.published[count:] == []
