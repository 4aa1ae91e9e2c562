"""Outputs and offsets in one transaction, on Apache Kafka: who reads what is committed sees each output once, whatever dies when."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import TopicPartition

from services.common.guard import Exit
from services.common.kafka_group import Noted, noted
from services.common.kafka_rewind import set_back
from services.common.settings import KafkaSettings
from services.console.embedded.broker import EmbeddedBroker
from tests.support.topics import Broker, Sent, eventually
from tests.support.worker_process import Tiny

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

BOOTSTRAP = "GROUNDSWELL_TEST_BOOTSTRAP_SERVERS"
on_kafka = pytest.mark.skipif(BOOTSTRAP not in os.environ, reason=f"needs an Apache Kafka: make kafka, and set {BOOTSTRAP}")

_COUNT = 60
_BATCH = {"GROUNDSWELL_BATCH_RECORDS": "20"}


@pytest.fixture
def outside() -> Broker:
    return Broker(os.environ[BOOTSTRAP])


@pytest.fixture
def tiny(outside: Broker, tmp_path: Path) -> Iterator[Tiny]:
    settings = {
        "TINY_MARKS": "none",
        "GROUNDSWELL_KAFKA_IDEMPOTENCE": "true",
        "GROUNDSWELL_KAFKA_TRANSACTIONS": "true",
        "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": "6000",
    }
    with Tiny(outside.bootstrap, f"tiny-{uuid4().hex[:8]}", tmp_path, settings) as service:
        yield service


async def _filled(outside: Broker, tiny: Tiny, verb: bytes = b"ok", *, partitions: int = 2, count: int = _COUNT) -> list[bytes]:
    await outside.create(partitions, tiny.source, tiny.target, tiny.letters)
    values = [b"%s|%d" % (verb, number) for number in range(count)]
    await outside.send(tiny.source, [Sent(value, b"%d" % number, number % partitions) for number, value in enumerate(values)])
    return values


async def _drained(outside: Broker, tiny: Tiny) -> None:
    async def empty() -> bool:
        return await outside.lag(tiny.group, tiny.source) == 0

    await eventually(empty, f"everything acknowledged; the last worker said:\n{tiny.processes[-1].text()[-3000:]}", 150)


async def _committed(outside: Broker, tiny: Tiny) -> list[bytes]:
    return sorted(record.value or b"" for record in await outside.read(tiny.target, committed_only=True))


POINTS = [
    "producer.begin_transaction:after:2:SIGKILL",
    "producer.send_offsets_to_transaction:after:2:SIGKILL",
    "producer.commit_transaction:before:2:SIGKILL",
    "producer.commit_transaction:after:2:SIGKILL",
]


@on_kafka
@pytest.mark.parametrize("fate", POINTS)
async def test_a_worker_killed_at_any_point_of_a_transaction_repeats_nothing_that_is_committed(
    outside: Broker, tiny: Tiny, fate: str
) -> None:
    values = await _filled(outside, tiny)
    killed = tiny.start(**_BATCH, TINY_FATE=fate)
    assert killed.wait() == -signal.SIGKILL
    tiny.start(**_BATCH)
    await _drained(outside, tiny)
    assert await _committed(outside, tiny) == sorted(values), "each output exactly once"
    everything = Counter(record.value for record in await outside.read(tiny.target))
    assert set(values) <= set(everything)
    if fate.startswith("producer.commit_transaction:before"):
        assert max(everything.values()) == 2, "who reads everything sees the batch that was undone as well"


@on_kafka
async def test_without_transactions_the_same_death_is_seen_as_a_repeat(outside: Broker, tiny: Tiny) -> None:
    tiny.settings["GROUNDSWELL_KAFKA_TRANSACTIONS"] = "false"
    values = await _filled(outside, tiny)
    killed = tiny.start(**_BATCH, TINY_FATE="consumer.commit:before:3:SIGKILL")
    assert killed.wait() == -signal.SIGKILL
    tiny.start(**_BATCH)
    await _drained(outside, tiny)
    committed = await _committed(outside, tiny)
    assert set(committed) == set(values)
    assert len(committed) > len(values), "this is what the option is there for"


@on_kafka
@pytest.mark.parametrize("fate", ["producer.send_batch:before:4:SIGSTOP", "producer.commit_transaction:before:2:SIGSTOP"])
async def test_a_frozen_worker_that_wakes_up_with_outputs_in_hand_commits_none_of_them(outside: Broker, tiny: Tiny, fate: str) -> None:
    values = await _filled(outside, tiny)
    frozen = tiny.start(**_BATCH, TINY_FATE=fate)
    await eventually(lambda: Path(f"/proc/{frozen.pid}/stat").read_text().split()[2] == "T", "frozen in mid-transaction")
    other = tiny.start(**_BATCH)
    await _drained(outside, tiny)
    await outside.send(tiny.source, [Sent(b"ok|after", b"k")])
    await _drained(outside, tiny)
    before = await outside.committed(tiny.group, tiny.source)
    frozen.signal(signal.SIGCONT)
    await eventually(lambda: bool(frozen.log("stepping_back")), "found out")
    assert await _committed(outside, tiny) == sorted([*values, b"ok|after"]), "each output exactly once"
    assert await outside.committed(tiny.group, tiny.source) == before, "nothing is acknowledged backwards"
    await outside.send(tiny.source, [Sent(b"ok|more %d" % number, b"%d" % number, number % 2) for number in range(10)])
    await _drained(outside, tiny)
    assert frozen.running, "the frozen worker is a member again"
    assert (frozen.terminate(), other.terminate()) == (0, 0)
    assert len(await _committed(outside, tiny)) == _COUNT + 11


@on_kafka
async def test_workers_that_come_go_and_die_under_load_commit_each_output_once(outside: Broker, tiny: Tiny) -> None:
    values = await _filled(outside, tiny, b"slow:0.02", partitions=4, count=1500)
    first = tiny.start(GROUNDSWELL_BATCH_RECORDS="10")
    await eventually(lambda: len(tiny.journal()) > 4, "at work")
    second = tiny.start(GROUNDSWELL_BATCH_RECORDS="10")
    await eventually(lambda: any(entry["worker"] == second.pid and entry["what"] == "began" for entry in tiny.journal()), "two at work")
    second.kill()
    third = tiny.start(GROUNDSWELL_BATCH_RECORDS="10")
    assert first.terminate() == 0
    await _drained(outside, tiny)
    assert third.terminate() == 0
    assert await _committed(outside, tiny) == sorted(values), "each output exactly once"
    assert await outside.read(tiny.letters) == []


@on_kafka
async def test_dead_letters_are_part_of_the_transaction(outside: Broker, tiny: Tiny) -> None:
    await _filled(outside, tiny, b"ok")
    await outside.send(tiny.source, [Sent(b"garbage %d" % number, b"k", number % 2) for number in range(5)])
    killed = tiny.start(TINY_FATE="producer.commit_transaction:before:1:SIGKILL")
    assert killed.wait() == -signal.SIGKILL
    tiny.start()
    await _drained(outside, tiny)
    letters = await outside.read(tiny.letters, committed_only=True)
    assert sorted(letter.value or b"" for letter in letters) == [b"garbage %d" % number for number in range(5)]
    assert len(await outside.read(tiny.letters)) > 5, "who reads everything sees the ones that were undone"
    assert len(await _committed(outside, tiny)) == _COUNT


@on_kafka
async def test_a_group_that_is_set_back_keeps_the_claims_of_its_owners(outside: Broker, tiny: Tiny) -> None:
    """They are all that tells a new owner whom it has to fence."""
    await _filled(outside, tiny)
    worker = tiny.start(**_BATCH)
    await _drained(outside, tiny)
    assert worker.terminate() == 0
    kafka = KafkaSettings(bootstrap_servers=outside.bootstrap, session_timeout_ms=6000)
    places = [TopicPartition(tiny.source, number) for number in range(2)]
    before = await noted(kafka, tiny.group, places)
    assert all(one.claim.startswith(f"{tiny.group}-") for one in before.values())
    assert set((await set_back(kafka, tiny.group, [(tiny.source, 0), (tiny.source, 1)])).values()) == {0}
    after = await noted(kafka, tiny.group, places)
    assert after == {place: Noted(0, one.claim) for place, one in before.items()}


@on_kafka
async def test_sigterm_in_mid_transaction_leaves_none_open(outside: Broker, tiny: Tiny) -> None:
    values = await _filled(outside, tiny, b"slow:0.1")
    worker = tiny.start(**_BATCH)
    await eventually(lambda: any(entry["what"] == "began" for entry in tiny.journal()), "in its first batch")
    assert worker.terminate() == 0
    at = time.monotonic()
    assert len(await _committed(outside, tiny)) == 20, "the batch in hand was finished, the next one not begun"
    assert time.monotonic() - at < 4, "readers are not held up"
    tiny.start(**_BATCH)
    await _drained(outside, tiny)
    assert await _committed(outside, tiny) == sorted(values)


def test_a_broker_without_transactions_refuses_the_option(broker: EmbeddedBroker, tmp_path: Path) -> None:
    options = {"GROUNDSWELL_KAFKA_IDEMPOTENCE": "true", "GROUNDSWELL_KAFKA_TRANSACTIONS": "true"}
    with Tiny(broker.bootstrap_servers, "tiny-refused", tmp_path, options) as tiny:
        worker = tiny.start()
        assert worker.wait() == Exit.CONFIGURATION
        assert "GROUNDSWELL_KAFKA_TRANSACTIONS: this broker does not offer that" in worker.log("configuration")[0]["error"]


def test_transactions_without_idempotence_are_refused(tmp_path: Path) -> None:
    with Tiny("127.0.0.1:1", "tiny-refused", tmp_path, {"GROUNDSWELL_KAFKA_TRANSACTIONS": "true"}) as tiny:
        worker = tiny.start()
        assert worker.wait() == Exit.CONFIGURATION
        (line,) = worker.log("configuration")
        assert "GROUNDSWELL_KAFKA_TRANSACTIONS" in line["error"]
        assert "GROUNDSWELL_KAFKA_IDEMPOTENCE" in line["error"]
