"""What the loop needs of a broker and of a service's handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from services.common.outcome import Outcome
from services.common.records import Output, Received, Record

T = TypeVar("T")

Partition: TypeAlias = tuple[str, int]
Glance: TypeAlias = Callable[[Sequence[Record]], None]


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """What is done with the records of one topic.

    *decode* raises ``MalformedRecord``, and nothing else, for bytes that are not what the topic promises. *handle* gets a batch in
    the order of its partitions and returns one outcome a record, in the same order; it must be safe to repeat, and raises
    ``TransientError`` where repeating may help, ``Fenced`` where another worker has taken over, and anything else only if it has a bug.
    """

    topic: str
    decode: Callable[[Record], T]
    handle: Callable[[Sequence[Received[T]]], Awaitable[Sequence[Outcome]]]
    glance: Glance | None = None
    """Is shown, while a batch is in hand, records that are likely to be in the next, so that it may prepare for them. It changes nothing
    that lasts, returns at once, and does not rely on it: they may come otherwise, to another worker, or not at all."""


class Assignment(Protocol):
    """Is told which partition numbers this worker owns. Co-partitioned topics share the number."""

    async def assigned(self, partitions: frozenset[int]) -> None:
        """All partition numbers owned from now on; told before their first record. ``TransientError`` has it repeated."""

    async def revoked(self) -> None:
        """Nothing is owned any more: let go of every state that is held in memory. Repeating the call changes nothing."""


class Tick(Protocol):
    """Work that becomes due by time and not by a record."""

    async def due(self, partitions: frozenset[int]) -> Sequence[Output]:
        """Return what is due for the partition numbers that this worker owns; published, then asked again later.

        Must be safe to repeat: a crash after publishing makes the same outputs due again.
        """


class Source(Protocol):
    """The consuming side of a broker, as a member of the service's group."""

    async def fetch(self, max_records: int, *, hurry: bool = False) -> Sequence[Record]:
        """Return the next records, each partition's in order; empty after a short wait without any, almost at once in a *hurry*.

        At the moment of its return none of them belongs to a partition that has been revoked.
        """

    def look_ahead(self, max_records: int, tell: Glance) -> None:
        """Begin to read what the next ``fetch`` may return, and *tell* of it as soon as it is there; return at once."""

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Acknowledge all before each position, unless that was done with the outputs.

        Raises:
            Evicted: Another worker owns some of these partitions now.
            TransientError: The broker did not confirm.
        """

    async def rewind(self) -> None:
        """Go back to the last acknowledged positions of all partitions; where there is none, to the beginning."""

    def pause(self) -> None:
        """Fetch nothing until ``resume``; heartbeats go on. Repeating the call changes nothing."""

    def resume(self) -> None:
        """Fetch again. Repeating the call changes nothing."""

    def assigned(self) -> frozenset[Partition]:
        """Return the partitions that this worker owns."""


class Sink(Protocol):
    """The producing side of a broker."""

    async def take_over(self, partitions: frozenset[Partition]) -> bool:
        """Begin to publish as the owner of *partitions*, all that are owned; tell whether the source was set back to its last commit.

        Raises:
            Evicted: Another worker owns some of them by now.
            TransientError: The broker did not confirm.
        """

    async def publish(self, outputs: Sequence[Output], positions: Mapping[Partition, int]) -> None:
        """Publish *outputs* in order; return when the broker has confirmed every one.

        With transactions all before each of *positions* is acknowledged at once with them, and ``Source.commit`` leaves it out.

        Raises:
            Evicted: Another worker owns these partitions now.
            Fenced: The transaction did not end as it should; whether it counts shows in the last commit, from which all is read again.
            TransientError: Some were not confirmed; repeating publishes them again.
            PermanentError: The broker refuses one for good.
        """


class Birth(Protocol):
    """Whether a store is complete from its first record on."""

    async def is_born(self) -> bool:
        """Tell whether ``mark_born`` was called on this store."""

    async def mark_born(self) -> None:
        """Note that the store lacks nothing of what its service has said; durable when this returns."""


class Recall(Protocol):
    """Gives a store that is new what its service said before the old one was lost."""

    @property
    def topics(self) -> Sequence[str]:
        """The service's own topics, in the order in which they are read, each whole, before any input."""

    async def recall(self, topic: str, records: Sequence[Record]) -> None:
        """Take in *records*, each partition's in order; a value of None is a tombstone. Durable when this returns; safe to repeat.

        Raises:
            TransientError: The store does not answer; all is read again from the beginning.
        """
