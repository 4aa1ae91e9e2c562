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
from tests.faults.evidence import Evidence
from tests.faults.folding import Boards
from tests.faults.invariants import MOST_BYTES, broken
from tests.faults.releases import SCHEMAS, framed, versions_of
from tests.faults.stores import Plain, Stores

_IDEA, _OTHER = "w:idea:a", "w:idea:b"
_MOMENT = 1_767_225_600_000_000
"""The first microsecond of 2026, which fills every moment of a record that is made up."""
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
    return _IDEA, frame(
        "ideas.demand", workspace="w", board="b", idea_id=_IDEA, root_id=_IDEA, version=version, people=people, mentions=mentions
    )


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


def _commanded(event: str, name: str) -> bytes:
    return frame("board.events", event_id=event, type="commanded", command=name, idea_id=_OTHER, other_idea_id=_IDEA, origin="t/0/0")


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
    "a merge that was obeyed and parted again": (
        "I1",
        world(
            topics={
                "board.events": [("e1", _commanded("e1", "merge"))],
                "board.decisions": [
                    decision(1, "opened", "e0", idea_id=_IDEA),
                    decision(2, "linked", "e0", **LINK),
                    decision(3, "opened", "e0", idea_id=_OTHER),
                    decision(4, "merged", "e1", idea_id=_OTHER, other_idea_id=_IDEA),
                    decision(5, "unmerged", "e2", idea_id=_OTHER, other_idea_id=_IDEA),
                ],
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


HAPPENED = {"workspace": "w", "board": "b", "event_id": "e1"}
OPENED = {"type": "opened", "sequence": 1, "decision_id": "d1", "idea_id": _IDEA, **HAPPENED}
LINKED = {"type": "linked", "sequence": 2, "decision_id": "d2", **LINK, **HAPPENED}
ALERT = {"idea_id": _IDEA, "release_id": "r1", "person_id": "p1"}


def accepted(place: str = "feedback.raw/0/0") -> Plain:
    """Return what ingest keeps of one record."""
    return {"subject": "f1", "order": 0, "origin": place, "kind": "submitted"}


def decided(position: int = 1, event: str = "e1", *, decisions: Sequence[Plain] = (OPENED, LINKED), **state: Any) -> Plain:
    """Return what dedup keeps of one event."""
    idea = {"idea_id": _IDEA, "version": 2, "people": 1, "mentions": 1, **state}
    times = dict.fromkeys(("occurred_at", "ingested_at"), _MOMENT)
    full = [{**decision, **times} for decision in decisions]
    return {"board": "w/b", "position": position, "event_id": event, "decisions": full, "ideas": [idea]}


def taken(position: int = 1, name: str = "d2", *, link: Sequence[str] = ("f1", "p1", _IDEA), people: int = 1) -> Plain:
    """Return what the segmenter keeps of one decision."""
    said = {"idea_id": _IDEA, "version": position, "people": people, "mentions": 1}
    return {
        "board": "w/b",
        "position": position,
        "input_id": name,
        "operations": [["link", *link, 0]],
        "facts": [["changed", said]],
    }


def heard(sequence: int, kind: str, **fields: Any) -> Plain:
    """Return what the notifier keeps of one decision."""
    return {"board": "w/b", "sequence": sequence, "type": kind, "idea_id": _IDEA, **fields}


HEARD = (heard(1, "opened"), heard(2, "linked", feedback_id="f1", person_id="p1"))


def row(alert: str = "a1", state: str = "sent") -> Plain:
    """Return a row of the ledger."""
    return {"alert_id": alert, "state": state, "attempt": 1, "alert": ALERT, "history": []}


def stored(**other: Any) -> Evidence:
    """Return a world in which the stores hold what the topics say, but for *other* contents, and *topics* beside the usual ones."""
    topics = {
        "feedback.raw": [("f1", b'{"id": "f1"}')],
        "board.events": [("e1", frame("board.events", event_id="e1", origin="feedback.raw/0/0", type="submitted"))],
        "notifications.outbox": [("a1", frame("notifications.outbox", alert_id="a1", attempt=1))],
        "notifications.log": [("a1", frame("notifications.log", alert_id="a1", outcome="sent", attempt=1))],
        "people.segments": [("p1", frame("people.segments", person_id="p1", version=3))],
    }
    found = world(topics={**topics, **other.pop("topics", {})})
    usual = {
        "accepted": [accepted()],
        "entries": [decided()],
        "operations": [taken()],
        "cards": {"p1": 3},
        "told": HEARD,
        "ledger": [row()],
    }
    found.stores = Stores(**{**usual, **other})
    return found


def test_nothing_is_wrong_with_stores_that_hold_what_the_topics_say() -> None:
    assert broken(stored()) == {}


WRONG_STORES: Mapping[str, tuple[str, Evidence]] = {
    "a record that ingest does not know": ("I1", stored(accepted=[])),
    "an event that dedup does not know": ("I1", stored(entries=[])),
    "a decision that the notifier does not know": ("I1", stored(told=HEARD[:1])),
    "an event that was decided twice": ("I3", stored(entries=[decided(), decided(2, decisions=())])),
    "an event that was linked twice": ("I3", stored(entries=[decided(decisions=[OPENED, LINKED, {**LINKED, "sequence": 3}])])),
    "a count of dedup's that is not the recount": ("I3", stored(entries=[decided(people=2)])),
    "a count of the segmenter's that is not the recount": ("I3", stored(operations=[taken(people=2)])),
    "a decision that the segmenter took in twice": ("I3", stored(operations=[taken(), taken(2)])),
    "two rows of one person about one release": ("I3", stored(ledger=[row(), row("a2")])),
    "an alert without a row": ("I4", stored(ledger=[])),
    "a row that has not ended": ("I4", stored(ledger=[row(state="deferred")])),
    "a row that ended otherwise than was told": ("I4", stored(ledger=[row(state="failed")])),
    "a decision that was published and not kept": ("I7", stored(entries=[decided(decisions=[OPENED])])),
    "a decision that was kept and not published": ("I7", stored(entries=[decided(decisions=[OPENED, LINKED, {**LINKED, "sequence": 3}])])),
    "a decision that was kept otherwise": ("I7", stored(entries=[decided(decisions=[OPENED, {**LINKED, "person_id": "p2"}])])),
    "a gap in dedup's log": ("I7", stored(entries=[decided(2)])),
    "a gap in the segmenter's log": ("I7", stored(operations=[taken(2)])),
    "a decision that the notifier kept otherwise": ("I7", stored(told=[HEARD[0], heard(2, "linked", feedback_id="f1", person_id="p2")])),
    "a link that the segmenter keeps otherwise": ("I7", stored(operations=[taken(link=("f1", "p1", _OTHER))])),
    "a merge that nobody decided": (
        "I7",
        stored(operations=[{**taken(), "operations": [*taken()["operations"], ["merge", _IDEA, _OTHER]]}]),
    ),
    "a state that is newer than its store": ("I9", stored(topics={"ideas": [state(3, 1, 1)]})),
    "a demand that is newer than its board": ("I9", stored(topics={"ideas.demand": [demand(2, 1, 1)]})),
    "a person who is newer than their card": ("I9", stored(cards={"p1": 2})),
    "an attempt that the ledger does not know": (
        "I9",
        stored(topics={"notifications.outbox": [("a1", frame("notifications.outbox", alert_id="a1", attempt=2))]}),
    ),
}


@pytest.mark.parametrize("what", WRONG_STORES)
def test_the_judge_finds_in_stores(what: str) -> None:
    name, evidence = WRONG_STORES[what]
    assert name in broken(evidence)


def test_releases_may_frame_the_same_fact_otherwise_where_several_are_at_work() -> None:
    number, body = 2, {"decision_id": "d2", "type": "linked", "workspace": "w", "board": "b", "sequence": 2, "event_id": "e1", **LINK}
    times = dict.fromkeys(("occurred_at", "ingested_at"), datetime(2026, 1, 1, tzinfo=UTC))
    again = (f"d{number}", framed("board.decisions", {**body, **times}, versions_of("board.decisions")[-1]))
    first = [decision(1, "opened", "e1", idea_id=_IDEA), (f"d{number}", framed("board.decisions", {**body, **times}, 1))]
    assert "I3" in broken(world(topics={"board.decisions": [*first, again]}))
    assert broken(world(topics={"board.decisions": [*first, again]}, releases=2)) == {}


def test_what_newer_news_outdated_need_not_be_stored() -> None:
    twice = [("f1", b'{"id": "f1", "revision": 1}'), ("f1", b'{"id": "f1", "revision": 0}')]
    assert broken(stored(topics={"feedback.raw": twice})) == {}


@pytest.mark.parametrize(("shipped", "owed"), [("below", {"p1"}), ("root", {"p1", "p2"}), ("beside", set())])
def test_what_shipped_is_owed_to_those_whose_pointers_lead_there(shipped: str, owed: set[str]) -> None:
    """One that shipped and is then merged into another is no news to those who asked for the other."""
    boards = Boards()
    said = [
        {"type": "linked", "feedback_id": "f1", "idea_id": "below", "person_id": "p1"},
        {"type": "linked", "feedback_id": "f2", "idea_id": "root", "person_id": "p2"},
        {"type": "status_changed", "idea_id": shipped, "status": "shipped"},
        {"type": "merged", "idea_id": "below", "other_idea_id": "root"},
    ]
    for one in said:
        boards.take({"feedback_id": None, **one})
    assert set(boards.owed()) == {("root", person) for person in owed}
