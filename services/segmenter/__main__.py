"""``python -m services.segmenter``: the composition root."""

from __future__ import annotations

from services.common.errors import ConfigurationError
from services.common.service import refuse, run_service
from services.common.settings import KafkaSettings, load_settings
from services.segmenter.app import NAME, create_wire
from services.segmenter.settings import SegmenterSettings


def main() -> None:
    """Run the segmenter until a signal ends it."""
    try:
        settings, kafka = load_settings(SegmenterSettings), load_settings(KafkaSettings)
    except ConfigurationError as error:
        refuse(NAME, error)
    run_service(NAME, settings, kafka, create_wire(settings))


if __name__ == "__main__":
    main()
