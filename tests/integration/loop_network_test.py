"""Our loop when the broker goes away: for a moment, for good, before the start, and with outputs on their way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.common.errors import TransientError
from services.common.guard import Exit
from services.common.kafka import KafkaSink
from services.common.records import Output
from services.common.settings import KafkaSettings
from services.console.embedded.broker import EmbeddedBroker, free_port
from tests.support.proxy import TcpProxy
from tests.support.topics import Broker, Sent, eventually
from tests.support.worker_process import Tiny, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TcpProxy]:
    """A broker that keeps its data behind connections that can be cut."""
    port = free_port()
    with (
        TcpProxy(port) as passing,
        EmbeddedBroker(tmp_path_factory.mktemp("broker") / "broker.log", port=port, advertised_port=passing.port),
    ):
        yield passing


@pytest.fixture
def outside(proxy: TcpProxy) -> Iterator[Broker]:
    yield Broker(f"127.0.0.1:{proxy.port}")
    proxy.restore()
    proxy.delay_seconds, proxy.answers_to_lose = 0.0, 0


@pytest.fixture
def tiny(outside: Broker, tmp_path: Path) -> Iterator[Tiny]:
    with Tiny(outside.bootstrap, f"tiny-{uuid4().hex[:8]}", tmp_path) as service:
        yield service


async def _drained(outside: Broker, tiny: Tiny) -> None:
    async def empty() -> bool:
        return await outside.lag(tiny.group, tiny.source) == 0

    await eventually(empty, "everything acknowledged")


async def test_a_broker_gone_for_three_seconds_costs_nothing(proxy: TcpProxy, outside: Broker, tiny: Tiny) -> None:
    await outside.create(2, tiny.source, tiny.target, tiny.letters)
    sent = [Sent(b"slow:0.005|%d" % number, b"%d" % number, number % 2) for number in range(1200)]
    await outside.send(tiny.source, sent)
    worker = tiny.start(GROUNDSWELL_BATCH_RECORDS="50")
    await eventually(lambda: len(tiny.journal()) >= 6, "well under way")
    proxy.cut()
    cut_at = time.monotonic()
    wait_for(lambda: time.monotonic() - cut_at > 3, "three seconds")
    assert worker.running
    proxy.restore()
    await _drained(outside, tiny)
    assert worker.running, "the worker survives"
    assert {r.value for r in await outside.read(tiny.target)} == {r.value for r in sent}
    assert await outside.read(tiny.letters) == []
    assert worker.terminate() == 0


@pytest.mark.parametrize(("delay_seconds", "lost"), [(0.1, 0), (0.0, 9)], ids=["slow", "answers lost or half"])
async def test_a_broker_that_is_hard_to_hear_costs_nothing(
    proxy: TcpProxy, outside: Broker, tiny: Tiny, delay_seconds: float, lost: int
) -> None:
    await outside.create(2, tiny.source, tiny.target, tiny.letters)
    sent = [Sent(b"slow:0.005|%d" % number, b"%d" % number, number % 2) for number in range(400)]
    await outside.send(tiny.source, sent)
    worker = tiny.start(GROUNDSWELL_BATCH_RECORDS="25")
    await eventually(lambda: len(tiny.journal()) >= 4, "well under way")
    proxy.delay_seconds, proxy.answers_to_lose = delay_seconds, lost
    await eventually(lambda: len(tiny.journal()) >= 12 and proxy.answers_to_lose == 0, "going on")
    proxy.delay_seconds = 0.0
    await _drained(outside, tiny)
    assert worker.running, "the worker survives"
    assert {r.value for r in await outside.read(tiny.target)} == {r.value for r in sent}
    assert await outside.read(tiny.letters) == []
    assert worker.terminate() == 0


async def test_outputs_that_cannot_be_confirmed_keep_their_inputs_unacknowledged(proxy: TcpProxy, outside: Broker, tiny: Tiny) -> None:
    await outside.create(1, tiny.source, tiny.target, tiny.letters)
    await outside.send(tiny.source, [Sent(b"slow:0.2|%d" % number, b"k") for number in range(10)])
    worker = tiny.start(GROUNDSWELL_RETRY_SECONDS="4")
    await eventually(lambda: any(entry["what"] == "began" for entry in tiny.journal()), "in the handler")
    proxy.cut()
    assert worker.wait() == Exit.UNAVAILABLE
    assert "Kafka" in worker.log("unavailable")[0]["error"]
    proxy.restore()
    assert await outside.committed(tiny.group, tiny.source) == {}
    tiny.start()
    await _drained(outside, tiny)
    assert {r.value for r in await outside.read(tiny.target)} == {b"slow:0.2|%d" % number for number in range(10)}


@pytest.mark.parametrize("dropped", [False, True], ids=["out of time", "dropped"])
async def test_what_could_not_be_published_in_time_never_leaves_later(proxy: TcpProxy, outside: Broker, dropped: bool) -> None:
    topic = f"topic-{uuid4().hex[:8]}"
    await outside.create(1, topic)

    async def for_a_second() -> float:
        return 60.0 if dropped else 1.0

    settings = KafkaSettings(bootstrap_servers=outside.bootstrap, idempotence=False)
    sink = KafkaSink(settings, "test", max_record_bytes=1 << 20, confirm=for_a_second)
    await sink.start()
    try:
        await sink.publish([Output(topic, None, b"before", b"")])
        proxy.cut()
        late = asyncio.create_task(sink.publish([Output(topic, None, b"late", b"")]))
        await asyncio.wait((late,), timeout=2 if dropped else 20)
        late.cancel()
        with pytest.raises((TransientError, asyncio.CancelledError)):
            await late
        proxy.restore()
        await sink.publish([Output(topic, None, b"after", b"")])
        assert [record.value for record in await outside.read(topic)] == [b"before", b"after"]
    finally:
        await sink.stop()


async def test_a_stop_is_heard_while_the_broker_is_away(proxy: TcpProxy, outside: Broker, tiny: Tiny) -> None:
    await outside.create(1, tiny.source, tiny.target, tiny.letters)
    await outside.send(tiny.source, [Sent(b"slow:1|0", b"k")])
    worker = tiny.start(GROUNDSWELL_STOP_SECONDS="3")
    await eventually(lambda: any(entry["what"] == "began" for entry in tiny.journal()), "in the handler")
    proxy.cut()
    began = time.monotonic()
    assert worker.terminate() == 0
    assert time.monotonic() - began < 25
    proxy.restore()
    assert await outside.committed(tiny.group, tiny.source) == {}


def test_an_unreachable_broker_is_waited_for_with_a_message_then_named(tmp_path: Path) -> None:
    with Tiny(f"127.0.0.1:{free_port()}", "tiny-nobody", tmp_path) as tiny:
        worker = tiny.start(GROUNDSWELL_STARTUP_SECONDS="3")
        assert worker.wait() == Exit.UNAVAILABLE
        assert worker.log("waiting")
        assert "Kafka" in worker.log("unavailable")[0]["error"]


def test_a_stop_is_heard_while_waiting_for_an_unreachable_broker(tmp_path: Path) -> None:
    with Tiny(f"127.0.0.1:{free_port()}", "tiny-nobody", tmp_path) as tiny:
        worker = tiny.start()
        wait_for(lambda: worker.log("waiting"), "waiting")
        began = time.monotonic()
        assert worker.terminate() == 0
        assert time.monotonic() - began < 15
