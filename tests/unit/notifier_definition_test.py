"""``notifications.yaml`` and the environment: what is wrong is named by file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.common.errors import ConfigurationError
from services.common.paths import EXAMPLES
from services.common.settings import load_settings
from services.notifier.definition import load_notifications
from services.notifier.settings import SmtpSettings

GOOD = "version: 1\nproduct: Lumora\n"


def test_the_example_is_good() -> None:
    assert load_notifications(EXAMPLES / "notifications.yaml").statuses == ["shipped"]


def test_defaults(tmp_path: Path) -> None:
    path = tmp_path / "n.yaml"
    path.write_text(GOOD)
    definition = load_notifications(path)
    assert (definition.statuses, definition.tell_again, definition.late_contact_days) == (["shipped"], False, 30)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD + "statuses:\n  - shipped\n  - Not A Slug\n", r"n\.yaml:5: statuses\.1: .*a-z"),
        (GOOD + "tell_again: perhaps\n", r"n\.yaml:3: tell_again: "),
        (GOOD + "colour: red\n", r"n\.yaml:3: colour: Extra inputs"),
        ("version: 1\n", r"n\.yaml:1: product: Field required"),
        (GOOD + "statuses: [shipped\n", r"n\.yaml:4: not YAML: "),
        ("", r"n\.yaml:1: file: "),
        ("- a\n", r"n\.yaml:1: file: "),
        (GOOD + "statuses: []\n", r"n\.yaml:3: statuses: "),
        (GOOD + "product: \x01\n", r"n\.yaml:\d+: not YAML"),
    ],
)
def test_a_wrong_definition_names_line_and_field(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "n.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        load_notifications(path)


def test_a_missing_definition_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="GROUNDSWELL_NOTIFICATIONS_FILE"):
        load_notifications(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("PORT", "99999", "GROUNDSWELL_SMTP_PORT"),
        ("TLS", "ssl3", "GROUNDSWELL_SMTP_TLS"),
        ("SENDER", "nobody", "GROUNDSWELL_SMTP_SENDER.*address"),
        ("SENDER", "A <a@example.com>\nBcc: eve@example.com", "GROUNDSWELL_SMTP_SENDER.*header"),
        ("USERNAME", "ann", "both of username and password"),
    ],
)
def test_a_wrong_mail_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str) -> None:
    monkeypatch.setenv(f"GROUNDSWELL_SMTP_{name}", value)
    with pytest.raises(ConfigurationError, match=complaint):
        load_settings(SmtpSettings)
