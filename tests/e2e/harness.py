"""One embedded stack under test: started as a user starts it, hurt as a machine hurts it, judged from topics and mails alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.common.events import Decision, EnrichedFeedback, Idea
from services.common.records import Output, Record
from services.console.board import decoded, in_order
from services.console.cluster import Cluster, Tail
from services.console.context import codec
from services.console.embedded.stack import StackState, read_state, stack_kafka
from services.console.lag import measure_from
from services.console.publishing import chunks
from services.console.topics import wanted_topics
from tests.support.fresh import empty_kafka

_START_SECONDS = 300.0
_LOOK_AGAIN_SECONDS = 0.3


BOOTSTRAP = "GROUNDSWELL_TEST_BOOTSTRAP_SERVERS"
"""An Apache Kafka for the stack under test, instead of the embedded broker; its topics are made anew."""
MONGO_URL = "GROUNDSWELL_TEST_MONGO_URL"
"""A MongoDB, used beside such a Kafka only; the stack takes databases of its own there."""
_QUIET_SECONDS = 450.0 if {BOOTSTRAP, MONGO_URL} <= os.environ.keys() else 300.0
"""FerretDB takes longer for thousands of texts. Both are some three times what two idle cores need."""


def engines() -> list[str]:
    """Return the options of ``groundswell up`` that name the engines of this run."""
    if BOOTSTRAP not in os.environ:
        return []
    store = mongo_url()
    return ["--bootstrap", os.environ[BOOTSTRAP], *(["--store", store] if store else [])]


def mongo_url() -> str | None:
    """Return where the MongoDB of the stack under test is; None says that its stores are SQLite's files."""
    return os.environ.get(MONGO_URL) if BOOTSTRAP in os.environ else None


class StackProcess:
    """``groundswell up`` as a process; a context manager that stops it by Ctrl-C."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> StackProcess:
        if BOOTSTRAP in os.environ:
            empty_kafka(os.environ[BOOTSTRAP])
        out = (self.folder.parent / "up.out").open("wb")
        command = [sys.executable, "-m", "services.console", "up", "--dir", str(self.folder), *engines()]
        # Small batches, so that a crash comes in the middle of the input.
        self._process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "GROUNDSWELL_BATCH_RECORDS": "50"})
        out.close()
        deadline = time.monotonic() + _START_SECONDS
        while "ready:" not in self.said():
            assert self._process.poll() is None, f"`groundswell up` ended:\n{self.said()}"
            assert time.monotonic() < deadline, f"`groundswell up` is not ready:\n{self.said()}"
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def said(self) -> str:
        """Return what ``groundswell up`` printed so far."""
        return (self.folder.parent / "up.out").read_text(errors="replace")

    @property
    def state(self) -> StackState:
        """What ``stack.json`` says now."""
        state = read_state(self.folder)
        assert state is not None, f"no stack runs:\n{self.said()}"
        return state

    def kill(self, service: str) -> None:
        """kill -9 *service*; the stack starts it again."""
        os.kill(self.state.services[service]["pid"], signal.SIGKILL)

    def starts(self) -> dict[str, int]:
        """Return how often each process was started."""
        return {name: service["starts"] for name, service in self.state.services.items()}

    def mails(self) -> list[dict[str, Any]]:
        """Return what the mail sink took."""
        return [json.loads(line) for line in Path(self.state.mail_log).read_text().splitlines()]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[Cluster, Tail]]:
        """Open a connection, and a tail over every topic."""
        async with Cluster(stack_kafka(self.state.bootstrap_servers)) as cluster, await cluster.tail(sorted(wanted_topics())) as tail:
            yield cluster, tail


def groundswell(stack: StackProcess, *arguments: object) -> str:
    """Run a command beside the stack and return what it printed."""
    command = [sys.executable, "-m", "services.console", *map(str, arguments)]
    environment = {
        **os.environ,
        "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": stack.state.bootstrap_servers,
        "GROUNDSWELL_KAFKA_IDEMPOTENCE": "false",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def quiet(cluster: Cluster, tail: Tail) -> None:
    """Wait until every service has acknowledged all that it reads; *tail* has read everything then."""
    deadline = time.monotonic() + _QUIET_SECONDS
    while True:
        behind = {f"{entry.service} {entry.topic}": entry.lag for entry in await measure_from(cluster, tail) if entry.lag}
        if not behind:
            return
        assert time.monotonic() < deadline, f"after {_QUIET_SECONDS:.0f} s these are behind: {behind}"
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def publish(cluster: Cluster, outputs: Sequence[Output]) -> None:
    """Publish *outputs* in confirmed batches."""
    for chunk in chunks(outputs):
        await cluster.publish(chunk)


def enriched(records: Sequence[Record], workspace: str) -> list[EnrichedFeedback]:
    """Return the enriched feedback of *workspace*."""
    return [feedback for feedback in decoded(codec(), EnrichedFeedback, records) if feedback.workspace == workspace]


def decisions(records: Sequence[Record], workspace: str) -> list[Decision]:
    """Return the decisions of *workspace*, in order, repeats left out."""
    return [decision for decision in in_order(decoded(codec(), Decision, records)) if decision.workspace == workspace]


def ideas(records: Sequence[Record], workspace: str) -> list[Idea]:
    """Return every state of the ideas of *workspace*, as published."""
    return [idea for idea in decoded(codec(), Idea, records) if idea.workspace == workspace]


def texts_of_sample() -> list[tuple[str, str]]:
    """Return (id, text) of some hundred wishes of the bundled sample, as a file of one's own would hold them."""
    folder = Path(__file__).resolve().parents[2] / "examples" / "lumora"
    wishes = []
    for line in (folder / "feedback.raw.chat.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)["event"]
        if event.get("subtype") is None and event["text"].strip():
            wishes.append((event["ts"], event["text"]))
    for line in (folder / "feedback.raw.nps.jsonl").read_text(encoding="utf-8").splitlines():
        response = json.loads(line)["form_response"]
        text = response["answers"][1]["text"]
        if isinstance(text, str):
            wishes.append((response["token"], text))
    return wishes
