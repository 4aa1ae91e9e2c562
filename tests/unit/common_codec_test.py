"""Frames: any event comes back equal, any bytes are an event or a ``MalformedRecord``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.codec import Codec
from services.common.errors import MalformedRecord
from services.common.events import ALL_EVENTS, BoardEvent, Event, PersonEvent
from services.common.records import Record
from services.common.registry import Schemas, open_schemas
from tests.faults.releases import registered, write_next_release

SCHEMAS = open_schemas(None)
CODEC = Codec(SCHEMAS)
_LONG = st.integers(-(2**63), 2**63 - 1)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, list):
        return st.one_of(*map(_values, kind))
    if isinstance(kind, dict):
        return st.sampled_from(kind["symbols"]) if kind["type"] == "enum" else _values(kind["type"])
    simple: dict[str, st.SearchStrategy[Any]] = {
        "null": st.none(),
        "string": st.text(max_size=40),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": _LONG,
        "double": st.floats(allow_nan=False),
    }
    return simple[kind]


def _events(kind: type[Event]) -> st.SearchStrategy[Event]:
    fields = SCHEMAS.newest(f"{kind.TOPIC}-value").schema["fields"]
    return st.builds(kind, **{field["name"]: _values(field["type"]) for field in fields})


EVENTS = st.one_of(*map(_events, ALL_EVENTS))


def _record(value: bytes | None) -> Record:
    return Record("any", 0, 0, 0, None, value)


@given(event=EVENTS)
def test_every_event_comes_back_equal_and_equal_events_are_equal_bytes(event: Event) -> None:
    frame = CODEC.encode(event)
    back = CODEC.decoder(type(event))(_record(frame))
    assert back == event
    assert type(back) is type(event)
    assert CODEC.encode(back) == frame


@given(frame=st.binary(max_size=200))
def test_any_bytes_are_malformed_or_an_event(frame: bytes) -> None:
    _decode_or_refuse(frame)


@given(event=_events(BoardEvent), cut=st.integers(0, 400), junk=st.binary(max_size=30))
def test_a_damaged_frame_is_malformed_or_an_event(event: BoardEvent, cut: int, junk: bytes) -> None:
    frame = CODEC.encode(event)
    _decode_or_refuse(frame[:cut] + junk + frame[cut + len(junk) :])
    with pytest.raises(MalformedRecord):
        CODEC.decoder(BoardEvent)(_record(frame + b"\x00"))


@given(frame=st.binary(max_size=120))
def test_any_body_under_a_good_header_is_malformed_or_an_event(frame: bytes) -> None:
    number = SCHEMAS.newest("board.events-value").id
    _decode_or_refuse(b"\x00" + number.to_bytes(4, "big") + frame)


def _decode_or_refuse(frame: bytes) -> None:
    reason = "none"
    try:
        assert isinstance(CODEC.decoder(BoardEvent)(_record(frame)), BoardEvent)
    except MalformedRecord as error:
        reason = error.reason
    assert reason in {"none", "not_framed", "unknown_schema", "wrong_schema", "undecodable"}


@given(event=_events(PersonEvent))
def test_another_subject_s_frame_is_refused(event: PersonEvent) -> None:
    with pytest.raises(MalformedRecord, match="wrong_schema"):
        CODEC.decoder(BoardEvent)(_record(CODEC.encode(event)))


def test_null_is_malformed_unless_it_is_a_tombstone() -> None:
    with pytest.raises(MalformedRecord, match="null_value"):
        CODEC.decoder(BoardEvent)(_record(None))
    assert CODEC.optional_decoder(BoardEvent)(_record(None)) is None


class _NextIds:
    """The ids of every version, the next release's among them."""

    def id_of(self, subject: str, version: int, schema: Mapping[str, Any]) -> int:
        return [*registered()[subject]][version - 1]

    def schema_of(self, number: int) -> None:
        """Nobody is asked."""


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    """A codec whose schemas have a field more than its events."""
    folder = tmp_path_factory.mktemp("next") / "avro"
    write_next_release(folder)
    return Codec(Schemas(_NextIds(), folder))


@given(event=EVENTS)
def test_a_field_that_an_event_does_not_know_is_passed_over_whoever_wrote_it(newer: Codec, event: Event) -> None:
    decode = newer.decoder(type(event))
    assert decode(_record(newer.encode(event))) == event
    assert decode(_record(CODEC.encode(event))) == event
