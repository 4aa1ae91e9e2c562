"""The consuming side of the broker through aiokafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError

from services.common.errors import Evicted, TransientError
from services.common.kafka import EVICTIONS, closing, connection, kafka_errors
from services.common.kafka_coordinator import heed_group_errors
from services.common.kafka_group import noted
from services.common.kafka_poll import Poll
from services.common.kafka_waiting import GroupWait
from services.common.logs import get_logger
from services.common.ports import Glance, Partition
from services.common.records import Record
from services.common.settings import KafkaSettings

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the group knows of a partition."""

    position: int
    """The next offset to be read."""
    claim: str
    """What its owner left with it; empty without one."""


class Assignor(RangePartitionAssignor):  # type: ignore[misc]  # publishes no types
    """Kafka's range assignment; notes when it had to give something away that it could not see.

    A broker that has just started may tell of topics without their partitions. The group's leader then assigns nothing of them, and
    nobody would ever ask again: the group would stand still with every member alive.
    """

    starved: ClassVar[bool] = False
    """Whether the last assignment that this process made lacked the partitions of a topic."""

    @classmethod
    def assign(cls, cluster: Any, members: Any) -> Any:
        """Return each member's partitions."""
        topics = {topic for member in members.values() for topic in member.subscription}
        Assignor.starved = not all(cluster.partitions_for_topic(topic) for topic in topics)
        return super().assign(cluster, members)


class KafkaSource:
    """A member of a consumer group."""

    def __init__(self, settings: KafkaSettings, group: str, topics: Sequence[str], *, batch_bytes: int) -> None:
        self._settings = settings
        self._group = group
        self._topics = topics
        self._answer_seconds = settings.request_timeout_ms / 1000
        self._paused = False
        self._claim = ""
        self._acknowledged: Mapping[Partition, int] = {}
        """By a transaction."""
        self._session_seconds = settings.session_timeout_ms / 1000
        """For so long after the group has heard of us nobody else can own what is ours."""
        self._heard: float | None = None
        """When we last sent what the group took from us as its member (monotonic seconds); None since the last assignment."""
        self._wait = GroupWait(group)
        self._consumer = AIOKafkaConsumer(
            **connection(settings),
            group_id=group,
            client_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=max(settings.session_timeout_ms // 5, 200),
            max_poll_interval_ms=settings.max_poll_interval_ms,
            rebalance_timeout_ms=settings.max_poll_interval_ms,
            max_partition_fetch_bytes=max(batch_bytes // 4, 2 * 1024 * 1024),
            fetch_max_bytes=batch_bytes,
            partition_assignment_strategy=(Assignor,),
            isolation_level="read_committed",
        )
        self._poll = Poll(self._consumer)

    async def start(self, on_assigned: Callable[[frozenset[Partition]], None], on_revoked: Callable[[], Awaitable[None]]) -> None:
        """Connect and begin to join the group; from now on the callbacks follow each rebalance."""
        with kafka_errors("connect"):
            await self._consumer.start()
        heed_group_errors(self._consumer._coordinator)  # noqa: SLF001 - aiokafka offers no other way
        # Subscribed only now: ``start`` would wait for the first assignment, however long that takes.
        self._wait.begin()
        self._consumer.subscribe(topics=list(self._topics), listener=_Listener(self, on_assigned, on_revoked))

    async def stop(self) -> None:
        """Leave the group."""
        self._poll.cancel()
        await closing("consumer", self._consumer.stop())

    async def fetch(self, max_records: int, *, hurry: bool = False) -> Sequence[Record]:
        """Return the next records of all assigned partitions; empty after about half a second without any, at once in a *hurry*.

        At the moment of its return no partition of these records has been revoked.
        """
        if Assignor.starved:
            await self._join_again()
        self._wait.tell()
        self._poll.begin(max_records)
        return await self._poll.end(hurry=hurry)

    def look_ahead(self, max_records: int, tell: Glance) -> None:
        """Begin to read what the next ``fetch`` returns, and *tell* of it as soon as it is there."""
        self._poll.begin(max_records, tell)

    async def _join_again(self) -> None:
        """Have the group assign anew what its leader, which is us, could not see."""
        Assignor.starved = False
        log.warning("joining_again", why="the broker told of a topic without its partitions")
        with kafka_errors("metadata"):
            async with asyncio.timeout(self._answer_seconds):
                await self._consumer._client.force_metadata_update()  # noqa: SLF001 - aiokafka offers no other way
        self._consumer._coordinator.request_rejoin()  # noqa: SLF001

    def note_revocation(self) -> None:
        """Count what has been polled but not fetched yet as gone: called first of all when partitions are revoked."""
        self._poll.void()
        self._wait.begin()

    def note_assignment(self) -> None:
        """Let the next publication ask the group: what it heard of us before belongs to another assignment."""
        self._heard = None
        self._acknowledged = {}
        self._wait.end()

    def note_acknowledged(self, positions: Mapping[Partition, int]) -> None:
        """Take *positions* for committed: a transaction has done it."""
        self._acknowledged = positions

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Acknowledge all before each position."""
        offsets = {
            TopicPartition(*place): (offset, self._claim) for place, offset in positions.items() if self._acknowledged.get(place) != offset
        }
        if not offsets:
            return
        sent = time.monotonic()
        try:
            with kafka_errors("commit"):
                # aiokafka repeats a commit without a limit while the broker is away; the loop's budget shall decide.
                async with asyncio.timeout(self._answer_seconds):
                    await self._consumer.commit(offsets)
        except EVICTIONS as error:
            raise Evicted(f"the commit was refused: {type(error).__name__}") from error
        self._heard = sent

    async def confirm(self) -> float:
        """Return for how many seconds what is assigned is surely still ours: half a session at least, or the group is asked.

        A process that was frozen, or cut off from the group alone, would otherwise publish states after those of its successor.
        The question is a commit of what is committed already, which the group takes from a member only.

        Raises:
            Evicted: Another worker owns it now.
            TransientError: The broker does not answer.
        """
        if self._lease() < self._session_seconds / 2:
            await self._ask()
        if self._lease() < self._session_seconds / 2:
            raise TransientError("Kafka: confirm: the answer came too late to be true")
        return self._lease()

    def _lease(self) -> float:
        return 0.0 if self._heard is None else self._heard + self._session_seconds - time.monotonic()

    async def _ask(self) -> None:
        place = min(self._consumer.assignment(), default=None)
        if place is None:
            raise Evicted("nothing is assigned any more")
        with kafka_errors("confirm"):
            async with asyncio.timeout(self._answer_seconds):
                position = await self._consumer.committed(place)
                if position is None:
                    position = (await self._consumer.beginning_offsets([place]))[place]
        await self.commit({(place.topic, place.partition): position})

    async def standing(self, partitions: Iterable[Partition]) -> Mapping[Partition, Standing]:
        """Return what the group knows of each of *partitions*: where nothing was acknowledged yet, their beginning.

        Raises:
            TransientError: The group's coordinator does not answer.
        """
        found = await noted(self._settings, self._group, [TopicPartition(*place) for place in partitions])
        unread = [place for place, one in found.items() if one.position is None]
        beginnings: Mapping[TopicPartition, int] = {}
        if unread:
            with kafka_errors("beginnings"):
                async with asyncio.timeout(self._answer_seconds):
                    beginnings = await self._consumer.beginning_offsets(unread)
        return {
            (place.topic, place.partition): Standing(beginnings[place] if one.position is None else one.position, one.claim)
            for place, one in found.items()
        }

    async def claim(self, positions: Mapping[Partition, int], claim: str) -> None:
        """Begin at *positions* and leave *claim* there, and with every commit from now on; the group takes it from a member only.

        Raises:
            Evicted: Another worker owns some of these partitions now.
            TransientError: The broker did not confirm.
        """
        self._claim, self._acknowledged = claim, {}
        await self.commit(positions)
        self._poll.void()  # what was polled meanwhile may lie ahead of these positions
        for place, offset in positions.items():
            self._consumer.seek(TopicPartition(*place), offset)

    async def rewind(self) -> None:
        """Go back to the last acknowledged positions; where nothing was acknowledged yet, to the beginning."""
        self._acknowledged = {}
        positions: dict[TopicPartition, int] = {}
        try:
            with kafka_errors("rewind"):
                for place in self._consumer.assignment():
                    async with asyncio.timeout(self._answer_seconds):
                        committed = await self._consumer.committed(place)
                        beginning = {} if committed is not None else await self._consumer.beginning_offsets([place])
                    positions[place] = beginning[place] if committed is None else committed
            self._poll.void()  # what was polled until now lies ahead of them; nothing is awaited before all are set
            for place, position in positions.items():
                self._consumer.seek(place, position)
        except IllegalStateError:
            return  # a rebalance came between: the new assignment starts from the last commit anyhow

    def pause(self) -> None:
        """Fetch nothing until ``resume``."""
        self._consumer.pause(*self._consumer.assignment())
        self._paused = True

    def resume(self) -> None:
        """Fetch again."""
        if self._paused:
            self._consumer.resume(*self._consumer.paused())
            self._paused = False

    def assigned(self) -> frozenset[Partition]:
        """Return the partitions that this worker owns."""
        return frozenset((place.topic, place.partition) for place in self._consumer.assignment())


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # publishes no types
    def __init__(
        self, source: KafkaSource, on_assigned: Callable[[frozenset[Partition]], None], on_revoked: Callable[[], Awaitable[None]]
    ) -> None:
        self._source = source
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self._source.note_revocation()
        if revoked:
            await self._on_revoked()

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._source.note_assignment()
        self._on_assigned(frozenset((place.topic, place.partition) for place in assigned))
