"""The faults of a run, by name. Each hurts the world once, takes its time, and leaves it whole again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from services.common.errors import TransientError
from services.common.kafka_rewind import StillRunning, set_back
from services.console.engines import daemon, kafka
from services.console.lag import consumed_topics
from tests.faults.fleet import SERVICES, Member
from tests.faults.patched import CRASH_POINTS, MAIL_POINTS
from tests.faults.smtp import MOODS
from tests.faults.world import DAY_SECONDS, World

Fault: TypeAlias = Callable[[World], Awaitable[None]]

_ATTEMPTS = 5
AHEAD_SECONDS = 3_590
"""A clock that is so much ahead; beyond an hour Kafka itself refuses what is published by it."""
_CLOCK_SECONDS = 3.0
_BROKER_SECONDS = 300.0
_MOOD_SECONDS = 5.0
_AWAY_SECONDS = (3.0, 12.0)
_SLOW_SECONDS = 6.0
_LOOKS = 250
"""A tenth of a second each: so long it may take until the worker has something to publish."""


async def kill(world: World) -> None:
    """Kill -9 one worker of one service."""
    member = _anyone(world)
    if member is not None and member.send(signal.SIGKILL):
        world.say(f"killed {member.service}")


async def kill_all(world: World) -> None:
    """Kill -9 everyone at once."""
    for member in world.fleet.everyone():
        member.send(signal.SIGKILL)
    world.say("killed everyone")


async def crash_at_point(world: World) -> None:
    """Let one worker die before or after a store write, a publication, a commit or a mail."""
    member = _anyone(world)
    if member is None:
        return
    may_mail = member.service == "notifier" and world.rng.random() < 0.5
    member.once = f"{world.rng.choice(MAIL_POINTS if may_mail else CRASH_POINTS)}:{world.rng.randint(1, 12)}"
    world.say(f"{member.service} dies {member.once}")
    member.send(signal.SIGKILL)


def _anyone(world: World) -> Member | None:
    """Return a worker of some service; None where that has none at this moment, because another fault stopped it."""
    members = world.fleet.members[world.rng.choice(SERVICES)]
    return world.rng.choice(members) if members else None


async def rolling_restart(world: World) -> None:
    """SIGTERM each worker of each service, one after another."""
    world.say("rolling restart")
    for service in SERVICES:
        count = len(world.fleet.members[service])
        await world.fleet.scale(service, 0)
        await world.fleet.scale(service, count)


async def zombie(world: World) -> None:
    """SIGSTOP one worker for twice the session, then let it wake up; where the engine allows it, a successor works meanwhile."""
    service = world.rng.choice(SERVICES)
    if world.engine == "real":
        await world.fleet.scale(service, 2)
    member = world.fleet.members[service][0]
    world.say(f"{service} sleeps")
    if member.send(signal.SIGSTOP):
        await asyncio.sleep(2 * world.session_seconds)
        member.send(signal.SIGCONT)
        await asyncio.sleep(2.0)
    await world.fleet.scale(service, 1)


async def zombie_with_outputs(world: World) -> None:
    """Let a worker fall asleep between store and publication for twice the session, while a successor goes on."""
    service = world.rng.choice(SERVICES)
    await world.fleet.scale(service, 2)
    member = world.fleet.members[service][0]
    member.once = f"stop_before_publish:{world.rng.randint(2, 6)}"
    member.send(signal.SIGKILL)
    for _ in range(_LOOKS):
        if member.is_asleep():
            break
        await asyncio.sleep(0.1)
    if member.is_asleep():
        world.say(f"{service} sleeps before it publishes")
        await asyncio.sleep(2 * world.session_seconds)
        member.send(signal.SIGCONT)
        await asyncio.sleep(2.0)
    await world.fleet.scale(service, 1)


async def storm(world: World) -> None:
    """Grow a service from one worker to four and back, a step every session timeout."""
    service = world.rng.choice(SERVICES)
    for count in (2, 3, 4, 3, 2, 1):
        world.say(f"{service}: {count} workers")
        await world.fleet.scale(service, count)
        await asyncio.sleep(world.session_seconds)


async def store_away(world: World) -> None:
    """Break every connection to the stores, and refuse new ones for a while."""
    assert world.store is not None
    seconds = world.rng.uniform(*_AWAY_SECONDS)
    world.say(f"the stores are away for {seconds:.1f} s")
    world.store.cut()
    await asyncio.sleep(seconds)
    world.store.restore()


async def store_slow(world: World) -> None:
    """Let everything between services and stores take long."""
    assert world.store is not None
    world.say("the stores are slow")
    world.store.delay_seconds = 0.15
    await asyncio.sleep(_SLOW_SECONDS)
    world.store.delay_seconds = 0.0


async def store_answers_lost(world: World) -> None:
    """Let the stores do what they are asked, and lose what they answer."""
    assert world.store is not None
    world.store.answers_to_lose = world.rng.randint(2, 12)
    world.say(f"{world.store.answers_to_lose} answers of the stores get lost")
    await asyncio.sleep(3.0)
    world.store.answers_to_lose = 0


async def broker_restart(world: World) -> None:
    """Stop a broker in good order, kill -9 it, or freeze it; start it again."""
    brokers = kafka.nodes()
    node = world.rng.randint(1, len(brokers))
    how = world.rng.choice((signal.SIGTERM, signal.SIGKILL) * 2 + (signal.SIGSTOP,))
    world.say(f"broker {node} gets {how.name}")
    world.count(f"broker {how.name}")
    os.kill(brokers[node - 1].pid, how)
    if how == signal.SIGSTOP:
        await asyncio.sleep(world.rng.uniform(*_AWAY_SECONDS))
        os.kill(brokers[node - 1].pid, signal.SIGCONT)
        return
    await asyncio.to_thread(brokers[node - 1].stop)  # waits
    await asyncio.sleep(world.rng.uniform(0.0, 3.0))
    await asyncio.to_thread(_start_again, node)


def _start_again(node: int) -> None:
    try:
        kafka.start_again(node)
    except TransientError:  # it has a minute; a machine that is busy takes longer
        port = int((kafka.running() or "").split(",")[node - 1].rpartition(":")[2])
        daemon.wait_for_port(kafka.nodes()[node - 1], port, kafka.HOME / f"node-{node}" / "server.log", _BROKER_SECONDS)


async def mail_server(world: World) -> None:
    """Let the mail server be slow, busy, refusing or hanging, or close the connection instead of answering."""
    world.sink.mood = world.rng.choice(MOODS)
    world.say(f"the mail server is {world.sink.mood}")
    await asyncio.sleep(_MOOD_SECONDS)
    world.sink.mood = "kind"


async def poison(world: World) -> None:
    """Publish what nobody can use."""
    world.say("poison")
    await world.publish(world.load.poison(world.rng.randint(3, 10)))


async def duplicates(world: World) -> None:
    """Publish what was published before, three times, shuffled."""
    world.say("duplicates")
    await world.publish(world.load.duplicates(40))


async def late_duplicates(world: World) -> None:
    """Publish what was published before once more, a day late."""
    world.say("duplicates, a day late")
    await world.publish(world.load.duplicates(40), age_seconds=0.0)


async def wrong_outside_clock(world: World) -> None:
    """Publish new feedback by a clock that is an hour ahead of the other producers', and by one that is an hour behind."""
    world.say("producers disagree about the time")
    for wrong_by in (AHEAD_SECONDS, -AHEAD_SECONDS):
        await world.publish(world.load.feedback(8), age_seconds=DAY_SECONDS - wrong_by)


async def wrong_clock(world: World) -> None:
    """Put every worker's clock an hour ahead, then two hours back, then right."""
    for wrong_by in (AHEAD_SECONDS, -AHEAD_SECONDS, 0):
        world.say(f"the clocks are wrong by {wrong_by} s")
        world.set_clock(wrong_by)
        await asyncio.sleep(_CLOCK_SECONDS)


async def disk_full(world: World) -> None:
    """Leave the stores no byte of disk for a while."""
    world.say("the disk is full")
    world.disk.fill()
    await asyncio.sleep(world.rng.uniform(*_AWAY_SECONDS))
    world.disk.clear()


async def offsets_reset(world: World) -> None:
    """Stop a service, set its group back to the beginning, start it."""
    service = world.rng.choice(SERVICES)
    world.say(f"{service} begins at 0 again")
    count = len(world.fleet.members[service])
    await world.fleet.scale(service, 0)
    await _set_back(world, service)
    await world.fleet.scale(service, count)


async def another_release(world: World) -> None:
    """Replace a service by its next release, or that by the present one; where the engine allows it, both work side by side for a while.

    Whoever reads meets records of a version that is newer than itself, and of one that is older.
    """
    service = world.rng.choice(SERVICES)
    releases = world.fleet.releases
    if releases.pop(service, None) is None:
        releases[service] = "next_release"
    world.say(f"{service} becomes the {releases.get(service, 'present release')}")
    if world.engine == "real":
        await world.fleet.scale(service, 2)
        await asyncio.sleep(_MOOD_SECONDS)
        await world.fleet.replace_first(service)
    else:
        await world.fleet.scale(service, 0)
        await world.fleet.scale(service, 1)


def store_lost(service: str) -> Fault:
    """Return the fault: stop *service*, delete its store, start it; it reads back what it has said, and sets its group back itself."""

    async def lost(world: World) -> None:
        world.say(f"{service} lost its store")
        count = len(world.fleet.members[service])
        await world.fleet.scale(service, 0)
        world.lose_store(service)
        await world.fleet.scale(service, count)

    return lost


async def _set_back(world: World, service: str) -> None:
    counts = await world.cluster.topics()
    partitions = [(topic, number) for topic in consumed_topics()[service] for number in range(counts[topic])]
    for _ in range(_ATTEMPTS):
        with suppress(StillRunning):  # a worker that was killed has not been counted out yet
            await set_back(world.kafka, f"groundswell-{service}", partitions)
            return
    raise AssertionError(f"the group of {service} cannot be set back")
