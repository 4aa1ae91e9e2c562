"""``python -m services.ingest``: the composition root."""

from __future__ import annotations

from services.common.errors import ConfigurationError
from services.common.service import refuse, run_service
from services.common.settings import KafkaSettings, load_settings
from services.ingest.app import NAME, create_wire
from services.ingest.channels import load_channels
from services.ingest.settings import IngestSettings


def main() -> None:
    """Run ingest until a signal ends it."""
    try:
        settings, kafka = load_settings(IngestSettings), load_settings(KafkaSettings)
        channels = load_channels(settings.channels_file)
    except ConfigurationError as error:
        refuse(NAME, error)
    run_service(NAME, settings, kafka, create_wire(settings, channels))


if __name__ == "__main__":
    main()
