"""Workers as processes, any number a service, started again whenever they end: what Kubernetes would do, only sooner."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from services.console.embedded.processes import die_with_parent

SERVICES = ("ingest", "dedup", "segmenter", "notifier")
ROOT = Path(__file__).resolve().parents[2]
_AGAIN_SECONDS = 0.2
_STOP_SECONDS = 40.0
_CONFIGURATION = 78


class Member:
    """One worker's place: a process, and its successors."""

    def __init__(
        self, service: str, environment: Mapping[str, str], log: Path, ended: Callable[[str, int], None], patch: str | None
    ) -> None:
        self.service = service
        self._patch = patch
        self.release: str | None = None
        """The patch that makes a release of it other than the present one."""
        self.once: str | None = None
        """What ``tests.faults.patched`` does to the next process, and to that one only."""
        self.pid: int | None = None
        self._environment = environment
        self._log = log
        self._ended = ended
        self._wanted = True
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start, and start again whenever it ends."""
        await self._spawn()
        self._keeping = asyncio.create_task(self._keep())

    def check(self) -> None:
        """Fail if nobody keeps it running any more, because it refuses to start."""
        if self._keeping is not None and self._keeping.done():
            self._keeping.result()

    async def stop(self) -> None:
        """Ask it to end and wait; end it after its time."""
        self._wanted = False
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        assert self._keeping is not None
        try:
            await asyncio.wait_for(asyncio.shield(self._keeping), _STOP_SECONDS)
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self._keeping

    def send(self, number: signal.Signals) -> bool:
        """Send a signal, unless there is no process at this moment; tell whether there was one."""
        try:
            if self.pid is not None:
                os.kill(self.pid, number)
        except ProcessLookupError:  # it has just ended
            return False
        return self.pid is not None

    def is_asleep(self) -> bool:
        """Tell whether the process was stopped by SIGSTOP."""
        try:
            return self.pid is not None and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            return False

    def size(self) -> int:
        """Return the resident bytes of the process; 0 where there is none."""
        try:
            return 0 if self.pid is None else int(psutil.Process(self.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0

    async def _spawn(self) -> None:
        patch, self.once = ",".join(filter(None, (self._patch, self.release, self.once))), None
        module = [f"services.{self.service}"] if not patch else ["tests.faults.patched", self.service, patch]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *module,
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.pid = self._process.pid

    def _is_wanted(self) -> bool:
        return self._wanted

    async def _keep(self) -> None:
        while self._process is not None and self._is_wanted():
            code = await self._process.wait()
            self.pid = None
            if not self._is_wanted():
                return
            self._ended(self.service, code)
            assert code != _CONFIGURATION, f"{self.service} refuses to start; see {self._log}"
            await asyncio.sleep(_AGAIN_SECONDS)
            if self._is_wanted():
                await self._spawn()


class Fleet:
    """All workers of all services."""

    def __init__(self, folder: Path, environment: Callable[[str], Mapping[str, str]], patches: Mapping[str, str]) -> None:
        self.members: dict[str, list[Member]] = {service: [] for service in SERVICES}
        self.deaths: Counter[str] = Counter()
        """How many processes of each service ended without having been asked to."""
        self.exits: Counter[str] = Counter()
        """How they ended: ``service code``."""
        self.peak_bytes: Counter[str] = Counter()
        self.releases: dict[str, str] = {}
        """What makes the next workers of a service ones of another release."""
        self._folder = folder
        self._environment = environment
        self._patches = patches
        self._started = 0

    async def scale(self, service: str, count: int) -> None:
        """Let *service* have *count* workers."""
        places = self.members[service]
        while len(places) > count:
            await places.pop().stop()
        while len(places) < count:
            self._started += 1
            log = self._folder / f"{service}-{self._started}.log"
            places.append(Member(service, self._environment(service), log, self._note, self._patches.get(service)))
            places[-1].release = self.releases.get(service)
            await places[-1].start()

    async def replace_first(self, service: str) -> None:
        """Stop the worker of *service* that has been there longest; the others stay."""
        await self.members[service].pop(0).stop()

    async def stop(self) -> None:
        """Stop everyone."""
        await asyncio.gather(*(self.scale(service, 0) for service in SERVICES))

    def everyone(self) -> list[Member]:
        """Return all members of all services."""
        return [member for members in self.members.values() for member in members]

    def measure(self) -> None:
        """Look how large everyone is now; fail where one refuses to start."""
        for member in self.everyone():
            member.check()
            self.peak_bytes[member.service] = max(self.peak_bytes[member.service], member.size())

    def _note(self, service: str, code: int) -> None:
        self.deaths[service] += 1
        self.exits[f"{service} {code}"] += 1
