"""One stack that is going to be hurt: broker, stores, mail server, workers, and who watches them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pymongo
from aiokafka.errors import KafkaError

from services.common.errors import GroundswellError
from services.common.kafka import partition_of
from services.common.records import Output
from services.common.settings import KafkaSettings
from services.console.cluster import Cluster, Tail
from services.console.lag import acknowledged, lags
from services.console.publishing import chunks
from services.console.topics import apply_topics, wanted_topics
from services.dedup.adapters.models import prepare_model
from tests.faults.evidence import Evidence, Place, Sample
from tests.faults.fleet import SERVICES, Fleet
from tests.faults.load import Load
from tests.faults.releases import registered, write_next_release
from tests.faults.smtp import MoodySink
from tests.faults.stores import read_mongo, read_sqlite
from tests.faults.surroundings import (
    MONGO_URL,
    PARTITIONS,
    SESSION_SECONDS,
    Engine,
    clock_file,
    database_of,
    environment,
    models_folder,
    open_broker,
    port_of,
    store_of,
)
from tests.registry_server import RegistryServer
from tests.support.disk import SmallDisk
from tests.support.proxy import TcpProxy

SETTLE_SECONDS = 300.0
"""So long after the last fault, at most, somebody may be behind: thrice what it takes on two cores of their own."""
DAY_SECONDS = 86_400.0
DISK_BYTES = 64 * 1024 * 1024
_LOOK_SECONDS = 0.3
_TOPICS_SECONDS = 60.0
_TROUBLE = (GroundswellError, KafkaError, OSError, TimeoutError)


@dataclass
class World:
    """What faults act upon."""

    engine: Engine
    seed: int
    folder: Path
    fleet: Fleet
    sink: MoodySink
    store: TcpProxy | None
    """The way to the stores, where they are a server's."""
    run: str
    """Part of the names of this run's databases."""
    kafka: KafkaSettings
    rng: random.Random
    load: Load
    say: Callable[[str], None]
    disk: SmallDisk
    """Where the stores lie that are files."""
    samples: list[Sample] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """How often each fault was injected."""
    enriched_at: list[float] = field(default_factory=list)
    """When the last topic that a record reaches was seen to have grown (monotonic seconds)."""
    _enriched: int = 0
    cluster: Cluster = field(init=False)
    tail: Tail = field(init=False)

    @property
    def session_seconds(self) -> float:
        """For so long a worker may be silent before the group gives its partitions away."""
        return SESSION_SECONDS[self.engine]

    def lose_store(self, service: str) -> None:
        """Delete all that *service*, which does not run, has stored."""
        if self.store is None:
            for file in (self.folder / "data").glob(f"{service}.db*"):
                file.unlink()
        else:
            with pymongo.MongoClient[dict[str, Any]](os.environ[MONGO_URL]) as client:
                client.drop_database(database_of(self.run, service))

    def count(self, fault: str) -> None:
        """Note that *fault* was injected."""
        self.counts[fault] = self.counts.get(fault, 0) + 1

    def set_clock(self, seconds: int) -> None:
        """Let the clock of every worker be wrong by *seconds*."""
        clock_file(self.folder).write_text(str(seconds))

    async def publish(self, outputs: list[Output], *, age_seconds: float = DAY_SECONDS) -> None:
        """Publish from outside; while the broker is away, again and again, as a producer that wants to lose nothing does.

        The outside world publishes with its own clock, by default a day ago, so that what comes again may come a day late.
        """
        for chunk in chunks(outputs):
            while True:
                try:
                    await self._put(chunk, int((time.time() - age_seconds) * 1000))
                    break
                except _TROUBLE:
                    await asyncio.sleep(0.5)

    async def _put(self, outputs: Sequence[Output], moment_ms: int) -> None:
        by_place: dict[Place, list[Output]] = {}
        for output in outputs:
            place = (output.topic, partition_of(output.partition_key, PARTITIONS))
            by_place.setdefault(place, []).append(output)
        await asyncio.gather(*(self.cluster.put(place, part, [moment_ms] * len(part)) for place, part in by_place.items()))

    async def look(self) -> int | None:
        """Take a sample; return how many records are behind, or None while the broker does not say."""
        try:
            async with asyncio.timeout(20):
                topics = await self.cluster.topics()
                if not wanted_topics().keys() <= topics.keys():
                    return None  # a broker that has just started does not know all of them yet
                positions = await acknowledged(self.cluster, topics)
                await self.tail.catch_up()
        except _TROUBLE:
            return None
        ends = self.tail.ends()
        flat = {(service, *place): at for service, places in positions.items() for place, at in places.items()}
        self.samples.append(Sample(flat, ends))
        self.fleet.measure()
        self._note_progress()
        return sum(entry.lag for entry in lags(positions, ends))

    def _note_progress(self) -> None:
        told = len(self.tail.records["feedback.enriched"])
        if told > self._enriched:
            self._enriched = told
            self.enriched_at.append(time.monotonic())

    async def watch(self) -> None:
        """Take samples until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def settle(self, holds: Callable[[Evidence], bool] = lambda _: True) -> float:
        """Wait until nobody is behind and *holds*; return how many seconds that took, or the limit where it did not come."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < SETTLE_SECONDS:
            if await self.look() == 0 and holds(self.evidence()):
                return passed
            await asyncio.sleep(_LOOK_SECONDS)
        return passed

    def evidence(self, settled_seconds: float = 0.0) -> Evidence:
        """Return what there is to judge now."""
        mails = [json.loads(line) for line in (self.folder / "mail.jsonl").read_text().splitlines()]
        records = {topic: tuple(found) for topic, found in self.tail.records.items()}
        return Evidence(
            records,
            mails,
            tuple(self.samples),
            dict(self.fleet.deaths),
            settled_seconds,
            SETTLE_SECONDS,
            dict(self.fleet.peak_bytes),
            2 if self.counts.get("another release") else 1,
        )

    async def judged(self, settled_seconds: float) -> Evidence:
        """Return what there is to judge once everything has settled: topics, mails, and what the stores hold then."""
        found = self.evidence(settled_seconds)
        if self.store is None:
            found.stores = await asyncio.to_thread(read_sqlite, self.folder / "data")
        else:
            found.stores = await asyncio.to_thread(read_mongo, os.environ[MONGO_URL], partial(database_of, self.run))
        return found


@asynccontextmanager
async def opened(
    engine: Engine,
    seed: int,
    say: Callable[[str], None],
    patches: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[World]:
    """Start everything with one worker a service; stop it in the end.

    Args:
        engine: What it runs on.
        seed: Of the load, and of whatever is chosen.
        say: Told of what happens.
        patches: What is applied to each start, by service.
        settings: Environment variables of every worker, beside the usual ones.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"groundswell-faults-{seed}-"))
    await asyncio.to_thread(prepare_model, None, models_folder())  # a dedup that is killed again and again would never get to its end
    async with AsyncExitStack() as stack:
        kafka = open_broker(engine, folder, stack)
        store = stack.enter_context(TcpProxy(port_of(os.environ[MONGO_URL]))) if engine == "real" else None
        sink = MoodySink(folder / "mail.jsonl")
        stack.enter_context(sink)
        (folder / "mail.jsonl").touch()
        run = uuid.uuid4().hex[:8]
        disk = stack.enter_context(SmallDisk(folder / "data", DISK_BYTES))
        registry = stack.enter_context(RegistryServer())
        registry.schemas = {subject: dict(schemas) for subject, schemas in registered().items()}
        write_next_release(folder / "next-release")
        usual = {**environment(engine, kafka, folder, sink.port, registry.url), **(settings or {})}
        fleet = Fleet(folder, lambda service: {**usual, **store_of(service, store, run)}, patches or {})
        world = World(engine, seed, folder, fleet, sink, store, run, kafka, random.Random(f"faults {seed}"), Load(seed), say, disk)
        world.cluster = await stack.enter_async_context(Cluster(kafka))
        await apply_topics(world.cluster, partitions=PARTITIONS, replication=len(kafka.bootstrap_servers.split(",")))
        async with asyncio.timeout(_TOPICS_SECONDS):
            known = await world.cluster.topics()
            while not wanted_topics().keys() <= known.keys():  # a broker that is busy tells of them later
                await asyncio.sleep(_LOOK_SECONDS)
                known = await world.cluster.topics()
        world.tail = await stack.enter_async_context(await world.cluster.tail(sorted(wanted_topics())))
        stack.push_async_callback(fleet.stop)
        for service in SERVICES:
            await fleet.scale(service, 1)
        yield world
