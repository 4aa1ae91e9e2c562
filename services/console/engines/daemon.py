"""Processes that outlive the command that started them, remembered by a file."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from services.common.errors import ConfigurationError, TransientError

_STOP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Daemon:
    """A started process: its id, and the moment of its start, without which an id may be another's by now."""

    pid: int
    started: int
    """Clock ticks since boot, as ``/proc`` tells them."""

    def is_running(self) -> bool:
        """Tell whether this very process still runs."""
        return _start_of(self.pid) == self.started

    def stop(self) -> None:
        """End it, with force after twenty seconds; repeating the call changes nothing."""
        deadline = time.monotonic() + _STOP_SECONDS
        if self.is_running():
            os.kill(self.pid, signal.SIGTERM)
        while self.is_running():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.1)


def tool(name: str, why: str) -> str:
    """Return the path of a program of this machine.

    Raises:
        ConfigurationError: It is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise ConfigurationError(f"{name} is not installed; it is needed {why}")
    return path


def run(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> str:
    """Run *command* in *folder* to its end and return what it printed.

    Raises:
        TransientError: It failed; the message ends with the last lines of its output.
    """
    done = subprocess.run(  # noqa: S603 - tools of this machine
        command, cwd=folder, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise TransientError(f"{command[0]} failed with {done.returncode}: {(done.stdout + done.stderr)[-800:].strip()}")
    return done.stdout


def start(command: Sequence[str], log: Path) -> Daemon:
    """Start *command* in a session of its own, its output going to *log*."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - tools of this machine
            command, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    return Daemon(process.pid, _start_of(process.pid) or 0)


def wait_for_port(daemon: Daemon, port: int, log: Path, seconds: float) -> None:
    """Return when *port* of 127.0.0.1 answers.

    Raises:
        TransientError: *daemon* ended, or *seconds* went by.
    """
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if not daemon.is_running() or time.monotonic() > deadline:
            raise TransientError(f"nothing answers on port {port}; see {log}")
        time.sleep(0.1)


def remember(path: Path, daemons: Sequence[Daemon]) -> None:
    """Write down *daemons* for the command that stops them."""
    path.write_text(json.dumps([asdict(daemon) for daemon in daemons]))


def recall(path: Path) -> list[Daemon]:
    """Return what ``remember`` wrote; nothing where there is no file."""
    return [Daemon(**entry) for entry in json.loads(path.read_text())] if path.exists() else []


def stop_all(path: Path) -> int:
    """Stop all that *path* remembers; return how many still ran."""
    running = [daemon for daemon in recall(path) if daemon.is_running()]
    for daemon in running:
        daemon.stop()
    path.unlink(missing_ok=True)
    return len(running)


def _start_of(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
