"""Somebody writes, a customer asks: the vote is the customer's, who wrote is recorded, in every channel that tells the two apart."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import ids
from services.common.outcome import Drop
from services.common.paths import EXAMPLES
from services.ingest.channels import load_channels
from services.ingest.domain.forwarding import forwarded
from services.ingest.domain.mail import parse_mail
from tests.fakes_ingest import WORKSPACE, Front, raw
from tests.payloads import payloads

VENDORS = load_channels(EXAMPLES / "vendors.yaml")
KIM, BOB = "kim@lumora.example", "bob@acme.example"
_HEAD = "Message-ID: <1@x>\r\nDate: Sat, 21 Nov 2026 10:30:00 +0100\r\nTo: feedback@lumora.example\r\n"
_GMAIL = (
    f"---------- Forwarded message ---------\r\nFrom: Bob Ray <{BOB}>\r\nDate: Fri, 20 Nov 2026\r\nSubject: Boards\r\nTo: <{KIM}>\r\n\r\n"
    "Please let me lock a frame.\r\n\r\nBob\r\n"
)
_OUTLOOK = f"From: Bob Ray <{BOB}>\r\nSent: Friday\r\nTo: Kim\r\nSubject: Boards\r\n\r\nPlease let me lock a frame.\r\n"
_APPLE = f"Begin forwarded message:\r\n\r\n> From: Bob Ray <{BOB}>\r\n> Subject: Boards\r\n> \r\n> Please let me lock a frame.\r\n"
_ATTACHED = (
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\r\n--b\r\n'
    f"Content-Type: message/rfc822\r\n\r\nFrom: Bob Ray <{BOB}>\r\nSubject: Boards\r\n\r\nPlease let me lock a frame.\r\n--b--\r\n"
)


def _said(channel: str, value: Any) -> Any:
    events = Front(channels=VENDORS).events(raw(f"feedback.raw.{channel}", 0, value))
    return next(event for event in events if event.TOPIC == "board.events")


def _person(alias: str) -> str:
    return ids.person_id(WORKSPACE, alias)


def _mail(head: str, body: str) -> bytes:
    return f"{_HEAD}{head}{body if body.startswith('MIME') else f'{chr(13)}{chr(10)}{body}'}".encode()


@pytest.mark.parametrize("body", [_GMAIL, _OUTLOOK, _APPLE, _ATTACHED], ids=["gmail", "outlook", "apple", "attached"])
def test_a_customers_mail_that_one_of_us_passes_on_is_the_customers(body: str) -> None:
    said = _said("mail", _mail(f"From: Kim <{KIM}>\r\nSubject: Fwd: Boards\r\n", body))
    assert (said.person_id, said.actor) == (_person(f"email:{BOB}"), _person(f"email:{KIM}"))
    assert said.text.startswith("Please let me lock a frame.")


@pytest.mark.parametrize("body", [_GMAIL, _OUTLOOK, _APPLE, _ATTACHED], ids=["gmail", "outlook", "apple", "attached"])
def test_nobody_else_can_have_another_ask_by_passing_on(body: str) -> None:
    mail = _mail("From: Eve <eve@evil.example>\r\nSubject: Fwd: Boards\r\n", body)
    outcome = Front(channels=VENDORS).outcome(raw("feedback.raw.mail", 0, mail))
    assert _person(f"email:{BOB}") not in repr(outcome)


def test_who_adds_words_of_their_own_passes_nothing_on() -> None:
    said = _said("mail", _mail(f"From: Kim <{KIM}>\r\nSubject: Fwd: Boards\r\n", f"We should build this.\r\n\r\n{_GMAIL}"))
    assert (said.text, said.person_id, said.actor) == ("Fwd: Boards\n\nWe should build this.", _person(f"email:{KIM}"), None)


@pytest.mark.parametrize("header", [f"Sender: {KIM}", f"Resent-From: Kim <{KIM}>"])
def test_a_secretary_and_who_redirects_are_agents(header: str) -> None:
    said = _said("mail", _mail(f"From: Bob <{BOB}>\r\n{header}\r\nSubject: Boards\r\n", "Lock a frame.\r\n"))
    assert (said.person_id, said.actor) == (_person(f"email:{BOB}"), _person(f"email:{KIM}"))


@pytest.mark.parametrize("header", [f"Sender: {BOB}", f"List-Id: <x.example>\r\nSender: {KIM}"])
def test_who_sends_for_oneself_or_by_a_list_has_no_agent(header: str) -> None:
    said = _said("mail", _mail(f"From: Bob <{BOB}>\r\n{header}\r\nSubject: Boards\r\n", "Lock a frame.\r\n"))
    assert (said.person_id, said.actor) == (_person(f"email:{BOB}"), None)


_ASKED_FOR = [
    ("calls", 0, "email:bob@example.com", "email:kim@lumora.example"),
    ("zendesk", -1, "zendesk:8447388090494", "zendesk:8447320465790"),
    ("intercom", -1, "intercom:6762f19b1bb69f9f2193bbad", "intercom:991267645"),
]


@pytest.mark.parametrize(("channel", "example", "asked", "wrote"), _ASKED_FOR)
def test_what_was_written_down_for_a_customer_is_the_customers(channel: str, example: int, asked: str, wrote: str) -> None:
    said = _said(channel, [value for name, value in payloads() if name == channel][example])
    assert (said.person_id, said.actor) == (_person(asked), _person(wrote))


@pytest.mark.parametrize(("channel", "example"), [("zendesk", 0), ("intercom", 0)])
def test_who_asks_for_oneself_has_no_agent(channel: str, example: int) -> None:
    value = orjson.loads([value for name, value in payloads() if name == channel][example])
    if channel == "zendesk":
        value["detail"]["submitter_id"] = value["detail"]["requester_id"]
    assert _said(channel, value).actor is None


def test_an_automatic_answer_is_ignored_whoever_sends_it() -> None:
    mail = _mail(f"From: {BOB}\r\nSender: {KIM}\r\nAuto-Submitted: auto-replied\r\n", "I am away.\r\n")
    assert Front(channels=VENDORS).outcome(raw("feedback.raw.mail", 0, mail)) == Drop("ignored")


_LINES = st.sampled_from(
    ["From: Bob <b@x.example>", "De: b@x", "Von : x [mailto:b@x]", "To: x", "-- Forwarded message --", "> ", "", "words", "a:"]
)


@given(lines=st.lists(_LINES | st.text(max_size=8), max_size=12), subject=st.sampled_from([None, "Fwd: x", "WG:x", "x"]))
def test_what_is_passed_on_is_part_of_the_mail(lines: list[str], subject: str | None) -> None:
    text = "\n".join(lines)
    found = forwarded(subject, text)
    assert found is None or (found.address in text and "@" in found.address and found.text)
    assert found is None or found.text.split() == [word for word in found.text.split() if word in text]


@given(lines=st.lists(_LINES | st.text(max_size=8), max_size=12))
def test_any_mail_is_read(lines: list[str]) -> None:
    parse_mail(f"Subject: Fwd: x\r\nX: y\r\n\r\n{chr(10).join(lines)}".encode("utf-8", "replace"))
