"""Rows on their way to the broker as they come: from a file, or from a program that goes on writing."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.common.errors import TransientError
from services.common.records import Output
from services.console.cluster import Cluster
from services.console.failures import CommandFailed, ExitCode
from services.console.publishing import CHUNK, Target, prepared
from services.console.rows import Row

_LOOK_UP_SECONDS = 0.2
_Read = Row | CommandFailed


@dataclass(slots=True)
class Fed:
    """What became of the rows so far."""

    published: int = 0
    """Confirmed by the broker."""
    refused: int = 0
    ignored: int = 0
    """By the channel's own rule."""


async def feed(cluster: Cluster, path: Path, rows: Iterator[_Read], target: Target, *, say: Callable[[str], None], fed: Fed) -> None:
    """Publish *rows* of *path*, at most ``CHUNK`` at once and without waiting for more; *fed* says how far it has come.

    What ingest would refuse is not sent: *say* is told why, with its line.

    Raises:
        CommandFailed: The broker went away; the message tells how many records it has.
    """
    async with _read(rows) as chunks:
        async for chunk in chunks:
            outputs: list[Output] = []
            for row in chunk:
                match prepared(path, row, target):
                    case None:
                        fed.ignored += 1
                    case CommandFailed() as failed:
                        fed.refused += 1
                        say(str(failed))
                    case output:
                        outputs.append(output)
            try:
                await cluster.publish(outputs)
            except TransientError as error:
                kept = f"{fed.published:,} records are confirmed; publish it all again, repeats change nothing"
                raise CommandFailed(f"{error}; {kept}", ExitCode.UNAVAILABLE) from error
            fed.published += len(outputs)


@asynccontextmanager
async def _read(rows: Iterator[_Read]) -> AsyncIterator[AsyncIterator[list[_Read]]]:
    """Give what a thread reads of *rows*, chunk by chunk: a pipe that is silent holds up nobody but that thread."""
    read: queue.Queue[_Read | BaseException | None] = queue.Queue(maxsize=2 * CHUNK)
    stopped = threading.Event()

    def work() -> None:
        try:
            for row in rows:
                _put(read, row, stopped)
            _put(read, None, stopped)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the rows are awaited
            _put(read, error, stopped)

    threading.Thread(target=work, daemon=True).start()
    try:
        yield _chunks(read)
    finally:
        stopped.set()


def _put(read: queue.Queue[_Read | BaseException | None], what: _Read | BaseException | None, stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            read.put(what, timeout=_LOOK_UP_SECONDS)
        except queue.Full:
            continue
        return


async def _chunks(read: queue.Queue[_Read | BaseException | None]) -> AsyncIterator[list[_Read]]:
    chunk: list[_Read] = []
    while True:
        try:
            what = read.get_nowait()
        except queue.Empty:
            if chunk:
                yield chunk
                chunk = []
            await asyncio.sleep(_LOOK_UP_SECONDS / 10)
            continue
        if what is None:
            break
        if isinstance(what, BaseException) and not isinstance(what, CommandFailed):
            raise what
        chunk.append(what)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
