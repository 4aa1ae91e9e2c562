"""Records that kill their worker: exactly those are dead-lettered, everything else passes, and the deaths are few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.common.crash import DEATHS_BEFORE_DEAD_LETTER, PARTS
from services.common.loop import Loop
from services.common.metrics import LoopMetrics
from services.common.outcome import Emit, Outcome
from services.common.ports import Route
from services.common.records import Output, Received, Record
from tests.support.memory import MemoryLog, MemoryMarks, MemorySink, MemorySource, run_fast


class Killed(BaseException):
    """Nothing of the process runs any further."""


@dataclass
class World:
    """What outlives a worker."""

    log: MemoryLog
    deadly: frozenset[str]
    """Origins of the records that kill."""
    how: type[BaseException]
    marks: MemoryMarks = field(default_factory=MemoryMarks)
    deadly_at_a_glance: bool = False
    deaths: int = 0
    batches: list[int] = field(default_factory=list)
    """How many records each call of a handler had."""

    async def handle(self, batch: Sequence[Received[bytes]]) -> Sequence[Outcome]:
        """Echo what can be survived."""
        self.batches.append(len(batch))
        if any(received.record.origin in self.deadly for received in batch):
            raise self.how
        return [Emit((Output("out", None, received.event, b""),)) for received in batch]

    def glance(self, records: Sequence[Record]) -> None:
        """Die of what cannot be survived, where that may be looked at before it is in hand."""
        if self.deadly_at_a_glance and any(record.origin in self.deadly for record in records):
            raise self.how

    def loop(self, batch: int) -> Loop:
        """Return a new worker's loop."""
        source = MemorySource(self.log)
        loop = Loop(
            "tiny",
            source,
            MemorySink(self.log),
            [Route(topic, lambda record: record.origin.encode(), self.handle, self.glance) for topic in ("in", "too")],
            marks=self.marks,
            assignment=None,
            metrics=LoopMetrics("tiny", CollectorRegistry()),
            batch_records=batch,
            max_output_bytes=10_000,
            retry_seconds=60,
        )
        loop.on_assigned(source.reassign())
        return loop

    def live(self, batch: int, steps: int | None = None) -> None:
        """Run a worker until it dies, all is committed, or it has made so many *steps*."""
        try:
            run_fast(self._live(batch, steps))
        except self.how:
            self.deaths += 1

    async def _live(self, batch: int, steps: int | None) -> None:
        loop = self.loop(batch)
        while not self.log.drained() and steps != 0:
            await loop.step()
            steps = None if steps is None else steps - 1

    @property
    def letters(self) -> list[bytes | None]:
        """What was dead-lettered."""
        return [output.value for output in self.log.published if output.topic == "tiny.deadletter"]


def world(lengths: Sequence[int], deadly: Sequence[tuple[int, int]], how: type[BaseException], *, gap: int = 1) -> World:
    """Return a world of two topics; every second partition is of the second one, offsets lie *gap* apart, as after a compaction."""
    records = [
        Record(("in", "too")[number % 2], number // 2, offset * gap, 0, None, b"%d %d" % (number, offset))
        for number, length in enumerate(lengths)
        for offset in range(length)
    ]
    origins = {f"{number} {offset}": record.origin for record in records for number, offset in [(record.value or b"").decode().split()]}
    return World(MemoryLog(records), frozenset(origins[f"{number} {offset}"] for number, offset in deadly), how)


def cuts(length: int) -> int:
    """Return how many times *length* has to be cut until so few are left that each goes alone."""
    times = 0
    while length > PARTS:
        length, times = -(-length // PARTS), times + 1
    return times


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, int, int]:
    """Return a world, the batch size of its workers, and the most records of a partition that can be in hand."""
    lengths = draw(st.lists(st.integers(1, 90), min_size=1, max_size=5))
    places = [(number, offset) for number, length in enumerate(lengths) for offset in range(length)]
    deadly = draw(st.lists(st.sampled_from(places), max_size=6, unique=True))
    batch = draw(st.integers(1, 200))
    how = draw(st.sampled_from((Killed, ValueError)))
    return world(lengths, deadly, how, gap=draw(st.integers(1, 3))), batch, min(batch, max(lengths))


@settings(max_examples=40)
@given(given=worlds())
def test_exactly_the_deadly_are_buried_and_deaths_are_bounded(given: tuple[World, int, int]) -> None:
    world, batch, most = given
    silent = world.how is Killed
    allowed = len(world.deadly) * (1 + silent + cuts(most) + DEATHS_BEFORE_DEAD_LETTER)
    while not world.log.drained():
        world.live(batch)
        assert world.deaths <= allowed
    values = {record.origin: record.value for column in world.log.partitions.values() for record in column}
    assert sorted(world.letters, key=repr) == sorted((values[origin] for origin in world.deadly), key=repr)
    passed = [output.value for output in world.log.published if output.topic == "out"]
    assert sorted(passed, key=repr) == sorted(origin.encode() for origin in values.keys() - world.deadly)
    assert world.marks.marks == {}


@settings(max_examples=40)
@given(given=worlds())
def test_what_kills_at_a_glance_stops_nothing_else(given: tuple[World, int, int]) -> None:
    world, batch, most = given
    world.deadly_at_a_glance = True
    at_a_glance, silent = 2, world.how is Killed
    allowed = len(world.deadly) * (at_a_glance + 1 + silent + cuts(most) + DEATHS_BEFORE_DEAD_LETTER)
    while not world.log.drained():
        world.live(batch)
        assert world.deaths <= allowed
    assert len(world.letters) == len(world.deadly)
    assert sum(output.topic == "out" for output in world.log.published) == sum(map(len, world.log.partitions.values())) - len(world.deadly)


@pytest.mark.parametrize(("how", "deaths"), [(ValueError, 6), (Killed, 7)])
def test_the_worst_place_in_a_full_batch_costs_as_many_deaths_as_is_said(how: type[BaseException], deaths: int) -> None:
    """One in the batch, or two where others were done before; two cuts, 63 and 8, in the company of another partition; three alone."""
    of = world([501, 0, 501], [(0, 1)], how)
    later = {place: column[1:] for place, column in of.log.partitions.items()}
    for column in of.log.partitions.values():
        del column[1:]

    async def first_life() -> None:
        loop = of.loop(1_000)
        await loop.step()
        for place, column in later.items():
            of.log.partitions[place] += column
        await loop.step()

    with pytest.raises(how):
        run_fast(first_life())
    of.deaths += 1
    while not of.log.drained():
        of.live(1_000)
    assert of.deaths == deaths


@pytest.mark.parametrize(("kills", "runs"), [(1, 2 * PARTS), (2, 3 * PARTS)])
def test_who_is_suspected_without_guilt_is_taken_in_a_few_runs(kills: int, runs: int) -> None:
    """Workers were killed from outside before one had got beyond its first batch: a topic's partitions are taken part by part, together."""
    innocent = world([250, 60, 125, 65], [], Killed)
    for _ in range(kills):
        innocent.deadly = frozenset({"in/0/0"})
        innocent.live(500)
    innocent.deadly, innocent.batches = frozenset(), []
    innocent.live(500)
    assert innocent.deaths == kills
    assert innocent.log.drained()
    assert len(innocent.batches) == runs
    assert innocent.letters == []
    assert innocent.marks.marks == {}
