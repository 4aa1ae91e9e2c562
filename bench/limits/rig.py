"""One broker and some services as processes of their own, fed by topic and watched from the outside."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import aiohttp

from services.common.codec import Codec
from services.common.events import Event
from services.common.records import Output
from services.common.settings import KafkaSettings
from services.common.topics import load_topics
from services.console.cluster import Cluster
from services.console.context import codec
from services.console.embedded.broker import EmbeddedBroker, free_port
from services.console.embedded.processes import die_with_parent
from services.console.embedded.stack import MODELS, SERVICES, stack_kafka
from services.console.lag import consumed_topics
from services.console.publishing import chunks
from services.console.topics import apply_topics

BOOTSTRAP = "GROUNDSWELL_TEST_BOOTSTRAP_SERVERS"
"""An Apache Kafka to measure on instead of the embedded broker; its topics are made anew."""
PARTITIONS = 4
_MODELS = MODELS.absolute()
_READY_SECONDS = 1_800.0
"""A worker whose store is new reads back what was said before it is ready."""
_POLL_SECONDS = 0.05
_HERTZ = os.sysconf("SC_CLK_TCK")
_FIELDS_BEFORE_UTIME = 11


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far."""

    cpu_seconds: float
    rss_mib: float
    peak_mib: float
    """The largest resident set since ``Service.forget_peak``."""


class Service:
    """One worker process."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.port = int(environment["GROUNDSWELL_HTTP_PORT"])
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}"],
                env={**os.environ, **environment},
                stdout=out,
                stderr=out,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - calls prctl and nothing else
            )

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def usage(self) -> Usage:
        """Return what it and the processes that it started have used; Linux alone tells."""
        self.check()
        each = [_usage(pid) for pid in self._pids()]
        return Usage(sum(one.cpu_seconds for one in each), sum(one.rss_mib for one in each), sum(one.peak_mib for one in each))

    def forget_peak(self) -> None:
        """Count the peak of the resident set from now on."""
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _pids(self) -> list[int]:
        running = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
        return [self.pid, *(pid for pid in running if _parent(pid) == self.pid)]

    def check(self) -> None:
        """Return if it runs.

        Raises:
            RuntimeError: It ended; with the end of its log.
        """
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{self.log.read_text()[-3000:]}")

    def pause(self) -> None:
        """Freeze it."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, politely first; repeating the call changes nothing."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Rig:
    """An async context manager: a broker with empty topics, and the services that were started on it."""

    def __init__(self, folder: Path, *, max_record_bytes: int = 1024 * 1024) -> None:
        self.folder = folder
        self._max_record_bytes = max_record_bytes
        self.services: dict[str, Service] = {}
        self.codec: Codec = codec()
        self.fed: Counter[str] = Counter()
        """Records published by ``feed``, by topic."""
        self._leaving = ExitStack()
        self._cluster: Cluster | None = None

    @property
    def kafka(self) -> KafkaSettings:
        """How to reach the broker."""
        return self._kafka

    @property
    def cluster(self) -> Cluster:
        """The connection to the broker."""
        assert self._cluster is not None
        return self._cluster

    async def __aenter__(self) -> Rig:
        bootstrap = os.environ.get(BOOTSTRAP)
        if bootstrap is None:
            broker = self._leaving.enter_context(EmbeddedBroker(self.folder / "broker.log"))
            self._kafka = stack_kafka(broker.bootstrap_servers)
        else:
            from tests.support.fresh import empty_kafka  # noqa: PLC0415 - needs the test extra, a real Kafka alone needs it

            await asyncio.to_thread(empty_kafka, bootstrap)
            self._kafka = KafkaSettings(bootstrap_servers=bootstrap, session_timeout_ms=10_000)
        self._cluster = Cluster(self._kafka, max_record_bytes=self._max_record_bytes)
        await self._cluster.__aenter__()
        if self._max_record_bytes > 1024 * 1024:  # a channel's topic that somebody else made for larger records than ours
            raw = load_topics()["feedback.raw"].model_copy(update={"max_message_bytes": 2 * self._max_record_bytes})
            await self._cluster.create(raw, partitions=PARTITIONS, replication=1)
        await apply_topics(self._cluster, partitions=PARTITIONS, replication=1)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for service in self.services.values():
            service.stop()
        await self.cluster.__aexit__(None, None, None)
        self._leaving.close()

    async def start(self, name: str, **settings: str) -> Service:
        """Start *name* (again, on the same store); return once it owns its partitions."""
        environment = {
            "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": self._kafka.bootstrap_servers,
            "GROUNDSWELL_KAFKA_IDEMPOTENCE": str(self._kafka.idempotence).lower(),
            "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": str(self._kafka.session_timeout_ms),
            "GROUNDSWELL_TOPIC_PARTITIONS": str(PARTITIONS),
            "GROUNDSWELL_DATA_DIR": str(self.folder / "data"),
            "GROUNDSWELL_MODEL_CACHE": os.environ.get("GROUNDSWELL_MODEL_CACHE", str(_MODELS)),
            "GROUNDSWELL_HTTP_PORT": str(free_port()),
            "OMP_NUM_THREADS": "1",
        }
        (self.folder / "data").mkdir(exist_ok=True)
        service = self.services[name] = Service(name, environment | settings, self.folder / f"{name}.log")
        deadline = time.monotonic() + _READY_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while not await _is_ready(session, service.port):
                service.check()
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{name} is not ready:\n{service.log.read_text()[-3000:]}")
                await asyncio.sleep(_POLL_SECONDS)
        return service

    def start_mail_sink(self) -> tuple[int, Path]:
        """Start a mail server; return its port and the file with a line a mail."""
        port, log = free_port(), self.folder / "mail.jsonl"
        command = [sys.executable, "-m", "services.console.embedded.mail", "--port", str(port), "--log", str(log)]
        sink = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)  # noqa: PLW1509 - see above
        self._leaving.callback(sink.wait)
        self._leaving.callback(sink.terminate)
        return port, log

    def outputs(self, events: Iterable[Event]) -> list[Output]:
        """Return *events* as records."""
        return [self.codec.output(event) for event in events]

    async def feed(self, outputs: Sequence[Output]) -> None:
        """Publish *outputs* in confirmed batches."""
        for chunk in chunks(outputs):
            await self.cluster.publish(chunk)
            self.fed.update(output.topic for output in chunk)

    async def acknowledged(self, name: str, topic: str) -> int:
        """Return how many records of *topic* the service has acknowledged."""
        places = [(topic, number) for number in range(PARTITIONS)]
        return sum((await self.cluster.committed(f"groundswell-{name}", places)).values())

    async def drained(self, name: str, patience_seconds: float = 900.0) -> None:
        """Return once the service has acknowledged all that was fed to it and all that it tells itself.

        Raises:
            RuntimeError: It ended, or came no further for *patience_seconds*.
        """
        deadline, least = time.monotonic() + patience_seconds, sys.maxsize
        reads = [topic for topic in consumed_topics()[name] if self.fed[topic]]
        own = [topic for topic in consumed_topics()[name] if topic in ("segmenter.work", "notifications.outbox")]
        while True:
            self.services[name].check()
            behind = sum([max(self.fed[topic] - await self.acknowledged(name, topic), 0) for topic in reads])
            behind += await self._own_lag(name, own)
            if behind == 0:
                return
            if behind < least:
                deadline, least = time.monotonic() + patience_seconds, behind
            elif time.monotonic() > deadline:
                raise RuntimeError(f"{name} is {behind} records behind, and came no further for {patience_seconds:.0f} s")
            await asyncio.sleep(_POLL_SECONDS if behind < 5_000 else 0.5)

    async def _own_lag(self, name: str, topics: Sequence[str]) -> int:
        if not topics:
            return 0
        positions = [await self.acknowledged(name, topic) for topic in topics]
        return sum((await self.cluster.ends(topics)).values()) - sum(positions)

    async def letters(self) -> int:
        """Return how many dead letters there are."""
        return sum((await self.cluster.ends([f"{name}.deadletter" for name in SERVICES])).values())

    async def metric(self, name: str, metric: str) -> float:
        """Return the sum of a service's samples of *metric*, whatever their labels."""
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.services[name].port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].partition(" ")[0] == metric)


async def _is_ready(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def _stat(pid: int) -> list[str]:
    """Return what the system tells of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid: int) -> int | None:
    try:
        return int(_stat(pid)[1])
    except FileNotFoundError:  # it has ended
        return None


def _usage(pid: int) -> Usage:
    memory = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    ticks = sum(int(field) for field in _stat(pid)[_FIELDS_BEFORE_UTIME : _FIELDS_BEFORE_UTIME + 2])
    return Usage(ticks / _HERTZ, _mib(memory["VmRSS"]), _mib(memory["VmHWM"]))


def _mib(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) / 1024
