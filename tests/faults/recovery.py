"""``python -m tests.faults.recovery --engine embedded|real``: how long it takes until nobody is behind any more after an outage.

For each of store, broker and worker: first the rate that is sustained, by a burst and how long it takes to drain; then half of that rate
all the while, and an outage of a minute in the middle. Recovery ends when the lag is no larger than it was before the outage in half of
all looks, which is 0 or a few. Ends with 1 where it took more than twice the outage.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from services.console.engines import kafka
from tests.faults.fleet import SERVICES
from tests.faults.surroundings import Engine, find_engines
from tests.faults.world import World, opened

ALLOWED = 2.0
"""Recovery over outage."""
_LOOK_SECONDS = 0.5
_PACE_SECONDS = 0.5
_LONGEST_SECONDS = 300.0
_SETTINGS = {"GROUNDSWELL_BATCH_RECORDS": "500"}

Outage: TypeAlias = Callable[[World, float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What came of one outage."""

    what: str
    rate: float
    """Records a second that were published all the while: half of what was sustained right before."""
    outage_seconds: float
    usual_lag: float
    """The median of the time before."""
    largest_lag: int
    seconds: float
    """From the end of the outage until the lag was usual again."""

    @property
    def ratio(self) -> float:
        """Return how many times as long as the outage it took."""
        return self.seconds / self.outage_seconds

    def text(self) -> str:
        """Return one line."""
        lag = f"lag {self.usual_lag:.0f} → {self.largest_lag}"
        took = f"outage {self.outage_seconds:.0f} s : recovery {self.seconds:.0f} s = {self.ratio:.2f}"
        return f"{self.what}: {took} ({self.rate:.0f} records/s, {lag}, load average {os.getloadavg()[0]:.0f})"


async def store_away(world: World, seconds: float) -> None:
    """Cut every connection to the stores."""
    assert world.store is not None
    world.store.cut()
    await asyncio.sleep(seconds)
    world.store.restore()


async def broker_away(world: World, seconds: float) -> None:
    """Kill -9 the only broker, and start it again when the time is over."""
    [broker] = kafka.nodes()
    os.kill(broker.pid, signal.SIGKILL)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(kafka.start_again, 1)


def worker_dead(service: str) -> Outage:
    """Return the outage: kill -9 the only worker of *service*, and start one again when the time is over."""

    async def dead(world: World, seconds: float) -> None:
        for member in world.fleet.members[service]:
            member.send(signal.SIGKILL)
        await world.fleet.scale(service, 0)
        await asyncio.sleep(seconds)
        await world.fleet.scale(service, 1)

    return dead


WORKERS: Mapping[str, Outage] = {f"the only {service} dead": worker_dead(service) for service in SERVICES}
OUTAGES: Mapping[Engine, Mapping[str, Outage]] = {
    "embedded": WORKERS,
    "real": {"the store away": store_away, "the broker away": broker_away, **WORKERS},
}


async def lag_of(world: World) -> int:
    """Return how many records are behind, once the broker says."""
    while True:
        lag = await world.look()
        if lag is not None:
            return lag
        await asyncio.sleep(_LOOK_SECONDS)


async def sustained_rate(world: World, records: int) -> float:
    """Return how many outside records a second go through all services: *records* at once, and the time until nobody is behind."""
    await world.publish(world.load.feedback(records))
    began = time.monotonic()
    lag = records
    while lag:
        await asyncio.sleep(_LOOK_SECONDS)
        lag = await lag_of(world)
    return records / (time.monotonic() - began)


@asynccontextmanager
async def paced(world: World, rate: float) -> AsyncIterator[None]:
    """Publish *rate* records a second; what a missing broker keeps waiting follows when it is back, as from any producer."""

    async def publish() -> None:
        began, done = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - began) * rate) - done
            if due:
                await world.publish(world.load.feedback(due))
                done += due
            await asyncio.sleep(_PACE_SECONDS)

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def recovery_from(world: World, what: str, outage: Outage, seconds: float, burst: int) -> Recovery:
    """Find the rate, watch the usual lag at half of it, then let *outage* last *seconds*; return what came of it."""
    rate = await sustained_rate(world, burst) / 2
    async with paced(world, rate):
        return await _watched(world, what, outage, seconds, rate)


async def _watched(world: World, what: str, outage: Outage, seconds: float, rate: float) -> Recovery:
    before = []
    ends = time.monotonic() + seconds / 3
    while time.monotonic() < ends:
        before.append(await lag_of(world))
        await asyncio.sleep(_LOOK_SECONDS)
    usual = statistics.median(before)
    await outage(world, seconds)
    over = time.monotonic()
    largest = 0
    while (lag := await lag_of(world)) > usual and time.monotonic() - over < _LONGEST_SECONDS:
        largest = max(largest, lag)
        await asyncio.sleep(_LOOK_SECONDS)
    return Recovery(what, rate, seconds, usual, largest, time.monotonic() - over)


async def measure(engine: Engine, only: Collection[str], seconds: float, burst: int, say: Callable[[str], None]) -> list[Recovery]:
    """Measure every outage that *engine* allows, or those of *only*, one after another, and say each result."""
    found = []
    async with opened(engine, 1, lambda _: None, settings=_SETTINGS) as world:
        await world.publish(world.load.background())
        await sustained_rate(world, burst // 4)  # warms everything up
        for what, outage in ((what, outage) for what, outage in OUTAGES[engine].items() if not only or what in only):
            found.append(await recovery_from(world, what, outage, seconds, burst))
            say(found[-1].text())
    return found


def main() -> int:
    """Measure; end with 1 where a recovery took longer than is allowed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.recovery", description=__doc__)
    parser.add_argument("--engine", choices=["embedded", "real"], default="real")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each outage")
    parser.add_argument("--burst", type=int, default=1_000, help="records, to find the sustained rate")
    parser.add_argument("--only", action="append", default=[], help="an outage by name; may be repeated")
    given = parser.parse_args()
    if given.engine == "real":
        find_engines()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all that was started is stopped, and its disk given back
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    found = asyncio.run(measure(given.engine, given.only, given.seconds, given.burst, _say))
    return 1 if any(recovery.ratio > ALLOWED for recovery in found) else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
