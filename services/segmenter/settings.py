"""The segmenter's environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.common.paths import EXAMPLES
from services.common.settings import Settings


class SegmenterSettings(Settings):
    """``GROUNDSWELL_*``: what all services share, and the segmenter's own."""

    batch_records: int = Field(default=2_000, ge=1)
    """More than others take: of each idea that a batch has touched, the demand is told once, and a batch is written at once."""
    segments_file: Path = EXAMPLES / "segments.yaml"
    """What segments mean; one version at a time."""
