"""Dedup, wired: its store, its model and its route."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from services.common.codec import Codec
from services.common.errors import ConfigurationError
from services.common.events import BoardEvent
from services.common.mongo import MongoStore
from services.common.ports import Route
from services.common.sqlite import Database
from services.common.store import open_store
from services.common.worker import Wire, Wiring
from services.dedup.adapters.encoder_process import start_encoder
from services.dedup.adapters.metrics import DedupMetrics
from services.dedup.adapters.mongo import MongoBoardLog, MongoSaidLog
from services.dedup.adapters.remembering import RememberingEncoder
from services.dedup.adapters.sqlite import SCHEMA, SqliteBoardLog, SqliteSaidLog
from services.dedup.definition import load_boards
from services.dedup.handler import DedupHandler
from services.dedup.ports import BoardLog, SaidLog
from services.dedup.recalling import DecisionRecall
from services.dedup.reembedding import UNDER_WAY
from services.dedup.settings import DedupSettings

NAME = "dedup"


def wire_with(settings: DedupSettings) -> Wire:
    """Return what opens dedup's store and model for as long as its worker runs.

    Raises:
        ConfigurationError: What boards may do is wrongly defined.
    """

    policy_of = load_boards(settings.boards_file).policies()

    @asynccontextmanager
    async def wire(codec: Codec, registry: CollectorRegistry) -> AsyncIterator[Wiring]:
        with ExitStack() as leaving:
            thread, encoding = (leaving.enter_context(_thread(name)) for name in ("decide", "encode"))
            process = await asyncio.get_running_loop().run_in_executor(thread, start_encoder, settings)
            leaving.callback(process.close)
            encoder = RememberingEncoder(process, settings.remembered_texts)
            async with open_store(settings, NAME, schema=SCHEMA, sqlite=sqlite_logs, mongo=mongo_logs) as store:
                logs = store.port
                await logs.prepare()
                await check_model(logs.boards, encoder.model)
                handler = DedupHandler(
                    logs.boards,
                    logs.said,
                    encoder,
                    codec,
                    meter=DedupMetrics(registry),
                    thread=thread,
                    encoding=encoding,
                    boards_in_memory=settings.boards_in_memory,
                    texts_in_memory=settings.texts_in_memory,
                    policy_of=policy_of,
                )
                route = Route(BoardEvent.TOPIC, codec.optional_decoder(BoardEvent), handler.handle, handler.glance)
                recall = DecisionRecall(logs.said, codec)
                yield Wiring([route], store.marks, assignment=handler, birth=store.birth, recall=recall)

    return wire


@contextmanager
def _thread(name: str) -> Iterator[Executor]:
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
    try:
        yield thread
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Logs:
    """What dedup keeps."""

    boards: BoardLog
    said: SaidLog
    prepare: Callable[[], Awaitable[None]]


def sqlite_logs(database: Database) -> Logs:
    """Return what dedup keeps in a file."""

    async def prepare() -> None:
        """Do nothing: the file is made with its indexes."""

    return Logs(SqliteBoardLog(database), SqliteSaidLog(database), prepare)


def mongo_logs(store: MongoStore) -> Logs:
    """Return what dedup keeps in a MongoDB."""
    said = MongoSaidLog(store)
    return Logs(MongoBoardLog(store), said, said.prepare)


async def check_model(log: BoardLog, model: str) -> None:
    """Return if *log* holds vectors of *model*, or none yet.

    Raises:
        ConfigurationError: It holds another model's: the two cannot be compared.
        TransientError: The store does not answer.
    """
    if await log.noted(UNDER_WAY) is not None:
        raise ConfigurationError("the store is being given another model's vectors: run python -m services.dedup.reembed to its end first")
    recorded = await log.adopt_model(model)
    if recorded != model:
        raise ConfigurationError(
            f"GROUNDSWELL_MODEL: the store holds vectors of {recorded}, not of {model}; set it back, or "
            "run python -m services.dedup.reembed"
        )
