"""The loop's promises under any sequence of faults, restarts and rebalances."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.common.errors import Evicted, Fenced, MalformedRecord, TransientError
from services.common.loop import Loop
from services.common.metrics import LoopMetrics
from services.common.outcome import Drop, Emit, Outcome
from services.common.ports import Partition, Route
from services.common.records import Output, Received, Record
from tests.support.memory import MemoryLog, MemoryMarks, MemorySink, MemorySource, run_fast

KINDS = ["ok"] * 6 + ["two", "drop", "garbage", "crash"]
FAULTS: dict[str, list[type[Exception] | str]] = {
    "fetch": [TransientError, "rebalance", "die"],
    "handle": [TransientError, Fenced, "rebalance", "die"],
    "publish": [TransientError, "rebalance", "die"],
    "commit": [TransientError, Evicted, "die"],
    "rewind": [TransientError],
}
_LIVES = 200


class Died(BaseException):
    """The process was killed: nothing of it runs any further."""


@dataclass
class World:
    """What outlives a worker, and what it may still run into."""

    log: MemoryLog
    faults: dict[str, list[type[Exception] | str | None]]
    looks_ahead: bool
    marks: MemoryMarks = field(default_factory=MemoryMarks)
    broken: list[str] = field(default_factory=list)
    rebalance_due: bool = False
    deaths_of: dict[str, int] = field(default_factory=dict)
    blamed: set[bytes] = field(default_factory=set)
    """Values of records with which in hand, alone, the process was killed three times: nobody can tell that they did not do it."""

    def blame(self) -> None:
        """Note whom the marks accuse."""
        for place, mark in self.marks.marks.items():
            if mark.deaths >= 3:
                self.blamed |= {record.value or b"" for record in self.log.partitions[place] if record.offset == mark.suspect}

    def fault(self, operation: str) -> None:
        """Raise what comes next for *operation*."""
        rest = self.faults.get(operation)
        what = rest.pop(0) if rest else None
        if what == "die":
            self.blame()
            raise Died
        if what == "rebalance" or what is Evicted:
            self.rebalance_due = True
        if isinstance(what, type):
            raise what(operation)

    def check(self, positions: Mapping[Partition, int]) -> None:
        """Note every record that a commit passes though nothing says what became of it."""
        published = [output.value for output in self.log.published]
        letters = {dict(o.headers)["__connect.errors.offset"] + o.topic.encode() for o in self.log.published if o.headers}
        for place, position in positions.items():
            for record in self.log.partitions[place]:
                buried = record.value in self.blamed and record.value in published
                if record.offset < position and not buried and not _finished(record, published, letters):
                    self.broken.append(f"{record.origin} was acknowledged unfinished")


def _kind(record: Record) -> str:
    return (record.value or b"").partition(b" ")[0].decode()


def _finished(record: Record, published: Sequence[bytes | None], letters: set[bytes]) -> bool:
    origin = record.origin.encode()
    match _kind(record):
        case "ok":
            return origin in published
        case "two":
            return origin + b" 1" in published and origin + b" 2" in published
        case "drop":
            return True
    return record.value in published and bool(letters)


def _route(world: World) -> Route[str]:
    def decode(record: Record) -> str:
        if _kind(record) == "garbage":
            raise MalformedRecord("garbage", "nothing to be done")
        return _kind(record)

    async def handle(received: Sequence[Received[str]]) -> Sequence[Outcome]:
        await asyncio.sleep(0)
        world.fault("handle")
        for one in received:
            if one.event == "crash":
                mark = world.marks.marks.get((one.record.topic, one.record.partition))
                if mark is not None and mark.deaths and mark.suspect == one.record.offset:
                    world.deaths_of[one.record.origin] = world.deaths_of.get(one.record.origin, 0) + 1
                raise ValueError
        return [_outcome(one) for one in received]

    return Route("in", decode, handle, glance=(lambda _: None) if world.looks_ahead else None)


async def _live(world: World, batch: int) -> None:
    """Run one worker until it dies or all is committed."""
    source = MemorySource(world.log, world.fault)
    source.on_commit = world.check
    loop = Loop(
        "tiny",
        source,
        MemorySink(world.log, world.fault),
        [_route(world)],
        marks=world.marks,
        assignment=None,
        metrics=LoopMetrics("tiny", CollectorRegistry()),
        batch_records=batch,
        max_output_bytes=10_000,
        retry_seconds=60,
    )

    async def rebalance_if_due() -> None:
        if world.rebalance_due:
            world.rebalance_due = False
            await loop.on_revoked()  # waits for what is in hand, as aiokafka waits for its callback
            loop.on_assigned(source.reassign())

    loop.on_assigned(source.reassign())
    while not world.log.drained():
        step = asyncio.create_task(loop.step())
        while not step.done():
            await rebalance_if_due()
            await asyncio.sleep(0.001)  # of a clock that jumps
        step.result()
        await rebalance_if_due()


def _outcome(received: Received[str]) -> Outcome:
    origin = received.record.origin.encode()
    match received.event:
        case "drop":
            return Drop("repeat")
        case "two":
            return Emit((Output("out", None, origin + b" 1", b""), Output("out", None, origin + b" 2", b"")))
    return Emit((Output("out", None, origin, b""),))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    kinds = draw(st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=12), min_size=1, max_size=3))
    records = [
        Record("in", partition, offset, 0, None, f"{kind} {partition} {offset}".encode())
        for partition, column in enumerate(kinds)
        for offset, kind in enumerate(column)
    ]
    faults = {operation: draw(st.lists(st.none() | st.sampled_from(possible), max_size=6)) for operation, possible in FAULTS.items()}
    return World(MemoryLog(records), faults, looks_ahead=draw(st.booleans()))


@given(world=worlds(), batch=st.integers(1, 40))
def test_nothing_is_acknowledged_unfinished_and_everything_ends(world: World, batch: int) -> None:
    for _ in range(_LIVES):
        try:
            run_fast(_live(world, batch))
        except (Died, ValueError):
            continue
        break
    assert world.log.drained(), "the loop gets through, whatever comes"
    assert world.broken == []
    records = [record for column in world.log.partitions.values() for record in column]
    letters = [output for output in world.log.published if output.topic == "tiny.deadletter"]
    poison = {record.value for record in records if _kind(record) in ("garbage", "crash")}
    assert poison <= {letter.value for letter in letters} <= poison | world.blamed, "dead letters are the poison, byte for byte"
    assert all(deaths <= 3 for deaths in world.deaths_of.values()), "alone, a record kills a worker three times at most"


@given(world=worlds(), batch=st.integers(1, 40))
def test_each_partition_s_outputs_first_appear_in_its_order(world: World, batch: int) -> None:
    for _ in range(_LIVES):
        try:
            run_fast(_live(world, batch))
        except (Died, ValueError):
            continue
        break
    first: dict[bytes, int] = {}
    for place, output in enumerate(world.log.published):
        first.setdefault(output.value or b"", place)
    for column in world.log.partitions.values():
        seen = [first[record.origin.encode()] for record in column if _kind(record) == "ok" and record.value not in world.blamed]
        assert seen == sorted(seen)
