"""What the console knows of a broker, on a real one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from subprocess import PIPE

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.common.deadletter import dead_letter
from services.common.errors import ConfigurationError, PermanentError, TransientError
from services.common.kafka import partition_of
from services.common.outcome import Reject
from services.common.records import Output, Record
from services.console.cluster import Cluster
from services.console.context import codec
from services.console.embedded.broker import EmbeddedBroker, free_port
from services.console.embedded.stack import stack_kafka
from services.console.lag import measure
from services.console.letter_replays import replay_letters
from services.console.letters import read_letters
from services.console.topics import apply_topics, wanted_topics

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path_factory.mktemp("broker") / "broker.log") as running:
        yield running


@pytest.fixture
async def cluster(broker: EmbeddedBroker) -> AsyncIterator[Cluster]:
    async with Cluster(stack_kafka(broker.bootstrap_servers)) as connected:
        await apply_topics(connected, partitions=4, replication=1)
        yield connected


def outputs(topic: str, count: int, first: int = 0) -> list[Output]:
    return [Output(topic, b"%d" % n, b"v%d" % n, b"%d" % n, (("n", b"%d" % n),)) for n in range(first, first + count)]


async def test_topics_are_created_once(cluster: Cluster) -> None:
    again = await apply_topics(cluster, partitions=4, replication=1)
    assert {(name, 4, "unchanged") for name in wanted_topics()} == {(entry.topic, entry.partitions, entry.state) for entry in again}
    assert {"feedback.raw.email", "ingest.deadletter"} <= {entry.topic for entry in again}


async def test_another_partition_count_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ConfigurationError, match=r"has 4 partitions, wanted are 6.*--partitions 4"):
        await apply_topics(cluster, partitions=6, replication=1)


async def test_what_is_published_is_read_in_its_order(cluster: Cluster) -> None:
    for first in (0, 7, 300):  # several batches a partition: the end is not where the last batch begins
        await cluster.publish(outputs("activity.raw", 293 if first == 7 else 7, first))
    records = (await cluster.read(["activity.raw"]))["activity.raw"]
    assert {b"v%d" % n for n in range(307)} == {record.value for record in records}
    for record in records:
        assert partition_of(record.key or b"", 4) == record.partition
    for number in range(4):
        mine = [record for record in records if record.partition == number]
        assert list(range(len(mine))) == [record.offset for record in mine]
        assert sorted(int(record.key or b"") for record in mine) == [int(record.key or b"") for record in mine]
    ends = await cluster.ends(["activity.raw"])
    assert sum(ends.values()) == 307


async def test_lag_is_what_is_not_acknowledged(broker: EmbeddedBroker, cluster: Cluster) -> None:
    await cluster.publish(outputs("people.commands", 20))
    places = [TopicPartition("people.commands", number) for number in range(4)]
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers, group_id="groundswell-ingest", enable_auto_commit=False)
    await consumer.start()
    consumer.assign(places)
    await consumer.commit({places[0]: 2})
    await consumer.stop()
    found = {(entry.service, entry.topic): entry for entry in await measure(cluster)}
    entry = found["ingest", "people.commands"]
    assert (entry.end, entry.lag) == (20, 18)
    assert found["segmenter", "accounts"].lag == 0


async def test_a_letter_is_replayed_to_where_it_came_from_with_its_count(cluster: Cluster) -> None:
    key, value = b"\xff key", b"\x00 not for us"
    record = Record("board.events", 2, 0, 1, key, value)
    await cluster.publish([dead_letter("dedup", record, Reject("undecodable", "the body is none"))])
    [letter] = await read_letters(cluster, service="dedup")
    await replay_letters(cluster, codec(), [letter.id])
    [again] = (await cluster.read(["board.events"]))["board.events"]
    assert (2, key, value) == (again.partition, again.key, again.value)
    assert ("__connect.errors.attempt", b"1") in again.headers
    assert await read_letters(cluster, reason="another") == []


async def test_a_topic_that_does_not_exist_is_not_made_up(cluster: Cluster) -> None:
    with pytest.raises(PermanentError, match=r"topic feedback\.rwa does not exist"):
        await cluster.publish(outputs("feedback.rwa", 1))
    assert "feedback.rwa" not in await cluster.topics()
    assert await cluster.read(["feedback.rwa"]) == {"feedback.rwa": []}


async def test_nobody_answers() -> None:
    with pytest.raises(TransientError, match=r"no Kafka broker answers at 127\.0\.0\.1"):
        async with Cluster(stack_kafka(f"127.0.0.1:{free_port()}")):
            raise AssertionError


def groundswell(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.console", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_commands_print_json_for_programs(broker: EmbeddedBroker, tmp_path: Path) -> None:
    ended = groundswell(tmp_path, "topics", "apply", "--partitions", "4", "--json", "--bootstrap", broker.bootstrap_servers)
    assert {"topic", "partitions", "state"} == set(json.loads(ended.stdout)[0])


def test_what_a_program_writes_is_published_as_it_comes_and_wrong_lines_are_named(broker: EmbeddedBroker, tmp_path: Path) -> None:
    where = ("--bootstrap", broker.bootstrap_servers)
    groundswell(tmp_path, "topics", "apply", "--partitions", "4", *where)
    command = [sys.executable, "-m", "services.console", "publish", "-", "--json", *where]
    with subprocess.Popen(command, cwd=tmp_path, stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b'{"id": "stdin-1", "text": "Dark mode"}\n{"id": "stdin-2"}\n')
        process.stdin.flush()
        asyncio.run(_until_published(broker, b"stdin-1"))  # the pipe is open still
        out, problems = process.communicate(b'{"id": "stdin-3", "text": "Light mode"}\n', timeout=60)
    assert (json.loads(out), process.returncode) == ({"topic": "feedback.raw", "published": 2, "refused": 1, "ignored": 0}, 1)
    assert problems == b"groundswell: -:2: no text; a row needs id and text\n"


async def _until_published(broker: EmbeddedBroker, words: bytes) -> None:
    async with Cluster(stack_kafka(broker.bootstrap_servers)) as cluster:
        while not any(words in (record.value or b"") for record in (await cluster.read(["feedback.raw"]))["feedback.raw"]):
            pass  # each reading waits for the broker


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("lag",), 69, "no stack runs under .groundswell"),
        (("ideas", "top", "--bootstrap", "127.0.0.1:1"), 69, "no Kafka broker answers at 127.0.0.1:1"),
        (("publish", "missing.csv", "--bootstrap", "127.0.0.1:1"), 2, "missing.csv: no such file"),
        (("try", "missing.csv"), 2, "missing.csv: no such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    ended = groundswell(tmp_path, *arguments)
    assert code == ended.returncode
    assert ended.stderr.startswith("groundswell: ")
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1
