"""What is read ahead of the loop: handed out once, in order, and never where it lies ahead of what the consumer was set back to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from aiokafka import TopicPartition

from services.common.kafka_poll import Poll
from services.common.kafka_source import KafkaSource
from services.common.records import Record
from services.common.settings import KafkaSettings
from tests.support.memory import run_fast

_PLACE = TopicPartition("in", 0)


@dataclass(frozen=True)
class _Read:
    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Client:
    """As much of aiokafka's consumer as is asked, of one partition of a thousand records, 400 of them acknowledged."""

    def __init__(self) -> None:
        self.position = 0
        self.takes_seconds = 0.0

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, Sequence[_Read]]:
        await asyncio.sleep(self.takes_seconds)
        found = [_Read(offset) for offset in range(self.position, min(self.position + max_records, 1000))]
        self.position += len(found)
        return {_PLACE: found}

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({_PLACE})

    async def committed(self, _place: TopicPartition) -> int:
        await asyncio.sleep(1)
        return 400

    def seek(self, _place: TopicPartition, position: int) -> None:
        self.position = position


def _offsets(records: Sequence[Record]) -> list[int]:
    return [record.offset for record in records]


def test_what_is_looked_at_ahead_is_told_at_once_and_fetched_once() -> None:
    async def scenario() -> None:
        told: list[Record] = []
        poll = Poll(Client())
        poll.begin(3, told.extend)
        poll.begin(3, told.extend)
        await asyncio.sleep(0.01)
        assert _offsets(told) == [0, 1, 2]
        poll.begin(3)
        assert _offsets(await poll.end(hurry=False)) == [0, 1, 2]
        assert await poll.end(hurry=False) == ()
        poll.begin(3)
        assert _offsets(await poll.end(hurry=True)) == [3, 4, 5]

    run_fast(scenario())


def test_what_was_taken_before_it_was_voided_is_not_handed_out() -> None:
    async def scenario() -> None:
        poll = Poll(Client())
        poll.begin(3)
        await asyncio.sleep(0.01)
        poll.void()
        assert await poll.end(hurry=False) == ()

    run_fast(scenario())


def test_what_is_not_there_in_time_comes_with_a_later_call() -> None:
    async def scenario() -> None:
        client = Client()
        client.takes_seconds = 1.5
        poll = Poll(client)
        poll.begin(3)
        assert await poll.end(hurry=True) == ()
        assert await poll.end(hurry=False) == ()
        poll.begin(3)
        assert _offsets(await poll.end(hurry=False)) == [0, 1, 2]

    run_fast(scenario())


def test_a_failure_of_whoever_is_told_is_not_lost() -> None:
    async def scenario() -> None:
        def tell(_: Sequence[Record]) -> None:
            raise KeyError("bug")

        poll = Poll(Client())
        poll.begin(3, tell)
        with pytest.raises(KeyError):
            await poll.end(hurry=False)

    run_fast(scenario())


def test_going_back_hands_out_nothing_that_was_read_on_the_way() -> None:
    """The client reads on while the group is asked how far back; those records lie ahead of where the next fetch has to begin."""

    async def scenario() -> None:
        source = KafkaSource(KafkaSettings(), "group", ["in"], batch_bytes=1_000_000)
        await source._consumer.stop()  # it has never been started
        client = Client()
        client.position, client.takes_seconds = 700, 0.5
        source._consumer, source._poll = client, Poll(client)
        source.look_ahead(10, lambda _: None)
        await source.rewind()
        found: list[int] = []
        while len(found) < 20:
            found += _offsets(await source.fetch(10))
        assert found == list(range(400, 420))

    asyncio.run(scenario())
