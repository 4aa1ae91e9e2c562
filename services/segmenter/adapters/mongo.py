"""The segmenter's store in MongoDB: single-document atomicity, nothing that a MongoDB-compatible server may lack.

A document carries the entries of its last save in itself, so that state and entries change in one write; the next save first copies
them to the collection of inputs, where repeating the copy changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from pymongo import ASCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from services.common.clock import Micros
from services.common.errors import Fenced
from services.common.mongo import MongoStore, mongo_errors
from services.segmenter.adapters.mongo_rows import (
    copies_of,
    copy_of,
    deflated,
    document_of,
    entry_of,
    inflated,
    input_key,
    place_of,
    write_of,
)
from services.segmenter.ports import BoardEntry, Change, Document, Entry, Stores

Kind: TypeAlias = Literal["people", "accounts"]

_DUPLICATE_KEY = 11_000
_AT_ONCE = 100
"""So many documents a command: a server that looks for each by a scan still answers in time."""
_INDEXES = (
    ("people", [("partition", ASCENDING), ("due_at", ASCENDING)]),
    ("people", [("partition", ASCENDING), ("definition", ASCENDING)]),
    ("accounts_inputs", [("document", ASCENDING), ("input_id", ASCENDING)]),
    ("board_log", [("board", ASCENDING), ("position", ASCENDING)]),
    ("board_log", [("board", ASCENDING), ("input_id", ASCENDING)]),
)


def mongo_stores(store: MongoStore) -> Stores:
    """Return the ports on the database of *store*."""

    async def prepare() -> None:
        async with mongo_errors():
            for collection, keys in _INDEXES:
                await store.database[collection].create_index(keys)

    return Stores(MongoDocuments(store, "people"), MongoDocuments(store, "accounts"), MongoBoardLog(store), MongoSaid(store), prepare)


class MongoDocuments:
    """Documents of one kind, each with the inputs that it has seen."""

    def __init__(self, store: MongoStore, kind: Kind) -> None:
        self._documents = store.database[kind]
        self._inputs = store.database[f"{kind}_inputs"]

    async def load(self, ids: Iterable[str]) -> Mapping[str, Document]:
        """Return those of *ids* that exist."""
        async with mongo_errors():
            rows = await self._documents.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {row["_id"]: document_of(row) for row in rows}

    async def cards(self, ids: Iterable[str]) -> Mapping[str, bytes]:
        """Return the cards of those of *ids* that exist."""
        async with mongo_errors():
            rows = await self._documents.find({"_id": {"$in": list(ids)}}, {"card": 1}).to_list(None)
        return {row["_id"]: bytes(row["card"]) for row in rows}

    async def find(self, inputs: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Entry]:
        """Return the entries of those (document id, input id) that have been applied."""
        wanted = {input_key(*pair): pair for pair in inputs}
        ids = sorted({pair[0] for pair in wanted.values()})
        async with mongo_errors():
            copied = await self._inputs.find({"_id": {"$in": list(wanted)}}).to_list(None)
            carriers = await self._documents.find({"_id": {"$in": ids}}, {"recent": 1}).to_list(None)
        found = {wanted[row["_id"]]: entry_of(row) for row in copied}
        pairs = set(wanted.values())
        for carrier in carriers:
            for row in carrier["recent"]:
                if (pair := (carrier["_id"], row["input_id"])) in pairs:
                    found[pair] = entry_of(row)
        return found

    async def inputs(self, id: str, prefix: str, before: int) -> Sequence[str]:  # noqa: A002 - the document's id
        """Return the ids, sorted, that begin with *prefix*, of the inputs that were applied before position *before*."""
        wanted = {"document": id, "input_id": {"$regex": f"^{re.escape(prefix)}"}, "position": {"$lt": before}}
        async with mongo_errors():
            rows = await self._inputs.find(wanted, {"input_id": 1}).to_list(None)
            carrier = await self._documents.find_one({"_id": id}, {"recent": 1})
        recent = [row for row in (carrier or {"recent": ()})["recent"] if row["input_id"].startswith(prefix) and row["position"] < before]
        return sorted({row["input_id"] for row in (*rows, *recent)})

    async def save(self, changes: Sequence[Change]) -> None:
        """Put each document's next state, with its entries, in place of exactly the one before."""
        for start in range(0, len(changes), _AT_ONCE):
            await self._save(changes[start : start + _AT_ONCE])

    async def _save(self, changes: Sequence[Change]) -> None:
        copies = [copy_of(change.before.id, entry) for change in changes if change.before is not None for entry in change.before.recent]
        async with mongo_errors():
            if copies:
                await self._inputs.bulk_write(copies, ordered=False)
            try:
                result = await self._documents.bulk_write([write_of(change) for change in changes], ordered=False)
            except BulkWriteError as error:
                raise _fenced(error) from error
        missed = len(changes) - result.inserted_count - result.matched_count
        if missed:
            raise Fenced(f"{missed} documents are not where they were loaded any more")

    async def history(self, id: str) -> Sequence[Entry]:  # noqa: A002 - the document's id
        """Return all inputs that a document has seen, by position."""
        async with mongo_errors():
            rows = await self._inputs.find(copies_of(id)).to_list(None)
            carrier = await self._documents.find_one({"_id": id}, {"recent": 1})
        found = {row["input_id"]: entry_of(row) for row in (*rows, *(carrier or {"recent": ()})["recent"])}
        return sorted(found.values(), key=lambda entry: entry.position)

    async def rewrite(self, id: str, entries: Sequence[Entry]) -> None:  # noqa: A002
        """Put the facts of *entries* in place of those that a document has of their inputs."""
        facts = {entry.input_id: deflated(entry.facts) for entry in entries}
        writes = [UpdateOne({"_id": input_key(id, name)}, {"$set": {"facts": told}}) for name, told in facts.items()]
        async with mongo_errors():
            for start in range(0, len(writes), _AT_ONCE):
                await self._inputs.bulk_write(writes[start : start + _AT_ONCE], ordered=False)
            carrier = await self._documents.find_one({"_id": id}, {"recent": 1, "position": 1})
            if carrier is not None:
                recent = [row | {"facts": facts.get(row["input_id"], row["facts"])} for row in carrier["recent"]]
                await self._documents.update_one({"_id": id, "position": carrier["position"]}, {"$set": {"recent": recent}})

    async def due(self, partitions: frozenset[int], now: Micros, definition: str, limit: int) -> Sequence[str]:
        """Return at most *limit* ids, owned by *partitions*, that are due by *now* or were evaluated by another definition."""
        owned = {"partition": {"$in": sorted(partitions)}}
        async with mongo_errors():
            late = await self._documents.find({**owned, "due_at": {"$ne": None, "$lte": now}}, {"_id": 1}).limit(limit).to_list(None)
            other = await self._documents.find({**owned, "definition": {"$ne": definition}}, {"_id": 1}).limit(limit).to_list(None)
        return list(dict.fromkeys(row["_id"] for row in (*late, *other)))[:limit]

    async def outdated(self, partitions: frozenset[int], definition: str) -> int:
        """Return how many, owned by *partitions*, were evaluated by another definition."""
        async with mongo_errors():
            return int(await self._documents.count_documents({"partition": {"$in": sorted(partitions)}, "definition": {"$ne": definition}}))


class MongoBoardLog:
    """The logs of all boards in one collection."""

    def __init__(self, store: MongoStore) -> None:
        self._log = store.database["board_log"]

    async def read(self, board: str, after: int, limit: int) -> Sequence[bytes]:
        """Return the operations of at most *limit* entries after position *after*, in their order."""
        async with mongo_errors():
            found = self._log.find({"board": board, "position": {"$gt": after}}, {"operations": 1}).sort("position", ASCENDING)
            return [bytes(row["operations"]) for row in await found.limit(limit).to_list(None)]

    async def find(self, board: str, input_ids: Iterable[str]) -> Mapping[str, BoardEntry]:
        """Return the entries of those inputs that the log holds, without their operations."""
        async with mongo_errors():
            rows = await self._log.find({"board": board, "input_id": {"$in": list(input_ids)}}, {"operations": 0}).to_list(None)
        return {
            row["input_id"]: BoardEntry(row["board"], row["position"], row["input_id"], row["origin"], b"", inflated(row["facts"]))
            for row in rows
        }

    async def facts(self, board: str, positions: Iterable[int]) -> Mapping[int, bytes]:
        """Return the facts of the entries at *positions*."""
        wanted = [place_of(board, position) for position in positions]  # by the key: not every server has a use for the index of numbers
        async with mongo_errors():
            rows = await self._log.find({"_id": {"$in": wanted}}, {"position": 1, "facts": 1}).to_list(None)
        return {row["position"]: inflated(row["facts"]) for row in rows}

    async def page(self, board: str, after: int, limit: int) -> Sequence[BoardEntry]:
        """Return at most *limit* whole entries after position *after*, in their order."""
        async with mongo_errors():
            found = self._log.find({"_id": {"$gt": place_of(board, after), "$lt": f"{board}$"}}).sort("_id", ASCENDING)
            rows = await found.limit(limit).to_list(None)
        return [
            BoardEntry(row["board"], row["position"], row["input_id"], row["origin"], bytes(row["operations"]), inflated(row["facts"]))
            for row in rows
        ]

    async def rewrite(self, entries: Sequence[BoardEntry]) -> None:
        """Put operations and facts of *entries* in place of those at their positions."""
        writes = [
            UpdateOne({"_id": place_of(e.board, e.position)}, {"$set": {"operations": e.operations, "facts": deflated(e.facts)}})
            for e in entries
        ]
        async with mongo_errors():
            for start in range(0, len(writes), _AT_ONCE):
                await self._log.bulk_write(writes[start : start + _AT_ONCE], ordered=False)

    async def append(self, entries: Sequence[BoardEntry]) -> None:
        """Append *entries* in their order, up to the first whose position is taken."""
        rows = [
            {
                "_id": place_of(e.board, e.position),
                "board": e.board,
                "position": e.position,
                "input_id": e.input_id,
                "origin": e.origin,
                "operations": e.operations,
                "facts": deflated(e.facts),
            }
            for e in entries
        ]
        async with mongo_errors():
            try:
                await self._log.insert_many(rows, ordered=True)
            except BulkWriteError as error:
                raise _fenced(error) from error


class MongoSaid:
    """What was published out of a store that is lost, in one collection."""

    def __init__(self, store: MongoStore) -> None:
        self._said = store.database["said"]

    async def get(self, keys: Iterable[str]) -> Mapping[str, bytes]:
        """Return the values of those of *keys* that exist."""
        async with mongo_errors():
            rows = await self._said.find({"_id": {"$in": list(keys)}}).to_list(None)
        return {row["_id"]: bytes(row["value"]) for row in rows}

    async def put(self, values: Mapping[str, bytes]) -> None:
        """Keep each value, in place of any before."""
        writes = [UpdateOne({"_id": key}, {"$set": {"value": value}}, upsert=True) for key, value in values.items()]
        async with mongo_errors():
            for start in range(0, len(writes), _AT_ONCE):
                await self._said.bulk_write(writes[start : start + _AT_ONCE], ordered=False)

    async def drop(self, keys: Iterable[str]) -> None:
        """Let go of *keys*, whether or not they exist."""
        wanted = list(keys)
        async with mongo_errors():
            for start in range(0, len(wanted), _AT_ONCE):
                await self._said.delete_many({"_id": {"$in": wanted[start : start + _AT_ONCE]}})


def _fenced(error: BulkWriteError) -> Exception:
    faults = (error.details or {}).get("writeErrors", [])
    if faults and all(fault.get("code") == _DUPLICATE_KEY for fault in faults):
        return Fenced("another worker has written what this one was about to write")
    return error
