"""What docs/BI.md and docs/RUNBOOK.md say is what there is."""

from __future__ import annotations

import re

import pytest

from services.common.guard import Exit
from services.common.paths import ROOT
from services.common.registry import FileIds, Schemas
from services.common.settings import KafkaSettings, Settings
from services.common.topics import load_topics
from services.common.unsubscribe import UnsubscribeSettings
from services.dedup.settings import DedupSettings
from services.ingest.settings import IngestSettings
from services.notifier.settings import AppriseSettings, NotifierSettings, SlackSettings, SmtpSettings, WebhookSettings
from services.segmenter.settings import SegmenterSettings

_BI = (ROOT / "docs" / "BI.md").read_text()
_RUNBOOK = (ROOT / "docs" / "RUNBOOK.md").read_text()
_SETTINGS = (
    Settings,
    KafkaSettings,
    UnsubscribeSettings,
    IngestSettings,
    DedupSettings,
    SegmenterSettings,
    NotifierSettings,
    SmtpSettings,
    WebhookSettings,
    SlackSettings,
    AppriseSettings,
)
_PUBLISHED = sorted(name for name, topic in load_topics().items() if "bi" in topic.consumers)


def _section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("topic", _PUBLISHED)
def test_every_column_of_a_published_topic_is_explained(topic: str) -> None:
    schema = Schemas(FileIds()).newest(f"{topic}-value").schema
    named = set(re.findall(r"`([a-z_]+)`", _section(_BI, topic)))
    assert {field["name"] for field in schema["fields"]} - named == set()


@pytest.mark.parametrize("topic", _PUBLISHED)
def test_the_overview_says_what_to_keep_of_a_topic(topic: str) -> None:
    (row,) = re.findall(rf"^\| `{re.escape(topic)}` \|(.*)$", _section(_BI, "Facts and states"), re.MULTILINE)
    contract = load_topics()[topic]
    assert ("compacted" if contract.cleanup == "compact" else "for ever") in row
    assert f"`{contract.key.replace(' ', '_')}`" in row


def test_nothing_is_explained_that_is_not_published() -> None:
    sections = set(re.findall(r"^## ([a-z.]+)$", _BI, re.MULTILINE))
    assert sections == set(_PUBLISHED)


def test_every_exit_code_is_explained() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", _section(_RUNBOOK, "Exit codes"), re.MULTILINE)}
    assert codes == {0, *Exit}


def test_every_metric_is_explained() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "services").rglob("metrics.py"))
    kept = set(re.findall(r'"(groundswell_\w+)"', code))
    assert kept == set(re.findall(r"`(groundswell_\w+)`", _section(_RUNBOOK, "Metrics")))


def test_every_variable_that_the_runbook_names_is_a_setting() -> None:
    known = {f"{kind.model_config.get('env_prefix', '')}{name}".upper() for kind in _SETTINGS for name in kind.model_fields}
    assert set(re.findall(r"GROUNDSWELL_[A-Z_]+", _RUNBOOK)) <= known


@pytest.mark.parametrize("service", ["dedup", "segmenter", "notifier"])
def test_the_runbook_names_what_a_service_reads(service: str) -> None:
    (row,) = re.findall(rf"^\| `python -m services.{service}` \|[^|]*\|([^|]*)\|", _RUNBOOK, re.MULTILINE)
    assert set(re.findall(r"`([^`]+)`", row)) == {name for name, topic in load_topics().items() if service in topic.consumers}
