"""Records as they lie on the broker, before anyone has read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

Header: TypeAlias = tuple[str, bytes]
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Record:
    """One consumed record, untouched."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """The producer's or the broker's time; it stays the same when the record is read again."""
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()

    @property
    def origin(self) -> str:
        """``topic/partition/offset``: the same for a redelivery, another one for a second publication."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Received(Generic[T_co]):
    """A record with what its bytes say."""

    record: Record
    event: T_co


@dataclass(frozen=True, slots=True)
class Output:
    """One record to be published. *partition_key* (not *key*) decides the partition, by murmur2."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition_key: bytes
    headers: tuple[Header, ...] = ()


def by_topic(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return *records*, those of each topic together, in their order."""
    found: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.topic].append(record)
    return found
