"""Outside records: one good one for every channel and topic, and every kind of poison with the reason that it must be given."""

from __future__ import annotations

import struct
from typing import Any

from services.common import ids
from tests.fakes_ingest import BOARD, CODEC, WORKSPACE

IDEA = f"{WORKSPACE}:idea:bntpndpit6a26o2ze6oqw4za"
OTHER_IDEA = f"{WORKSPACE}:idea:7mtyncuzimniojqa4j5oirv2"
ANN = ids.person_id(WORKSPACE, "email:ann@example.com")
BOB = ids.person_id(WORKSPACE, "email:bob@example.com")

EMAIL = {
    "message-id": "<1@example.com>",
    "from": "Ann Lee <Ann+lumora@example.com>",
    "date": "Sat, 21 Nov 2026 10:30:00 +0100",
    "subject": "Re: Your invoice",
    "text": "Let me lock a frame.\n\nOn Fri, 20 Nov 2026 at 09:00, Lumora wrote:\n> Your invoice\n> is attached\n\n-- \nAnn Lee\nAcme\n",
}
TICKET = {
    "ticket": {
        "id": 35436,
        "subject": "Export",
        "description": "PDF export drops the fonts.",
        "created_at": "2026-11-21T09:30:00Z",
        "url": "https://example.zendesk.com/api/v2/tickets/35436.json",
        "requester": {"email": "bob@example.com", "name": "Bob Ray", "external_id": 77, "locale": "en-US"},
    }
}
CHAT = {
    "team_id": "T1",
    "event": {"type": "message", "channel": "C1", "user": "U1", "text": "Any plans for dark mode?", "ts": "1790000000.000200"},
}
CHAT_EDIT = {
    "team_id": "T1",
    "event": {
        "type": "message",
        "subtype": "message_changed",
        "channel": "C1",
        "ts": "1790000060.000300",
        "message": {"user": "U1", "text": "Any plans for a dark mode?", "ts": "1790000000.000200", "edited": {"ts": "1790000059.000000"}},
        "previous_message": {"user": "U1", "text": "Any plans for dark mode?", "ts": "1790000000.000200"},
    },
}
CHAT_DELETE = {
    "team_id": "T1",
    "event": {
        "type": "message",
        "subtype": "message_deleted",
        "channel": "C1",
        "ts": "1790000120.000400",
        "deleted_ts": "1790000000.000200",
        "previous_message": {"user": "U1", "text": "Any plans for a dark mode?", "ts": "1790000000.000200"},
    },
}
REVIEW = {
    "data": {
        "type": "customerReviews",
        "id": "00000012-aaaa",
        "attributes": {
            "rating": 5,
            "title": "Almost perfect",
            "body": "Please add templates.",
            "reviewerNickname": "annlee",
            "createdDate": "2026-11-20T12:00:00-07:00",
            "territory": "USA",
        },
    }
}
NPS = {
    "event_type": "form_response",
    "form_response": {
        "token": "tok-1",
        "submitted_at": "2026-11-21T09:30:00Z",
        "hidden": {"email": "bob@example.com"},
        "answers": [
            {"type": "number", "number": 9, "field": {"id": "a", "type": "nps"}},
            {"type": "text", "text": "Faster loading of big boards.", "field": {"id": "b", "type": "long_text"}},
        ],
    },
}
CANONICAL = {
    "id": "m-1",
    "workspace": WORKSPACE,
    "board": BOARD,
    "text": "Sticky notes in more colours.",
    "occurred_at": "2026-11-21T09:30:00Z",
    "author": {"email": "ann@example.com", "name": "Ann Lee", "alias": "slack:U1", "crm_id": "c-1"},
    "channel": "forum",
    "language": "en",
}
PROFILE = {
    "id": "c-1",
    "workspace": WORKSPACE,
    "email": "ann@example.com",
    "updated_at": "2026-11-21T09:30:00Z",
    "name": "Ann Lee",
    "account": "acme",
    "traits": {"role": "designer", "seats": 12},
    "language": "en",
}
ACCOUNT = {"id": "acme", "workspace": WORKSPACE, "updated_at": "2026-11-21T09:30:00Z", "name": "Acme", "plan": "business", "mrr": 1299.9}
ACTIVITY = {"id": "a-1", "workspace": WORKSPACE, "person": {"email": "ann@example.com"}, "name": "board_exported"}
PREFERENCE = {
    "id": "p-1",
    "workspace": WORKSPACE,
    "person": {"crm_id": "c-1"},
    "channel": "email",
    "opted_out": True,
    "updated_at": "2026-11-21T09:30:00Z",
}
COMMAND = {
    "id": "k-1",
    "workspace": WORKSPACE,
    "board": BOARD,
    "command": "merge",
    "actor": "kim",
    "idea_id": IDEA,
    "other_idea_id": OTHER_IDEA,
}
STATUS = {
    "id": "s-1",
    "workspace": WORKSPACE,
    "board": BOARD,
    "idea_id": IDEA,
    "status": "shipped",
    "release_id": "4.2",
    "release_name": "Spring",
    "updated_at": "2026-11-21T09:30:00Z",
}
JOIN = {"id": "j-1", "workspace": WORKSPACE, "command": "join", "person_id": ANN, "other_person_id": BOB}

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("accounts.raw", ACCOUNT),
    ("people.raw", PROFILE),
    ("activity.raw", ACTIVITY),
    ("preferences.raw", PREFERENCE),
    ("people.commands", JOIN),
    ("ideas.commands", COMMAND),
    ("ideas.status", STATUS),
    ("feedback.raw", CANONICAL),
    ("feedback.raw.email", EMAIL),
    ("feedback.raw.ticket", TICKET),
    ("feedback.raw.chat", CHAT),
    ("feedback.raw.chat", CHAT_EDIT),
    ("feedback.raw.chat", CHAT_DELETE),
    ("feedback.raw.review", REVIEW),
    ("feedback.raw.nps", NPS),
]
"""(topic, value)"""


def framed(number: int, body: bytes = b"\x02x") -> bytes:
    """Return *body* under the schema id *number*."""
    return struct.pack(">bI", 0, number) + body


_FOREIGN = CODEC.schemas.newest("board.events-value").id
_OWN = CODEC.schemas.newest("feedback.raw-value").id

_JSON = b'{"id":"x","workspace":"lumora","board":"product","text":"%s"}'

POISON: list[tuple[str, bytes | None, str]] = [
    ("feedback.raw", b"\xde\xad\xbe\xef", "bad_utf8"),
    ("feedback.raw", b"garbage", "not_json"),
    ("feedback.raw", b"", "not_json"),
    ("feedback.raw", None, "null_value"),
    ("feedback.raw", b"[]", "wrong_type"),
    ("feedback.raw", b"null", "wrong_type"),
    ("feedback.raw", framed(4_000_000), "unknown_schema"),
    ("feedback.raw", framed(_FOREIGN), "wrong_schema"),
    ("feedback.raw", framed(_OWN, b"\xff\xff\xff"), "undecodable"),
    ("feedback.raw", b"\x00\x01", "not_framed"),
    ("feedback.raw", b'{"workspace":"lumora","board":"product","text":"hi"}', "missing_field"),
    ("feedback.raw", b'{"id":"x","board":"product","text":"hi"}', "missing_field"),
    ("feedback.raw", b'{"id":"x","workspace":"lumora","text":"hi"}', "missing_field"),
    ("feedback.raw", b'{"id":"x","workspace":"lumora","board":"product"}', "missing_field"),
    ("feedback.raw", b'{"id":"x","workspace":"lumora","board":"product","text":7}', "wrong_type"),
    ("feedback.raw", b'{"id":"x","workspace":"lumora","board":"product","text":"hi","revision":-1}', "out_of_range"),
    ("feedback.raw", b'{"id":"x","workspace":"lumora","board":"product","text":"hi","occurred_at":"soon"}', "bad_timestamp"),
    ("feedback.raw", b'{"id":"x","workspace":"lumora","board":"product","text":"hi","author":{"email":"ann"}}', "bad_email"),
    ("feedback.raw", b'{"id":"x","workspace":"lumora","board":"product","text":"hi","author":{"alias":"ann"}}', "bad_alias"),
    ("feedback.raw", b'{"id":"%s","workspace":"lumora","board":"product","text":"hi"}' % (b"x" * 600), "too_long"),
    ("feedback.raw", b'{"id":"x","workspace":"Lumora!","board":"product","text":"hi"}', "bad_slug"),
    ("feedback.raw", _JSON % b"  ", "text_empty"),
    ("feedback.raw", _JSON % (b"x" * 1_000_000), "text_too_long"),
    ("feedback.raw", _JSON % b"\xff\xfe", "bad_utf8"),
    ("feedback.raw", b'{"id":' + b"[" * 500 + b"]" * 500 + b"}", "too_deep"),
    ("feedback.raw", b'{"id":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "too_deep"),
    ("feedback.raw", b'{"a":' * 50_000, "too_deep"),
    ("feedback.raw.email", b"{}", "missing_field"),
    ("feedback.raw.email", b'{"message-id":"<2>","text":"> only\\n> quotes"}', "text_empty"),
    ("feedback.raw.email", b'{"message-id":"<2>","text":"hi","date":"yesterday"}', "bad_timestamp"),
    ("feedback.raw.email", b'{"message-id":"<2>","text":"hi","subject":7}', "mapping_failed"),
    ("feedback.raw.email", b'{"message-id":"<2>","text":"hi","date":7}', "bad_timestamp"),
    ("feedback.raw.email", b'{"message-id":"<2>","text":"%s"}' % (b"> x\\n" * 60_000), "text_too_long"),
    ("feedback.raw.chat", b'{"event":{"text":"hi","ts":"1.0"}}', "mapping_failed"),
    ("feedback.raw.review", b"[1,2]", "missing_field"),
    ("people.raw", b'{"workspace":"lumora","updated_at":"2026-11-21T00:00:00Z"}', "missing_field"),
    ("people.raw", b'{"workspace":"lumora","id":1,"updated_at":"2026-11-21T00:00:00Z","traits":{"a":[]}}', "wrong_type"),
    ("accounts.raw", b'{"workspace":"lumora","id":"a","updated_at":"2026-11-21T00:00:00Z","mrr":-5}', "out_of_range"),
    ("activity.raw", b'{"workspace":"lumora","id":"a","person":{},"name":"x"}', "missing_field"),
    ("preferences.raw", b'{"workspace":"lumora","id":"a","person":{"crm_id":1},"updated_at":"2026-11-21T00:00:00Z"}', "missing_field"),
    ("ideas.commands", b'{"workspace":"lumora","board":"product","id":"k","command":"explode","actor":"kim"}', "unknown_command"),
    ("ideas.status", b'{"workspace":"lumora","board":"product","id":"s","idea_id":"x","status":"s"}', "bad_id"),
    ("ideas.status", b'{"workspace":"lumora","board":"product","id":"s","idea_id":"acme:idea:x","status":"s"}', "workspace_mismatch"),
    ("people.commands", b'{"workspace":"lumora","id":"j","command":"marry"}', "unknown_command"),
    ("people.commands", b'{"workspace":"lumora","id":"j","command":"join","person_id":"lumora:idea:x"}', "bad_id"),
]
"""(topic, value, reason)"""
