"""How documents are inserted in MongoDB, by all of the notifier's collections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import InsertOne
from pymongo.errors import BulkWriteError

from services.common.mongo import mongo_errors

Collection: TypeAlias = AsyncIOMotorCollection[dict[str, Any]]

STATEMENT_ROWS = 500
"""So many documents a statement: a slow server answers within the socket's timeout."""
_DUPLICATE_KEY = 11_000


async def insert(collection: Collection, documents: Sequence[dict[str, Any]]) -> int:
    """Insert those of *documents* whose ``_id`` is free; return how many were taken.

    Raises:
        TransientError: The server does not answer.
    """
    taken = 0
    for start in range(0, len(documents), STATEMENT_ROWS):
        taken += await _insert(collection, documents[start : start + STATEMENT_ROWS])
    return taken


async def _insert(collection: Collection, documents: Sequence[dict[str, Any]]) -> int:
    async with mongo_errors():
        try:
            await collection.bulk_write([InsertOne(document) for document in documents], ordered=False)
        except BulkWriteError as error:
            faults: Iterable[Mapping[str, Any]] = (error.details or {}).get("writeErrors", [])
            codes = [fault["code"] for fault in faults]
            if not codes or set(codes) != {_DUPLICATE_KEY}:
                raise
            return len(codes)
    return 0
