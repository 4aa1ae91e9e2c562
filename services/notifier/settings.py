"""The notifier's environment."""

from __future__ import annotations

from email.headerregistry import Address
from email.utils import parseaddr
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.paths import EXAMPLES
from services.common.settings import Settings
from services.notifier.adapters.posting import Reach
from services.notifier.domain.telling import Schedule


class NotifierSettings(Settings):
    """``GROUNDSWELL_*``: what all services share, and the notifier's own."""

    notifications_file: Path = EXAMPLES / "notifications.yaml"
    templates_dir: Path = EXAMPLES / "templates"
    outbox_due_records: int = Field(default=1_000, ge=1)
    """So many due rows a tick are taken up at most."""


class PostSettings(BaseSettings):
    """What all channels share that post to other people's servers."""

    timeout_seconds: float = Field(default=20.0, gt=0)
    """For one post; with ``GROUNDSWELL_SMTP_BATCH_SECONDS`` it must stay below GROUNDSWELL_LIVENESS_SECONDS."""
    connections: int = Field(default=16, ge=1, le=256)
    connections_a_host: int = Field(default=4, ge=1, le=64)
    allow_http: bool = False
    """Without TLS everybody on the way reads along: for networks of one's own."""
    allow_networks: list[IPvAnyNetwork] = Field(default_factory=list)
    """Networks that are reached although they are not public, a JSON list: ``["10.1.0.0/16"]``."""

    def reach(self) -> Reach:
        """Return how the channel may post."""
        networks = [ip_network(str(network)) for network in self.allow_networks]
        return Reach(self.timeout_seconds, self.connections, self.connections_a_host, networks, plain=self.allow_http)


class WebhookSettings(PostSettings):
    """``GROUNDSWELL_WEBHOOK_*``: the channel ``webhook``."""

    model_config = SettingsConfigDict(env_prefix="GROUNDSWELL_WEBHOOK_", extra="ignore")

    secret: SecretStr | None = Field(default=None, min_length=32)
    """What each address's own secret is made of (``services.notifier.adapters.webhook.secret_of``)."""
    former_secret: SecretStr | None = None
    """While receivers change over, messages are signed with both."""


class SlackSettings(PostSettings):
    """``GROUNDSWELL_SLACK_*``: the channel ``slack``."""

    model_config = SettingsConfigDict(env_prefix="GROUNDSWELL_SLACK_", extra="ignore")

    hosts: list[str] = Field(default_factory=lambda: ["hooks.slack.com", "hooks.slack-gov.com"])
    """Where incoming webhooks may lie."""


class AppriseSettings(BaseSettings):
    """``GROUNDSWELL_APPRISE_*``: the channel ``apprise``."""

    model_config = SettingsConfigDict(env_prefix="GROUNDSWELL_APPRISE_", extra="ignore")

    schemes: list[str] = Field(default_factory=list)
    """Of addresses that people may give, a JSON list: ``["discord", "tgram"]``. Those whose host is free (json, xml, mailto) reach into
    one's own network."""
    timeout_seconds: float = Field(default=20.0, gt=0)
    """For one message; with ``GROUNDSWELL_SMTP_BATCH_SECONDS`` it must stay below GROUNDSWELL_LIVENESS_SECONDS."""
    connections: int = Field(default=8, ge=1, le=64)


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
