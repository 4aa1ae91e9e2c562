"""The ledger in MongoDB: one document a row; every write is conditional and can be repeated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pymongo import UpdateMany, UpdateOne

from services.common.clock import Micros
from services.common.errors import Fenced
from services.common.ids import board_key
from services.common.mongo import MongoStore, mongo_errors
from services.notifier.adapters.documents import alert_body, history_body, row_from
from services.notifier.adapters.mongo_writing import STATEMENT_ROWS, insert
from services.notifier.domain.board import Want
from services.notifier.domain.row import DIRECT_ALERTS, HELD, Row
from services.notifier.ports import Wake


class MongoLedger:
    """``LedgerStore`` on MongoDB."""

    def __init__(self, store: MongoStore) -> None:
        self._ledger = store.database["ledger"]

    async def add(self, rows: Sequence[Row]) -> None:
        """Insert those of *rows* that do not exist; the others stay as they are."""
        await insert(self._ledger, [_document(row) for row in rows])

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

    async def made_with(self, board: str, sequences: Collection[int]) -> Sequence[Row]:
        """Return the rows that were published with a board's decisions, in the order in which they were made."""
        made = {"board": board, "sequence": {"$in": sorted(sequences)}, "ordinal": {"$lt": DIRECT_ALERTS}}
        async with mongo_errors():
            found = await self._ledger.find(made).sort([("sequence", 1), ("ordinal", 1)]).to_list(None)
        return [_row(document) for document in found]

    async def begin(self, rows: Sequence[Row]) -> None:
        """Mark *rows* as being tried by their channel in their letter."""
        updates = [
            UpdateOne(
                {"_id": row.alert_id, "state": "pending", "attempt": row.attempt},
                {"$set": {"trying": True, "channel": row.channel, "letter": row.letter}},
            )
            for row in rows
        ]
        if await self._write(updates) < len(rows):
            raise Fenced("rows of the ledger were written by another worker")

    async def settle(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Replace each (old, new) that is still pending at the old one's attempt."""
        updates = []
        for old, new in changes:
            condition = {"_id": old.alert_id, "state": "pending", "attempt": old.attempt}
            if new.state == "suppressed":
                condition["wanted_sequence"] = old.wanted_sequence
            updates.append(UpdateOne(condition, {"$set": {**_progress(new), "history": history_body(new)}}))
        if await self._write(updates) < len(changes):
            await self._assert_written(changes)

    async def lanes(self, partitions: Collection[int], now: Micros) -> Sequence[str]:
        """Return the lanes that have rows due at *now*: one question a lane, however many rows wait in one."""
        found = [""]
        while True:
            wanted = {"partition": {"$in": sorted(partitions)}, "lane": {"$gt": found[-1]}, "due_at": {"$lte": now}}
            async with mongo_errors():
                first = await self._ledger.find(wanted, {"lane": 1}).sort("lane", 1).limit(1).to_list(None)
            if not first:
                return found
            found.append(first[0]["lane"])

    async def due(self, partitions: Collection[int], now: Micros, lane: str, limit: int) -> Sequence[Row]:
        """Return at most *limit* rows of *lane* that are due at *now*, longest due first."""
        wanted = {**_in_lane(partitions, lane), "due_at": {"$lte": now}}
        async with mongo_errors():
            found = await self._ledger.find(wanted).sort([("due_at", 1), ("_id", 1)]).limit(limit).to_list(None)
        return [_row(document) for document in found]

    async def under_way(self, partitions: Collection[int], lane: str, now: Micros, leased_until: Micros, limit: int) -> int:
        """Return how many rows of *lane*, *limit* at most, were taken up and not settled."""
        wanted = {**_in_lane(partitions, lane), "state": "pending", "due_at": {"$gt": now, "$lte": leased_until}}
        async with mongo_errors():
            return len(await self._ledger.find(wanted, {"_id": 1}).limit(limit).to_list(None))

    async def take_up(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write state, attempt and due time of each (old, new) whose state and attempt are still the old one's."""
        alike = defaultdict[tuple[Any, ...], list[str]](list)
        for old, new in changes:
            alike[old.state, old.attempt, new.state, new.attempt, new.due_at].append(old.alert_id)
        for (state, attempt, *written), ids in alike.items():
            await self._update(ids, {"state": state, "attempt": attempt}, dict(zip(("state", "attempt", "due_at"), written, strict=True)))

    async def restore(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write what is rebuilt of each (old, new) whose state and attempt are still the old one's."""
        await self._replace(changes)

    async def told_in(self, letters: Collection[str]) -> Sequence[Row]:
        """Return the rows whose last message was one of *letters*."""
        async with mongo_errors():
            found = await self._ledger.find({"letter": {"$in": list(letters)}}).to_list(None)
        return [_row(document) for document in found]

    async def report(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Replace each (old, new) whose state and attempt are still the old one's."""
        if await self._replace(changes) < len(changes):
            await self._assert_written(changes)

    async def _replace(self, changes: Sequence[tuple[Row, Row]]) -> int:
        updates = [
            UpdateOne(
                {"_id": old.alert_id, "state": old.state, "attempt": old.attempt},
                {"$set": {**_progress(new), "history": history_body(new)}},
            )
            for old, new in changes
        ]
        return await self._write(updates)

    async def _write(self, updates: Sequence[UpdateOne]) -> int:
        """Make *updates*, as many a statement as a slow server makes in time; return how many found their document."""
        matched = 0
        for start in range(0, len(updates), STATEMENT_ROWS):
            async with mongo_errors():
                matched += (await self._ledger.bulk_write(updates[start : start + STATEMENT_ROWS], ordered=False)).matched_count
        return matched

    async def _assert_written(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Raise ``Fenced`` unless each new row's last verdict is in the ledger: a write whose reply was lost."""
        written = await self.rows([new.alert_id for _, new in changes])
        missed = sum(new.alert_id not in written or new.history[-1] not in written[new.alert_id].history for _, new in changes)
        if missed:
            raise Fenced(f"{missed} rows of the ledger were written by another worker")

    async def expire(self, partitions: Collection[int], leased_until: Micros, due_at: Micros) -> None:
        """Make due at *due_at* those rows of *partitions* that are held, and the pending ones that would be due by *leased_until*."""
        owned = {"partition": {"$in": sorted(partitions)}}
        for waiting in ({**owned, "state": "pending", "due_at": {"$gt": due_at, "$lte": leased_until}}, {**owned, "due_at": HELD}):
            while ids := await self._ids(waiting):
                await self._update(ids, waiting, {"due_at": due_at})

    async def wake(self, wakes: Sequence[Wake]) -> None:
        """Make unreachable rows due: few persons have one, and one question tells which."""
        everyone = sorted({person_id for wake in wakes for person_id in wake.person_ids})
        async with mongo_errors():
            found = await self._ledger.find({"person": {"$in": everyone}, "state": "unreachable"}, {"person": 1}).to_list(None)
        waiting = {document["person"] for document in found}
        updates = [
            UpdateMany(
                {"person": {"$in": list(wake.person_ids)}, "state": "unreachable", "created_at": {"$gte": wake.made_since}},
                {"$set": {"state": "deferred", "due_at": wake.due_at}},
            )
            for wake in wakes
            if not waiting.isdisjoint(wake.person_ids)
        ]
        if updates:
            async with mongo_errors():
                await self._ledger.bulk_write(updates)

    async def _ids(self, wanted: Mapping[str, Any]) -> list[str]:
        """Return the ids of some rows that are *wanted*: as many as one statement changes in time."""
        async with mongo_errors():
            found = await self._ledger.find(wanted, {"_id": 1}).limit(STATEMENT_ROWS).to_list(None)
        return [document["_id"] for document in found]

    async def _update(self, alert_ids: Sequence[str], condition: Mapping[str, Any], written: Mapping[str, Any]) -> int:
        """Write the same to all rows of *alert_ids* that meet *condition*; return how many did."""
        matched = 0
        for start in range(0, len(alert_ids), STATEMENT_ROWS):
            chunk = {"_id": {"$in": alert_ids[start : start + STATEMENT_ROWS]}, **condition}
            async with mongo_errors():
                matched += (await self._ledger.update_many(chunk, {"$set": dict(written)})).matched_count
        return matched


def _in_lane(partitions: Collection[int], lane: str) -> dict[str, Any]:
    """Return what rows of *lane* are; those of an earlier release say nothing of one."""
    return {"partition": {"$in": sorted(partitions)}, "lane": lane or {"$in": ["", None]}}


def _progress(row: Row) -> dict[str, Any]:
    return {
        "state": row.state,
        "attempt": row.attempt,
        "due_at": row.due_at,
        "trying": row.trying,
        "doubted": row.doubted,
        "channel": row.channel,
        "letter": row.letter,
        "failed_channels": list(row.failed_channels),
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
        "lane": row.lane,
        "wanted": row.wanted,
        "wanted_sequence": row.wanted_sequence,
        "created_at": row.alert.created_at,
        "alert": alert_body(row.alert),
        "history": history_body(row),
        **_progress(row),
    }


def _row(document: Mapping[str, Any]) -> Row:
    return row_from(document, document["alert"], document["history"])
