"""The logs of boards, and the families of their ideas, in MongoDB: one document an entry, one a union."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pymongo import UpdateOne

from services.common.errors import Fenced
from services.common.mongo import MongoStore, mongo_errors
from services.notifier.adapters.documents import entry_body, entry_from
from services.notifier.adapters.mongo_writing import insert
from services.notifier.domain.entry import Entry
from services.notifier.domain.families import Union
from services.notifier.ports import Join


class MongoBoards:
    """``BoardStore`` on MongoDB."""

    def __init__(self, store: MongoStore) -> None:
        self._entries = store.database["board_log"]
        self._unions = store.database["unions"]
        self._joins = store.database["joins"]

    async def entries(self, board: str, after: int, limit: int) -> Sequence[Entry]:
        """Return the first *limit* entries of the log whose sequence is above *after*, by sequence, without the quotes."""
        async with mongo_errors():
            wanted = {"board": board, "sequence": {"$gt": after}}
            cursor = self._entries.find(wanted, {"sequence": 1, "origin": 1, "body": 1}).sort("sequence", 1).limit(limit)
            return [entry_from(found["sequence"], found["origin"], found["body"]) async for found in cursor]

    async def origins(self, board: str, sequences: Collection[int]) -> Mapping[int, str]:
        """Return the origin of each entry of *sequences* that exists."""
        wanted = [_entry_key(board, sequence) for sequence in sequences]
        async with mongo_errors():
            cursor = self._entries.find({"_id": {"$in": wanted}}, {"sequence": 1, "origin": 1})
            return {found["sequence"]: found["origin"] async for found in cursor}

    async def quotes(self, board: str, sequences: Collection[int]) -> Mapping[int, str]:
        """Return the words that each entry of *sequences* holds; those without any are left out."""
        wanted = [_entry_key(board, sequence) for sequence in sequences]
        async with mongo_errors():
            cursor = self._entries.find({"_id": {"$in": wanted}}, {"sequence": 1, "quote": 1})
            return {found["sequence"]: found["quote"] async for found in cursor if found["quote"] is not None}

    async def append(self, board: str, entries: Sequence[Entry]) -> None:
        """Write *entries*; repeating the call changes nothing."""
        if await insert(self._entries, [_document(board, entry) for entry in entries]):
            written = await self.origins(board, [entry.sequence for entry in entries])
            if any(written[entry.sequence] != entry.origin for entry in entries):
                raise Fenced("the board's log was written by another worker")

    async def collect(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """Write those of *entries* whose places are free."""
        await insert(self._entries, [_document(board, entry) for board, some in entries.items() for entry in some])

    async def unite(self, unions: Sequence[Union]) -> None:
        """Remember *unions*; repeating the call changes nothing."""
        if unions:
            async with mongo_errors():
                await self._unions.bulk_write(
                    [UpdateOne({"_id": union.absorbed}, {"$set": {"into": union.into}}, upsert=True) for union in unions]
                )

    async def begin_joins(self, joins: Sequence[Join]) -> None:
        """Remember *joins*, each unless an earlier one of its board is remembered."""
        said = ((join, {"sequence": join.sequence, "workspace": join.workspace, "name": join.name}) for join in joins)
        updates = [
            UpdateOne({"_id": join.board}, {"$setOnInsert": {**fields, "partition": join.partition}}, upsert=True) for join, fields in said
        ]
        async with mongo_errors():
            await self._joins.bulk_write(updates)

    async def joins(self, boards: Collection[str] | None = None) -> Sequence[Join]:
        """Return the joins of *boards*, or of all, whose rows may not all be there."""
        wanted = {} if boards is None else {"_id": {"$in": list(boards)}}
        async with mongo_errors():
            found = await self._joins.find(wanted).sort("_id", 1).to_list(None)
        return [Join(one["_id"], one["sequence"], one["workspace"], one["name"], one["partition"]) for one in found]

    async def end_join(self, board: str) -> None:
        """Forget the join of *board*."""
        async with mongo_errors():
            await self._joins.delete_one({"_id": board})

    async def unions(self, ideas: Collection[str]) -> Mapping[str, str]:
        """Return, of *ideas*, those that were absorbed, each with the idea that stands for it since."""
        async with mongo_errors():
            return {found["_id"]: found["into"] async for found in self._unions.find({"_id": {"$in": list(ideas)}})}


def _document(board: str, entry: Entry) -> dict[str, Any]:
    return {
        "_id": _entry_key(board, entry.sequence),
        "board": board,
        "sequence": entry.sequence,
        "origin": entry.origin,
        "body": entry_body(entry),
        "quote": entry.quote,
    }


def _entry_key(board: str, sequence: int) -> str:
    return f"{board}#{sequence}"
