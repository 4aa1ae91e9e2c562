"""Ingest, wired: which topic is read how, and handled by whom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from services.common.clock import SystemClock
from services.common.codec import Codec
from services.common.mongo import MongoStore
from services.common.ports import Route
from services.common.settings import KafkaSettings
from services.common.sqlite import Database
from services.common.store import open_store
from services.common.worker import Wire, Wiring
from services.ingest.adapters.http_intake import HttpIntake
from services.ingest.adapters.kafka_intake import open_publisher
from services.ingest.adapters.mongo import MongoMemory
from services.ingest.adapters.sqlite import SCHEMA, SqliteMemory
from services.ingest.adapters.unsubscribe_page import TOPIC as WISHES
from services.ingest.adapters.unsubscribe_page import UnsubscribePage
from services.ingest.channels import Channels
from services.ingest.decoding import decoders
from services.ingest.domain.inputs import Input
from services.ingest.handler import Handler
from services.ingest.intake import Endpoint
from services.ingest.ports import Memory
from services.ingest.recalling import EventRecall
from services.ingest.settings import IngestSettings

NAME = "ingest"


def routes(memory: Memory, codec: Codec, channels: Channels, text_limit: int) -> list[Route[Input]]:
    """Return what is done with the records of every topic that ingest reads."""
    handler = Handler(memory, codec)
    return [Route(topic, decode, handler.handle) for topic, decode in decoders(channels, codec.schemas, text_limit).items()]


def create_wire(
    settings: IngestSettings,
    channels: Channels,
    kafka: KafkaSettings,
    endpoints: Sequence[Endpoint] = (),
    unsubscribing: Sequence[str] = (),
) -> Wire:
    """Return what opens ingest's store and hands the routes to the worker.

    The intake comes with it where it has *endpoints*, or secrets by which it knows the links for *unsubscribing*.
    """

    @asynccontextmanager
    async def wire(codec: Codec, registry: CollectorRegistry) -> AsyncIterator[Wiring]:
        async with (
            _intake(settings, kafka, endpoints, unsubscribing, registry),
            open_store(settings, NAME, schema=SCHEMA, sqlite=_sqlite, mongo=_mongo) as store,
        ):
            recall = EventRecall(store.port, codec)
            yield Wiring(routes(store.port, codec, channels, settings.text_limit), store.marks, birth=store.birth, recall=recall)

    return wire


@asynccontextmanager
async def _intake(
    settings: IngestSettings, kafka: KafkaSettings, endpoints: Sequence[Endpoint], unsubscribing: Sequence[str], registry: CollectorRegistry
) -> AsyncIterator[None]:
    if not endpoints and not unsubscribing:
        yield
        return
    topics = sorted({*(endpoint.spec.topic for endpoint in endpoints), *([WISHES] if unsubscribing else [])})
    async with open_publisher(kafka, topics, wait_seconds=settings.intake_wait_seconds, max_bytes=settings.intake_body_bytes) as publish:
        page = UnsubscribePage(unsubscribing, publish, SystemClock()) if unsubscribing else None
        server = HttpIntake(settings, endpoints, publish, registry, page=page)
        await server.start()
        try:
            yield
        finally:
            await server.stop()


def _sqlite(database: Database) -> Memory:
    return SqliteMemory(database)


def _mongo(store: MongoStore) -> Memory:
    return MongoMemory(store)
