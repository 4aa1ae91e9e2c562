"""A service of a few lines, run by the real ``run_service``: what its records say is what happens to it.

A value is ``<verb>[:<argument>]|<anything>``; any other value is malformed. The handler writes what it does to a journal, one JSON
line each, so that a test sees who handled what when.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.common.codec import Codec
from services.common.crash import CrashMark, CrashMarks
from services.common.errors import ConfigurationError, Fenced, MalformedRecord, TransientError
from services.common.outcome import Drop, Emit, Outcome
from services.common.ports import Route
from services.common.records import Output, Received, Record
from services.common.service import refuse, run_service
from services.common.settings import KafkaSettings, Settings, load_settings
from services.common.store import open_store
from services.common.worker import Wiring

NAME, SOURCE, TARGET, JOURNAL, MARKS = "TINY_NAME", "TINY_SOURCE", "TINY_TARGET", "TINY_JOURNAL", "TINY_MARKS"


class NoMarks:
    """For several workers at once, which one SQLite file does not allow."""

    async def load(self, partitions: Iterable[tuple[str, int]]) -> Sequence[CrashMark]:
        """Return nothing."""
        return ()

    async def put(self, marks: Sequence[CrashMark]) -> None:
        """Forget."""

    async def clear(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Forget."""

    async def hold(self, worker: str, positions: Mapping[tuple[str, int], int]) -> frozenset[tuple[str, int]]:
        """Return nothing."""
        return frozenset()

    async def let_go(self, worker: str) -> None:
        """Forget."""


def decode(record: Record) -> tuple[str, str]:
    """Return verb and argument."""
    if record.value is None:
        raise MalformedRecord("null_value", "expected <verb>|<anything>")
    head, bar, _ = record.value.partition(b"|")
    if not bar:
        raise MalformedRecord("no_verb", "expected <verb>|<anything>")
    verb, _, argument = head.decode("utf-8", "replace").partition(":")
    return verb, argument


class Handler:
    """Does what the records say."""

    def __init__(self, target: str, journal: Path) -> None:
        self._target = target
        self._journal = journal.open("a", buffering=1)
        self._fenced = False

    async def handle(self, batch: Sequence[Received[tuple[str, str]]]) -> Sequence[Outcome]:
        """Return one outcome a record."""
        self._note("began", batch)
        outcomes = [await self._one(received) for received in batch]
        self._note("ended", batch)
        return outcomes

    async def revoked(self) -> None:
        """Note that nothing is owned any more."""
        self._note("revoked", ())

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Note what is owned now."""
        self._write({"what": "assigned", "partitions": sorted(partitions)})

    async def _one(self, received: Received[tuple[str, str]]) -> Outcome:
        record, (verb, argument) = received.record, received.event
        match verb:
            case "crash":
                raise ValueError(f"a bug that quotes its payload: {record.value!r}")
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "cancelled":
                raise asyncio.CancelledError
            case "slow":
                await asyncio.sleep(float(argument))
            case "away" if not os.access(argument, os.F_OK):
                raise TransientError("the store is away")
            case "fenced" if not self._fenced:
                self._fenced = True
                raise Fenced("another worker has written")
            case "drop":
                return Drop("repeat")
            case "wide":
                return Emit((Output(self._target, record.key, b"x" * int(argument), record.key or b""),))
        return Emit((Output(self._target, record.key, record.value, record.key or b"", record.headers),))

    @property
    def topics(self) -> Sequence[str]:
        """What it has published."""
        return [self._target]

    async def recall(self, topic: str, records: Sequence[Record]) -> None:
        """Note what was said before the store was lost."""
        self._write({"what": "recalled", "topic": topic, "records": [(r.partition, r.offset) for r in records]})

    def _note(self, what: str, batch: Sequence[Received[tuple[str, str]]]) -> None:
        self._write({"what": what, "records": [(r.record.partition, r.record.offset) for r in batch]})

    def _write(self, entry: dict[str, object]) -> None:
        self._journal.write(json.dumps({"worker": os.getpid(), "at": time.monotonic(), **entry}) + "\n")


@asynccontextmanager
async def wire(_codec: Codec, _registry: CollectorRegistry) -> AsyncIterator[Wiring]:
    """Open the store, if there is one, and hand over the route."""
    handler = Handler(os.environ[TARGET], Path(os.environ[JOURNAL]))
    route = Route(os.environ[SOURCE], decode, handler.handle, glance=lambda _: None)
    if os.environ.get(MARKS) == "none":
        marks: CrashMarks = NoMarks()
        yield Wiring([route], marks, handler)
    else:
        async with open_store(load_settings(Settings), os.environ[NAME], schema="", sqlite=lambda d: d, mongo=lambda m: m) as store:
            yield Wiring([route], store.marks, handler, birth=store.birth, recall=handler)


if __name__ == "__main__":
    try:
        SETTINGS, KAFKA = load_settings(Settings), load_settings(KafkaSettings)
    except ConfigurationError as wrong:
        refuse(os.environ[NAME], wrong)
    run_service(os.environ[NAME], SETTINGS, KAFKA, wire)
