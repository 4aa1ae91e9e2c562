"""MongoDB through motor: how to reach it, and what its errors mean. Single-document atomicity only, no transactions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import ReplaceOne
from pymongo.errors import (
    AutoReconnect,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from services.common.crash import CrashMark
from services.common.errors import ConfigurationError, TransientError

_TIMEOUT_MS = 10_000
_MARK_FIELDS = [field.name for field in fields(CrashMark)]


@asynccontextmanager
async def mongo_errors() -> AsyncIterator[None]:
    """Turn an absent or slow server into ``TransientError``; a duplicate key and bugs pass unchanged."""
    try:
        yield
    except (AutoReconnect, ConnectionFailure, ExecutionTimeout, NetworkTimeout, WTimeoutError) as error:
        raise TransientError(f"MongoDB: {type(error).__name__}") from error


class MongoStore:
    """A client and the service's own database."""

    def __init__(self, url: str, tls_ca_file: Path | None = None) -> None:
        """Prepare to connect to *url*, which names the database.

        Raises:
            ConfigurationError: *url* or the file is wrong.
        """
        options: dict[str, Any] = {} if tls_ca_file is None else {"tls": True, "tlsCAFile": str(tls_ca_file)}
        options |= {"serverSelectionTimeoutMS": _TIMEOUT_MS, "socketTimeoutMS": _TIMEOUT_MS * 3}
        try:
            self.client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(url, w="majority", journal=True, tz_aware=True, **options)
            self.database: AsyncIOMotorDatabase[dict[str, Any]] = self.client.get_default_database()
        except (PyMongoError, ValueError, OSError) as error:  # their messages may quote the URL, and with it a password
            raise ConfigurationError(
                f"GROUNDSWELL_STORE_URL: {type(error).__name__}; expected mongodb://USER:PASSWORD@HOST/DATABASE, percent-encoded"
            ) from error
        if self.database.name in ("admin", "local", "config"):
            raise ConfigurationError(f"GROUNDSWELL_STORE_URL: {self.database.name} is the server's own database; name another one")

    async def ping(self) -> None:
        """Return when the server answers.

        Raises:
            TransientError: It does not.
            ConfigurationError: It refuses us.
        """
        async with mongo_errors():
            try:
                await self.client.admin.command("ping")
            except OperationFailure as error:
                raise ConfigurationError(f"GROUNDSWELL_STORE_URL: the server refuses us (code {error.code})") from error

    def close(self) -> None:
        """Close all connections."""
        self.client.close()


class MongoCrashMarks:
    """Crash marks in the collections ``suspects`` and ``held``."""

    def __init__(self, store: MongoStore) -> None:
        self._marks = store.database["suspects"]
        self._held = store.database["held"]

    async def load(self, partitions: Iterable[tuple[str, int]]) -> Sequence[CrashMark]:
        """Return the marks of *partitions*."""
        wanted = [_mark_key(*place) for place in partitions]
        async with mongo_errors():
            rows = await self._marks.find({"_id": {"$in": wanted}}).to_list(None)
        return [CrashMark(**{name: row[name] for name in _MARK_FIELDS}) for row in rows]

    async def put(self, marks: Sequence[CrashMark]) -> None:
        """Insert or replace the mark of each one's partition."""
        writes = [ReplaceOne({"_id": _mark_key(mark.topic, mark.partition)}, asdict(mark), upsert=True) for mark in marks]
        async with mongo_errors():
            await self._marks.bulk_write(writes, ordered=False)

    async def clear(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Forget the marks of *partitions*."""
        async with mongo_errors():
            await self._marks.delete_many({"_id": {"$in": [_mark_key(*place) for place in partitions]}})

    async def hold(self, worker: str, positions: Mapping[tuple[str, int], int]) -> frozenset[tuple[str, int]]:
        """Note that *worker* takes up partitions at *positions*; return those that another took up there and never let go of."""
        places = {_mark_key(*place): place for place in positions}
        writes = [ReplaceOne({"_id": key}, {"worker": worker, "position": positions[place]}, upsert=True) for key, place in places.items()]
        async with mongo_errors():
            held = await self._held.find({"_id": {"$in": list(places)}}).to_list(None)
            await self._held.bulk_write(writes, ordered=False)
        return frozenset(place for row in held if row["worker"] != worker and row["position"] == positions[place := places[row["_id"]]])

    async def let_go(self, worker: str) -> None:
        """Forget what *worker* holds."""
        async with mongo_errors():
            await self._held.delete_many({"worker": worker})


class MongoBirth:
    """The one document of the collection ``birth``."""

    def __init__(self, store: MongoStore) -> None:
        self._birth = store.database["birth"]

    async def is_born(self) -> bool:
        """Tell whether ``mark_born`` was called on this store."""
        async with mongo_errors():
            return await self._birth.find_one({"_id": 1}) is not None

    async def mark_born(self) -> None:
        """Note that the store lacks nothing of what its service has said."""
        async with mongo_errors():
            await self._birth.replace_one({"_id": 1}, {}, upsert=True)


def _mark_key(topic: str, partition: int) -> str:
    return f"{topic}/{partition}"
