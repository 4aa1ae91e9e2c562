"""Every golden example can be written, read back, and read by a stranger, with equal values; so can every kind of event."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import fastavro
import pytest
from confluent_kafka.schema_registry.error import SchemaRegistryError

from services.common.codec import Codec, Reader
from services.common.errors import MalformedRecord
from services.common.events import (
    ALL_EVENTS,
    BoardEventType,
    DecisionType,
    Event,
    OutcomeType,
    PersonEventType,
    SegmenterWorkType,
    TransitionCause,
)
from services.common.paths import SCHEMAS
from services.common.records import Record
from services.common.registry import FileIds, Schemas
from services.common.topics import load_topics
from tests.independent_reader import StrangersDeserializer, as_micros
from tests.registry_server import RegistryServer

_EXAMPLES = sorted((SCHEMAS / "examples").glob("*/v*/*.json"))
_EVENTS = {event.TOPIC: event for event in ALL_EVENTS}
_KINDS = {
    "board.events": ("type", BoardEventType),
    "people.events": ("type", PersonEventType),
    "board.decisions": ("type", DecisionType),
    "people.transitions": ("cause", TransitionCause),
    "notifications.log": ("outcome", OutcomeType),
    "segmenter.work": ("type", SegmenterWorkType),
}
CODEC = Codec(Schemas(FileIds()))


def _name(path: Path) -> str:
    return "/".join(path.parts[-3:])


def _topic(path: Path) -> str:
    return path.parts[-3]


def _version(path: Path) -> int:
    return int(path.parts[-2].removeprefix("v"))


def _frame(path: Path) -> bytes:
    """Return the frame that a producer of the example's own schema version writes, by fastavro alone."""
    released = next(v for v in CODEC.schemas.subjects()[f"{_topic(path)}-value"] if v.version == _version(path))
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(dict(released.schema)), json.loads(path.read_text()))
    return struct.pack(">bI", 0, released.id) + body.getvalue()


def _record(topic: str, frame: bytes | None) -> Record:
    return Record(topic, 0, 0, 0, None, frame)


@pytest.fixture(scope="module")
def stranger() -> Iterator[StrangersDeserializer]:
    with RegistryServer() as registry, StrangersDeserializer(registry.url) as deserializer:
        yield deserializer


@pytest.mark.parametrize("path", _EXAMPLES, ids=_name)
def test_an_example_is_a_whole_row_of_its_version(path: Path) -> None:
    released = next(v for v in CODEC.schemas.subjects()[f"{_topic(path)}-value"] if v.version == _version(path))
    assert [field["name"] for field in released.schema["fields"]] == list(json.loads(path.read_text()))


@pytest.mark.parametrize("path", _EXAMPLES, ids=_name)
def test_what_any_version_wrote_is_read_as_the_newest(path: Path) -> None:
    topic, fields = _topic(path), json.loads(path.read_text())
    if topic not in _EVENTS:
        assert fields == _known(Reader(CODEC.schemas, f"{topic}-value").read(_frame(path)), fields)
        return
    event = CODEC.decoder(_EVENTS[topic])(_record(topic, _frame(path)))
    assert fields == _known(dataclasses.asdict(event), fields)
    again = CODEC.encode(event)
    assert event == CODEC.decoder(_EVENTS[topic])(_record(topic, again))
    assert event.key()
    assert event.partition_key()
    if CODEC.schemas.newest(f"{topic}-value").version == _version(path):
        assert _frame(path) == again


def _known(row: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in fields if name in row}


@pytest.mark.parametrize("path", _EXAMPLES, ids=_name)
def test_a_stranger_reads_equal_values(path: Path, stranger: StrangersDeserializer) -> None:
    row = stranger.value(_topic(path), _frame(path))
    assert row is not None
    assert json.loads(path.read_text()) == as_micros(row)


@pytest.mark.parametrize("event", ALL_EVENTS, ids=lambda event: event.__name__)
def test_a_tombstone_is_none_to_everyone(event: type[Event], stranger: StrangersDeserializer) -> None:
    assert CODEC.optional_decoder(event)(_record(event.TOPIC, None)) is None
    assert stranger.value(event.TOPIC, None) is None
    with pytest.raises(MalformedRecord, match="null_value"):
        CODEC.decoder(event)(_record(event.TOPIC, None))


def test_a_stranger_refuses_an_unknown_id(stranger: StrangersDeserializer) -> None:
    with pytest.raises(SchemaRegistryError) as caught:
        stranger.value("ideas", struct.pack(">bI", 0, 4_000_000) + b"x")
    assert caught.value.error_code == 40403


def test_every_published_topic_has_an_example_of_each_version() -> None:
    wanted = {(name, version) for name, topic in load_topics().items() for version in topic.versions + topic.accepts}
    assert wanted == {(_topic(path), _version(path)) for path in _EXAMPLES}


def test_every_kind_of_event_has_an_example() -> None:
    found = defaultdict(set)
    for path in _EXAMPLES:
        if _topic(path) in _KINDS:
            found[_topic(path)].add(json.loads(path.read_text())[_KINDS[_topic(path)][0]])
    assert {topic: set(get_args(kinds)) - {"unknown"} for topic, (_, kinds) in _KINDS.items()} == found
