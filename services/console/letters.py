"""Dead letters, read from their headers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from services.common.deadletter import REPLAY, topic_of
from services.common.records import Header, Record
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
    """Where the original came from; empty where no service of ours wrote the letter."""
    partition: int
    offset: int
    reason: str
    detail: str
    attempt: int
    size: int | None
    """Bytes of the original; None where it was null."""
    left: int | None
    """So many bytes the original has that the letter could not hold; they stay at its place for as long as its topic keeps them."""
    buried_ms: int
    """When it was set aside."""
    original_ms: int
    """When the original was published; of letters that do not tell, when they were set aside."""
    replay_of: str | None
    """The letter whose replay failed again and became this one."""
    replay_id: str | None
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]

    @property
    def original(self) -> str:
        """``topic/partition/offset`` of the original."""
        return f"{self.topic}/{self.partition}/{self.offset}"


def letter_of(service: str, record: Record, *, body: bool = True) -> Letter:
    """Return what *record* of *service*'s dead-letter topic says; without *body* neither key, value nor headers are kept."""
    told = {name: value.decode("utf-8", "replace") for name, value in record.headers if name.startswith((_ERRORS, REPLAY))}
    return Letter(
        id=f"{service}/{record.partition}/{record.offset}",
        service=service,
        topic=told.get(f"{_ERRORS}topic", ""),
        partition=_number(told.get(f"{_ERRORS}partition"), -1),
        offset=_number(told.get(f"{_ERRORS}offset"), -1),
        reason=told.get(f"{_ERRORS}exception.class.name", ""),
        detail=told.get(f"{_ERRORS}exception.message", ""),
        attempt=_number(told.get(f"{_ERRORS}attempt"), 1),
        size=None if record.value is None else len(record.value),
        left=None if f"{_ERRORS}left.bytes" not in told else _number(told[f"{_ERRORS}left.bytes"], 0),
        buried_ms=record.timestamp_ms,
        original_ms=_number(told.get(f"{_ERRORS}timestamp"), record.timestamp_ms),
        replay_of=told.get(f"{REPLAY}of"),
        replay_id=told.get(f"{REPLAY}id"),
        key=record.key if body else None,
        value=record.value if body else None,
        headers=record.headers if body else (),
    )


async def read_letters(cluster: Cluster, *, service: str | None = None, reason: str | None = None, bodies: bool = True) -> list[Letter]:
    """Return all dead letters, or those of *service* and with *reason*; without *bodies*, what a list needs and no more."""
    return [
        letter
        async for letters in scan_letters(cluster, service=service, bodies=bodies)
        for letter in letters
        if reason in (None, letter.reason)
    ]


async def scan_letters(
    cluster: Cluster, *, service: str | None = None, bodies: bool = True, wanted: Callable[[str], bool] | None = None
) -> AsyncIterator[list[Letter]]:
    """Yield the dead letters some at a time, in the order of their partitions, so that nobody needs to hold them all.

    *wanted* is asked with the id (service/partition/offset); the others are passed over.
    """
    topics = {topic_of(name): name for name in SERVICES if service in (None, name)}
    async with await cluster.tail(list(topics)) as tail:
        async for records in tail.batches():
            yield [
                letter_of(topics[record.topic], record, body=bodies)
                for record in records
                if wanted is None or wanted(f"{topics[record.topic]}/{record.partition}/{record.offset}")
            ]


def _number(told: str | None, otherwise: int) -> int:
    """Read a number of a header; a stranger may have written anything there."""
    return int(told) if told is not None and told.isascii() and told.isdigit() and len(told) < 20 else otherwise
