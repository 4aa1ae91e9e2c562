"""The judge finds what it is there to find, in topics that were made up: what no missing safeguard brings about at will."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import fastavro
import pytest

from services.common.records import Record
from tests.faults.evidence import SCHEMAS, Evidence
from tests.faults.invariants import MOST_BYTES, broken

_IDEA, _OTHER = "w:idea:a", "w:idea:b"
_EMPTY: Mapping[str, Any] = {"string": "", "long": 0, "int": 0, "boolean": False, "double": 0.0, "float": 0.0}


def frame(topic: str, **fields: Any) -> bytes:
    """Return a record of *topic* whose other fields are empty."""
    number = json.loads((SCHEMAS / "ids.json").read_text())[f"{topic}-value"]["1"]
    schema = fastavro.parse_schema(json.loads((SCHEMAS / "avro" / f"{topic}-v1.avsc").read_text()))
    body = {field["name"]: fields.get(field["name"], _empty(field["type"])) for field in schema["fields"]}
    out = io.BytesIO(b"\x00" + int(number).to_bytes(4, "big"))
    out.seek(5)
    fastavro.schemaless_writer(out, schema, body)
    return out.getvalue()


def _empty(kind: Any) -> Any:
    if isinstance(kind, list):
        return None
    if isinstance(kind, dict):
        if kind.get("logicalType"):
            return datetime(2026, 1, 1, tzinfo=UTC)
        return kind["symbols"][0] if kind["type"] == "enum" else _empty(kind["type"])
    return _EMPTY[kind]


def topic(name: str, rows: Sequence[tuple[str, bytes]]) -> list[Record]:
    """Return *rows*, each a key and a value, as the only partition of a topic."""
    return [Record(name, 0, offset, 0, key.encode(), value) for offset, (key, value) in enumerate(rows)]


def decision(sequence: int, kind: str, event: str, **fields: Any) -> tuple[str, bytes]:
    """Return a decision of board ``w/b``."""
    place = {"decision_id": f"d{sequence}", "type": kind, "workspace": "w", "board": "b", "sequence": sequence, "event_id": event}
    return f"d{sequence}", frame("board.decisions", **{**place, **fields})


def state(version: int, people: int, mentions: int) -> tuple[str, bytes]:
    """Return a state of the one idea."""
    said = {"idea_id": _IDEA, "root_id": _IDEA, "version": version, "people": people, "mentions": mentions, "status": "open"}
    return _IDEA, frame("ideas", **said)


def demand(version: int, people: int, mentions: int) -> tuple[str, bytes]:
    """Return a state of the one idea's demand."""
    return _IDEA, frame("ideas.demand", idea_id=_IDEA, root_id=_IDEA, version=version, people=people, mentions=mentions)


def world(**other: Any) -> Evidence:
    """Return a world in which one person asked for one thing and nothing is wrong, but for *other* topics."""
    link = {"idea_id": _IDEA, "feedback_id": "f1", "person_id": "p1"}
    records = {
        "board.decisions": topic("board.decisions", [decision(1, "opened", "e1", idea_id=_IDEA), decision(2, "linked", "e1", **link)]),
        "feedback.enriched": topic("feedback.enriched", [("f1", frame("feedback.enriched", feedback_id="f1", enrichment_version=1))]),
        "ideas": topic("ideas", [state(1, 1, 1)]),
        "ideas.demand": topic("ideas.demand", [demand(1, 1, 1)]),
        **{name: topic(name, rows) for name, rows in other.pop("topics", {}).items()},
    }
    return Evidence(records, **other)


def test_nothing_is_wrong_with_what_is_right() -> None:
    assert broken(world()) == {}


LINK = {"idea_id": _IDEA, "feedback_id": "f1", "person_id": "p1"}
WRONG: Mapping[str, tuple[str, Evidence]] = {
    "a count that is not the recount": ("I3", world(topics={"ideas": [state(1, 2, 2)]})),
    "a gap in a board's sequence": (
        "I3",
        world(topics={"board.decisions": [decision(1, "opened", "e1", idea_id=_IDEA), decision(3, "linked", "e1", **LINK)]}),
    ),
    "two facts under one key": (
        "I3",
        world(
            topics={
                "board.decisions": [
                    decision(1, "opened", "e1", idea_id=_IDEA),
                    decision(2, "linked", "e1", **LINK),
                    decision(2, "linked", "e1", **{**LINK, "idea_id": _OTHER}),
                ]
            }
        ),
    ),
    "a link that was never enriched": ("I1", world(topics={"feedback.enriched": []})),
    "an older state at the end": ("I9", world(topics={"ideas": [state(1, 1, 1), state(3, 1, 1), state(2, 1, 1)]})),
    "a state that its decisions do not say": (
        "I7",
        world(topics={"ideas": [(_IDEA, frame("ideas", idea_id=_IDEA, root_id=_OTHER, version=1, people=1, mentions=1))]}),
    ),
    "a mail that came twice and nobody died": ("I5", world(mails=[{"message_id": "m1"}, {"message_id": "m1"}])),
    "a mail that came more often than notifiers died": ("I5", world(mails=[{"message_id": "m1"}] * 3, deaths={"notifier": 1})),
    "lag that did not go": ("I8", world(settled_seconds=61.0, settle_limit_seconds=60.0)),
    "a worker that grew and grew": ("I10", world(peak_bytes={"dedup": MOST_BYTES + 1})),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_judge_finds(what: str) -> None:
    name, evidence = WRONG[what]
    assert name in broken(evidence)


def test_a_mail_may_come_again_where_the_server_did_not_answer_or_a_notifier_died() -> None:
    assert broken(world(mails=[{"message_id": "m1", "answered": False}, {"message_id": "m1"}])) == {}
    assert broken(world(mails=[{"message_id": "m1"}] * 2, deaths={"notifier": 1})) == {}


def test_a_state_may_be_said_again_before_it_goes_on() -> None:
    assert broken(world(topics={"ideas": [state(1, 1, 1), state(2, 1, 1), state(1, 1, 1), state(2, 1, 1)]})) == {}
