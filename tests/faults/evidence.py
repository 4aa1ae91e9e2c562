"""What a run left behind, read as a stranger would: bytes of topics, decoded by ``schemas/`` alone, and the mail server's log.

Nothing here or in ``invariants`` imports the services: what judges them must not share their mistakes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Protocol, TypeAlias

import fastavro

from tests.faults.releases import ADDED, registered
from tests.faults.stores import Stores

POISON_KEY = b"poison-"
"""What nobody can use is published under keys that begin so."""
CRASH_MARK = "this kills whoever looks at it"
"""A text that holds it ends the worker that groups it, every time; a trait, the workers that learn of its person."""
POISON_MARK = "this kills whoever lets it in"
"""The same at the front door, where a record that nobody can use is poison like any other."""
_ERRORS = "__connect.errors."
_COMMANDED = ("ideas.commands", "ideas.status", "people.commands")

Place: TypeAlias = tuple[str, int]
"""(topic, partition)"""


class Raw(Protocol):
    """One record as it lies on the broker."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]: ...


@dataclass(frozen=True, slots=True)
class Sample:
    """Committed positions, and ends of all topics that were read after them."""

    committed: Mapping[tuple[str, str, int], int]
    """(service, topic, partition) → position"""
    ends: Mapping[Place, int]


@dataclass(frozen=True, slots=True)
class Row:
    """A decoded record. Its *fields* are empty for a tombstone."""

    raw: Raw
    fields: Mapping[str, Any]
    content: bytes | str | None
    """What it says: its bytes; where several releases were at work, which frame the same otherwise, its fields."""


@dataclass
class Evidence:
    """All that the invariants judge."""

    records: Mapping[str, Sequence[Raw]]
    """By topic; each partition's records in the order of their offsets."""
    mails: Sequence[Mapping[str, Any]] = ()
    """One a mail that the server took: message_id, to; ``answered`` is False where it closed the connection instead of saying so."""
    samples: Sequence[Sample] = ()
    deaths: Mapping[str, int] = field(default_factory=dict)
    """How often a worker of each service died without warning."""
    settled_seconds: float = 0.0
    """How long it took, once nothing was published nor broken any more, until nobody was behind."""
    settle_limit_seconds: float = 0.0
    peak_bytes: Mapping[str, int] = field(default_factory=dict)
    """The largest resident size that a worker of each service was seen with."""
    releases: int = 1
    """How many releases of the services were at work."""
    stores: Stores | None = None
    """What lay in the stores after the topics had been read; None where nobody looked."""

    def rows(self, topic: str) -> list[Row]:
        """Return what *topic* holds, by partition and offset."""
        return self._rows.setdefault(topic, [*self._decoded(topic)])

    def facts(self, topic: str) -> list[Mapping[str, Any]]:
        """Return the fields of what *topic* holds, repeats left out."""
        return [*{(row.raw.key, row.content): row.fields for row in self.rows(topic) if row.fields}.values()]

    @cached_property
    def _rows(self) -> dict[str, list[Row]]:
        return {}

    def _decoded(self, topic: str) -> Iterator[Row]:
        for raw in sorted(self.records.get(topic, ()), key=lambda raw: (raw.partition, raw.offset)):
            fields = {} if raw.value is None else decoded(raw.value)
            yield Row(raw, fields, repr(sorted(fields.items())) if fields and self.releases > 1 else raw.value)

    @cached_property
    def letters(self) -> dict[str, list[tuple[str, Raw]]]:
        """Dead letters by service: the origin that each names, and the letter."""
        found: dict[str, list[tuple[str, Raw]]] = {}
        for topic, records in self.records.items():
            service, _, kind = topic.partition(".")
            if kind == "deadletter":
                found[service] = [(_origin_of(letter), letter) for letter in records]
        return found

    @cached_property
    def outside(self) -> list[Raw]:
        """What was published from outside, by topic, partition and offset."""
        raw = [record for topic, records in self.records.items() if is_raw(topic) for record in records]
        return sorted(raw, key=lambda record: (record.topic, record.partition, record.offset))


def is_raw(topic: str) -> bool:
    """Tell whether *topic* is written from outside."""
    return ".raw" in topic or topic in _COMMANDED


def said(raw: Raw) -> tuple[tuple[str, str], tuple[int, str]] | None:
    """Return the identity of an outside record and its version; None for what says neither."""
    if (raw.key or b"").startswith(POISON_KEY):
        return None
    try:
        body = decoded(raw.value) if raw.value and raw.value[0] == 0 else json.loads(raw.value or b"")
        return (raw.topic, str(body["id"])), (int(body.get("revision") or 0), str(body.get("updated_at") or ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def origin(raw: Raw) -> str:
    """Return the place of *raw* as events name it."""
    return f"{raw.topic}/{raw.partition}/{raw.offset}"


def decoded(frame: bytes) -> Mapping[str, Any]:
    """Return the fields of a frame in the Confluent wire format, whose ids ``schemas/ids.json`` gives."""
    assert frame[0] == 0, "no frame"
    schema = _schemas()[int.from_bytes(frame[1:5], "big")]
    fields: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(frame[5:]), schema, None)
    return {name: value for name, value in fields.items() if name != ADDED}


@cache
def _schemas() -> dict[int, Any]:
    return {number: fastavro.parse_schema(schema) for versions in registered().values() for number, schema in versions.items()}


def _origin_of(letter: Raw) -> str:
    headers = dict(letter.headers)
    return "/".join(headers[f"{_ERRORS}{part}"].decode() for part in ("topic", "partition", "offset"))
