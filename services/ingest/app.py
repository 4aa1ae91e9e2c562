"""Ingest, wired: which topic is read how, and handled by whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from services.common.codec import Codec
from services.common.mongo import MongoStore
from services.common.ports import Route
from services.common.sqlite import Database
from services.common.store import open_store
from services.common.worker import Wire, Wiring
from services.ingest.adapters.mongo import MongoMemory
from services.ingest.adapters.sqlite import SCHEMA, SqliteMemory
from services.ingest.channels import Channels
from services.ingest.decoding import decoders
from services.ingest.domain.inputs import Input
from services.ingest.handler import Handler
from services.ingest.ports import Memory
from services.ingest.recalling import EventRecall
from services.ingest.settings import IngestSettings

NAME = "ingest"


def routes(memory: Memory, codec: Codec, channels: Channels, text_limit: int) -> list[Route[Input]]:
    """Return what is done with the records of every topic that ingest reads."""
    handler = Handler(memory, codec)
    return [Route(topic, decode, handler.handle) for topic, decode in decoders(channels, codec.schemas, text_limit).items()]


def create_wire(settings: IngestSettings, channels: Channels) -> Wire:
    """Return what opens ingest's store and hands its routes to the worker."""

    @asynccontextmanager
    async def wire(codec: Codec, _registry: CollectorRegistry) -> AsyncIterator[Wiring]:
        async with open_store(settings, NAME, schema=SCHEMA, sqlite=_sqlite, mongo=_mongo) as store:
            recall = EventRecall(store.port, codec)
            yield Wiring(routes(store.port, codec, channels, settings.text_limit), store.marks, birth=store.birth, recall=recall)

    return wire


def _sqlite(database: Database) -> Memory:
    return SqliteMemory(database)


def _mongo(store: MongoStore) -> Memory:
    return MongoMemory(store)
