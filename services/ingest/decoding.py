"""From a raw record's bytes to an input. Raises ``MalformedRecord``, and nothing else, for any bad input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import orjson

from services.common.codec import Reader
from services.common.records import Record
from services.common.registry import Schemas
from services.ingest.channels import CANONICAL_TOPIC, Channels, ChannelSpec
from services.ingest.domain.faults import fault
from services.ingest.domain.fields import Fields, type_name
from services.ingest.domain.inputs import Input
from services.ingest.domain.mail import parse_mail
from services.ingest.domain.reading import READERS, read_feedback

Decode: TypeAlias = Callable[[Record], Input]

DEPTH_LIMIT = 64
"""How deep arrays and objects may be nested."""
_FRAMED = 0


def decoders(channels: Channels, schemas: Schemas, text_limit: int) -> dict[str, Decode]:
    """Return the decoder of every topic that ingest reads, in the order in which the topics of one batch are taken."""
    found: dict[str, Decode] = {topic: _documented(topic, schemas) for topic in READERS}
    for channel in channels.channels:
        found[channel.topic] = _canonical(channel, schemas, text_limit) if channel.mapping is None else _mapped(channel, text_limit)
    return found


def _documented(topic: str, schemas: Schemas) -> Decode:
    read, open_value = READERS[topic], _opener(f"{topic}-value", schemas)
    return lambda record: read(open_value(record), topic)


def _canonical(channel: ChannelSpec, schemas: Schemas, text_limit: int) -> Decode:
    place, rules, open_value = channel.place(), channel.text.rules(text_limit), _opener(f"{CANONICAL_TOPIC}-value", schemas)
    return lambda record: read_feedback(open_value(record), place, rules)


def _mapped(channel: ChannelSpec, text_limit: int) -> Decode:
    if channel.mapping is None:
        raise ValueError("the channel has no mapping")
    place, rules, canonical = channel.place(), channel.text.rules(text_limit), channel.mapping.compiled().reader()
    parse = FORMATS[channel.format]

    def decode(record: Record) -> Input:
        return read_feedback(Fields(canonical(parse(_present(record))), micros=True), place, rules)

    return decode


def _opener(subject: str, schemas: Schemas) -> Callable[[Record], Fields]:
    """Return what opens a value that is framed Avro of *subject* or a JSON object; no JSON begins with a zero byte."""
    reader = Reader(schemas, subject)

    def open_value(record: Record) -> Fields:
        value = _present(record)
        if value[0] == _FRAMED:
            return Fields(reader.read(value), micros=True)
        body = parse_json(value)
        if not isinstance(body, dict):
            raise fault("wrong_type", f"the value: expected an object, found {type_name(body)}")
        return Fields(body)

    return open_value


def _present(record: Record) -> bytes:
    if record.value is None:
        raise fault("null_value", f"{record.topic} takes no null value; to take feedback back, publish it with deleted: true")
    if not record.value:
        raise fault("not_json", "the value is empty")
    return record.value


def parse_json(value: bytes) -> Any:
    """Return what *value* says as JSON.

    Raises:
        MalformedRecord: It is not UTF-8, not JSON, or nested too deep to be meant.
    """
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise _why_not_json(value, error) from None
    if value.count(b"[") + value.count(b"{") > DEPTH_LIMIT and _is_deeper(body, DEPTH_LIMIT):
        raise fault("too_deep", f"nested deeper than {DEPTH_LIMIT} levels")
    return body


FORMATS: Mapping[str, Callable[[bytes], Any]] = {"json": parse_json, "email": parse_mail}
"""How the bytes of a mapped channel are read."""


def _why_not_json(value: bytes, error: orjson.JSONDecodeError) -> Exception:
    try:
        value.decode()
    except UnicodeDecodeError as bad:
        return fault("bad_utf8", f"byte {bad.start} is not UTF-8; JSON must be")
    if "depth limit" in error.msg:
        return fault("too_deep", f"nested deeper than {DEPTH_LIMIT} levels")
    return fault("not_json", f"line {error.lineno}, column {error.colno} is not JSON")


def _is_deeper(body: Any, limit: int) -> bool:
    level = [body]
    for _ in range(limit + 1):
        level = [
            inner for outer in level if isinstance(outer, dict | list) for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
