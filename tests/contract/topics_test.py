"""What every topic's contract promises beyond its schema, and how a wrong contract is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.common.deadletter import SPARE_BYTES
from services.common.errors import ConfigurationError
from services.common.events import ALL_EVENTS, Event
from services.common.paths import SCHEMAS
from services.common.settings import Settings
from services.common.topics import TopicContract, load_topics

_TOPICS = load_topics()
_WEEK_MS = 7 * 24 * 3_600_000
_KEPT_COMPACTED = {
    "board.events", "people.events", "accounts", "board.decisions", "ideas", "people.segments", "ideas.demand", "notifications.log",
    "notifications.summaries",
    "feedback.enriched", "people.transitions",
}  # fmt: skip


def _named(topic: TopicContract) -> str:
    return topic.topic


def test_logs_and_states_are_compacted_and_the_rest_is_not() -> None:
    assert {name for name, topic in _TOPICS.items() if topic.cleanup == "compact"} == _KEPT_COMPACTED


@pytest.mark.parametrize("topic", [t for t in _TOPICS.values() if t.cleanup == "compact"], ids=_named)
def test_a_reader_that_was_away_for_a_week_still_sees_tombstones(topic: TopicContract) -> None:
    config = topic.config()
    assert config["cleanup.policy"] == "compact"
    assert int(config["delete.retention.ms"]) >= _WEEK_MS
    assert 0 < int(config["max.compaction.lag.ms"]) <= _WEEK_MS
    assert "retention.ms" not in config


@pytest.mark.parametrize("topic", [t for t in _TOPICS.values() if t.cleanup == "delete"], ids=_named)
def test_what_is_not_compacted_says_how_long_it_is_kept(topic: TopicContract) -> None:
    kept = int(topic.config()["retention.ms"])
    assert kept == (-1 if topic.retention_hours is None else topic.retention_hours * 3_600_000)


@pytest.mark.parametrize("topic", [t for t in _TOPICS.values() if t.topic.endswith(".deadletter")], ids=_named)
def test_a_dead_letter_has_room_for_the_largest_record_and_its_headers(topic: TopicContract) -> None:
    assert topic.max_message_bytes >= Settings().max_record_bytes + SPARE_BYTES
    assert topic.value == "raw"


def test_every_service_has_dead_letters() -> None:
    assert {"ingest", "dedup", "segmenter", "notifier"} == {n.removesuffix(".deadletter") for n in _TOPICS if n.endswith(".deadletter")}


@pytest.mark.parametrize("event", ALL_EVENTS, ids=lambda event: event.__name__)
def test_a_topic_is_partitioned_as_its_events_say(event: type[Event]) -> None:
    """Every event partitioned by board carries one; every event partitioned by person or account carries that id.

    A producer who knows neither keeps together what is said of one message.
    """
    wanted = {"board": "board", "person": "person_id", "account": "account_id", "producer": "letter", "source": "workspace"}[
        _TOPICS[event.TOPIC].partition_by
    ]
    assert wanted in event.__dataclass_fields__


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("cleanup: compact", "cleanup: squash"), "cleanup"),
        (("partitions: 12", "partitions: 0"), "partitions"),
        (("owner: dedup", "ownr: dedup"), "owner"),
        (("topic: ideas", "topic: notions"), "must be named notions.yaml"),
        (("producers: [dedup]", "producers: [dedup"), "ideas.yaml"),
    ],
    ids=lambda change: str(change[1]) if isinstance(change, tuple) else "",
)
def test_a_wrong_contract_names_file_and_field(change: tuple[str, str], says: str, tmp_path: Path) -> None:
    text = (SCHEMAS / "topics" / "ideas.yaml").read_text()
    assert change[0] in text
    (tmp_path / "ideas.yaml").write_text(text.replace(*change))
    with pytest.raises(ConfigurationError) as caught:
        load_topics(tmp_path)
    assert says in str(caught.value)
    assert "ideas.yaml" in str(caught.value)
