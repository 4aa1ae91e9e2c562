"""``python -m services.dedup``: the composition root."""

from __future__ import annotations

import os
import sys

# One thread is as fast for a board's matrix, and leaves the machine to others; read when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from services.common.errors import ConfigurationError
from services.common.service import refuse, run_service
from services.common.settings import KafkaSettings, load_settings
from services.dedup.app import NAME, wire_with
from services.dedup.settings import DedupSettings

_SWITCH_SECONDS = 0.0005
"""The encoder's thread waits for the interpreter after each text; with Python's 5 ms that took longer than the text."""


def main() -> None:
    """Run the service until a signal ends it."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        settings, kafka = load_settings(DedupSettings), load_settings(KafkaSettings)
        wire = wire_with(settings)
    except ConfigurationError as error:
        refuse(NAME, error)
    run_service(NAME, settings, kafka, wire)


if __name__ == "__main__":
    main()
