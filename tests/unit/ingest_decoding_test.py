"""Bytes from anyone: they become an input or one of the named faults, and nothing else ever."""

from __future__ import annotations

import asyncio
import io
import struct
from typing import Any

import fastavro
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.common import ids
from services.common.outcome import Drop, Emit, Reject
from services.ingest.domain.faults import FAULTS
from tests.fakes_ingest import CHANNELS, CODEC, WORKSPACE, Front, events_of, feedback, raw
from tests.ingest_samples import ACCOUNT, ANN, CANONICAL, CHAT, CHAT_DELETE, CHAT_EDIT, GOOD, POISON, PROFILE, REVIEW

_TOPICS = sorted({*CHANNELS.topics(), *(topic for topic, _ in GOOD)})


@pytest.mark.parametrize(("topic", "value", "reason"), POISON, ids=lambda part: repr(part)[:60])
def test_every_poison_is_refused_with_its_reason(topic: str, value: bytes | None, reason: str) -> None:
    outcome = Front().outcome(raw(topic, 0, value))
    assert isinstance(outcome, Reject)
    assert reason == outcome.reason
    assert outcome.reason in FAULTS
    assert len(outcome.detail) > 10


@pytest.mark.parametrize(("topic", "value"), GOOD, ids=lambda part: repr(part)[:60])
def test_every_sample_is_taken(topic: str, value: dict[str, Any]) -> None:
    assert isinstance(Front().outcome(raw(topic, 0, value)), Emit)


def test_poison_does_not_harm_its_neighbours() -> None:
    records = [
        record for n, (topic, value, _) in enumerate(POISON) for record in (raw(topic, 2 * n, value), feedback(2 * n + 1, id=str(n)))
    ]
    outcomes = asyncio.run(Front().take(records))
    assert [Reject, Emit] * len(POISON) == [type(outcome) for outcome in outcomes]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70).filter(lambda n: -(2**63) <= n < 2**64) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_NAMES = st.sampled_from(sorted({name for _, value in GOOD for name in value}))


@st.composite
def _twisted(draw: st.DrawFn) -> tuple[str, bytes]:
    """A good record in which something is replaced, added or left out, at any depth."""
    topic, value = draw(st.sampled_from(GOOD))
    twisted = orjson.loads(orjson.dumps(value))
    for _ in range(draw(st.integers(1, 3))):
        place = twisted
        while (
            isinstance(place, dict)
            and place
            and draw(st.booleans())
            and isinstance(inner := place[draw(st.sampled_from(sorted(place)))], dict)
        ):
            place = inner
        if draw(st.booleans()) and place:
            place.pop(draw(st.sampled_from(sorted(place))))
        else:
            place[draw(st.sampled_from(sorted(place)) if place else _NAMES)] = draw(_JSON)
    return topic, orjson.dumps(twisted)


_GARBAGE = st.tuples(
    st.sampled_from(_TOPICS), st.binary(max_size=200) | _JSON.map(orjson.dumps) | st.binary(max_size=60).map(lambda body: b"\x00" + body)
)


@given(entries=st.lists(_GARBAGE | _twisted(), min_size=1, max_size=6))
@example(entries=[("feedback.raw.chat", b'{"event":{"message":[],"ts":1e308,"user":"u","channel":"c"}}')])
@example(entries=[("accounts.raw", b'{"id":"a","workspace":"w","updated_at":"9999-12-31T23:59:59-12:00","mrr":"1e999999999"}')])
@example(entries=[("feedback.raw.email", b'{"message-id":"x","text":"hi","date":"Mon, 99 Foo 99999999999 99:99:99 +9999"}')])
def test_whatever_comes_there_is_an_outcome(entries: list[tuple[str, bytes]]) -> None:
    outcomes = asyncio.run(Front().take([raw(topic, offset, value) for offset, (topic, value) in enumerate(entries)]))
    assert len(entries) == len(outcomes)
    for outcome in outcomes:
        assert isinstance(outcome, Emit | Drop | Reject)
        assert not isinstance(outcome, Reject) or outcome.reason in FAULTS


@given(
    number=st.sampled_from([version.id for versions in CODEC.schemas.subjects().values() for version in versions]),
    body=st.binary(max_size=80),
)
def test_whatever_lies_in_a_frame_there_is_an_outcome(number: int, body: bytes) -> None:
    for topic in _TOPICS:
        assert Front().outcome(raw(topic, 0, struct.pack(">bI", 0, number) + body)) is not None


_SECRETS = ["ann.secret@example.com", "Geheim Name", "my secret wish", "secret-slug-value"]


@given(where=st.sampled_from(sorted(CANONICAL)), secret=st.sampled_from(_SECRETS), wrapped=st.booleans())
def test_a_detail_quotes_nothing_of_the_record(where: str, secret: str, wrapped: bool) -> None:
    front = Front(text_limit=5)
    outcome = front.outcome(raw("feedback.raw", 0, CANONICAL | {where: [secret] if wrapped else secret}))
    if isinstance(outcome, Reject):
        assert secret not in outcome.detail


def _framed(topic: str, fields: dict[str, Any]) -> bytes:
    """Return the frame that a producer writes by fastavro alone."""
    version = CODEC.schemas.newest(f"{topic}-value")
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(dict(version.schema)), fields)
    return struct.pack(">bI", 0, version.id) + body.getvalue()


def test_framed_avro_says_the_same_as_json() -> None:
    moment = {"occurred_at": 1_795_253_400_000_000}
    as_json = Front().outcome(raw("feedback.raw", 3, CANONICAL))
    assert as_json == Front().outcome(raw("feedback.raw", 3, _framed("feedback.raw", CANONICAL | moment)))
    profile = {name: value for name, value in PROFILE.items() if name != "traits"}
    framed = profile | {"traits_json": '{"seats": 12, "role": "designer"}', "updated_at": moment["occurred_at"]}
    assert Front().outcome(raw("people.raw", 3, PROFILE)) == Front().outcome(raw("people.raw", 3, _framed("people.raw", framed)))
    account = {name: value for name, value in ACCOUNT.items() if name != "mrr"} | {
        "mrr_cents": 129_990,
        "updated_at": moment["occurred_at"],
    }
    assert Front().outcome(raw("accounts.raw", 3, ACCOUNT)) == Front().outcome(raw("accounts.raw", 3, _framed("accounts.raw", account)))


def test_a_number_for_a_moment_is_refused_in_json() -> None:
    outcome = Front().outcome(feedback(0, occurred_at=1_795_253_400))
    assert isinstance(outcome, Reject)
    assert outcome.reason == "bad_timestamp"


def test_a_record_that_disagrees_with_its_channel_is_refused() -> None:
    (spec,) = (channel for channel in CHANNELS.channels if channel.topic == "feedback.raw")
    assert spec.workspace is None  # any workspace
    channels = CHANNELS.model_copy(
        update={"channels": [spec.model_copy(update={"workspace": WORKSPACE, "board": "product", "named": ["forum"]})]}
    )
    front = Front(channels=channels)
    for fields, reason in (({"workspace": "acme"}, "workspace_mismatch"), ({"channel": "elsewhere"}, "unknown_channel")):
        outcome = front.outcome(feedback(0, **fields))
        assert isinstance(outcome, Reject)
        assert reason == outcome.reason
    (event,) = [e for e in front.events(feedback(1, workspace=None, board=None, channel="forum")) if e.TOPIC == "board.events"]
    assert (event.workspace, event.board, event.source) == (WORKSPACE, "product", "forum")


def test_chat_edits_and_deletions_speak_of_the_same_message() -> None:
    events = list(Front().events(*(raw("feedback.raw.chat", n, v) for n, v in enumerate((CHAT, CHAT_EDIT, CHAT_DELETE)))))
    board = [event for event in events if event.TOPIC == "board.events"]
    assert [event.type for event in board] == ["submitted", "revised", "retracted"]
    assert len({event.feedback_id for event in board}) == 1
    assert [event.revision for event in board] == [0, 1_790_000_059_000_000, 1_790_000_120_000_400]
    assert [event.text for event in board] == ["Any plans for dark mode?", "Any plans for a dark mode?", None]
    assert {ids.person_id(WORKSPACE, "slack:U1")} == {event.person_id for event in board}


def test_the_parsed_mail_is_the_authors_own_words() -> None:
    topic, value = next(sample for sample in GOOD if sample[0] == "feedback.raw.email")
    alias, contact, event = events_of(Front().outcome(raw(topic, 0, value)))
    assert (alias.alias, contact.address, contact.name) == ("email:ann@example.com", "Ann+lumora@example.com", "Ann Lee")
    assert (event.text, event.external_id, event.person_id) == ("Let me lock a frame.", "<1@example.com>", ANN)
    assert event.occurred_at == 1_795_253_400_000_000


def test_a_review_brings_its_stars_and_its_edit_replaces_it() -> None:
    later = orjson.loads(orjson.dumps(REVIEW))
    later["data"]["attributes"] |= {"rating": 2, "createdDate": "2026-11-21T12:00:00-07:00"}
    events = [
        e for e in Front().events(raw("feedback.raw.review", 0, REVIEW), raw("feedback.raw.review", 1, later)) if e.TOPIC == "board.events"
    ]
    assert [(event.type, event.rating) for event in events] == [("submitted", 5.0), ("revised", 2.0)]
