"""Processes of the embedded stack, kept running as Kubernetes would keep them."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from services.common.guard import Exit

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 10.0
_HEALTHY_SECONDS = 30.0
"""A process that lived so long begins with the first wait again."""
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Run in a child before it becomes its program: where Linux can, let it be killed when this process dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Supervised:
    """A process that is started again whenever it ends, until ``stop``; exit 78, a wrong configuration, ends the attempts."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, say: Callable[[str], None]) -> None:
        self.name = name
        self.refusal: str | None = None
        """Why the process refuses to start, once it did."""
        self.starts = 0
        self._command = command
        self._environment = dict(environment)
        self._log = log
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The running process, or None between two."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def start(self) -> None:
        """Start the process and watch over it."""
        await self._spawn()
        self._watch = asyncio.create_task(self._keep())

    async def stop(self, seconds: float) -> None:
        """Ask the process to end, and after *seconds* end it; repeating the call changes nothing."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), seconds)
            except TimeoutError:
                self._say(f"{self.name} did not stop within {seconds:.0f} s and was killed")
                process.kill()
                await process.wait()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    async def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env={**os.environ, **self._environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours to pass on, in the right order
                preexec_fn=die_with_parent,
            )
        self.starts += 1

    async def _keep(self) -> None:
        wait = _FIRST_WAIT_SECONDS
        while self._process is not None:
            began = time.monotonic()
            code = await self._process.wait()
            if self._stopping:
                return
            if code == Exit.CONFIGURATION:
                self.refusal = self._last_words() or "its configuration is wrong"
                return
            if time.monotonic() - began > _HEALTHY_SECONDS:
                wait = _FIRST_WAIT_SECONDS
            self._say(f"{self.name} ended ({_how(code)}) and is started again; see {self._log}")
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
            await self._spawn()

    def _last_words(self) -> str | None:
        """Return what the process's last ``configuration`` line says."""
        for line in reversed(self._log.read_text(errors="replace").splitlines()):
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and record.get("event") == "configuration":
                return str(record.get("error"))
        return None


def _how(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    names = {int(exit_code): exit_code.name.lower() for exit_code in Exit}
    return f"exit {code}, {names[code]}" if code in names else f"exit {code}"
