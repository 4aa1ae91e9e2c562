"""The embedded stack: Tansu, a mail sink and the four services, each a process of its own, under one folder.

``stack.json`` in that folder tells other commands where it is. Tansu keeps nothing, so every run begins with empty stores; an Apache
Kafka and a MongoDB that run already can take its and SQLite's place.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from services.common.errors import ConfigurationError, TransientError
from services.common.settings import KafkaSettings
from services.console.cluster import Cluster
from services.console.embedded.broker import EmbeddedBroker, free_port
from services.console.embedded.processes import Supervised
from services.console.engines import ENGINES
from services.console.topics import apply_topics

SERVICES = ("ingest", "dedup", "segmenter", "notifier")
PARTITIONS = 4
STATE_FILE = "stack.json"
STACK_FOLDER = Path(".groundswell")
"""Where a stack is kept by default, below the present folder."""
MODELS = STACK_FOLDER / "models"
"""Exported models, which outlive a run: an export takes longer than a start."""
_READY_SECONDS = 120.0
_STOP_SECONDS = 25.0
_KAFKA_SESSION_MS = 10_000


@dataclass(slots=True)
class StackState:
    """What ``stack.json`` holds."""

    pid: int
    """The process that keeps the stack."""
    bootstrap_servers: str
    data_dir: str
    logs_dir: str
    mail_log: str
    """One JSON object a mail that the sink accepted."""
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name: ``pid``, ``port`` (of its HTTP server; the mail sink's SMTP), ``starts``."""

    def is_running(self) -> bool:
        """Tell whether the process that kept the stack is still there."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def read_state(folder: Path) -> StackState | None:
    """Return the state of the stack under *folder*, or None where no stack runs."""
    try:
        state = StackState(**json.loads((folder / STATE_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return state if state.is_running() else None


@dataclass(frozen=True, slots=True)
class Engines:
    """What a stack uses instead of starting it: Tansu is a process of its own, SQLite files lie under its folder."""

    bootstrap_servers: str | None = None
    """An Apache Kafka whose topics, if there are any, are empty."""
    store_url: str | None = None
    """A MongoDB without the name of a database: each service of each run has one of its own there."""


def stack_kafka(bootstrap_servers: str) -> KafkaSettings:
    """Return how clients talk to the embedded broker."""
    return KafkaSettings(bootstrap_servers=bootstrap_servers, idempotence=False, session_timeout_ms=6_000)


class Stack:
    """An async context manager: entered, everything runs; left, nothing does.

    Args:
        folder: Holds state, stores and logs. Must be empty, or hold an earlier run's, which is removed.
        say: Told in one line what a person should know (a service that ended, one that is slow).
        environment: More settings for the services.
        engines: What runs already.
    """

    def __init__(
        self, folder: Path, say: Callable[[str], None], environment: Mapping[str, str] | None = None, engines: Engines | None = None
    ) -> None:
        self._folder = folder.absolute()
        self._say = say
        self._environment = dict(environment or {})
        self._engines = engines or Engines()
        self._run = uuid.uuid4().hex[:8]
        self._processes: dict[str, Supervised] = {}
        self._ports: dict[str, int] = {}
        self._broker: EmbeddedBroker | None = None
        self._saving: asyncio.Task[None] | None = None

    @property
    def kafka(self) -> KafkaSettings:
        """How to reach its broker."""
        if self._engines.bootstrap_servers is not None:
            return KafkaSettings(bootstrap_servers=self._engines.bootstrap_servers, session_timeout_ms=_KAFKA_SESSION_MS)
        if self._broker is None:
            raise TransientError("the embedded stack is not running")
        return stack_kafka(self._broker.bootstrap_servers)

    @property
    def mail_log(self) -> Path:
        """Where the mail sink writes one JSON object a mail."""
        return self._folder / "mail.jsonl"

    @property
    def logs(self) -> Path:
        """Where each process writes its log."""
        return self._folder / "logs"

    async def __aenter__(self) -> Stack:
        """Start everything; return once every service has its partitions.

        Raises:
            ConfigurationError: The folder is in use or not ours, topics hold records, or a service refuses its settings.
            TransientError: A service is not ready within two minutes.
        """
        self._clear()
        try:
            if self._engines.bootstrap_servers is None:
                self._broker = EmbeddedBroker(self.logs / "broker.log")
                self._broker.__enter__()
            async with Cluster(self.kafka) as cluster:
                await _make_topics(cluster)
            await self._start_processes()
            self._saving = asyncio.create_task(self._keep_state())
            await self._all_ready()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop the services, then what they need; repeating the call changes nothing."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        services = [process for name, process in self._processes.items() if name in SERVICES]
        await asyncio.gather(*(process.stop(_STOP_SECONDS) for process in services))
        await asyncio.gather(*(process.stop(_STOP_SECONDS) for process in self._processes.values()))
        if self._broker is not None:
            self._broker.stop()
        (self._folder / STATE_FILE).unlink(missing_ok=True)

    async def watch(self) -> None:
        """Return never; a service that refuses its configuration ends the watch.

        Raises:
            ConfigurationError: What that service said.
        """
        while True:
            self._check_refusals()
            await asyncio.sleep(0.2)

    def starts(self) -> dict[str, int]:
        """Return how often each service was started."""
        return {name: self._processes[name].starts for name in SERVICES}

    def _clear(self) -> None:
        running = read_state(self._folder)
        if running is not None:
            raise ConfigurationError(f"a stack runs under {self._folder} already (process {running.pid}); stop it, or choose another --dir")
        ours = {STATE_FILE, "data", "logs", self.mail_log.name}
        found = {entry.name for entry in self._folder.iterdir()} if self._folder.exists() else set()
        if not found <= ours | {MODELS.name, ENGINES.name}:
            raise ConfigurationError(f"{self._folder} holds other files; choose an empty folder with --dir")
        for folder in (self._folder / "data", self.logs):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self.mail_log.unlink(missing_ok=True)
        self.mail_log.touch()

    async def _start_processes(self) -> None:
        smtp_port = self._ports["mail"] = free_port()
        self._add("mail", ["services.console.embedded.mail", "--port", str(smtp_port), "--log", str(self.mail_log)], {})
        for name in SERVICES:
            self._ports[name] = free_port()
            self._add(name, [f"services.{name}"], self._settings_of(name, smtp_port))
        await asyncio.gather(*(process.start() for process in self._processes.values()))

    def _add(self, name: str, module: list[str], environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", *module]
        self._processes[name] = Supervised(name, command, environment, self.logs / f"{name}.log", self._say)

    def _settings_of(self, name: str, smtp_port: int) -> dict[str, str]:
        kafka = self.kafka
        settings = {
            "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "GROUNDSWELL_KAFKA_IDEMPOTENCE": str(kafka.idempotence).lower(),
            "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": str(kafka.session_timeout_ms),
            "GROUNDSWELL_TOPIC_PARTITIONS": str(PARTITIONS),
            "GROUNDSWELL_DATA_DIR": str(self._folder / "data"),
            "GROUNDSWELL_HTTP_PORT": str(self._ports[name]),
            "GROUNDSWELL_MODEL_CACHE": os.environ.get("GROUNDSWELL_MODEL_CACHE", str(MODELS.absolute())),
        }
        if self._engines.store_url is not None:
            settings["GROUNDSWELL_STORE_URL"] = store_of(self._engines.store_url, self._run, name)
        if name == "notifier":
            settings |= {"GROUNDSWELL_SMTP_HOST": "127.0.0.1", "GROUNDSWELL_SMTP_PORT": str(smtp_port)}
        return settings | self._environment

    async def _all_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        waiting = {*SERVICES, "mail"}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while waiting:
                self._check_refusals()
                if asyncio.get_running_loop().time() > deadline:
                    raise TransientError(f"{', '.join(sorted(waiting))} not ready within {_READY_SECONDS:.0f} s; see {self.logs}")
                for name in sorted(waiting):
                    port = self._ports[name]
                    if await (_is_ready(session, port) if name in SERVICES else _is_open(port)):
                        waiting.discard(name)
                await asyncio.sleep(0.1)

    def _check_refusals(self) -> None:
        for process in self._processes.values():
            if process.refusal is not None:
                raise ConfigurationError(f"{process.name} refuses to start: {process.refusal}")

    async def _keep_state(self) -> None:
        """Keep ``stack.json`` true while processes come and go."""
        written = None
        while True:
            state = self._state()
            if state != written:
                path = self._folder / STATE_FILE
                fresh = path.with_suffix(".new")
                fresh.write_text(json.dumps(asdict(state), indent=2) + "\n")
                fresh.replace(path)
                written = state
            await asyncio.sleep(0.1)

    def _state(self) -> StackState:
        services = {
            name: {"pid": process.pid, "port": self._ports[name], "starts": process.starts} for name, process in self._processes.items()
        }
        return StackState(
            os.getpid(), self.kafka.bootstrap_servers, str(self._folder / "data"), str(self.logs), str(self.mail_log), services
        )


def store_of(url: str, run: str, service: str) -> str:
    """Return *url*, which names no database, with that of *service* in *run*."""
    base, mark, options = url.partition("?")
    return f"{base.rstrip('/')}/groundswell_{run}_{service}{mark}{options}"


async def _make_topics(cluster: Cluster) -> None:
    applied = await apply_topics(cluster, partitions=PARTITIONS, replication=1)
    ends = await cluster.ends([topic.topic for topic in applied if topic.state == "unchanged"])
    used = sorted({topic for (topic, _), end in ends.items() if end})
    if used:
        raise ConfigurationError(
            f"the broker's topics hold records already ({', '.join(used[:3])}{', …' if used[3:] else ''}); "
            "a stack begins with empty stores, so it wants empty topics too"
        )


async def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False


async def _is_ready(session: aiohttp.ClientSession, port: int) -> bool:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    return False
