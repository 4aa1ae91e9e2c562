"""A new store of any kind is completed from the topics, and from then on says what the lost one would have said."""

from __future__ import annotations

import random
from pathlib import Path

from services.common.events import EnrichedFeedback, SegmentTransition
from services.segmenter.ports import Stores
from tests.contract.segmenter_store_test import stores
from tests.unit.segmenter_history import History, Truth
from tests.unit.segmenter_laws_test import present
from tests.unit.segmenter_mortal import Mortal
from tests.unit.segmenter_world import define

__all__ = ["stores"]


async def test_a_lost_store_comes_back_in_a_store_of_any_kind(stores: Stores, tmp_path: Path) -> None:
    definition, chance = define(tmp_path), random.Random(11)
    history = History(chance, 150)
    segmenter = Mortal(definition)
    segmenter.publish(*history.events[:100])
    await segmenter.drain()
    said = len(segmenter.published)
    segmenter.publish(*history.events[100:])
    segmenter.lose(stores)
    assert not await segmenter.recall(10, 30)
    segmenter.restart()
    assert await segmenter.recall(20)
    await segmenter.drain(chance)
    await segmenter.ticks()
    await segmenter.drain(chance)
    segmenter.check_facts()
    segmenter.check_versions()
    truth = Truth(history, definition)
    assert truth.demand() == segmenter.demand()
    assert truth.memberships_of_somebody() == present(segmenter)
    facts = [output for output in segmenter.published if output.topic in (EnrichedFeedback.TOPIC, SegmentTransition.TOPIC)]
    assert len({(output.topic, output.value) for output in facts}) == len(facts) > said // 3
