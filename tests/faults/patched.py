"""Starts a service after patching it: so that it dies at a named point, or lacks one of its safeguards.

``python -m tests.faults.patched SERVICE PATCH``, PATCH being a name of ``PATCHES``, with ``:N`` for the Nth time where it counts.
The services themselves know nothing of this.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiosmtplib import SMTP
from motor.motor_asyncio import AsyncIOMotorCollection

from services.common import ids, worker
from services.common.kafka import KafkaSink
from services.common.kafka_source import KafkaSource
from services.common.kafka_transactions import TransactionalSink
from services.common.loop import Loop
from services.common.registry import RegistryIds, Schemas
from services.common.settle import Settled
from services.common.sqlite import Database
from services.dedup.handler import DedupHandler
from services.ingest.handler import Handler as Ingest
from services.notifier.domain import board, telling
from services.notifier.handler.people import PeopleHandler
from services.segmenter.handler.people import People
from tests.faults.evidence import CRASH_MARK, POISON_MARK

Patch = Callable[[int], None]
_LINGER_SECONDS = 5.0
NEXT_RELEASE = "GROUNDSWELL_FAULTS_NEXT_RELEASE"
"""Names the folder of the next release's schemas."""
CLOCK = "GROUNDSWELL_FAULTS_CLOCK"
"""Names the file that says by how many seconds the clock is wrong."""

_STORE_WRITES = ("insert_one", "insert_many", "bulk_write", "replace_one", "update_many")


def _die_around(owner: Any, method: str, *, after: bool, countdown: list[int]) -> None:
    """Let the process kill itself before or after *method* of *owner* was awaited for the Nth time."""
    original = getattr(owner, method)

    async def dying(*args: Any, **kwargs: Any) -> Any:
        countdown[0] -= 1
        if countdown[0] == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = await original(*args, **kwargs)
        if countdown[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, method, dying)


def _around_store(*, after: bool) -> Patch:
    def patch(times: int) -> None:
        countdown = [times]
        _die_around(Database, "write", after=after, countdown=countdown)
        for method in _STORE_WRITES:
            _die_around_motor(AsyncIOMotorCollection, method, after=after, countdown=countdown)

    return patch


def _die_around_motor(owner: Any, method: str, *, after: bool, countdown: list[int]) -> None:
    """The same for motor, whose methods return futures and look like functions to it."""
    original = getattr(owner, method)

    def dying(self: Any, *args: Any, **kwargs: Any) -> Any:
        countdown[0] -= 1
        if countdown[0] == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        future = original(self, *args, **kwargs)
        if countdown[0] == 0:
            future.add_done_callback(lambda _: os.kill(os.getpid(), signal.SIGKILL))
        return future

    setattr(owner, method, dying)


def _around_publish(*, after: bool) -> Patch:
    def patch(times: int) -> None:
        for sink in (KafkaSink, TransactionalSink):
            _die_around(sink, "publish", after=after, countdown=[times])

    return patch


def _stop_before_publish(times: int) -> None:
    """Fall asleep between store and publication, until somebody wakes the process up."""
    original, countdown = KafkaSink.publish, [times]

    async def publish(self: KafkaSink, outputs: Any, positions: Any = None) -> None:
        countdown[0] -= 1
        if countdown[0] == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        await original(self, outputs, positions)

    KafkaSink.publish = publish  # type: ignore[method-assign]


def _around_commit(*, after: bool) -> Patch:
    def patch(times: int) -> None:
        _die_around(KafkaSource, "commit", after=after, countdown=[times])

    return patch


def _around_mail(*, after: bool) -> Patch:
    def patch(times: int) -> None:
        _die_around(SMTP, "sendmail", after=after, countdown=[times])

    return patch


def _deadly(owner: Any, method: str, field: str, mark: str = CRASH_MARK) -> Patch:
    """Whoever handles an event whose *field* holds *mark* raises what nobody expects, every time."""

    def patch(_times: int) -> None:
        original = getattr(owner, method)

        async def handle(self: Any, batch: Any) -> Any:
            if any(mark in (getattr(received.event, field, None) or "") for received in batch):
                raise ZeroDivisionError
            return await original(self, batch)

        setattr(owner, method, handle)

    return patch


def _clock(_times: int) -> None:
    """Let the process's clock be wrong by what a file says, which changes while it runs."""
    path, real, real_ns = Path(os.environ[CLOCK]), time.time, time.time_ns

    def wrong_by() -> int:
        try:
            return int(path.read_text())
        except (OSError, ValueError):  # between two contents
            return 0

    time.time = lambda: real() + wrong_by()
    time.time_ns = lambda: real_ns() + wrong_by() * 1_000_000_000


def _next_release(_times: int) -> None:
    """Write by the next release's schemas, and read by them."""
    folder = Path(os.environ[NEXT_RELEASE])
    setattr(worker, "open_schemas", lambda url: Schemas(RegistryIds(str(url)), folder))  # noqa: B010 - not worker's to export


def _no_guard(_times: int) -> None:
    """Without the crash guard: what kills a batch is logged, and the batch acknowledged, as a stream framework would."""

    async def take_batch(self: Loop, route: Any, records: Any) -> Settled:
        try:
            return await self._process(route, records)
        except ZeroDivisionError:
            return Settled()

    Loop._take_batch = take_batch  # type: ignore[method-assign]
    DEADLY["dedup"](0)


def _no_awaited_delivery(_times: int) -> None:
    """Without the awaited delivery: outputs are handed to the client, and the input is acknowledged at once."""
    original = KafkaSink.publish
    under_way: set[Any] = set()

    async def publish(self: KafkaSink, outputs: Any, positions: Any = None) -> None:
        async def later() -> None:
            await asyncio.sleep(_LINGER_SECONDS)  # what a client that lingers does, only longer, so that whoever looks now and then sees it
            await original(self, outputs, positions)

        under_way.add(asyncio.create_task(later()))

    KafkaSink.publish = publish  # type: ignore[method-assign]


def _no_unique_ledger(_times: int) -> None:
    """Without the ledger's uniqueness: an alert's id counts up, and nobody asks whether its person was told."""
    numbers = itertools.count(os.getpid() * 1_000)

    def counted(workspace: str, idea: str, release: str, person: str) -> str:
        return ids.alert_id(workspace, idea, release, f"{person}#{next(numbers)}")

    for module, name, function in (
        (board, "alert_id", counted),
        (telling, "told_before", lambda _others: None),
        (telling, "told_first", lambda _row, _others: None),
    ):
        setattr(module, name, function)


def _no_pointers(_times: int) -> None:
    """Without following pointers: whoever asked for what was merged into a shipped idea is not found."""

    def root(_board: board.Board, idea: str) -> str:
        return idea

    def below(_board: board.Board, top: str) -> list[str]:
        return [top]

    for name, function in (("root", root), ("_below", below)):
        setattr(board.Board, name, function)


DEADLY: dict[str, Patch] = {
    "ingest": _deadly(Ingest, "handle", "text", POISON_MARK),
    "dedup": _deadly(DedupHandler, "handle", "text"),
    "segmenter": _deadly(People, "events", "traits_json"),
    "notifier": _deadly(PeopleHandler, "handle", "traits_json"),
}
"""What in each service dies of a mark."""
PATCHES: dict[str, Patch] = {
    "before_store": _around_store(after=False),
    "after_store": _around_store(after=True),
    "before_publish": _around_publish(after=False),
    "after_publish": _around_publish(after=True),
    "stop_before_publish": _stop_before_publish,
    "before_commit": _around_commit(after=False),
    "after_commit": _around_commit(after=True),
    "before_mail": _around_mail(after=False),
    "after_mail": _around_mail(after=True),
    "clock": _clock,
    "next_release": _next_release,
    **{f"deadly_{service}": patch for service, patch in DEADLY.items()},
    "no_guard": _no_guard,
    "no_awaited_delivery": _no_awaited_delivery,
    "no_unique_ledger": _no_unique_ledger,
    "no_pointers": _no_pointers,
}
CRASH_POINTS = ("before_store", "after_store", "before_publish", "after_publish", "before_commit", "after_commit")
MAIL_POINTS = ("before_mail", "after_mail")


def main() -> None:
    """Patch, then run the service as its own command does."""
    service, patches = sys.argv[1], sys.argv[2]
    for patch in patches.split(","):
        name, _, times = patch.partition(":")
        PATCHES[name](int(times or 1))
    sys.argv = [f"services.{service}"]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
