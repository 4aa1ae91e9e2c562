"""Dead letters, read from their headers, and published again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.common.deadletter import topic_of
from services.common.ports import Partition
from services.common.records import Header, Output, Record
from services.console.cluster import Cluster
from services.console.embedded.stack import SERVICES

_ERRORS = "__connect.errors."


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    id: str
    """``service/partition/offset`` of the letter itself."""
    service: str
    topic: str
    """Where the original came from."""
    partition: int
    offset: int
    reason: str
    detail: str
    attempt: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]

    @property
    def original(self) -> str:
        """``topic/partition/offset`` of the original."""
        return f"{self.topic}/{self.partition}/{self.offset}"


def letter_of(service: str, record: Record) -> Letter:
    """Return what *record* of *service*'s dead-letter topic says."""
    told = {name.removeprefix(_ERRORS): value.decode("utf-8", "replace") for name, value in record.headers if name.startswith(_ERRORS)}
    return Letter(
        id=f"{service}/{record.partition}/{record.offset}",
        service=service,
        topic=told.get("topic", ""),
        partition=int(told.get("partition", "-1")),
        offset=int(told.get("offset", "-1")),
        reason=told.get("exception.class.name", ""),
        detail=told.get("exception.message", ""),
        attempt=int(told.get("attempt", "1")),
        key=record.key,
        value=record.value,
        headers=record.headers,
    )


async def read_letters(cluster: Cluster, *, service: str | None = None, reason: str | None = None) -> list[Letter]:
    """Return all dead letters, or those of *service* and with *reason*."""
    topics = {topic_of(name): name for name in SERVICES if service in (None, name)}
    found = await cluster.read(list(topics))
    letters = [letter_of(topics[topic], record) for topic, records in found.items() for record in records]
    return [letter for letter in letters if reason in (None, letter.reason)]


async def replay_letters(cluster: Cluster, letters: Sequence[Letter]) -> None:
    """Publish the originals of *letters* to the partitions that they came from, each with its headers, so that attempts count on.

    Raises:
        KafkaError: The broker did not confirm; those before may have been published.
    """
    by_place: defaultdict[Partition, list[Output]] = defaultdict(list)
    for letter in letters:
        output = Output(letter.topic, letter.key, letter.value, b"", letter.headers)
        by_place[letter.topic, letter.partition].append(output)
    for place, outputs in by_place.items():
        await cluster.put(place, outputs)
