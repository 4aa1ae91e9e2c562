"""Frames on Kafka and events in memory: the Confluent wire format (0x00, 4-byte big-endian schema id, Avro body).

Moments stay integers: fastavro would build a datetime for every ``timestamp-micros``, at several times the cost of the field.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeVar

import fastavro
from fastavro.schema import parse_schema

from services.common.errors import MalformedRecord
from services.common.events import Event
from services.common.records import Output, Record
from services.common.registry import Schemas, SchemaVersion
from services.common.values import placer

_MAGIC = 0
_HEADER = struct.Struct(">bI")

E = TypeVar("E", bound=Event)


def _plain(schema: Any) -> Any:
    """Return *schema* without logical types: the same bytes, as integers."""
    if isinstance(schema, dict):
        return {name: _plain(value) for name, value in schema.items() if name not in ("logicalType", "doc")}
    if isinstance(schema, list):
        return [_plain(member) for member in schema]
    return schema


class _Writer(Generic[E]):
    """Encodes one event class with the newest version of its schema."""

    def __init__(self, event: type[E], newest: SchemaVersion) -> None:
        self._schema = parse_schema(_plain(newest.schema))
        self._prefix = _HEADER.pack(_MAGIC, newest.id)
        self._names = tuple(field.name for field in fields(event))
        self._values: Callable[[E], tuple[Any, ...]] = attrgetter(*self._names)

    def encode(self, event: E) -> bytes:
        body = io.BytesIO()
        body.write(self._prefix)
        fastavro.schemaless_writer(body, self._schema, dict(zip(self._names, self._values(event), strict=True)))
        return body.getvalue()


class Reader:
    """Reads the frames of one subject, whichever of its versions wrote them, as fields of the newest one, or those that are *wanted*."""

    def __init__(self, schemas: Schemas, subject: str, wanted: Collection[str] | None = None) -> None:
        self._schemas = schemas
        self._subject = subject
        newest = _plain(schemas.newest(subject).schema)
        if wanted is not None:
            newest["fields"] = [field for field in newest["fields"] if field["name"] in wanted]
        self._newest = parse_schema(newest)
        self._known: dict[int, tuple[Any, Any]] = {}

    def read(self, frame: bytes) -> dict[str, Any]:
        """Return the fields that *frame* holds.

        Raises:
            MalformedRecord: And nothing else, for any bad input.
            TransientError: It was written by a version that this release does not know, and the registry does not answer.
        """
        if len(frame) < _HEADER.size or frame[0] != _MAGIC:
            raise MalformedRecord("not_framed", "expected the Confluent wire format: 0x00 and a 4-byte schema id")
        writer, reader = self._schema_of(_HEADER.unpack_from(frame)[1])
        body = io.BytesIO(frame)
        body.seek(_HEADER.size)
        try:
            value = fastavro.schemaless_reader(body, writer, reader)
        except Exception as error:
            raise MalformedRecord("undecodable", f"the body is no {self._subject}: {type(error).__name__}") from error
        if body.tell() != len(frame):
            raise MalformedRecord("undecodable", f"{len(frame) - body.tell()} bytes follow the {self._subject} body")
        return dict(value)

    def _schema_of(self, number: int) -> tuple[Any, Any]:
        known = self._known.get(number)
        if known is None:
            version = self._schemas.by_id(self._subject, number)
            writer = parse_schema(_plain(version.schema))
            known = self._known[number] = (writer, None if writer == self._newest else self._newest)
        return known


class Codec:
    """Encodes and decodes every event that we publish."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas
        self._writers: dict[type[Event], _Writer[Any]] = {}
        self._readers: Mapping[str, Reader] = {}

    def encode(self, event: Event) -> bytes:
        """Return the frame of *event*; equal events give equal bytes."""
        kind = type(event)
        writer = self._writers.get(kind)
        if writer is None:
            writer = self._writers[kind] = _Writer(kind, self.schemas.newest(f"{kind.TOPIC}-value"))
        return writer.encode(event)

    def output(self, event: Event) -> Output:
        """Return *event* as the record to be published to its topic."""
        return Output(event.TOPIC, event.key().encode(), self.encode(event), event.partition_key().encode())

    def decoder(self, event: type[E]) -> Callable[[Record], E]:
        """Return the function that reads records of *event*'s topic; it raises ``MalformedRecord`` and nothing else."""
        read = self.frame_decoder(event)

        def decode(record: Record) -> E:
            if record.value is None:
                raise MalformedRecord("null_value", f"{event.TOPIC} takes no null value")
            return read(record.value)

        return decode

    def frame_decoder(self, event: type[E]) -> Callable[[bytes], E]:
        """Return the function that reads frames of *event*; it raises ``MalformedRecord`` and nothing else."""
        names = [field.name for field in fields(event)]  # the schemas may know of more than this release, if it is not theirs
        read = Reader(self.schemas, f"{event.TOPIC}-value", names).read
        build, values = placer(event, names), itemgetter(*names)
        return lambda frame: build(*values(read(frame)))

    def optional_decoder(self, event: type[E]) -> Callable[[Record], E | None]:
        """Like ``decoder``; a tombstone is ``None``. For compacted topics, where erasure leaves tombstones."""
        decode = self.decoder(event)
        return lambda record: None if record.value is None else decode(record)
