"""Ingest's memory in MongoDB: each row is a document, written on the condition that it is as it was read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from services.common.mongo import MongoStore, mongo_errors
from services.ingest.adapters.shapes import entry_of, entry_to_plain, person_of, person_to_plain
from services.ingest.domain.rows import Binding, Changes, Person, Subject
from services.ingest.ports import Contended

_Write: TypeAlias = InsertOne[dict[str, Any]] | UpdateOne
_DUPLICATE_KEY = 11_000


class MongoMemory:
    """See ``services.ingest.ports.Memory``."""

    def __init__(self, store: MongoStore) -> None:
        self._store = store

    async def bindings(self, keys: Collection[str]) -> Mapping[str, Binding]:
        """Return those of *keys* that are bound."""
        rows = await self._rows("bindings", keys)
        return {row["_id"]: Binding(row["_id"], row["person_id"], row["origin"]) for row in rows}

    async def bindings_of(self, person_ids: Collection[str]) -> Sequence[Binding]:
        """Return every alias that is one of *person_ids*'s."""
        if not person_ids:
            return ()
        async with mongo_errors():
            rows = await self._store.database["bindings"].find({"person_id": {"$in": list(person_ids)}}).to_list(None)
        return [Binding(row["_id"], row["person_id"], row["origin"]) for row in rows]

    async def subjects(self, keys: Collection[str]) -> Mapping[str, Subject]:
        """Return those of *keys* of which something was accepted."""
        rows = await self._rows("subjects", keys)
        return {row["_id"]: Subject(row["_id"], row["version"], tuple(map(entry_of, row["entries"]))) for row in rows}

    async def persons(self, keys: Collection[str]) -> Mapping[str, Person]:
        """Return those of *keys* whom something is known of."""
        rows = await self._rows("persons", keys)
        return {row["_id"]: person_of(row["_id"], row["version"], row) for row in rows}

    async def save(self, changes: Changes) -> None:
        """Write all of *changes*, document by document; what was written before an error stays."""
        await self._write("bindings", [_insert(row.key, {"person_id": row.person_id, "origin": row.origin}) for row in changes.bindings])
        subjects = [(row.key, row.version, {"entries": [entry_to_plain(entry) for entry in row.entries]}) for row in changes.subjects]
        await self._write("subjects", [_versioned(*row) for row in subjects])
        if changes.unbound:
            async with mongo_errors():
                await self._store.database["bindings"].delete_many({"_id": {"$in": list(changes.unbound)}})
        persons = [(row.person_id, row.version, person_to_plain(row)) for row in changes.persons]
        await self._write("persons", [_versioned(*row) for row in persons])

    async def _rows(self, collection: str, keys: Collection[str]) -> Sequence[dict[str, Any]]:
        if not keys:
            return ()
        async with mongo_errors():
            return await self._store.database[collection].find({"_id": {"$in": list(keys)}}).to_list(None)

    async def _write(self, collection: str, writes: Sequence[_Write]) -> None:
        if not writes:
            return
        try:
            async with mongo_errors():
                result = await self._store.database[collection].bulk_write(list(writes), ordered=False)
        except BulkWriteError as error:
            if any(fault.get("code") != _DUPLICATE_KEY for fault in error.details.get("writeErrors", ())):
                raise
            raise Contended(f"MongoDB: a document of {collection} was written by another worker") from None
        if result.inserted_count + result.matched_count != len(writes):
            raise Contended(f"MongoDB: a document of {collection} was written by another worker")


def _insert(key: str, body: dict[str, Any]) -> _Write:
    return InsertOne({"_id": key, **body})


def _versioned(key: str, version: int, body: dict[str, Any]) -> _Write:
    """Write the row whose stored version is the one before; the first one must not exist."""
    if version == 1:
        return _insert(key, {"version": version, **body})
    return UpdateOne({"_id": key, "version": version - 1}, {"$set": {"version": version, **body}})
