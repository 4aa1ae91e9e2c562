"""The loop at its edges, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest
from prometheus_client import CollectorRegistry

from services.common.crash import CrashMark
from services.common.errors import Evicted, Fenced, MalformedRecord, PermanentError, TransientError
from services.common.loop import Loop
from services.common.metrics import LoopMetrics
from services.common.outcome import Emit, Outcome
from services.common.ports import Assignment, Partition, Route
from services.common.records import Output, Received, Record
from tests.support.memory import MemoryLog, MemoryMarks, MemorySink, MemorySource, run_fast

Handle = Callable[[Sequence[Received[bytes]]], Awaitable[Sequence[Outcome]]]


def records(count: int, partitions: int = 1) -> list[Record]:
    return [Record("in", number % partitions, number // partitions, 0, None, b"%d" % number) for number in range(count)]


async def echo(batch: Sequence[Received[bytes]]) -> Sequence[Outcome]:
    return [Emit((Output("out", None, received.event, b""),)) for received in batch]


def decode(record: Record) -> bytes:
    if record.value is None:
        raise MalformedRecord("null_value", "none")
    return record.value


class Told:
    """An assignment that keeps what it was told."""

    def __init__(self) -> None:
        self.heard: list[frozenset[int] | None] = []
        self.away = 0

    async def assigned(self, partitions: frozenset[int]) -> None:
        if self.away:
            self.away -= 1
            raise TransientError("the state is away")
        self.heard.append(partitions)

    async def revoked(self) -> None:
        self.heard.append(None)


class Rig:
    """A loop on a log in memory."""

    def __init__(
        self,
        log: MemoryLog,
        handle: Handle = echo,
        told: Assignment | None = None,
        batch: int = 500,
        glance: Callable[[Sequence[Record]], None] | None = None,
    ) -> None:
        self.log = log
        self.marks = MemoryMarks()
        self.source = MemorySource(log)
        self.loop = Loop(
            "tiny",
            self.source,
            MemorySink(log),
            [Route("in", decode, handle, glance)],
            marks=self.marks,
            assignment=told,
            metrics=LoopMetrics("tiny", CollectorRegistry()),
            batch_records=batch,
            max_output_bytes=10_000,
            retry_seconds=5,
        )
        self.loop.on_assigned(self.source.reassign())

    @property
    def values(self) -> list[bytes | None]:
        return [output.value for output in self.log.published]


def test_records_fetched_before_a_revocation_come_again_after_it() -> None:
    async def scenario() -> None:
        class Slow(Told):
            async def revoked(self) -> None:
                await asyncio.sleep(1)

        rig = Rig(MemoryLog(records(10)), told=Slow(), batch=5)
        revoking = asyncio.create_task(rig.loop.on_revoked())
        await asyncio.sleep(0.1)
        rig.loop._epoch -= 1  # fetched just before
        step = asyncio.create_task(rig.loop.step())
        await asyncio.sleep(0.1)
        rig.loop._epoch += 1
        await revoking
        assert await step == 0
        assert rig.loop._steps_back_in_a_row == 0, "that is no trouble"
        rig.loop.on_assigned(rig.source.reassign())
        while not rig.log.drained():
            await rig.loop.step()
        assert rig.values == [b"%d" % number for number in range(10)]

    run_fast(scenario())


def test_the_first_record_comes_after_the_assignment_is_known_even_when_that_takes_several_tries() -> None:
    async def scenario() -> None:
        told = Told()
        told.away = 3

        async def handle(batch: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            assert told.heard == [frozenset({0})]
            return await echo(batch)

        rig = Rig(MemoryLog(records(3)), handle, told)
        assert await rig.loop.step() == 3

    run_fast(scenario())


def test_fenced_before_anything_was_acknowledged_the_batch_is_read_again() -> None:
    async def scenario() -> None:
        fences = [Fenced("x"), Fenced("x")]

        async def handle(batch: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            if fences:
                raise fences.pop()
            return await echo(batch)

        told = Told()
        rig = Rig(MemoryLog(records(4)), handle, told)
        assert [await rig.loop.step() for _ in range(3)] == [0, 0, 4]
        assert told.heard == [frozenset({0}), None, frozenset({0}), None, frozenset({0})], "state is forgotten each time"

    run_fast(scenario())


def test_two_workers_that_fence_each_other_for_ever_end_the_process() -> None:
    async def scenario() -> None:
        async def handle(_: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            raise Fenced("x")

        rig = Rig(MemoryLog(records(1)), handle)
        for _ in range(20):
            assert await rig.loop.step() == 0
        with pytest.raises(PermanentError, match="fight"):
            await rig.loop.step()

    run_fast(scenario())


def test_evicted_nothing_is_handled_until_the_next_assignment() -> None:
    async def scenario() -> None:
        rig = Rig(MemoryLog(records(6)), batch=2)

        async def refused(positions: Mapping[Partition, int]) -> None:
            raise Evicted("gone")

        commit = rig.source.commit
        rig.source.commit = refused  # type: ignore[method-assign]
        assert await rig.loop.step() == 0
        rig.source.commit = commit  # type: ignore[method-assign]
        before = list(rig.values)
        assert await rig.loop.step() == 0
        assert rig.values == before
        await rig.loop.on_revoked()
        rig.loop.on_assigned(rig.source.reassign())
        while not rig.log.drained():
            await rig.loop.step()
        assert set(rig.values) == {b"%d" % number for number in range(6)}

    run_fast(scenario())


def test_what_comes_next_is_shown_while_a_batch_is_in_hand_and_not_while_one_is_suspected() -> None:
    async def scenario() -> None:
        shown: list[bytes | None] = []
        in_hand: list[tuple[int, list[bytes | None]]] = []

        async def handle(batch: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            in_hand.append((len(batch), list(shown)))
            return await echo(batch)

        def glance(records: Sequence[Record]) -> None:
            shown.extend(record.value for record in records)

        rig = Rig(MemoryLog(records(5)), handle, batch=2, glance=glance)
        rig.marks.marks["in", 0] = CrashMark("in", 0, 0, 0, 0, 1)
        while not rig.log.drained():
            await rig.loop.step()
        assert in_hand == [(1, []), (1, []), (2, [b"4"]), (1, [b"4"])]
        assert rig.values == [b"%d" % number for number in range(5)]

    run_fast(scenario())


def test_what_was_read_ahead_comes_again_after_a_revocation_and_after_a_step_back() -> None:
    async def scenario() -> None:
        fences = [Fenced("x")]

        async def handle(batch: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            if fences and batch[0].event == b"4":
                raise fences.pop()
            return await echo(batch)

        rig = Rig(MemoryLog(records(10)), handle, batch=2, glance=lambda _: None)
        await rig.loop.step()
        await rig.loop.on_revoked()
        rig.loop.on_assigned(rig.source.reassign())
        while not rig.log.drained():
            await rig.loop.step()
        assert rig.values == [b"%d" % number for number in range(10)]

    run_fast(scenario())


def test_a_tick_runs_for_owned_partitions_only_and_steps_back_when_fenced() -> None:
    async def scenario() -> None:
        rig = Rig(MemoryLog(records(2, partitions=2)))
        asked: list[frozenset[int]] = []

        async def due(partitions: frozenset[int]) -> Sequence[Output]:
            asked.append(partitions)
            if len(asked) == 2:
                raise Fenced("x")
            return [Output("out", None, b"due", b"")]

        await rig.loop.publish_due(due)
        await rig.loop.publish_due(due)
        await rig.loop.on_revoked()
        await rig.loop.publish_due(due)
        assert asked == [frozenset({0, 1})] * 2, "while the group rebalances nothing is due"
        assert rig.values == [b"due"]

    run_fast(scenario())


def test_a_crash_comes_out_even_when_its_mark_cannot_be_kept() -> None:
    async def scenario() -> None:
        async def handle(_: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            rig.marks.away = True
            raise KeyError("bug")

        rig = Rig(MemoryLog(records(3)), handle)
        with pytest.raises(KeyError):
            await rig.loop.step()

    run_fast(scenario())


def test_careful_mode_ends_behind_the_batch_that_crashed() -> None:
    async def scenario() -> None:
        sizes: list[int] = []

        async def handle(batch: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            sizes.append(len(batch))
            if len(sizes) == 1:
                raise KeyError("once")
            return await echo(batch)

        log = MemoryLog(records(20))
        first = Rig(log, handle, batch=10)
        with pytest.raises(KeyError):
            await first.loop.step()
        second = Rig(log, handle, batch=10)
        second.marks.marks = first.marks.marks
        assert len(first.marks.marks) == 1
        second.loop._suspicion._marks = first.marks
        while not log.drained():
            await second.loop.step()
        assert sizes == [10, *[2] * 5, 10]
        assert first.marks.marks == {}

    run_fast(scenario())


class Killed(BaseException):
    """Nothing of the process runs any further."""


def test_a_record_that_has_the_process_killed_is_found_and_dead_lettered() -> None:
    async def scenario() -> None:
        async def handle(batch: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            if any(received.event == b"7" for received in batch):
                raise Killed
            return await echo(batch)

        log, marks, lives = MemoryLog(records(20)), MemoryMarks(), 0
        while not log.drained():
            rig = Rig(log, handle, batch=5)
            rig.loop._suspicion._marks = marks
            lives += 1
            try:
                while not log.drained():
                    await rig.loop.step()
            except Killed:
                continue
        assert lives == 6, "once in a batch after others, once in a first batch, three times alone in its eighth, and then not any more"
        letters = [output.value for output in log.published if output.topic == "tiny.deadletter"]
        assert letters == [b"7"]
        assert {output.value for output in log.published if output.topic == "out"} == {b"%d" % n for n in range(20)} - {b"7"}
        assert marks.marks == {}

    run_fast(scenario())


def test_who_stops_on_purpose_or_gets_on_is_not_suspected() -> None:
    async def scenario() -> None:
        sizes: list[int] = []

        async def handle(batch: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            sizes.append(len(batch))
            return await echo(batch)

        log, marks = MemoryLog(records(20)), MemoryMarks()
        for _ in range(3):
            rig = Rig(log, handle, batch=5)
            rig.loop._suspicion._marks = marks
            await rig.loop.step()
        await rig.loop.on_revoked()
        assert sizes == [5] * 3
        assert marks.held == {}

    run_fast(scenario())


def test_a_handler_that_answers_too_few_is_a_bug() -> None:
    async def scenario() -> None:
        async def handle(batch: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            return (await echo(batch))[1:]

        with pytest.raises(ValueError, match="3 records with 2 outcomes"):
            await Rig(MemoryLog(records(3)), handle).loop.step()

    run_fast(scenario())


def test_a_cancellation_that_nobody_asked_for_is_a_bug() -> None:
    async def scenario() -> None:
        async def handle(_: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            raise asyncio.CancelledError

        rig = Rig(MemoryLog(records(1)), handle)
        with pytest.raises(RuntimeError, match="from within"):
            await rig.loop.step()
        assert len(rig.marks.marks) == 1

    run_fast(scenario())


def test_transient_trouble_pauses_and_resumes_and_ends_with_the_budget() -> None:
    async def scenario() -> None:
        async def handle(_: Sequence[Received[bytes]]) -> Sequence[Outcome]:
            raise TransientError("away")

        rig = Rig(MemoryLog(records(1)), handle)
        with pytest.raises(TransientError):
            await rig.loop.step()
        assert rig.source.pauses > 2
        assert not rig.source.paused
        assert rig.log.committed == {}
        assert rig.marks.marks == {}, "an outage is no crash"

    run_fast(scenario())
