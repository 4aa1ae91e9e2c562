"""kill -9 of each service in the middle of the demo's input: nothing is lost, and nobody is mailed twice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.common.events import EnrichedFeedback, Idea, IdeaDemand, NotificationOutcome, PersonSegments
from services.common.records import Output, Record
from services.common.topics import load_topics
from services.console.board import decoded, final_outcomes
from services.console.cluster import Cluster, Tail
from services.console.commanding import command, set_status
from services.console.context import codec
from services.console.demo.conservation import checks, told_check
from services.console.demo.sample import BOARD, WORKSPACE, bundled
from services.console.embedded.stack import SERVICES
from services.console.ideas import BoardView
from services.console.topics import wanted_topics
from tests.e2e.harness import StackProcess, decisions, enriched, publish, quiet
from tests.independent_reader import read_topics

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(900)]

PUBLISHED = [topic for topic, contract in load_topics().items() if contract.value == "avro" and not contract.internal]
SILENT = {"notifications.in_app", "notifications.reports", "notifications.summaries"}
"""Nothing is told in the product here, nobody sends reports of deliveries, and the team asks for no summaries."""
RAW_TOPICS = [topic for topic, contract in wanted_topics().items() if contract.partition_by == "producer"]
_TOLD_SECONDS = 180.0
_AT_WORK_SECONDS = 180.0
AT_WORK = {"ingest": "board.events", "dedup": "board.decisions", "segmenter": "feedback.enriched", "notifier": "feedback.enriched"}
"""The topic that shows when a service is in the middle of the input; the notifier reads what the segmenter reads."""


@dataclass(slots=True)
class Aftermath:
    """What lay in the topics after the crashes, and after the same input was published again."""

    records: Mapping[str, list[Record]]
    mails: list[dict[str, Any]]
    kills: Counter[str]
    again: Mapping[str, list[Record]] = field(default_factory=dict)
    mails_again: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def aftermath(stack: StackProcess) -> Aftermath:
    """Feed the demo's input, killing each service in the middle of it, and the notifier again while it sends; then feed it once more."""
    return asyncio.run(hurt(stack))


async def hurt(stack: StackProcess) -> Aftermath:
    sample = bundled()
    before = stack.starts()
    kills: Counter[str] = Counter()
    async with stack.opened() as (cluster, tail):
        await publish(cluster, sample.background)
        await quiet(cluster, tail)
        await fed_under_fire(stack, cluster, tail, sample.feedback, kills)
        await quiet(cluster, tail)
        shipped = BoardView.of(codec(), tail.records, WORKSPACE, BOARD).ranked()[:2]
        await set_status(cluster, WORKSPACE, BOARD, idea_id=shipped[0], status="shipped", wait=0, release_id="autumn")
        await command(cluster, WORKSPACE, BOARD, "merge", idea_id=shipped[1], other_idea_id=shipped[0], wait=0)
        await first_mail(stack)
        stack.kill("notifier")
        kills["notifier"] += 1
        await told(cluster, tail)
        first = Aftermath({topic: list(records) for topic, records in tail.records.items()}, stack.mails(), kills)
        await publish(cluster, [*sample.background, *sample.feedback])
        await quiet(cluster, tail)
        first.again, first.mails_again = dict(tail.records), stack.mails()
    assert {name: before[name] + kills[name] for name in SERVICES} == {name: stack.starts()[name] for name in SERVICES}
    return first


async def fed_under_fire(stack: StackProcess, cluster: Cluster, tail: Tail, feedback: Sequence[Output], kills: Counter[str]) -> None:
    """Publish *feedback*, and kill each service as soon as it is seen at work on it."""
    middle = len(feedback) * 3 // 5
    await publish(cluster, feedback[:middle])
    waiting = dict(AT_WORK)
    before = {topic: len(tail.records[topic]) for topic in AT_WORK.values()}
    deadline = time.monotonic() + _AT_WORK_SECONDS
    while waiting:
        await tail.catch_up()
        for service, topic in list(waiting.items()):
            if len(tail.records[topic]) > before[topic]:
                stack.kill(service)
                kills[service] += 1
                del waiting[service]
        assert time.monotonic() < deadline, f"never at work: {waiting}"
    assert len(enriched(tail.records["feedback.enriched"], WORKSPACE)) < middle, "the crashes came too late to hurt"
    await publish(cluster, feedback[middle:])


async def first_mail(stack: StackProcess) -> None:
    deadline = time.monotonic() + _TOLD_SECONDS
    while not stack.mails():
        assert time.monotonic() < deadline, "no mail was sent"
        await asyncio.sleep(0.01)


async def told(cluster: Cluster, tail: Tail) -> None:
    """Wait until everyone who asked has an outcome that is final."""
    deadline = time.monotonic() + _TOLD_SECONDS
    while True:
        await quiet(cluster, tail)
        if told_check(codec(), tail.records).wrong == 0 and len(decisions(tail.records["board.decisions"], WORKSPACE)) > 0:
            return
        assert time.monotonic() < deadline, told_check(codec(), tail.records)
        await asyncio.sleep(0.3)


def test_nothing_is_lost_and_every_count_is_right(aftermath: Aftermath) -> None:
    """Counted is what was said, not how often: a worker that dies between publication and commit says the same bytes again."""
    sent_once = {mail["message_id"]: mail for mail in aftermath.mails}
    told = {(record.key, record.value): record for record in aftermath.records["feedback.enriched"]}
    found = checks(codec(), {**aftermath.records, "feedback.enriched": list(told.values())}, RAW_TOPICS, list(sent_once.values()))
    assert {check.law: 0 for check in found} == {check.law: check.wrong for check in found}


def test_nobody_is_mailed_twice(aftermath: Aftermath) -> None:
    """One Message-ID a recipient and release; a repeat of it only where the notifier died between acceptance and ledger."""
    by_recipient = Counter(recipient for mail in {m["message_id"]: m for m in aftermath.mails}.values() for recipient in mail["to"])
    assert {1} == set(by_recipient.values())
    repeats = sum(count - 1 for count in Counter(mail["message_id"] for mail in aftermath.mails).values())
    assert repeats <= aftermath.kills["notifier"] * 50


def test_the_same_input_again_changes_nothing(aftermath: Aftermath) -> None:
    for topic in (*PUBLISHED, "people.events", "notifications.outbox"):
        assert frames(aftermath.records[topic]) == frames(aftermath.again[topic]), topic
    assert aftermath.mails == aftermath.mails_again


def test_facts_repeat_byte_for_byte(aftermath: Aftermath) -> None:
    """A crash may publish a fact again, but never another one under its key."""
    for topic in ("board.events", "board.decisions"):
        assert len(set(frames(aftermath.records[topic]))) == len({record.key for record in aftermath.records[topic]}) > 0, topic
    told = aftermath.records["feedback.enriched"]
    versions = {(feedback.feedback_id, feedback.enrichment_version) for feedback in decoded(codec(), EnrichedFeedback, told)}
    assert len(set(frames(told))) == len(versions) > 0, "feedback.enriched"


def test_everyone_who_asked_was_told_or_has_a_reason(aftermath: Aftermath) -> None:
    outcomes = final_outcomes(decoded(codec(), NotificationOutcome, aftermath.records["notifications.log"])).values()
    assert "sent" in {outcome.outcome for outcome in outcomes}
    assert all(outcome.reason for outcome in outcomes)


def test_versions_end_where_they_were_highest(aftermath: Aftermath) -> None:
    """A worker that died between publication and commit says the same again from where it had acknowledged; then it goes on."""
    states: list[Idea | IdeaDemand | PersonSegments] = [
        *decoded(codec(), Idea, aftermath.records["ideas"]),
        *decoded(codec(), IdeaDemand, aftermath.records["ideas.demand"]),
        *decoded(codec(), PersonSegments, aftermath.records["people.segments"]),
    ]
    versions: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for state in states:
        versions[state.TOPIC, state.key()].append(state.version)
    assert {place: max(seen) for place, seen in versions.items()} == {place: seen[-1] for place, seen in versions.items()}


def test_a_stranger_reads_every_published_topic(stack: StackProcess, aftermath: Aftermath) -> None:
    rows = read_topics(stack.state.bootstrap_servers, PUBLISHED)
    assert {topic: len(records) for topic, records in aftermath.again.items() if topic in PUBLISHED} == {
        topic: len(read) for topic, read in rows.items()
    }
    assert {topic for topic in PUBLISHED if not rows[topic]} == SILENT


def frames(records: Sequence[Record]) -> list[tuple[bytes | None, bytes | None]]:
    """Return keys and values in the order of the partitions, as the topic holds them."""
    return [(record.key, record.value) for record in sorted(records, key=lambda record: (record.partition, record.offset))]
