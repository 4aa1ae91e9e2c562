"""The segmenter, wired: its store, its definition, its handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from services.common.clock import Clock, SystemClock
from services.common.codec import Codec
from services.common.events import Account, Decision, PersonEvent, SegmenterWork
from services.common.kafka import partition_of
from services.common.mongo import MongoStore
from services.common.ports import Route
from services.common.settings import Settings
from services.common.sqlite import Database
from services.common.store import OpenStore, open_store
from services.common.topics import load_topics
from services.common.worker import Wire, Wiring
from services.segmenter.adapters.metrics import SegmenterMetrics
from services.segmenter.adapters.mongo import mongo_stores
from services.segmenter.adapters.sqlite import SCHEMA, sqlite_stores
from services.segmenter.domain.definition import Definition
from services.segmenter.handler.accounts import Accounts
from services.segmenter.handler.boards import Boards
from services.segmenter.handler.due import DuePeople
from services.segmenter.handler.facts import Publisher
from services.segmenter.handler.in_force import definition_in_force
from services.segmenter.handler.memory import Memory
from services.segmenter.handler.ownership import Ownership
from services.segmenter.handler.people import People
from services.segmenter.handler.recalled_people import RecalledPeople
from services.segmenter.handler.traits import TraitWatch
from services.segmenter.handler.work import Work
from services.segmenter.ports import Gauges, Stores
from services.segmenter.settings import SegmenterSettings

NAME = "segmenter"


def person_partition(settings: Settings) -> Callable[[str], int]:
    """Return the function that gives the partition number that owns a person or an account."""
    count = settings.topic_partitions or load_topics()[PersonEvent.TOPIC].partitions
    return lambda key: partition_of(key.encode(), count)


def create_wiring(
    store: OpenStore[Stores], definition: Definition, codec: Codec, *, clock: Clock, partition: Callable[[str], int], gauges: Gauges
) -> Wiring:
    """Return the handlers on *store*, in the order in which a batch is taken: what is known of people before what they ask for."""
    stores, publisher = store.port, Publisher(codec.output)
    accounts = Accounts(stores.accounts, publisher, partition)
    people = People(stores.people, stores.accounts, definition, publisher, partition)
    boards = Boards(stores, definition, publisher)
    due = DuePeople(people, stores.people, definition, publisher=publisher, clock=clock, gauges=gauges)
    watch = TraitWatch(definition.traits, gauges)
    routes: list[Route[Any]] = [
        Route(Account.TOPIC, codec.optional_decoder(Account), watch.accounts(accounts.states)),
        Route(PersonEvent.TOPIC, codec.optional_decoder(PersonEvent), watch.people(people.events)),
        Route(Decision.TOPIC, codec.optional_decoder(Decision), boards.decisions),
        Route(SegmenterWork.TOPIC, codec.decoder(SegmenterWork), Work(accounts, people, boards, stores.said).notes),
    ]
    memory = Memory(store, accounts, RecalledPeople(people, stores.people, accounts), boards, codec)
    return Wiring(routes, store.marks, assignment=Ownership(boards, due), tick=due, birth=store.birth, recall=memory)


def create_wire(settings: SegmenterSettings) -> Wire:
    """Return what opens the segmenter's store for as long as its worker runs."""

    @asynccontextmanager
    async def wire(codec: Codec, registry: CollectorRegistry) -> AsyncIterator[Wiring]:
        async with open_store(settings, NAME, schema=SCHEMA, sqlite=_sqlite, mongo=_mongo) as store:
            await store.port.prepare()
            gauges = SegmenterMetrics(registry)
            definition = await definition_in_force(store.port.said, settings.segments_file, gauges)
            yield create_wiring(store, definition, codec, clock=SystemClock(), partition=person_partition(settings), gauges=gauges)

    return wire


def _sqlite(database: Database) -> Stores:
    return sqlite_stores(database)


def _mongo(store: MongoStore) -> Stores:
    return mongo_stores(store)
