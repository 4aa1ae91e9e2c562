"""The token in an unsubscribe link: whose wish it carries out, signed, so that nobody can unsubscribe anybody else.

The notifier writes links, ingest's HTTP intake takes them back (RFC 8058). A token holds no address and does not expire: a mail may be
read years later, and the wish is then as good as on its day.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PATH = "/unsubscribe/"
"""Of the links, below the base URL; the token follows."""
_LONGEST = 1_000
_MAC_BYTES = 16
_SEPARATOR = "\x1f"
_FIELDS = 4


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a person may no longer want to hear of: *idea_id*, on *channel*; None means all of them."""

    workspace: str
    person_id: str
    channel: str | None = None
    idea_id: str | None = None


class UnsubscribeSettings(BaseSettings):
    """``GROUNDSWELL_UNSUBSCRIBE_*``: the links in what people are sent; the same for notifier and ingest."""

    model_config = SettingsConfigDict(env_prefix="GROUNDSWELL_UNSUBSCRIBE_", extra="ignore")

    url: str | None = Field(default=None, pattern=r"^https?://[^\s<>\"]+$")
    """Where the intake is reached from outside: ``https://feedback.example.com``; without it mails name an address only."""
    secret: SecretStr | None = Field(default=None, min_length=32)
    """What tokens are signed with."""
    former_secret: SecretStr | None = None
    """Still taken: links in mails live long."""

    @model_validator(mode="after")
    def _is_complete(self) -> UnsubscribeSettings:
        if (self.url is None) != (self.secret is None):
            raise ValueError("set both of url and secret, or neither")
        return self

    def secrets(self) -> Sequence[str]:
        """Return the secrets that tokens may be signed with, the present one first."""
        return [secret.get_secret_value() for secret in (self.secret, self.former_secret) if secret is not None]


def token_of(secret: str, subscription: Subscription) -> str:
    """Return the token that names *subscription*: letters, digits, ``-`` and ``_``."""
    fields = (subscription.workspace, subscription.person_id, subscription.channel or "", subscription.idea_id or "")
    payload = _SEPARATOR.join(fields).encode()
    return base64.urlsafe_b64encode(_mac(secret, payload) + payload).decode().rstrip("=")


def read_token(secrets: Sequence[str], token: str) -> Subscription | None:
    """Return what *token* names, if it was signed with one of *secrets*; None for anything else."""
    if len(token) > _LONGEST:
        return None
    try:
        signed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, payload = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
    if not any(hmac.compare_digest(mac, _mac(secret, payload)) for secret in secrets):
        return None
    fields = payload.decode().split(_SEPARATOR)
    if len(fields) != _FIELDS:
        return None
    workspace, person_id, channel, idea_id = fields
    return Subscription(workspace, person_id, channel or None, idea_id or None)


def _mac(secret: str, payload: bytes) -> bytes:
    return hmac.new(secret.encode(), payload, hashlib.sha256).digest()[:_MAC_BYTES]
