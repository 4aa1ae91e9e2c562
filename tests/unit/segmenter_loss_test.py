"""A store that is lost: what was published stays as it was, and everything ends as if nothing had happened."""

from __future__ import annotations

import random
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, example, given, settings

from services.common.errors import TransientError
from services.common.events import EnrichedFeedback, PersonEvent, SegmenterWork, SegmentTransition
from services.common.ids import account_id
from services.common.outcome import Emit
from services.segmenter.domain import inputs
from services.segmenter.domain.definition import Definition
from services.segmenter.domain.person import PersonState
from tests.unit.segmenter_history import History, Truth
from tests.unit.segmenter_laws_test import LENGTHS, SEEDS, interleaved, present
from tests.unit.segmenter_mortal import Mortal
from tests.unit.segmenter_world import DAY, START, WORKSPACE, Board, account, define, person_event, told

_ANN = f"{WORKSPACE}:person:ann"
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
    assert truth.memberships_of_somebody() == present(segmenter)


@settings(max_examples=30, deadline=None, suppress_health_check=_SLOW)
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


@settings(max_examples=60, deadline=None, suppress_health_check=_SLOW)
@given(seed=SEEDS, length=LENGTHS)
@example(seed=114_996, length=48)  # somebody is erased after others were joined into them, then the store is lost
@example(seed=327_651, length=52)  # somebody is erased twice, with losses between: of what was said before the first one no tombstone comes
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


@settings(max_examples=30, deadline=None, suppress_health_check=_SLOW)
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


async def _of_acme(segmenter: Mortal, changes: int) -> None:
    """Let Ann of Acme be known, whose revenue changes so often: her card has as many versions more than her row."""
    profile = person_event(1, "profile", _ANN, START, account_id=account_id(WORKSPACE, "acme"))
    await told(segmenter, account("acme", 1, mrr_cents=100), profile)
    await told(segmenter, *(account("acme", version, mrr_cents=100 * version) for version in range(2, 2 + changes)))


async def test_notes_of_a_lost_store_are_void(definition: Definition) -> None:
    segmenter = Mortal(definition)
    segmenter.publish(Board().link("f1", _ANN, "i1"))
    await _of_acme(segmenter, 9)
    segmenter.lose()
    assert await segmenter.recall()
    await segmenter.drain()
    assert segmenter.demand()["i1"]["mrr_cents"] == 1_000
    await told(segmenter, account("acme", 20, mrr_cents=7))
    assert segmenter.demand()["i1"]["mrr_cents"] == 7


@pytest.mark.parametrize("changes", range(9))
async def test_a_transition_whose_row_was_not_published_is_not_said_again_with_other_content(definition: Definition, changes: int) -> None:
    segmenter = Mortal(definition)
    await _of_acme(segmenter, changes)
    segmenter.publish(person_event(2, "profile", _ANN, START + 1, traits_json='{"role":"designer"}'))
    (place,) = segmenter.unread()
    (outcome,) = await segmenter.handle(segmenter.topics[place][-1:])
    assert isinstance(outcome, Emit)
    for output in outcome.outputs:
        if output.topic == SegmentTransition.TOPIC:
            segmenter.emit(output)
    segmenter.publish(person_event(3, "profile", _ANN, START + 2, account_id=account_id(WORKSPACE, "acme"), traits_json='{"role":"cook"}'))
    segmenter.lose()
    assert await segmenter.recall()
    await segmenter.ticks()
    segmenter.check_facts()
    roles = [change.segment for change in segmenter.events(SegmentTransition) if change.scheme == "role"]
    assert roles == ["other", "designer", "other"]


async def test_two_workers_may_complete_one_store(definition: Definition) -> None:
    chance = random.Random(6)
    history = History(chance, 60)
    segmenter = Mortal(definition)
    segmenter.publish(*history.events)
    await segmenter.drain()
    segmenter.lose()
    other = Mortal(definition, segmenter.stores, segmenter.clock, segmenter.topics, birth=segmenter.birth)
    workers = [segmenter, other]
    runs = [worker.recalling(7) for worker in workers]
    while not segmenter.birth.born:
        turn = chance.randrange(2)
        try:
            await anext(runs[turn])
        except StopAsyncIteration:
            await segmenter.birth.mark_born()
        except TransientError:  # the other one was faster: once more from the beginning
            runs[turn] = workers[turn].recalling(7)
    segmenter.begin_again()
    await _finish(segmenter, chance)
    segmenter.check_facts()
    _check_states(segmenter, history, definition)
    with pytest.raises(TransientError):
        await anext(other.recalling(7))


async def test_an_input_that_kills_its_handler_is_left_to_it_but_not_every_input(
    definition: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = Mortal(definition)
    people = [person_event(number, "profile", f"{WORKSPACE}:person:{number}", START) for number in range(30)]
    segmenter.publish(*people)
    deadly: set[str] = {people[3].event_id, people[17].event_id}

    def take_in(state: PersonState, received: PersonEvent) -> None:
        if received.event_id in deadly:
            raise KeyError("a bug")
        inputs.take_in(state, received)

    monkeypatch.setattr("services.segmenter.domain.changes.take_in", take_in)
    assert await segmenter.recall()
    documents = await segmenter.stores.people.load([event.person_id for event in people])
    assert {event.person_id for event in people if event.event_id not in deadly} == set(documents)
    deadly.update(event.event_id for event in people)
    segmenter.lose()
    with pytest.raises(KeyError):
        await segmenter.recall()
    assert not await segmenter.birth.is_born()


RICH = """
version: "1"
schemes:
  - name: need
    rules:
      - {segment: curious, when: 'asked.idea("product-1") || asked.idea("mobile-2")'}
    default: unstated
  - name: use
    dwell: days(3)
    rules:
      - {segment: power, when: 'activity.count("export", days(9)) >= 2', stay: 'activity.count("export", days(9)) >= 1'}
      - {segment: lapsed, when: activity.export.last_seen_days >= 12}
    default: plain
  - name: plan
    rules:
      - {segment: enterprise, when: account.plan == "enterprise"}
    default: free
"""


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("definition"), RICH)


@settings(max_examples=30, deadline=None, suppress_health_check=_SLOW)
@given(seed=SEEDS, length=LENGTHS)
async def test_segments_with_a_memory_and_by_time_go_on_as_if_nothing_had_happened(rich: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    segmenter = Mortal(rich)
    segmenter.publish(*interleaved(History(chance, length), chance))  # type: ignore[arg-type]
    await segmenter.drain(chance)
    segmenter.clock.moment += chance.randrange(20) * DAY
    await _finish(segmenter, chance)
    twin = Mortal(rich, deepcopy(segmenter.stores), segmenter.clock, deepcopy(segmenter.topics), deepcopy(segmenter.read))
    twin.published, twin.given = list(segmenter.published), dict(segmenter.given)
    said = len(segmenter.published)
    segmenter.lose()
    await segmenter.come_back(chance)
    await _finish(segmenter, chance)
    assert [output for output in segmenter.published[said:] if output.topic in (EnrichedFeedback.TOPIC, SegmentTransition.TOPIC)] == []
    assert twin.demand() == segmenter.demand()
    segmenter.clock.moment += chance.randrange(20) * DAY
    for each in (segmenter, twin):
        await _finish(each, random.Random(seed))
    segmenter.check_facts()
    segmenter.check_versions()
    assert present(twin) == present(segmenter)
    assert twin.demand() == segmenter.demand()


async def test_an_erasure_takes_out_what_was_said_before_the_store_was_lost(definition: Definition) -> None:
    segmenter = Mortal(definition)
    await told(segmenter, person_event(1, "profile", _ANN, START, traits_json='{"role":"designer"}'))
    before = {change.transition_id for change in segmenter.events(SegmentTransition)}
    assert before
    segmenter.lose()
    assert not await segmenter.recall(1, 2)  # it dies in the middle, and begins once more
    segmenter.restart()
    assert await segmenter.recall()
    await segmenter.drain()

    await told(segmenter, person_event(2, "erased", _ANN, START + 1))

    gone = {(output.key or b"").decode() for output, change in segmenter.outputs(SegmentTransition) if change is None}
    assert before <= gone
    earlier = [entry for entry in await segmenter.stores.people.history(_ANN) if entry.input_id.startswith("said/")]
    assert len(earlier) == len(before)
    assert {entry.facts for entry in earlier} == {b"[]"}
