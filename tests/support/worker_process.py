"""The tiny service as a process: started, stopped, killed, frozen and read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from services.common.paths import ROOT
from services.console.embedded.broker import free_port

_PATIENCE_SECONDS = 60


@dataclass
class Tiny:
    """One tiny service: its topics, its folder and the processes that were started for it."""

    bootstrap: str
    name: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    """More environment variables."""
    processes: list[Worker] = field(default_factory=list)

    @property
    def source(self) -> str:
        """The topic that it reads."""
        return self.settings.get("TINY_SOURCE", f"{self.name}.in")

    @property
    def target(self) -> str:
        """The topic that it writes."""
        return f"{self.name}.out"

    @property
    def letters(self) -> str:
        """Its dead-letter topic."""
        return f"{self.name}.deadletter"

    @property
    def group(self) -> str:
        """Its consumer group."""
        return f"groundswell-{self.name}"

    def start(self, **more: str) -> Worker:
        """Start a worker; *more* are environment variables of its own, ``TINY_FATE`` (``tests.support.tiny_dying``) among them."""
        port = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDSWELL_")} | {
            "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "GROUNDSWELL_KAFKA_IDEMPOTENCE": "false",
            "GROUNDSWELL_KAFKA_SESSION_TIMEOUT_MS": "4000",
            "GROUNDSWELL_KAFKA_REQUEST_TIMEOUT_MS": "5000",
            "GROUNDSWELL_DATA_DIR": str(self.folder),
            "GROUNDSWELL_HTTP_PORT": str(port),
            "TINY_NAME": self.name,
            "TINY_SOURCE": self.source,
            "TINY_TARGET": self.target,
            "TINY_JOURNAL": str(self.folder / "journal"),
            **self.settings,
            **more,
        }
        worker = Worker(environment, self.folder / f"worker-{len(self.processes)}.log", int(environment["GROUNDSWELL_HTTP_PORT"]))
        self.processes.append(worker)
        return worker

    def journal(self) -> list[dict[str, Any]]:
        """Return what its workers noted, in order."""
        path = self.folder / "journal"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def __enter__(self) -> Tiny:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self.processes:
            worker.kill()


class Worker:
    """One process of the tiny service."""

    def __init__(self, environment: dict[str, str], log: Path, port: int) -> None:
        self._log = log
        self._port = port
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.tiny_dying"], cwd=ROOT, env=environment, stdout=stderr, stderr=stderr
            )
        self.pid = self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill -9; repeating the call changes nothing."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code once it ends."""
        try:
            return self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running:\n{self.text()[-4000:]}") from None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def text(self) -> str:
        """Return all that it printed."""
        return self._log.read_text(errors="replace")

    def log(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of *event*."""
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if line["event"] == event]

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of its own web port; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""


def wait_for(holds: Any, what: str, seconds: float = 90.0) -> None:
    """Return once *holds()* does; fail with *what* after *seconds*."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)
