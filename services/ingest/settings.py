"""Ingest's environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.common.paths import EXAMPLES
from services.common.settings import Settings


class IngestSettings(Settings):
    """``GROUNDSWELL_*`` of ingest."""

    channels_file: Path = EXAMPLES / "channels.yaml"
    text_limit: int = Field(default=20_000, ge=1)
    """Characters of a piece of feedback; a longer one is cut, and kept whole beside."""
    intake_file: Path | None = None
    """``intake.yaml``: webhooks that are taken by HTTP. Without it there is no intake."""
    intake_host: str = "127.0.0.1"
    intake_port: int = Field(default=8090, ge=0, le=65_535)
    """0: any that is free."""
    intake_body_bytes: int = Field(default=1_000_000, ge=1)
    """Of one request; more is refused with 413. The raw topics' ``max.message.bytes`` must hold it."""
    intake_wait_seconds: float = Field(default=10.0, gt=0)
    """For a body, and for the broker: then the sender is told to come again."""
    intake_waiting: int = Field(default=1_000, ge=1)
    """Requests that may wait for the broker at once."""
