"""The segmenter's environment."""

from __future__ import annotations

from pathlib import Path

from services.common.paths import EXAMPLES
from services.common.settings import Settings


class SegmenterSettings(Settings):
    """``GROUNDSWELL_*``: what all services share, and the segmenter's own."""

    segments_file: Path = EXAMPLES / "segments.yaml"
    """What segments mean; one version at a time."""
