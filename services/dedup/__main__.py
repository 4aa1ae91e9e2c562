"""``python -m services.dedup``: the composition root."""

from __future__ import annotations

import os

# One thread is as fast for a board's matrix, and leaves the machine to others; read when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from services.common.errors import ConfigurationError
from services.common.service import refuse, run_service
from services.common.settings import KafkaSettings, load_settings
from services.dedup.app import NAME, wire_with
from services.dedup.settings import DedupSettings


def main() -> None:
    """Run the service until a signal ends it."""
    try:
        settings, kafka = load_settings(DedupSettings), load_settings(KafkaSettings)
        wire = wire_with(settings)
    except ConfigurationError as error:
        refuse(NAME, error)
    run_service(NAME, settings, kafka, wire)


if __name__ == "__main__":
    main()
