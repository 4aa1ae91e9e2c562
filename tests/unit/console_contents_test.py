"""What is told of a dead letter's bytes: all of it to whoever asks for it, nothing of a person to anybody else."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import fastavro
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.registry import FileIds, Schemas
from services.console.contents import contents_of, veiled

SCHEMAS = Schemas(FileIds())
ANN = {"email": "ann@example.com", "name": "Ann Lee"}
FEEDBACK = {"id": "7", "workspace": "acme", "board": "b", "text": "Call me, Ann Lee", "author": ANN, "deleted": False, "rating": 4}
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.text(max_size=20))
JSON = st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)))


def framed(number: int, schema: Any, value: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), value)
    return struct.pack(">bI", 0, number) + body.getvalue()


def raw_feedback() -> tuple[int, Any]:
    newest = SCHEMAS.newest("feedback.raw-value")
    return newest.id, dict(newest.schema)


def test_framed_avro_is_read_by_its_writers_schema_whichever_topic_it_came_to() -> None:
    number, schema = raw_feedback()
    contents = contents_of(framed(number, schema, FEEDBACK), SCHEMAS)
    newest = SCHEMAS.newest("feedback.raw-value").version
    assert contents.form == f"Avro, feedback.raw-value version {newest} (id {number})"
    assert contents.decoded["author"] | ANN == contents.decoded["author"]


def test_a_schema_that_is_not_ours_is_asked_of_the_registry() -> None:
    schema = {"type": "record", "name": "Theirs", "fields": [{"name": "text", "type": "string"}]}
    value = framed(9_999, schema, {"text": "hello"})
    assert contents_of(value, SCHEMAS, {9_999: schema}.get).decoded == {"text": "hello"}
    assert contents_of(value, SCHEMAS).form == "framed, by the schema with id 9999, which nobody knows"


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, "null"),
        (b"", "no bytes"),
        (b"{garbage", "text, not JSON"),
        (b'{"text": "\xc3\x28"}', "bytes that are no text"),
        (b"\x00\x00", "bytes that are no text"),
    ],
)
def test_what_cannot_be_read_is_summed_up(value: bytes | None, form: str) -> None:
    contents = contents_of(value, SCHEMAS)
    assert (form, None) == (contents.form, contents.decoded)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(value: bytes) -> None:
    for number in (raw_feedback()[0], 9_999):
        json.dumps(veiled(contents_of(struct.pack(">bI", 0, number) + value, SCHEMAS).decoded))
    json.dumps(veiled(contents_of(value, SCHEMAS).decoded))


def test_json_that_is_nested_deeper_than_can_be_printed_is_cut() -> None:
    contents = contents_of(b"[" * 900 + b"]" * 900, SCHEMAS)
    assert "…" in json.dumps(contents.decoded, ensure_ascii=False)


def test_veiled_it_says_what_is_wrong_and_not_who_wrote_it() -> None:
    shown = veiled(contents_of(orjson.dumps(FEEDBACK), SCHEMAS).decoded)
    assert shown == {
        "id": "<1 characters>",
        "workspace": "acme",
        "board": "b",
        "text": "<16 characters>",
        "author": {"email": "<15 characters>", "name": "<7 characters>"},
        "deleted": False,
        "rating": "<number>",
    }


@pytest.mark.parametrize("value", [{"ann@example.com": 1}, {"status": "Ann Lee is angry"}, {"author": {"status": "ann"}}, ["Ann"], "Ann"])
def test_a_person_does_not_hide_where_a_name_or_a_harmless_field_belongs(value: Any) -> None:
    assert "ann" not in json.dumps(veiled(value)).lower().replace("harmless", "")


@given(JSON)
def test_no_text_of_a_nested_value_gets_through(value: Any) -> None:
    secret = "zq9Secret"
    shown = json.dumps(veiled({"author": value, "list": [secret, {"text": secret, secret + "@": secret}]}))
    assert secret not in shown
