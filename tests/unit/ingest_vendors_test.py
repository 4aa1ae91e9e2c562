"""Each vendor's documented payload becomes what its author said, by YAML alone."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import orjson
import pytest

from services.common.outcome import Drop, Emit, Reject
from services.common.paths import EXAMPLES
from services.ingest.channels import load_channels
from tests.fakes_ingest import Front, events_of, raw
from tests.payloads import payloads

VENDORS = load_channels(EXAMPLES / "vendors.yaml")
_SAID: dict[str, list[tuple[str, str | None]]] = {
    "appstore": [("submitted", "Almost perfect\n\nPlease add templates.")],
    "calls": [
        ("submitted", "single sign-on over SAML"),
        ("submitted", "an audit log of who shared what"),
        ("submitted", "boards stored in the EU"),
    ],
    "canny": [("submitted", "Offline mode\n\nI travel a lot."), ("vote", "+1")],
    "csv": [("submitted", "Sticky notes, in more colours."), ("submitted", "Export as SVG")],
    "discord": [
        ("submitted", "Please add keyboard shortcuts for zoom"),
        ("vote", "+1"),
        ("revised", "Please add keyboard shortcuts for zoom and pan"),
        ("retracted", None),
    ],
    "github": [
        ("submitted", "Export as SVG\n\nWish\n\nPlease export as SVG.\n\n- frames\n- fonts"),
        ("vote", "+1"),
        ("revised", "Export as SVG and PNG\n\nWish\n\nPlease export as SVG.\n\n- frames\n- fonts"),
        ("submitted", "Voting\n\nAnonymous votes in retros?"),
        ("retracted", None),
    ],
    "intercom": [
        ("submitted", "Can boards be locked?"),
        ("submitted", "Frames too, please."),
        ("submitted", "Asked on the phone\n\nGuests who can only comment."),
    ],
    "mail": [("submitted", "Grüße! Let me lock a frame, please. My card is [card].")],
    "play": [("submitted", "It closes by itself when I rotate the tablet")],
    "productboard": [
        ("submitted", "Feedback from Acme"),
        ("submitted", "They need an audit log."),
        ("submitted", "And guests who can only comment."),
    ],
    "reddit": [("submitted", "Boards as templates?\n\nI rebuild our retro every week."), ("vote", "same here")],
    "slack": [
        ("submitted", "Any plans for dark mode in Lumora? 🙏"),
        ("vote", "👍"),
        ("submitted", "and high contrast & big fonts"),
        ("revised", "Any plans for a dark mode?"),
        ("retracted", None),
    ],
    "survey": [("submitted", "A timer that everyone can hear")],
    "typeform": [("submitted", "Faster loading of big boards.")],
    "uservoice": [("submitted", "Dark mode\n\nMy eyes hurt & I work at night.")],
    "x": [("submitted", "@lumora would be lovely to have offline boards https://t.co/a")],
    "zendesk": [
        ("submitted", "Export\n\nPDF export drops the fonts."),
        ("submitted", "It would help to embed them, as other tools do."),
        ("submitted", "By phone\n\nShe wants boards as templates."),
    ],
}
_PAYLOADS: dict[str, list[bytes]] = defaultdict(list)
for _name, _value in payloads():
    _PAYLOADS[_name].append(_value)


def _board(front: Front, name: str) -> list[Any]:
    records = [raw(f"feedback.raw.{name}", offset, value) for offset, value in enumerate(_PAYLOADS[name])]
    return [event for event in front.events(*records) if event.TOPIC == "board.events"]


def test_every_vendor_has_its_examples() -> None:
    assert {channel.name for channel in VENDORS.channels} == set(_SAID) == set(_PAYLOADS)


@pytest.mark.parametrize("name", sorted(_SAID))
def test_a_vendors_payload_becomes_what_its_author_said(name: str) -> None:
    events = _board(Front(channels=VENDORS), name)
    assert _SAID[name] == [("vote" if event.is_vote else event.type, event.text) for event in events]
    by_id = {event.feedback_id for event in events if not event.is_vote}
    assert {event.parent_id for event in events if event.is_vote} <= by_id
    assert all(event.occurred_at > 1_700_000_000_000_000 for event in events)


@pytest.mark.parametrize("name", sorted(_SAID))
def test_everyone_is_known_by_a_name_of_their_own(name: str) -> None:
    front = Front(channels=VENDORS)
    told = [event for value in _PAYLOADS[name] for event in events_of(front.outcome(raw(f"feedback.raw.{name}", 0, value)))]
    assert any(getattr(event, "alias", None) for event in told) or name == "mail"


@pytest.mark.parametrize("name", sorted(set(_SAID) - {"mail"}))
def test_a_payload_that_lacks_anything_still_has_an_outcome(name: str) -> None:
    front = Front(channels=VENDORS)
    for value in _PAYLOADS[name]:
        body = orjson.loads(value)
        records = [raw(f"feedback.raw.{name}", offset, _without(body, path)) for offset, path in enumerate(_paths(body))]
        assert all(isinstance(outcome, Emit | Drop | Reject) for outcome in asyncio.run(front.take(records)))


def _paths(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    found: list[tuple[Any, ...]] = [path] if path else []
    for key, value in inner:
        found += _paths(value, (*path, key))
    return found


def _without(body: Any, path: tuple[Any, ...]) -> Any:
    copy = orjson.loads(orjson.dumps(body))
    place = copy
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return copy


def test_a_mail_is_read_as_it_travels() -> None:
    (event,) = _board(Front(channels=VENDORS), "mail")
    assert (event.external_id, event.occurred_at, event.language) == ("<2@example.com>", 1_795_253_400_000_000, "en")
    assert "4111" not in orjson.dumps([event.text, event.original]).decode()
    alias, contact = [
        e for e in Front(channels=VENDORS).events(raw("feedback.raw.mail", 0, _PAYLOADS["mail"][0])) if e.TOPIC != "board.events"
    ]
    assert (alias.alias, contact.address, contact.name) == ("email:ann@example.com", "ann+lumora@example.com", "Ann Lé")


def test_the_whole_note_is_kept_beside_its_parts_and_masked() -> None:
    events = _board(Front(channels=VENDORS), "calls")
    assert len({event.feedback_id for event in events}) == 3
    assert {events[0].feedback_id} == {event.parent_id for event in events[1:]}
    assert all("[phone]" in event.original and "901820" not in event.original for event in events)


_UNFURLED = {"type": "message", "subtype": "message_changed", "channel": "C1", "ts": "1790000100.000100"}
_NO_WORDS = [
    ("slack", {"event": _UNFURLED | {"message": {"user": "U1", "text": "https://x.example", "ts": "1790000000.000200"}}}),
    ("discord", {"t": "MESSAGE_UPDATE", "d": {"id": "1142", "channel_id": "2", "embeds": [{"type": "link"}]}}),
]


@pytest.mark.parametrize(("name", "value"), _NO_WORDS)
def test_a_preview_that_a_chat_adds_to_a_message_is_no_edit(name: str, value: Any) -> None:
    assert Front(channels=VENDORS).outcome(raw(f"feedback.raw.{name}", 0, value)) == Drop("ignored")
