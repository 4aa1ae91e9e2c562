"""The notifier's store in MongoDB. One document an entry, a union, a row, a person; every write is conditional and can be repeated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from services.common.clock import Micros
from services.common.errors import Fenced
from services.common.ids import board_key
from services.common.mongo import MongoStore, mongo_errors
from services.notifier.adapters.documents import (
    alert_body,
    entry_body,
    entry_from,
    history_body,
    person_body,
    person_from,
    pointer_end,
    row_from,
)
from services.notifier.domain.board import Want
from services.notifier.domain.entry import Entry
from services.notifier.domain.families import Union
from services.notifier.domain.ledger import DIRECT_ALERTS, Row
from services.notifier.domain.person import Person

_DUPLICATE_KEY = 11_000
_STATEMENT_ROWS = 100
"""FerretDB takes some 20 ms a changed row: more of them in one statement would outlast the socket's timeout."""
_INDEXES = (
    ("board_log", [("board", 1), ("sequence", 1)]),
    ("ledger", [("person", 1)]),
    ("ledger", [("board", 1), ("sequence", 1), ("ordinal", 1)]),
    ("ledger", [("partition", 1), ("due_at", 1)]),
    ("persons", [("into", 1)]),
)


class MongoNotifierStore:
    """The port on MongoDB; any number of workers."""

    def __init__(self, store: MongoStore) -> None:
        self._entries = store.database["board_log"]
        self._unions = store.database["unions"]
        self._ledger = store.database["ledger"]
        self._people = store.database["persons"]
        self._database = store.database

    async def prepare(self) -> None:
        """Create the indexes; repeating the call changes nothing."""
        async with mongo_errors():
            for collection, keys in _INDEXES:
                await self._database[collection].create_index(keys)

    async def entries(self, board: str) -> Sequence[Entry]:
        """Return the whole log, by sequence, without the quotes."""
        async with mongo_errors():
            cursor = self._entries.find({"board": board}, {"sequence": 1, "origin": 1, "body": 1}).sort("sequence", 1)
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
        documents = [
            {
                "_id": _entry_key(board, entry.sequence),
                "board": board,
                "sequence": entry.sequence,
                "origin": entry.origin,
                "body": entry_body(entry),
                "quote": entry.quote,
            }
            for entry in entries
        ]
        if await self._insert(self._entries, documents):
            written = await self.origins(board, [entry.sequence for entry in entries])
            if any(written[entry.sequence] != entry.origin for entry in entries):
                raise Fenced("the board's log was written by another worker")

    async def unite(self, unions: Sequence[Union]) -> None:
        """Remember *unions*; repeating the call changes nothing."""
        if unions:
            async with mongo_errors():
                await self._unions.bulk_write(
                    [UpdateOne({"_id": union.absorbed}, {"$set": {"into": union.into}}, upsert=True) for union in unions]
                )

    async def unions(self, ideas: Collection[str]) -> Mapping[str, str]:
        """Return, of *ideas*, those that were absorbed, each with the idea that stands for it since."""
        async with mongo_errors():
            return {found["_id"]: found["into"] async for found in self._unions.find({"_id": {"$in": list(ideas)}})}

    async def add(self, rows: Sequence[Row]) -> None:
        """Insert those of *rows* that do not exist; the others stay as they are."""
        await self._insert(self._ledger, [_document(row) for row in rows])

    async def want(self, wants: Sequence[Want]) -> None:
        """Write whether alerts are wanted, unless a later decision already has; suppressed rows that are wanted again become due."""
        marks, revivals = defaultdict[tuple[int, bool], list[str]](list), defaultdict[Micros, list[str]](list)
        for want in wants:
            marks[want.sequence, want.wanted].append(want.alert_id)
            if want.wanted:
                revivals[want.at].append(want.alert_id)
        for (sequence, wanted), ids in marks.items():
            await self._update(ids, {"wanted_sequence": {"$lt": sequence}}, {"wanted": wanted, "wanted_sequence": sequence})
        for at, ids in revivals.items():
            await self._update(ids, {"wanted": True, "state": "suppressed"}, {"state": "deferred", "due_at": at})

    async def rows(self, alert_ids: Collection[str]) -> Mapping[str, Row]:
        """Return the rows of *alert_ids* that exist."""
        async with mongo_errors():
            found = await self._ledger.find({"_id": {"$in": list(alert_ids)}}).to_list(None)
        return {document["_id"]: _row(document) for document in found}

    async def rows_of(self, person_ids: Collection[str]) -> Sequence[Row]:
        """Return all rows of *person_ids*."""
        async with mongo_errors():
            found = await self._ledger.find({"person": {"$in": list(person_ids)}}).to_list(None)
        return [_row(document) for document in found]

    async def direct(self, board: str, sequence: int) -> Sequence[Row]:
        """Return the rows that were published with a board's decision, in the order in which it made them."""
        wanted = {"board": board, "sequence": sequence, "ordinal": {"$lt": DIRECT_ALERTS}}
        async with mongo_errors():
            return [_row(document) for document in await self._ledger.find(wanted).sort("ordinal", 1).to_list(None)]

    async def begin(self, rows: Sequence[Row]) -> None:
        """Mark *rows* as being tried."""
        by_attempt = defaultdict[int, list[str]](list)
        for row in rows:
            by_attempt[row.attempt].append(row.alert_id)
        matched = 0
        for attempt, ids in by_attempt.items():
            matched += await self._update(ids, {"state": "pending", "attempt": attempt}, {"trying": True})
        if matched < len(rows):
            raise Fenced("rows of the ledger were written by another worker")

    async def settle(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Replace each (old, new) that is still pending at the old one's attempt."""
        updates = []
        for old, new in changes:
            condition = {"_id": old.alert_id, "state": "pending", "attempt": old.attempt}
            if new.state == "suppressed":
                condition["wanted_sequence"] = old.wanted_sequence
            updates.append(UpdateOne(condition, {"$set": {**_progress(new), "history": history_body(new)}}))
        if not updates:
            return
        async with mongo_errors():
            result = await self._ledger.bulk_write(updates, ordered=False)
        if result.matched_count < len(changes):
            written = await self.rows([new.alert_id for _, new in changes])
            missed = sum(new.alert_id not in written or new.history[-1] not in written[new.alert_id].history for _, new in changes)
            if missed:
                raise Fenced(f"{missed} rows of the ledger were written by another worker")

    async def due(self, partitions: Collection[int], now: Micros, limit: int) -> Sequence[Row]:
        """Return at most *limit* rows of *partitions* that are due at *now*, longest due first."""
        wanted = {"partition": {"$in": sorted(partitions)}, "due_at": {"$lte": now}}
        async with mongo_errors():
            found = await self._ledger.find(wanted).sort([("due_at", 1), ("_id", 1)]).limit(limit).to_list(None)
        return [_row(document) for document in found]

    async def take_up(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write state, attempt and due time of each (old, new) whose state and attempt are still the old one's."""
        alike = defaultdict[tuple[Any, ...], list[str]](list)
        for old, new in changes:
            alike[old.state, old.attempt, new.state, new.attempt, new.due_at].append(old.alert_id)
        for (state, attempt, *written), ids in alike.items():
            await self._update(ids, {"state": state, "attempt": attempt}, dict(zip(("state", "attempt", "due_at"), written, strict=True)))

    async def expire(self, partitions: Collection[int], due_at: Micros) -> None:
        """Make the pending rows of *partitions* that have a due time due at *due_at*."""
        wanted = {"partition": {"$in": sorted(partitions)}, "due_at": {"$gt": 0}, "state": "pending"}
        async with mongo_errors():
            await self._ledger.update_many(wanted, {"$set": {"due_at": due_at}})

    async def wake(self, person_ids: Collection[str], made_since: Micros, due_at: Micros) -> None:
        """Make the unreachable rows of *person_ids* that were made since then due at *due_at*."""
        wanted = {"person": {"$in": list(person_ids)}, "state": "unreachable", "created_at": {"$gte": made_since}}
        async with mongo_errors():
            await self._ledger.update_many(wanted, {"$set": {"state": "deferred", "due_at": due_at}})

    async def persons(self, person_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those of *person_ids* of whom anything is known."""
        async with mongo_errors():
            found = await self._people.find({"_id": {"$in": list(person_ids)}}).to_list(None)
        return {document["_id"]: _person(document) for document in found}

    async def followers(self, person_ids: Collection[str]) -> Sequence[Person]:
        """Return everyone whose pointer names one of *person_ids*."""
        async with mongo_errors():
            found = await self._people.find({"into": {"$in": list(person_ids)}}).sort("_id", 1).to_list(None)
        return [_person(document) for document in found]

    async def put(self, changes: Sequence[tuple[Person, Person]]) -> None:
        """Replace each (old, new)."""
        unknown = [_person_document(new) for old, new in changes if not old.version]
        updates = [
            UpdateOne({"_id": new.person_id, "version": old.version}, {"$set": _person_fields(new)}) for old, new in changes if old.version
        ]
        taken = await self._insert(self._people, unknown)
        matched = 0
        if updates:
            async with mongo_errors():
                matched = (await self._people.bulk_write(updates, ordered=False)).matched_count
        if taken or matched < len(updates):
            written = await self.persons([new.person_id for _, new in changes])
            if any(written.get(new.person_id) != new for _, new in changes):
                raise Fenced("a person was written by another worker")

    async def _update(self, alert_ids: Sequence[str], condition: Mapping[str, Any], written: Mapping[str, Any]) -> int:
        """Write the same to all rows of *alert_ids* that meet *condition*; return how many did."""
        matched = 0
        for start in range(0, len(alert_ids), _STATEMENT_ROWS):
            chunk = {"_id": {"$in": alert_ids[start : start + _STATEMENT_ROWS]}, **condition}
            async with mongo_errors():
                matched += (await self._ledger.update_many(chunk, {"$set": dict(written)})).matched_count
        return matched

    async def _insert(self, collection: Any, documents: Sequence[Mapping[str, Any]]) -> int:
        """Insert those of *documents* whose ``_id`` is free; return how many were taken."""
        if not documents:
            return 0
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


def _entry_key(board: str, sequence: int) -> str:
    return f"{board}#{sequence}"


def _progress(row: Row) -> dict[str, Any]:
    return {
        "state": row.state,
        "attempt": row.attempt,
        "due_at": row.due_at,
        "trying": row.trying,
        "failures": row.failures,
        "first_failed_at": row.first_failed_at,
    }


def _document(row: Row) -> dict[str, Any]:
    return {
        "_id": row.alert_id,
        "board": board_key(row.alert.workspace, row.alert.board),
        "sequence": row.sequence,
        "ordinal": row.ordinal,
        "person": row.alert.person_id,
        "partition": row.partition,
        "wanted": row.wanted,
        "wanted_sequence": row.wanted_sequence,
        "created_at": row.alert.created_at,
        "alert": alert_body(row.alert),
        "history": history_body(row),
        **_progress(row),
    }


def _row(document: Mapping[str, Any]) -> Row:
    return row_from(document, document["alert"], document["history"])


def _person_fields(person: Person) -> dict[str, Any]:
    return {"version": person.version, "into": pointer_end(person), "body": person_body(person)}


def _person_document(person: Person) -> dict[str, Any]:
    return {"_id": person.person_id, **_person_fields(person)}


def _person(document: Mapping[str, Any]) -> Person:
    return person_from(document["_id"], document["version"], document["into"], document["body"])
