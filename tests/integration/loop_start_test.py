"""What refuses a start, what is said about it, and what the probes answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.common.guard import Exit
from services.console.embedded.broker import EmbeddedBroker
from tests.support.topics import Broker, Sent, eventually
from tests.support.worker_process import Tiny

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@pytest.fixture
def outside(bootstrap: str) -> Broker:
    return Broker(bootstrap)


@pytest.fixture
def tiny(bootstrap: str, tmp_path: Path) -> Iterator[Tiny]:
    with Tiny(bootstrap, f"tiny-{uuid4().hex[:8]}", tmp_path) as service:
        yield service


def test_a_port_in_use_is_named(tiny: Tiny) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        worker = tiny.start(GROUNDSWELL_HTTP_PORT=str(port))
        assert worker.wait() == Exit.CONFIGURATION
    (line,) = worker.log("configuration")
    assert str(port) in line["error"]
    assert "GROUNDSWELL_HTTP_PORT" in line["error"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GROUNDSWELL_BATCH_RECORDS", "many"),
        ("GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS", "0"),
        ("GROUNDSWELL_RETRY_SECONDS", "3600"),
        ("GROUNDSWELL_STORE_URL", "redis://somewhere"),
        ("GROUNDSWELL_STORE_URL", "mongodb://user:hunter2@[::1"),
        ("GROUNDSWELL_SCHEMA_REGISTRY_URL", "ftp://registry"),
        ("GROUNDSWELL_DATA_DIR", "/dev/null/nowhere"),
    ],
)
def test_a_wrong_setting_is_named(tiny: Tiny, variable: str, value: str) -> None:
    worker = tiny.start(**{variable: value})
    assert worker.wait() == Exit.CONFIGURATION
    (line,) = worker.log("configuration")
    assert variable in line["error"]
    assert "hunter2" not in worker.text()


async def test_a_topic_with_another_partition_count_refuses_the_start(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "broker.log") as own, Tiny(own.bootstrap_servers, "dedup", tmp_path) as tiny:
        tiny.settings["TINY_SOURCE"] = "board.events"
        await Broker(own.bootstrap_servers).create(5, "board.events")
        worker = tiny.start()
        assert worker.wait() == Exit.CONFIGURATION
        (line,) = worker.log("configuration")
        assert "board.events has 5 partitions, configured are 12" in line["error"]


async def test_a_second_worker_on_one_sqlite_file_is_refused(outside: Broker, tiny: Tiny) -> None:
    await outside.create(1, tiny.source, tiny.target, tiny.letters)
    first = tiny.start()
    await eventually(lambda: bool(first.log("started")), "started")
    second = tiny.start()
    assert second.wait() == Exit.CONFIGURATION
    assert "in use by another worker" in second.log("configuration")[0]["error"]
    assert first.running


async def test_probes_tell_alive_and_ready_and_a_stuck_batch(outside: Broker, tiny: Tiny) -> None:
    await outside.create(1, tiny.source, tiny.target, tiny.letters)
    worker = tiny.start(GROUNDSWELL_LIVENESS_SECONDS="2", GROUNDSWELL_STOP_SECONDS="1")
    await eventually(lambda: worker.get("/healthz")[0] == 200, "alive from the first moment")
    await eventually(lambda: worker.get("/readyz")[0] == 200, "ready once partitions are assigned")
    await outside.send(tiny.source, [Sent(b"slow:60|0", b"k")])
    await eventually(lambda: worker.get("/healthz")[0] == 503, "not alive when a batch makes no progress")
    assert worker.get("/readyz")[0] == 200
    assert worker.terminate() == 0, "a batch that outlasts the stop is dropped"
    assert await outside.committed(tiny.group, tiny.source) == {}
