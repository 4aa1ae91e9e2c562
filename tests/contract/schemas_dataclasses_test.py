"""Every event dataclass is the newest version of its topic's schema: names, order, types, defaults, symbols."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, get_args

import pytest

from services.common.events import ALL_EVENTS, Event
from services.common.registry import FileIds, Schemas
from services.common.topics import load_topics

_PRIMITIVES = {"str": "string", "int": "long", "float": "double", "bool": "boolean"}
SCHEMAS = Schemas(FileIds())


def _avro_type(event: type[Event], annotation: str) -> Any:
    """Return what the schema must say for *annotation*, which is text: every module of events postpones its annotations."""
    if annotation.endswith(" | None"):
        return ["null", _avro_type(event, annotation.removesuffix(" | None"))]
    if annotation == "Micros":
        return {"type": "long", "logicalType": "timestamp-micros"}
    if annotation in _PRIMITIVES:
        return _PRIMITIVES[annotation]
    symbols = list(get_args(getattr(sys.modules[event.__module__], annotation)))
    return {"type": "enum", "name": annotation, "symbols": symbols, "default": "unknown"}


def _expected(event: type[Event]) -> list[dict[str, Any]]:
    fields = []
    for field in dataclasses.fields(event):
        expected = {"name": field.name, "type": _avro_type(event, str(field.type))}
        if field.default is not dataclasses.MISSING:
            expected["default"] = field.default
        fields.append(expected)
    return fields


@pytest.mark.parametrize("event", ALL_EVENTS, ids=lambda event: event.__name__)
def test_a_dataclass_is_its_newest_schema(event: type[Event]) -> None:
    schema = SCHEMAS.newest(f"{event.TOPIC}-value").schema
    actual = [{name: value for name, value in field.items() if name != "doc"} for field in schema["fields"]]
    assert _expected(event) == actual
    assert event.__name__ == schema["name"]


def test_every_avro_topic_has_its_dataclass_and_no_other() -> None:
    assert {name for name, topic in load_topics().items() if topic.value == "avro"} == {event.TOPIC for event in ALL_EVENTS}


def test_no_two_dataclasses_share_a_topic() -> None:
    assert len(ALL_EVENTS) == len({event.TOPIC for event in ALL_EVENTS})
