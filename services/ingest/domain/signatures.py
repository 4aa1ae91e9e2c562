"""How senders sign what they post, and whether a signature is right. Pure: the moment and the secrets are given.

Each scheme is as its vendor documents it: Slack's v0 request signing, GitHub's ``X-Hub-Signature-256``, Zendesk's webhook signatures,
Intercom's ``X-Hub-Signature``, Typeform's ``Typeform-Signature``, the Standard Webhooks specification, and for all others a plain
HMAC-SHA256, over the body or over ``timestamp.body``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

Scheme: TypeAlias = Literal["slack", "github", "zendesk", "intercom", "typeform", "standard", "hmac"]
Headers: TypeAlias = Mapping[str, str]
"""By name, whatever its case."""

WINDOW_SECONDS = 300
"""A signed moment may differ from ours by so much: older requests are taken for replays."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request is not believed; *reason* is a metric label."""

    reason: Literal["unsigned", "bad_signature", "out_of_window"]


def verify(scheme: Scheme, secrets: Sequence[bytes], headers: Headers, body: bytes, now: float) -> Refused | None:
    """Return why the request is not its sender's; None where it is. Any of *secrets* will do, so that one can be changed for another.

    Compares in constant time. *now* is in seconds since the epoch.
    """
    signature, stamp = _SIGNATURE[scheme](headers), _STAMP[scheme](headers) if scheme in _STAMP else None
    if not signature or (scheme in _STAMPED and stamp is None):
        return Refused("unsigned")
    if stamp is not None:
        moment = _moment(stamp)
        if moment is None or abs(now - moment) > WINDOW_SECONDS:
            return Refused("out_of_window")
    signed = _SIGNED[scheme](headers, stamp or "", body)
    is_right = False
    for secret in secrets:
        for given in signature:
            is_right |= hmac.compare_digest(_digest(scheme, secret, signed), given)
    return None if is_right else Refused("bad_signature")


def delivery_id(scheme: Scheme, headers: Headers) -> str | None:
    """Return what names this very delivery, the same when it is tried again; None where the sender does not tell."""
    names = ("Idempotency-Key", _DELIVERY[scheme]) if scheme in _DELIVERY else ("Idempotency-Key",)
    return next((found for name in names if (found := headers.get(name))), None)


def secret_bytes(scheme: Scheme, secret: str) -> bytes:
    """Return the key that *secret* stands for.

    Raises:
        ValueError: A Standard Webhooks secret is not ``whsec_`` and base64.
    """
    if scheme != "standard":
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("expected whsec_ and base64") from None


def _digest(scheme: Scheme, secret: bytes, signed: bytes) -> bytes:
    return hmac.new(secret, signed, hashlib.sha1 if scheme == "intercom" else hashlib.sha256).digest()


def _hex(name: str, prefix: str) -> Callable[[Headers], list[bytes]]:
    def read(headers: Headers) -> list[bytes]:
        given = headers.get(name, "")
        try:
            return [bytes.fromhex(given.removeprefix(prefix))] if given.startswith(prefix) and given else []
        except ValueError:
            return []

    return read


def _base64(name: str, prefix: str = "") -> Callable[[Headers], list[bytes]]:
    def read(headers: Headers) -> list[bytes]:
        return [found for part in headers.get(name, "").split() if part.startswith(prefix) and (found := _plain(part.removeprefix(prefix)))]

    return read


def _plain(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _moment(stamp: str) -> float | None:
    try:
        return float(stamp) if stamp.isascii() and stamp.isdigit() else datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError):
        return None


_SIGNATURE: Mapping[Scheme, Callable[[Headers], list[bytes]]] = {
    "slack": _hex("X-Slack-Signature", "v0="),
    "github": _hex("X-Hub-Signature-256", "sha256="),
    "zendesk": _base64("X-Zendesk-Webhook-Signature"),
    "intercom": _hex("X-Hub-Signature", "sha1="),
    "typeform": _base64("Typeform-Signature", "sha256="),
    "standard": _base64("webhook-signature", "v1,"),
    "hmac": _hex("X-Signature-256", ""),
}
_STAMP: Mapping[Scheme, Callable[[Headers], str | None]] = {
    "slack": lambda headers: headers.get("X-Slack-Request-Timestamp"),
    "zendesk": lambda headers: headers.get("X-Zendesk-Webhook-Signature-Timestamp"),
    "standard": lambda headers: headers.get("webhook-timestamp"),
    "hmac": lambda headers: headers.get("X-Signature-Timestamp"),
}
_STAMPED = frozenset[Scheme]({"slack", "zendesk", "standard"})
"""Schemes that always sign a moment."""
_SIGNED: Mapping[Scheme, Callable[[Headers, str, bytes], bytes]] = {
    "slack": lambda _, stamp, body: b"v0:" + stamp.encode() + b":" + body,
    "github": lambda _, __, body: body,
    "zendesk": lambda _, stamp, body: stamp.encode() + body,
    "intercom": lambda _, __, body: body,
    "typeform": lambda _, __, body: body,
    "standard": lambda headers, stamp, body: f"{headers.get('webhook-id', '')}.{stamp}.".encode() + body,
    "hmac": lambda _, stamp, body: stamp.encode() + b"." + body if stamp else body,
}
_DELIVERY: Mapping[Scheme, str] = {
    "github": "X-GitHub-Delivery",
    "zendesk": "X-Zendesk-Webhook-Invocation-Id",
    "standard": "webhook-id",
}
