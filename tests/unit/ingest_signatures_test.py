"""Signatures of what is posted: the vendors' own examples, and that nothing but the right one will do."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from services.ingest.domain.intaking import Bucket, Deliveries
from services.ingest.domain.signatures import WINDOW_SECONDS, Refused, Scheme, delivery_id, secret_bytes, verify

NOW = 1_790_000_000
_SECRET = b"s3cret"
_WHSEC = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


def _mac(signed: bytes, kind: str = "sha256") -> bytes:
    return hmac.new(_SECRET, signed, kind).digest()


def signed(scheme: Scheme, body: bytes, at: int = NOW) -> Mapping[str, str]:
    """Return the headers with which a sender posts *body*."""
    stamp, moment = str(at), datetime.fromtimestamp(at, UTC)
    iso = moment.isoformat().replace("+00:00", "Z")
    headers: dict[Scheme, Callable[[], dict[str, str]]] = {
        "slack": lambda: {
            "X-Slack-Signature": "v0=" + _mac(b"v0:" + stamp.encode() + b":" + body).hex(),
            "X-Slack-Request-Timestamp": stamp,
        },
        "github": lambda: {"X-Hub-Signature-256": "sha256=" + _mac(body).hex(), "X-GitHub-Delivery": "d-1"},
        "zendesk": lambda: {
            "X-Zendesk-Webhook-Signature": base64.b64encode(_mac(iso.encode() + body)).decode(),
            "X-Zendesk-Webhook-Signature-Timestamp": iso,
        },
        "intercom": lambda: {"X-Hub-Signature": "sha1=" + _mac(body, "sha1").hex()},
        "typeform": lambda: {"Typeform-Signature": "sha256=" + base64.b64encode(_mac(body)).decode()},
        "standard": lambda: {
            "webhook-id": "msg-1",
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,AAAA {Webhook(_WHSEC).sign('msg-1', moment, body.decode())}",
        },
        "hmac": lambda: {"X-Signature-256": _mac(stamp.encode() + b"." + body).hex(), "X-Signature-Timestamp": stamp},
    }
    return headers[scheme]()


SCHEMES: list[Scheme] = ["slack", "github", "zendesk", "intercom", "typeform", "standard", "hmac"]


def _key(scheme: Scheme) -> bytes:
    return secret_bytes(scheme, _WHSEC if scheme == "standard" else _SECRET.decode())


@pytest.mark.parametrize("scheme", SCHEMES)
@given(text=st.text(max_size=50), other=st.text(max_size=50))
@settings(max_examples=15)
def test_what_the_sender_signed_is_believed_and_nothing_else(scheme: Scheme, text: str, other: str) -> None:
    body, headers = text.encode(), signed(scheme, text.encode())
    assert verify(scheme, [b"another", _key(scheme)], headers, body, NOW) is None
    assert verify(scheme, [b"another"], headers, body, NOW) == Refused("bad_signature")
    assert verify(scheme, [_key(scheme)], {}, body, NOW) == Refused("unsigned")
    if other != text:
        assert verify(scheme, [_key(scheme)], headers, other.encode(), NOW) == Refused("bad_signature")


@pytest.mark.parametrize("scheme", ["slack", "zendesk", "standard", "hmac"])
@pytest.mark.parametrize("ago", [-WINDOW_SECONDS - 1, WINDOW_SECONDS + 1])
def test_what_was_signed_long_ago_is_a_replay(scheme: Scheme, ago: int) -> None:
    headers = signed(scheme, b"{}", NOW - ago)
    assert verify(scheme, [_key(scheme)], headers, b"{}", NOW) == Refused("out_of_window")


@pytest.mark.parametrize("scheme", SCHEMES)
@given(garbage=st.text(max_size=40))
@settings(max_examples=25)
def test_garbage_in_a_header_is_refused_and_breaks_nothing(scheme: Scheme, garbage: str) -> None:
    for prefix in ("", "v0=", "sha256=", "sha1=", "v1,"):
        headers = dict.fromkeys(signed(scheme, b"x"), prefix + garbage)
        assert verify(scheme, [_key(scheme)], headers, b"x", NOW) is not None


def test_the_example_in_githubs_documentation() -> None:
    headers = {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
    assert verify("github", [b"It's a Secret to Everybody"], headers, b"Hello, World!", NOW) is None


def test_a_plain_hmac_may_come_without_a_moment() -> None:
    headers = {"X-Signature-256": hmac.new(_SECRET, b"x", hashlib.sha256).hexdigest()}
    assert verify("hmac", [_SECRET], headers, b"x", NOW) is None


def test_a_delivery_is_named_by_its_sender() -> None:
    assert delivery_id("github", {"X-GitHub-Delivery": "d-1"}) == "d-1"
    assert delivery_id("github", {"X-GitHub-Delivery": "d-1", "Idempotency-Key": "k"}) == "k"
    assert delivery_id("typeform", {}) is None


def test_a_bucket_lets_its_burst_through_and_then_its_rate() -> None:
    bucket = Bucket(rate=2, burst=3)
    assert [bucket.wait(100) for _ in range(4)] == [0, 0, 0, 0.5]
    assert [bucket.wait(100.5), bucket.wait(100.5)] == [0, 0.5]
    assert [bucket.wait(200) for _ in range(4)].count(0) == 3


def test_deliveries_are_known_by_name_and_body_for_a_while() -> None:
    deliveries = Deliveries(most=2)
    for name in ("a", "b"):
        deliveries.accepted(name, b"x")
    assert [deliveries.known("a", b"x"), deliveries.known("a", b"y"), deliveries.known("c", b"x")] == ["accepted", "other_body", "new"]
    deliveries.accepted("c", b"x")
    assert deliveries.known("a", b"x") == "new"
