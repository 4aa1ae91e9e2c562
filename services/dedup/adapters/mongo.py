"""The boards' log in MongoDB: a document an entry, its ``_id`` its place, so that no two workers can write the same one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from services.common.errors import Fenced
from services.common.events import Decision
from services.common.mongo import MongoStore, mongo_errors
from services.dedup.domain.entry import Entry, decision_body, read_decision, read_entry

_DUPLICATE_KEY = 11000
_MODEL = "model"
_HIGHEST = 10**12 - 1
"""The last number that a place has digits for."""


class MongoBoardLog:
    """See ``services.dedup.ports.BoardLog``. Uses the unique index on ``_id`` only."""

    def __init__(self, store: MongoStore) -> None:
        self._log = store.database["board_log"]
        self._facts = store.database["facts"]

    async def adopt_model(self, model: str) -> str:
        """Record *model* unless one is recorded; return the recorded one."""
        async with mongo_errors():
            try:
                await self._facts.insert_one({"_id": _MODEL, "value": model})
            except DuplicateKeyError:
                fact = await self._facts.find_one({"_id": _MODEL})
                return str(fact["value"]) if fact else model
        return model

    async def noted(self, fact: str) -> str | None:
        """Return what was noted of the whole store as *fact*."""
        async with mongo_errors():
            found = await self._facts.find_one({"_id": fact})
        return None if found is None else str(found["value"])

    async def note(self, fact: str, value: str | None) -> None:
        """Note *value* as *fact*, or nothing."""
        async with mongo_errors():
            if value is None:
                await self._facts.delete_one({"_id": fact})
            else:
                await self._facts.replace_one({"_id": fact}, {"_id": fact, "value": value}, upsert=True)

    async def boards(self) -> Mapping[str, int]:
        """Return the last position of every board; goes through the whole log."""
        found: dict[str, int] = {}
        async with mongo_errors():
            async for document in self._log.find({}, {"board": 1, "position": 1}):
                found[document["board"]] = max(found.get(document["board"], 0), document["position"])
        return found

    async def load(self, board: str, *, after: int, limit: int) -> Sequence[Entry]:
        """Return the entries of *board* beyond *after* in order, at most *limit*."""
        async with mongo_errors():
            documents = await self._log.find({"_id": _places(board, after, after + limit)}).sort("_id", 1).to_list(None)
        return [read_entry(board, document["position"], document["body"], document["vector"]) for document in documents]

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write *entries* one document each, in order, until one is refused."""
        async with mongo_errors():
            await self._check_predecessors(entries)
            waiting = [_document(entry) for entry in entries]
            while waiting:
                waiting = await self._insert(waiting)

    async def rewrite(self, entries: Sequence[Entry]) -> None:
        """Put *entries* in place of those at their positions."""
        writes = [ReplaceOne({"_id": document["_id"]}, document) for document in map(_document, entries)]
        if writes:
            async with mongo_errors():
                await self._log.bulk_write(writes, ordered=False)

    async def _insert(self, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Insert *documents*; return those that are left after one that was there already."""
        try:
            await self._log.insert_many(documents, ordered=True)
        except BulkWriteError as error:
            fault = (error.details or {})["writeErrors"][0]
            if fault["code"] != _DUPLICATE_KEY:
                raise
            refused = documents[fault["index"]]
            there = await self._log.find_one({"_id": refused["_id"]})
            if there != refused:
                raise Fenced(f"position {refused['position']} of a board's log is another worker's") from error
            return documents[fault["index"] + 1 :]
        return []

    async def _check_predecessors(self, entries: Sequence[Entry]) -> None:
        first: dict[str, int] = {}
        for entry in entries:
            first.setdefault(entry.board, entry.position)
        wanted = {_place(board, position - 1) for board, position in first.items() if position > 1}
        if wanted:
            found = await self._log.find({"_id": {"$in": sorted(wanted)}}, {"_id": 1}).to_list(None)
            if len(found) < len(wanted):
                raise Fenced(f"the store lacks what {len(wanted) - len(found)} boards were decided upon")


class MongoSaidLog:
    """See ``services.dedup.ports.SaidLog``."""

    def __init__(self, store: MongoStore) -> None:
        self._said = store.database["said"]

    async def prepare(self) -> None:
        """Create the index where it is missing."""
        async with mongo_errors():
            await self._said.create_index([("event_id", 1)])

    async def remember(self, decisions: Sequence[Decision]) -> None:
        """Keep *decisions*."""
        writes = [
            ReplaceOne(
                {"_id": place}, {"_id": place, "event_id": one.event_id, "sequence": one.sequence, "body": decision_body(one)}, upsert=True
            )
            for one in decisions
            for place in (_place(one.partition_key(), one.sequence),)
        ]
        if writes:
            async with mongo_errors():
                await self._said.bulk_write(writes, ordered=False)

    async def last(self, board: str) -> Decision | None:
        """Return the decision of *board* with the highest sequence."""
        async with mongo_errors():
            found = await self._said.find({"_id": _places(board, 0, None)}).sort("_id", -1).limit(1).to_list(None)
        return read_decision(found[0]["body"]) if found else None

    async def places(self, events: Collection[str]) -> Mapping[str, int]:
        """Return the highest sequence that each of *events* established."""
        async with mongo_errors():
            found = await self._said.find({"event_id": {"$in": list(events)}}, {"event_id": 1, "sequence": 1}).to_list(None)
        return {row["event_id"]: row["sequence"] for row in sorted(found, key=lambda row: int(row["sequence"]))}

    async def load(self, board: str, *, after: int, upto: int) -> Sequence[Decision]:
        """Return what is left of *board* beyond *after* up to *upto*."""
        async with mongo_errors():
            found = await self._said.find({"_id": _places(board, after, upto)}).sort("_id", 1).to_list(None)
        return [read_decision(row["body"]) for row in found]

    async def forget(self, board: str, *, upto: int) -> None:
        """Let go of what was said of *board* up to *upto*."""
        async with mongo_errors():
            await self._said.delete_many({"_id": _places(board, 0, upto)})


def _places(board: str, after: int, upto: int | None) -> dict[str, str]:
    return {"$gte": _place(board, after + 1), "$lte": _place(board, _HIGHEST if upto is None else upto)}


def _place(board: str, position: int) -> str:
    return f"{board}/{position:012d}"


def _document(entry: Entry) -> dict[str, Any]:
    return {
        "_id": _place(entry.board, entry.position),
        "board": entry.board,
        "position": entry.position,
        "body": entry.body(),
        "vector": entry.vector,
    }
