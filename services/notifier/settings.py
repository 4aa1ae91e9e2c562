"""The notifier's environment."""

from __future__ import annotations

from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.paths import EXAMPLES
from services.common.settings import Settings
from services.notifier.domain.telling import Schedule


class NotifierSettings(Settings):
    """``GROUNDSWELL_*``: what all services share, and the notifier's own."""

    notifications_file: Path = EXAMPLES / "notifications.yaml"
    templates_dir: Path = EXAMPLES / "templates"
    outbox_due_records: int = Field(default=1_000, ge=1)
    """So many due rows a tick are taken up at most."""


class SmtpSettings(BaseSettings):
    """``GROUNDSWELL_SMTP_*``: the mail server and how to talk to it."""

    model_config = SettingsConfigDict(env_prefix="GROUNDSWELL_SMTP_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=25, ge=1, le=65_535)
    tls: Literal["none", "starttls", "tls"] = "none"
    tls_ca_file: Path | None = None
    """For a server with a private authority."""
    username: str | None = None
    password: SecretStr | None = None
    sender: str = "Groundswell <notifications@groundswell.example>"
    """The From header; its domain also ends every Message-ID."""
    unsubscribe: str | None = None
    """The address that List-Unsubscribe names; without it the sender's."""
    timeout_seconds: float = Field(default=10.0, gt=0)
    """For opening a connection, and for one mail."""
    connections: int = Field(default=4, ge=1, le=64)
    """So many mails are on their way at once."""
    batch_seconds: float = Field(default=10.0, gt=0)
    """After so long the rest of a batch is put off; with ``timeout_seconds`` it must stay below GROUNDSWELL_LIVENESS_SECONDS."""
    retry_base_seconds: float = Field(default=30.0, gt=0)
    retry_longest_seconds: float = Field(default=3_600.0, gt=0)
    retry_attempts: int = Field(default=60, ge=1)
    """After so many failures an alert has failed."""
    retry_hours: float = Field(default=48.0, gt=0)
    """So long after its first failure an alert has failed."""

    @field_validator("sender", "unsubscribe")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if any(not character.isprintable() for character in value):
            raise ValueError("has characters that no header may hold")
        address = parseaddr(value)[1]
        try:
            complete = bool(Address(addr_spec=address).domain) and address.isascii()
        except (ValueError, IndexError):
            complete = False
        if not complete:
            raise ValueError("expected an address such as Lumora <hello@lumora.example>")
        return value

    @model_validator(mode="after")
    def _is_complete(self) -> SmtpSettings:
        if (self.username is None) != (self.password is None):
            raise ValueError("set both of username and password, or neither")
        return self

    def schedule(self) -> Schedule:
        """Return when failed attempts are made again."""
        return Schedule(self.retry_base_seconds, self.retry_longest_seconds, self.retry_attempts, self.retry_hours)
