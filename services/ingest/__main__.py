"""``python -m services.ingest``: the composition root."""

from __future__ import annotations

from services.common.errors import ConfigurationError
from services.common.service import refuse, run_service
from services.common.settings import KafkaSettings, load_settings
from services.common.unsubscribe import UnsubscribeSettings
from services.ingest.app import NAME, create_wire
from services.ingest.channels import load_channels
from services.ingest.intake import load_intake
from services.ingest.settings import IngestSettings


def main() -> None:
    """Run ingest until a signal ends it."""
    try:
        settings, kafka = load_settings(IngestSettings), load_settings(KafkaSettings)
        channels = load_channels(settings.channels_file)
        endpoints = [] if settings.intake_file is None else load_intake(settings.intake_file, channels.topics())
        unsubscribing = load_settings(UnsubscribeSettings).secrets()
    except ConfigurationError as error:
        refuse(NAME, error)
    run_service(NAME, settings, kafka, create_wire(settings, channels, kafka, endpoints, unsubscribing))


if __name__ == "__main__":
    main()
