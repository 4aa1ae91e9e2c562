"""One of the services as a process of its own, on an embedded broker that has every topic; and who writes and reads beside it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.common.kafka import KafkaSink
from services.common.paths import ROOT
from services.common.records import Output
from services.common.settings import KafkaSettings
from services.common.topics import load_topics
from services.console.embedded.broker import EmbeddedBroker, free_port
from tests.support.topics import Broker

PARTITIONS = 4
"""Of every topic."""
_END_SECONDS = 30
_LIMIT_BYTES = 2 * 1024 * 1024


@contextmanager
def broker_with_topics(folder: Path, more: Iterable[str] = ()) -> Iterator[EmbeddedBroker]:
    """Run a broker that has every topic of ours, and *more*."""
    with EmbeddedBroker(folder / "broker.log") as running:
        asyncio.run(Broker(running.bootstrap_servers).create(PARTITIONS, *sorted({*load_topics(), *more})))
        yield running


class ServiceProcess:
    """A service, started again after its end on the same store."""

    def __init__(self, service: str, bootstrap: str, folder: Path, **settings: str) -> None:
        """Prepare to run *service* with its store and its log in *folder*; *settings* are environment variables beside the usual ones."""
        self.folder = folder
        self.http_port = free_port()
        self._service = service
        self._environment = os.environ | {
            "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "GROUNDSWELL_KAFKA_IDEMPOTENCE": "false",
            "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": "6000",
            "GROUNDSWELL_TOPIC_PARTITIONS": str(PARTITIONS),
            "GROUNDSWELL_DATA_DIR": str(folder),
            "GROUNDSWELL_HTTP_PORT": str(self.http_port),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what it prints goes on in the same log."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", f"services.{self._service}"]
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        """The process, which was started."""
        assert self._process is not None
        return self._process.pid

    def end(self, how: signal.Signals | None = None) -> int:
        """Return its exit code once it ends, sent *how* unless it ends by itself."""
        assert self._process is not None
        if how is not None and self._process.poll() is None:
            self._process.send_signal(how)
        return self._process.wait(_END_SECONDS)

    def is_running(self) -> bool:
        """Tell whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def lose_store(self) -> None:
        """Delete its SQLite file and all that belongs to it."""
        for path in self.folder.glob(f"{self._service}.db*"):
            path.unlink()

    def log(self) -> str:
        """Return all that it has printed."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self.folder / f"{self._service}.log"


async def publish(bootstrap: str, outputs: Sequence[Output]) -> None:
    """Publish *outputs* where the services' own partitioner puts them; return when the broker has them."""
    settings = KafkaSettings(bootstrap_servers=bootstrap, idempotence=False)
    sink = KafkaSink(settings, "test", max_record_bytes=_LIMIT_BYTES)
    await sink.start()
    try:
        await sink.publish(outputs)
    finally:
        await sink.stop()


@asynccontextmanager
async def reading(bootstrap: str, topics: Iterable[str]) -> AsyncIterator[Any]:
    """Give a consumer of all partitions of *topics*, from their beginning."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=_LIMIT_BYTES)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        yield consumer
    finally:
        await consumer.stop()
