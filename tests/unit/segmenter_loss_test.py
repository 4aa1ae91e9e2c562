"""A store that is lost: what was published stays as it was, and everything ends as if nothing had happened."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings

from services.common.events import EnrichedFeedback, IdeaDemand, PersonSegments, SegmentTransition
from services.common.records import Output
from services.segmenter.domain.definition import Definition
from tests.unit.segmenter_history import History, Truth
from tests.unit.segmenter_laws_test import LENGTHS, SEEDS, interleaved, present
from tests.unit.segmenter_world import Segmenter, define

FACTS = (EnrichedFeedback.TOPIC, SegmentTransition.TOPIC)


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("definition"))


def facts(outputs: Iterable[Output]) -> dict[bytes | None, set[bytes | None]]:
    """Return the contents of each fact: of enriched feedback, by id and version."""
    found: dict[bytes | None, set[bytes | None]] = defaultdict(set)
    for output in outputs:
        if output.topic == SegmentTransition.TOPIC:
            found[output.key].add(output.value)
    return found


def check_facts(segmenter: Segmenter) -> None:
    """Every fact has one content, versions follow each other, and each change begins where the last one ended."""
    contents: dict[tuple[str, int], EnrichedFeedback] = {}
    for row in segmenter.events(EnrichedFeedback):
        known = contents.setdefault((row.feedback_id, row.enrichment_version), row)
        assert known == row
        assert row.enrichment_version == 1 or (row.feedback_id, row.enrichment_version - 1) in contents
    changes: dict[str, SegmentTransition] = {}
    where: dict[tuple[str, str], str] = {}
    for change in segmenter.events(SegmentTransition):
        if change.transition_id in changes:
            assert changes[change.transition_id] == change
            continue
        changes[change.transition_id] = change
        assert where.get((change.person_id, change.scheme)) == change.previous_segment
        assert change.previous_segment != change.segment
        where[change.person_id, change.scheme] = change.segment


def check_versions(segmenter: Segmenter) -> None:
    """No state follows a newer one."""
    highest: dict[str, int] = defaultdict(int)
    for row in [*segmenter.events(PersonSegments), *segmenter.events(IdeaDemand)]:
        if row is not None:
            name = row.person_id if isinstance(row, PersonSegments) else row.idea_id
            assert highest[name] <= row.version
            highest[name] = row.version


async def finish(segmenter: Segmenter, chance: random.Random) -> None:
    """Handle all there is, ticks and all that follows from them."""
    await segmenter.drain(chance)
    await segmenter.ticks()
    await segmenter.drain(chance)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, length=LENGTHS)
async def test_a_lost_store_comes_back_from_what_was_said_and_says_nothing_else(definition: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    history = History(chance, length)
    segmenter = Segmenter(definition)
    segmenter.publish(*interleaved(history, chance))  # type: ignore[arg-type]
    await segmenter.drain(chance)
    said = list(segmenter.published)
    segmenter.lose()
    await segmenter.recall(chance.choice([1, 3, 500]))
    await finish(segmenter, chance)
    new = [output for output in segmenter.published[len(said) :] if output.topic in FACTS]
    assert [output for output in new if output not in said] == []
    check_facts(segmenter)
    check_versions(segmenter)
    truth = Truth(history, definition)
    assert truth.demand() == segmenter.demand()
    assert {person: segments for person, segments in truth.memberships.items() if segments is not None} == present(segmenter)
