"""A segmenter whose store gets lost, on topics that forget what their broker would have removed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator

from services.common.events import Account, EnrichedFeedback, IdeaDemand, PersonSegments, SegmentTransition
from services.common.outcome import Emit
from services.common.topics import load_topics
from services.segmenter.ports import Stores
from tests.fakes_segmenter import memory_stores
from tests.support.memory import MemoryBirth
from tests.unit.segmenter_world import Segmenter, partition

_CONTRACTS = load_topics()


class Mortal(Segmenter):
    """The service, with stores that come and go."""

    def lose(self, stores: Stores | None = None) -> None:
        """Throw the store away: what was published is all that is left. *stores* is empty, and comes in its place."""
        self.stores = memory_stores() if stores is None else stores
        self.birth = MemoryBirth()
        self.restart()

    async def recall(self, batch: int = 500, batches: int | None = None) -> bool:
        """Complete a new store and begin again with every input; False where it ends after *batches* already."""
        async for _ in self.recalling(batch):
            if batches is not None:
                batches -= 1
                if batches <= 0:
                    return False
        await self.birth.mark_born()
        self.begin_again()
        return True

    async def recalling(self, batch: int) -> AsyncIterator[None]:
        """Complete a new store batch by batch."""
        assert self.memory is not None
        for topic in self.memory.topics:
            for place in sorted(place for place in self.topics if place[0] == topic):
                records = self.topics[place]
                for start in range(0, len(records), batch):
                    await self.memory.recall(topic, records[start : start + batch])
                    yield

    def begin_again(self) -> None:
        """Read every input again."""
        self.read.clear()
        self.given.clear()
        self.restart()

    async def come_back(self, chance: random.Random) -> None:
        """Complete a new store, now and then with a crash or another loss in the middle."""
        while not await self.recall(chance.choice([1, 3, 500]), chance.choice([None, chance.randrange(40)])):
            if chance.random() < 0.3:
                self.lose()
            else:
                self.restart()

    async def die(self, chance: random.Random) -> None:
        """Lose the store, perhaps with records in hand of whose outputs only a part of the partitions got the first ones."""
        unread = self.unread()
        if unread:
            place = chance.choice(unread)
            records = self.topics[place][self.read[place] :][: chance.choice([1, 3, 500])]
            outcomes = await self.handle(records)
            dead: set[tuple[str, int]] = set()
            for output in [output for outcome in outcomes if isinstance(outcome, Emit) for output in outcome.outputs]:
                where = (output.topic, partition(output.partition_key.decode()))
                if chance.random() < 0.2:
                    dead.add(where)
                if where not in dead:
                    self.emit(output)
        self.lose()

    def compact(self) -> None:
        """Leave of each key of a compacted topic only its last record; of accounts all: our histories publish older ones later."""
        for (topic, number), records in self.topics.items():
            if _CONTRACTS[topic].cleanup == "compact" and topic != Account.TOPIC:
                last = {record.key: record.offset for record in records}
                self.topics[topic, number] = [record for record in records if last[record.key] == record.offset]

    def expire(self, chance: random.Random, *topics: str) -> None:
        """Remove the oldest records of *topics*."""
        for (topic, number), records in self.topics.items():
            if topic in topics and records:
                self.topics[topic, number] = records[chance.randrange(len(records)) :]

    def check_facts(self) -> None:
        """Every fact has one content, versions follow each other, and each change begins where the last one ended."""
        rows: dict[tuple[str, int], EnrichedFeedback] = {}
        for row in self.events(EnrichedFeedback):
            assert rows.setdefault((row.feedback_id, row.enrichment_version), row) == row
            assert row.enrichment_version == 1 or (row.feedback_id, row.enrichment_version - 1) in rows
        changes: dict[str, SegmentTransition] = {}
        where: dict[tuple[str, str], str] = {}
        left: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        """What an erasure has left of each one's changes: a store that is lost afterwards knows of nothing else."""
        for output, change in self.outputs(SegmentTransition):
            if change is None:
                for ids in left.values():
                    ids.pop((output.key or b"").decode(), None)
                continue
            known = changes.setdefault(change.transition_id, change)
            assert known == change
            if known is change:
                place = (change.person_id, change.scheme)
                assert change.previous_segment in (where.get(place), next(reversed(left[place].values()), None))
                assert change.previous_segment != change.segment
                where[place] = left[place][change.transition_id] = change.segment

    def check_versions(self) -> None:
        """No state follows a newer one, and a newer one has another version."""
        newest: dict[str, PersonSegments | IdeaDemand] = {}
        for row in [*self.events(PersonSegments), *self.events(IdeaDemand)]:
            if row is not None:
                name = row.person_id if isinstance(row, PersonSegments) else row.idea_id
                known = newest.setdefault(name, row)
                assert known.version < row.version or known == row, (known, row)
                newest[name] = row
