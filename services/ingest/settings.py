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
    """Characters of a piece of feedback; a longer one is dead-lettered as ``text_too_long``."""
