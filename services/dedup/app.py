"""Dedup, wired: its store, its model and its route."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from services.common.codec import Codec
from services.common.errors import ConfigurationError
from services.common.events import BoardEvent
from services.common.mongo import MongoStore
from services.common.ports import Route
from services.common.sqlite import Database
from services.common.store import open_store
from services.common.worker import Wire, Wiring
from services.dedup.adapters.encoder import open_encoder
from services.dedup.adapters.metrics import DedupMetrics
from services.dedup.adapters.mongo import MongoBoardLog
from services.dedup.adapters.sqlite import SCHEMA, SqliteBoardLog
from services.dedup.handler import DedupHandler
from services.dedup.ports import BoardLog
from services.dedup.settings import DedupSettings

NAME = "dedup"


def wire_with(settings: DedupSettings) -> Wire:
    """Return what opens dedup's store and model for as long as its worker runs."""

    @asynccontextmanager
    async def wire(codec: Codec, registry: CollectorRegistry) -> AsyncIterator[Wiring]:
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decide")
        try:
            encoder = await asyncio.get_running_loop().run_in_executor(thread, open_encoder, settings)
            async with open_store(settings, NAME, schema=SCHEMA, sqlite=_sqlite_log, mongo=_mongo_log) as store:
                await check_model(store.port, encoder.model)
                handler = DedupHandler(
                    store.port,
                    encoder,
                    codec,
                    DedupMetrics(registry),
                    thread,
                    boards_in_memory=settings.boards_in_memory,
                    texts_in_memory=settings.texts_in_memory,
                )
                route = Route(BoardEvent.TOPIC, codec.decoder(BoardEvent), handler.handle)
                yield Wiring([route], store.marks, assignment=handler)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    return wire


def _sqlite_log(database: Database) -> BoardLog:
    return SqliteBoardLog(database)


def _mongo_log(store: MongoStore) -> BoardLog:
    return MongoBoardLog(store)


async def check_model(log: BoardLog, model: str) -> None:
    """Return if *log* holds vectors of *model*, or none yet.

    Raises:
        ConfigurationError: It holds another model's: the two cannot be compared.
        TransientError: The store does not answer.
    """
    recorded = await log.adopt_model(model)
    if recorded != model:
        raise ConfigurationError(
            f"GROUNDSWELL_MODEL: the store holds vectors of {recorded}, not of {model}; set it back, or start with a store of its own"
        )
