"""A check on the checker: each law must notice what it is there for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.common.deadletter import dead_letter
from services.common.events import Alert, BoardEvent, Decision, EnrichedFeedback, Event, Idea, IdeaDemand, NotificationOutcome
from services.common.outcome import Reject
from services.common.records import Record
from services.common.topics import load_topics
from services.console.context import codec
from services.console.demo.conservation import Check, checks

CODEC = codec()
RAW = ["feedback.raw"]


def raw(offset: int, body: object) -> Record:
    return Record("feedback.raw", 0, offset, 1_000, None, json.dumps(body).encode())


def of(*events: Event) -> list[Record]:
    return [Record(event.TOPIC, 0, offset, 2_000, event.key().encode(), CODEC.encode(event)) for offset, event in enumerate(events)]


EVENT = BoardEvent(
    event_id="e1",
    type="submitted",
    source="feedback",
    occurred_at=1,
    ingested_at=1,
    origin="feedback.raw/0/0",
    feedback_id="f1",
    workspace="w",
    board="b",
)
LINKED = Decision(
    decision_id="d1",
    type="linked",
    sequence=1,
    event_id="e1",
    occurred_at=1,
    ingested_at=1,
    idea_id="i1",
    feedback_id="f1",
    person_id="p1",
    workspace="w",
    board="b",
)
SHIPPED = Decision(
    decision_id="d2",
    type="status_changed",
    sequence=2,
    event_id="e2",
    occurred_at=2,
    ingested_at=2,
    idea_id="i1",
    status="shipped",
    workspace="w",
    board="b",
)
ENRICHED = EnrichedFeedback(
    feedback_id="f1",
    revision=0,
    enrichment_version=1,
    event_id="e1",
    decision_id="d1",
    source="feedback",
    external_id="x",
    idea_id="i1",
    root_id="i1",
    person_id="p1",
    text="t",
    retracted=False,
    primary_segment="s",
    segments_json="{}",
    definition_version="1",
    occurred_at=1,
    ingested_at=1,
    evaluated_at=1,
    workspace="w",
    board="b",
)
IDEA = Idea(
    idea_id="i1",
    version=2,
    root_id="i1",
    title="t",
    status="shipped",
    people=1,
    mentions=1,
    first_seen=1,
    last_seen=1,
    updated_at=2,
    workspace="w",
    board="b",
)
DEMAND = IdeaDemand(
    idea_id="i1",
    version=1,
    root_id="i1",
    people=1,
    accounts=0,
    mentions=1,
    mrr_cents=0,
    segments_json="{}",
    updated_at=1,
    workspace="w",
    board="b",
)
SENT = NotificationOutcome(
    outcome_id="o1",
    alert_id="a1",
    person_id="p1",
    idea_id="i1",
    root_id="i1",
    release_id="r",
    outcome="sent",
    reason="",
    attempt=1,
    occurred_at=3,
    channel="email",
    message_id="<m1>",
    workspace="w",
    board="b",
)
ALERT = Alert(
    alert_id="a2",
    person_id="p1",
    idea_id="i1",
    root_id="i1",
    feedback_id="f1",
    status="shipped",
    title="t",
    quote="q",
    attempt=1,
    created_at=3,
    release_id="r",
    workspace="w",
    board="b",
)
BURIED = dead_letter("ingest", raw(1, {"id": "?"}), Reject("missing_field", "text"))


def world(**replaced: list[Record]) -> dict[str, list[Record]]:
    """Return a little stack's topics, in which everything is in order."""
    records: dict[str, list[Record]] = {topic: [] for topic in load_topics()}
    records["feedback.raw"] = [raw(0, {"id": "x"}), raw(1, {"id": "?"}), raw(2, {"id": "x"})]
    records["ingest.deadletter"] = [Record("ingest.deadletter", 0, 0, 1, BURIED.key, BURIED.value, BURIED.headers)]
    for fact in (EVENT, ENRICHED, IDEA, DEMAND, SENT):
        records[fact.TOPIC] = of(fact)
    records["board.decisions"] = of(LINKED, SHIPPED)
    return records | {name.replace("_", "."): value for name, value in replaced.items()}


def wrong(records: dict[str, list[Record]], mails: Sequence[dict[str, str]] = ({"message_id": "<m1>"},)) -> list[str]:
    return [check.law for check in checks(CODEC, records, RAW, mails) if check.wrong]


def test_what_is_in_order_passes_with_its_numbers() -> None:
    found = checks(CODEC, world(), RAW, [{"message_id": "<m1>"}])
    assert [check.wrong for check in found] == [0] * 6
    assert Check("raw records → events", went_in=3, came_out=1, dead_lettered=1, repeated=1) == found[0]


@pytest.mark.parametrize(
    ("replaced", "law"),
    [
        ({"ingest_deadletter": []}, "raw records → events"),
        ({"feedback_raw": [raw(0, {"id": "x"}), raw(1, {"id": "?"}), raw(2, {"id": "lost"})]}, "raw records → events"),
        ({"board_decisions": of(SHIPPED)}, "board events → decisions"),
        ({"feedback_enriched": []}, "links → enriched feedback, each once"),
        ({"feedback_enriched": of(ENRICHED, ENRICHED)}, "links → enriched feedback, each once"),
        ({"ideas": of(replace(IDEA, mentions=2))}, "ideas and demand = a recount"),
        ({"ideas_demand": of(replace(DEMAND, mentions=0))}, "ideas and demand = a recount"),
        ({"ideas_demand": of(replace(DEMAND, people=2))}, "ideas and demand = a recount"),
        ({"notifications_log": []}, "who asked for what shipped → outcomes"),
        ({"notifications_log": of(replace(SENT, outcome="deferred"))}, "who asked for what shipped → outcomes"),
        ({"notifications_outbox": of(ALERT)}, "who asked for what shipped → outcomes"),
    ],
)
def test_what_is_missing_or_miscounted_is_noticed(replaced: dict[str, list[Record]], law: str) -> None:
    assert law in wrong(world(**replaced))


@pytest.mark.parametrize(
    "mails",
    [[], [{"message_id": "<m1>"}, {"message_id": "<m1>"}], [{"message_id": "<m1>"}, {"message_id": "<nobody knows it>"}]],
    ids=["never arrived", "arrived twice", "nobody sent it"],
)
def test_mails_are_counted(mails: list[dict[str, str]]) -> None:
    assert wrong(world(), mails) == ["sent → mails, each once"]


def test_a_stale_revision_is_no_loss() -> None:
    records = world(feedback_raw=[raw(0, {"id": "x", "revision": 2}), raw(1, {"id": "?"}), raw(2, {"id": "x", "revision": 1})])
    assert wrong(records) == []
