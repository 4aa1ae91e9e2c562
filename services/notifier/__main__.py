"""``python -m services.notifier``: the composition root."""

from __future__ import annotations

from services.common.errors import ConfigurationError
from services.common.service import refuse, run_service
from services.common.settings import KafkaSettings, load_settings
from services.notifier.app import NAME, create_wire, load_templates
from services.notifier.definition import load_notifications
from services.notifier.settings import NotifierSettings, SmtpSettings


def main() -> None:
    """Run the notifier until a signal ends it."""
    try:
        settings, smtp, kafka = load_settings(NotifierSettings), load_settings(SmtpSettings), load_settings(KafkaSettings)
        definition = load_notifications(settings.notifications_file)
        templates = load_templates(settings, smtp, definition)
    except ConfigurationError as error:
        refuse(NAME, error)
    run_service(NAME, settings, kafka, create_wire(settings, smtp, definition, templates))


if __name__ == "__main__":
    main()
