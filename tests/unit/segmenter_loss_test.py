"""A store that is lost: what was published stays as it was, and everything ends as if nothing had happened."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings

from services.common.events import EnrichedFeedback, SegmenterWork, SegmentTransition
from services.segmenter.domain.definition import Definition
from tests.unit.segmenter_history import History, Truth
from tests.unit.segmenter_laws_test import LENGTHS, SEEDS, interleaved, present
from tests.unit.segmenter_mortal import Mortal
from tests.unit.segmenter_world import define

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("definition"))


async def _finish(segmenter: Mortal, chance: random.Random) -> None:
    """Handle all there is, ticks and all that follows from them."""
    await segmenter.drain(chance)
    await segmenter.ticks()
    await segmenter.drain(chance)


def _check_states(segmenter: Mortal, history: History, definition: Definition) -> None:
    truth = Truth(history, definition)
    assert truth.demand() == segmenter.demand()
    assert {person: segments for person, segments in truth.memberships.items() if segments is not None} == present(segmenter)


@settings(max_examples=50, deadline=None, suppress_health_check=_SLOW)
@given(seed=SEEDS, length=LENGTHS)
async def test_a_store_that_is_lost_after_all_was_said_comes_back_and_says_no_other_fact(
    definition: Definition, seed: int, length: int
) -> None:
    chance = random.Random(seed)
    history = History(chance, length)
    segmenter = Mortal(definition)
    segmenter.publish(*interleaved(history, chance))  # type: ignore[arg-type]
    await segmenter.drain(chance)
    said = len(segmenter.published)
    segmenter.lose()
    if chance.random() < 0.5:
        segmenter.compact()
    await segmenter.come_back(chance)
    await _finish(segmenter, chance)
    assert [output for output in segmenter.published[said:] if output.topic in (EnrichedFeedback.TOPIC, SegmentTransition.TOPIC)] == []
    segmenter.check_facts()
    segmenter.check_versions()
    _check_states(segmenter, history, definition)


@settings(max_examples=80, deadline=None, suppress_health_check=_SLOW)
@given(seed=SEEDS, length=LENGTHS)
async def test_losses_at_any_point_leave_each_fact_one_content_and_the_states_right(definition: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    history = History(chance, length)
    segmenter = Mortal(definition)
    for event in interleaved(history, chance):
        segmenter.publish(event)  # type: ignore[arg-type]
        while chance.random() < 0.5 and (unread := segmenter.unread()):
            await segmenter.take(chance.choice(unread), chance.choice([1, 2, 500]))
        if chance.random() < 0.1:
            await segmenter.ticks()
        if chance.random() < 0.05:
            await segmenter.die(chance)
            if chance.random() < 0.5:
                segmenter.compact()
            segmenter.expire(chance, *chance.choice([(), (SegmenterWork.TOPIC,)]))
            await segmenter.come_back(chance)
    await _finish(segmenter, chance)
    segmenter.check_facts()
    segmenter.check_versions()
    _check_states(segmenter, history, definition)


@settings(max_examples=40, deadline=None, suppress_health_check=_SLOW)
@given(seed=SEEDS, length=LENGTHS)
async def test_what_the_broker_has_removed_cannot_be_repeated_and_the_states_are_right_all_the_same(
    definition: Definition, seed: int, length: int
) -> None:
    chance = random.Random(seed)
    history = History(chance, length)
    segmenter = Mortal(definition)
    segmenter.publish(*interleaved(history, chance))  # type: ignore[arg-type]
    for _ in range(chance.randrange(10)):
        if unread := segmenter.unread():
            await segmenter.take(chance.choice(unread), 500)
    await segmenter.die(chance)
    segmenter.compact()
    segmenter.expire(chance, EnrichedFeedback.TOPIC, SegmentTransition.TOPIC, SegmenterWork.TOPIC)
    left = {record.value for (topic, _), records in segmenter.topics.items() for record in records if topic == EnrichedFeedback.TOPIC}
    segmenter.published = [output for output in segmenter.published if output.topic != EnrichedFeedback.TOPIC or output.value in left]
    await segmenter.come_back(chance)
    await _finish(segmenter, chance)
    segmenter.check_versions()
    _check_states(segmenter, history, definition)
