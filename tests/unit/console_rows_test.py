"""Files of one's own: what is taken, and how what is wrong is named."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.ids import board_key
from services.common.paths import EXAMPLES
from services.console.failures import CommandFailed, ExitCode
from services.console.publishing import CHUNK, Target, chunks, lines_of, outputs_of, prepared
from services.console.rows import Form, Row, canonical_feedback, read_rows, rows_of
from services.ingest.channels import load_channels
from services.ingest.decoding import decoders
from tests.fakes_ingest import CODEC

PATH = Path("wishes.jsonl")


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def canonical(fields: dict[str, Any], raw: bytes | None = None) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(canonical_feedback(PATH, Row(1, fields, raw), "lumora", "product"))
    return body


def test_rows_of_both_kinds_say_the_same(tmp_path: Path) -> None:
    table = written(tmp_path, "a.csv", 'id,text,rating\n1,dark mode,4\n2,"offline, please",\n')
    lines = written(tmp_path, "a.jsonl", '{"id": "1", "text": "dark mode", "rating": 4.0}\n\n{"id": "2", "text": "offline, please"}\n')
    bodies = [[json.loads(canonical_feedback(path, row, "w", "b")) for row in read_rows(path)] for path in (table, lines)]
    assert bodies[0] == bodies[1]
    assert [{"id", "workspace", "board", "text", "rating"}, {"id", "workspace", "board", "text"}] == [set(body) for body in bodies[0]]


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfid,text\n1,hello\n")
    assert read_rows(path)[0].fields == {"id": "1", "text": "hello"}


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("a.csv", "id,text\n1,fine\n2,one,too many\n", 3, "expected 2 columns: id, text"),
        ("a.csv", "id,text\n1\n", 2, "expected 2 columns"),
        ("a.csv", 'id,text\n1,"never closed\n', 2, "no CSV"),
        ("a.csv", "", 1, "empty"),
        ("a.jsonl", '{"id": 1, "text": "fine"}\n{"id": 2', 2, "no JSON"),
        ("a.jsonl", "[1, 2]\n", 1, "expected a JSON object"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path: Path, name: str, text: str, line: int, words: str) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(CommandFailed) as failed:
        read_rows(path)
    assert str(failed.value).startswith(f"{path}:{line}: ")
    assert words in str(failed.value)
    assert failed.value.code is ExitCode.USAGE


@pytest.mark.parametrize("name", ["missing.csv", "board.xlsx"])
def test_what_is_no_such_file_is_said(tmp_path: Path, name: str) -> None:
    if name.endswith("xlsx"):
        written(tmp_path, name, "x")
    with pytest.raises(CommandFailed, match=name):
        read_rows(tmp_path / name)


@pytest.mark.parametrize("fields", [{"id": "1"}, {"text": "dark"}, {"id": "", "text": "dark"}, {"id": "1", "text": ""}])
def test_a_row_without_id_or_text_is_named(fields: dict[str, Any]) -> None:
    with pytest.raises(CommandFailed, match=r"wishes\.jsonl:1: no (id|text)"):
        canonical(fields)


@pytest.mark.parametrize(
    ("fields", "author"),
    [
        ({"author": "ann@example.com"}, {"email": "ann@example.com"}),
        ({"author": "Ann"}, {"name": "Ann", "alias": "author:Ann"}),
        ({"email": "ann@example.com", "name": "Ann"}, {"email": "ann@example.com", "name": "Ann"}),
        ({"author": {"crm_id": "p-1"}}, {"crm_id": "p-1"}),
        ({}, None),
    ],
)
def test_an_author_is_taken_in_every_form(fields: dict[str, Any], author: dict[str, Any] | None) -> None:
    assert author == canonical({"id": "1", "text": "dark", **fields}).get("author")


def test_a_record_that_is_canonical_already_is_sent_as_it_is() -> None:
    raw = b'{"workspace":"w",   "id":"1","text":"x"}'
    assert raw == canonical_feedback(PATH, Row(1, json.loads(raw), raw), "lumora", "product")


def test_columns_that_nobody_knows_stay_out() -> None:
    assert "label" not in canonical({"id": "1", "text": "dark", "label": "x", "source": "tickets"})


def test_numbers_of_a_table_are_numbers_and_bad_ones_are_named() -> None:
    assert canonical({"id": "1", "text": "x", "revision": "2", "deleted": "yes"}) | {"revision": 2, "deleted": True} == canonical(
        {"id": "1", "text": "x", "revision": "2", "deleted": "yes"}
    )
    with pytest.raises(CommandFailed, match="revision"):
        canonical({"id": "1", "text": "x", "revision": "second"})


@given(texts=st.lists(st.text(min_size=1).filter(str.strip), max_size=30))
def test_a_file_goes_to_one_partition_in_its_order(texts: list[str]) -> None:
    rows = [Row(number, {"id": str(number), "text": text}, b"") for number, text in enumerate(texts, start=1)]
    outputs = outputs_of(PATH, rows, "feedback.raw", "lumora", "product")
    assert texts == [json.loads(output.value or b"")["text"] for output in outputs]
    assert {board_key("lumora", "product").encode()} >= {output.partition_key for output in outputs}


def test_other_topics_get_their_lines_byte_for_byte() -> None:
    raw = b'{"id":  "a-1"}'
    assert [raw] == [output.value for output in outputs_of(PATH, [Row(1, {"id": "a-1"}, raw)], "accounts.raw", "w", "b")]


MAILS = next(channel for channel in load_channels(EXAMPLES / "vendors.yaml").channels if channel.name == "mail")
DECODERS = decoders(load_channels(EXAMPLES / "vendors.yaml"), CODEC.schemas, 1_000)


def _prepared(name: str, text: bytes, form: Form, topic: str) -> list[str]:
    target = Target(topic, "w", "b", DECODERS.get(topic))
    ready = [prepared(Path(name), row, target) for row in rows_of(io.BytesIO(text), Path(name), form)]
    return ["ignored" if one is None else str(one) if isinstance(one, CommandFailed) else "sent" for one in ready]


def test_what_ingest_would_refuse_is_named_by_its_line_and_the_rest_goes() -> None:
    lines = b'{"response_id": 1, "comment": "Dark mode"}\n\n{"comment": "No id"}\n[1]\n{\n{"response_id": 2, "score": 9}\n'
    told = _prepared("-", lines, "jsonl", "feedback.raw.survey")
    assert [told[0], told[4]] == ["sent", "sent"]
    assert [line.split(": ")[0] for line in told[1:4]] == ["-:3", "-:4", "-:5"]
    assert told[1].startswith("-:3: missing_field: id")


def test_a_table_goes_on_behind_a_wrong_row() -> None:
    table = b"response_id,comment\n1,dark\n2,one,too many\n3,light\n"
    assert [told.split(": ")[0] for told in _prepared("x.csv", table, "csv", "feedback.raw.survey")] == ["sent", "x.csv:3", "sent"]


def test_an_email_is_one_record_and_an_automatic_answer_is_left_out() -> None:
    mail = (EXAMPLES / "payloads" / "mail.eml").read_bytes()
    assert _prepared("a.eml", mail, "eml", MAILS.topic) == ["sent"]
    assert _prepared("a.eml", b"Auto-Submitted: auto-replied\n" + mail, "eml", MAILS.topic) == ["ignored"]


def test_lines_of_a_sample_are_sent_whatever_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "feedback.raw.email.jsonl"
    path.write_bytes(b'{"a": 1}\n{broken\n\xfc\n')
    assert [output.value for output in lines_of(path, "feedback.raw.email")] == [b'{"a": 1}', b"{broken", b"\xfc"]


@given(count=st.integers(min_value=0, max_value=3 * CHUNK + 1))
def test_chunks_are_the_whole_in_order(count: int) -> None:
    outputs = outputs_of(PATH, [Row(n, {"id": str(n)}, b"%d" % n) for n in range(count)], "people.raw", "w", "b")
    assert outputs == [output for chunk in chunks(outputs) for output in chunk]
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks(outputs))
