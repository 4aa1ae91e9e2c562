"""Which kind of store a service was given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from services.common.crash import CrashMarks
from services.common.errors import ConfigurationError
from services.common.mongo import MongoBirth, MongoCrashMarks, MongoStore
from services.common.ports import Birth
from services.common.settings import Settings
from services.common.sqlite import Database, SqliteBirth, SqliteCrashMarks

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class OpenStore(Generic[P]):
    """A service's port on its store, and what the worker keeps beside it."""

    port: P
    marks: CrashMarks
    birth: Birth


def sqlite_path(settings: Settings, service: str) -> Path | None:
    """Return the file that *settings* name for *service*, or None where they name a MongoDB.

    Raises:
        ConfigurationError: The URL is of neither kind.
    """
    url = settings.store_url
    if url is None:
        return settings.data_dir / f"{service}.db"
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        return Path(rest)
    if scheme in ("mongodb", "mongodb+srv"):
        return None
    raise ConfigurationError("GROUNDSWELL_STORE_URL: expected sqlite:PATH or mongodb://HOST/DATABASE")


@asynccontextmanager
async def open_store(
    settings: Settings,
    service: str,
    *,
    schema: str,
    sqlite: Callable[[Database], P],
    mongo: Callable[[MongoStore], P],
) -> AsyncIterator[OpenStore[P]]:
    """Open the store that *settings* name; *schema* is the service's SQL, *sqlite* and *mongo* build its adapters.

    Raises:
        TransientError: The store does not answer.
    """
    path = sqlite_path(settings, service)
    if path is not None:
        database = Database(path, schema)
        await database.open()
        try:
            yield OpenStore(sqlite(database), SqliteCrashMarks(database), SqliteBirth(database))
        finally:
            await database.close()
    else:
        store = MongoStore(settings.store_url or "", settings.store_tls_ca_file)
        try:
            await store.ping()
            yield OpenStore(mongo(store), MongoCrashMarks(store), MongoBirth(store))
        finally:
            store.close()
