"""The ledger in SQLite. Documents lie as JSON beside the columns that are searched or compared."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from services.common.clock import Micros
from services.common.errors import Fenced
from services.common.ids import board_key
from services.notifier.adapters.documents import alert_body, history_body, row_from
from services.notifier.adapters.sqlite_reading import SqliteTables, many
from services.notifier.domain.board import Want
from services.notifier.domain.row import DIRECT_ALERTS, HELD, Row
from services.notifier.ports import Wake

_ROW_COLUMNS = (
    "sequence", "ordinal", "partition", "state", "attempt", "wanted", "wanted_sequence", "due_at", "trying", "failures", "first_failed_at",
    "lane", "channel", "letter", "failed_channels", "doubted",
)  # fmt: skip
_PROGRESS_COLUMNS = (
    "state", "attempt", "due_at", "trying", "failures", "first_failed_at", "channel", "letter", "failed_channels", "doubted",
)  # fmt: skip
_WRITTEN_COLUMNS = (
    "alert_id", "board", "sequence", "ordinal", "person", "partition", "wanted", "wanted_sequence", "lane", "created_at", "alert",
    *_PROGRESS_COLUMNS, "history",
)  # fmt: skip
_INSERT = f"INSERT INTO ledger ({', '.join(_WRITTEN_COLUMNS)}) VALUES ({', '.join('?' * len(_WRITTEN_COLUMNS))}) ON CONFLICT DO NOTHING"  # noqa: S608 - constants
_SETTLE = (
    "UPDATE ledger SET "  # noqa: S608 - constants
    + ", ".join(f"{column} = json_extract(new.value, '$[{place}]')" for place, column in enumerate((*_PROGRESS_COLUMNS, "history")))
    + " FROM json_each(?) AS new WHERE alert_id = json_extract(new.value, '$[11]') AND state = 'pending' "
    "AND attempt = json_extract(new.value, '$[12]') AND wanted_sequence = coalesce(json_extract(new.value, '$[13]'), wanted_sequence)"
)
"""One statement for many rows runs without the interpreter's lock, beside what is being sent; row by row it would wait for it each time.
A new row lies there as its progress and history (0-10), the id and the old row's attempt, and what ``wanted_sequence`` must be still."""
_REPLACE = (
    f"UPDATE ledger SET {', '.join(f'{column} = ?' for column in _PROGRESS_COLUMNS)}, history = ? "  # noqa: S608 - constants
    "WHERE alert_id = ? AND state = ? AND attempt = ?"
)
_SELECT_ROWS = f"SELECT {', '.join(_ROW_COLUMNS)}, alert, history FROM ledger"  # noqa: S608 - constants


class SqliteLedger(SqliteTables):
    """``LedgerStore`` on SQLite."""

    async def add(self, rows: Sequence[Row]) -> None:
        """Insert those of *rows* that do not exist; the others stay as they are."""
        if rows:
            await self._write_all(_INSERT, [_row_values(row) for row in rows])

    async def want(self, wants: Sequence[Want]) -> None:
        """Write whether alerts are wanted, unless a later decision already has; suppressed rows that are wanted again become due."""

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "UPDATE ledger SET wanted = ?, wanted_sequence = ? WHERE alert_id = ? AND wanted_sequence < ?",
                [(want.wanted, want.sequence, want.alert_id, want.sequence) for want in wants],
            )
            connection.executemany(
                "UPDATE ledger SET state = 'deferred', due_at = ? WHERE alert_id = ? AND wanted AND state = 'suppressed'",
                [(want.at, want.alert_id) for want in wants if want.wanted],
            )

        await self._database.write(change)

    async def rows(self, alert_ids: Collection[str]) -> Mapping[str, Row]:
        """Return the rows of *alert_ids* that exist."""
        found = await self._rows("WHERE alert_id IN (SELECT value FROM json_each(?))", (many(alert_ids),))
        return {row.alert_id: row for row in found}

    async def rows_of(self, person_ids: Collection[str]) -> Sequence[Row]:
        """Return all rows of *person_ids*."""
        return await self._rows("WHERE person IN (SELECT value FROM json_each(?))", (many(person_ids),))

    async def made_with(self, board: str, sequences: Collection[int]) -> Sequence[Row]:
        """Return the rows that were published with a board's decisions, in the order in which they were made."""
        where = "WHERE board = ? AND sequence IN (SELECT value FROM json_each(?)) AND ordinal < ? ORDER BY sequence, ordinal"
        return await self._rows(where, (board, many(sequences), DIRECT_ALERTS))

    async def begin(self, rows: Sequence[Row]) -> None:
        """Mark *rows* as being tried by their channel in their letter."""

        query = (
            "UPDATE ledger SET trying = 1, channel = json_extract(new.value, '$[0]'), letter = json_extract(new.value, '$[1]') "
            "FROM json_each(?) AS new WHERE alert_id = json_extract(new.value, '$[2]') AND state = 'pending' "
            "AND attempt = json_extract(new.value, '$[3]')"
        )
        marks = many((row.channel, row.letter, row.alert_id, row.attempt) for row in rows)
        if await self._database.write(lambda connection: connection.execute(query, (marks,)).rowcount) < len(rows):
            raise Fenced("rows of the ledger were written by another worker")

    async def settle(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Replace each (old, new) that is still pending at the old one's attempt."""
        written = many(_settlement(old, new) for old, new in changes)

        def change(connection: sqlite3.Connection) -> int:
            if connection.execute(_SETTLE, (written,)).rowcount == len(changes):
                return 0
            return sum(not _is_written(connection, new) for _, new in changes)

        if missed := await self._database.write(change):
            raise Fenced(f"{missed} rows of the ledger were written by another worker")

    async def lanes(self, partitions: Collection[int], now: Micros) -> Sequence[str]:
        """Return the lanes that have rows due at *now*: a step of the index a lane, however many rows wait in one."""
        query = (
            "WITH RECURSIVE every(lane) AS (SELECT min(lane) FROM ledger WHERE due_at IS NOT NULL UNION ALL "
            "SELECT (SELECT min(lane) FROM ledger WHERE due_at IS NOT NULL AND lane > every.lane) FROM every WHERE every.lane IS NOT NULL) "
            "SELECT lane FROM every WHERE lane IS NOT NULL AND EXISTS (SELECT 1 FROM ledger WHERE lane = every.lane AND due_at <= ? "
            "AND partition IN (SELECT value FROM json_each(?)))"
        )
        return [lane for (lane,) in await self._read(query, (now, many(sorted(partitions))))]

    async def due(self, partitions: Collection[int], now: Micros, lane: str, limit: int) -> Sequence[Row]:
        """Return at most *limit* rows of *lane* that are due at *now*, longest due first."""
        where = "WHERE lane = ? AND due_at <= ? AND partition IN (SELECT value FROM json_each(?)) ORDER BY due_at, rowid LIMIT ?"
        return await self._rows(where, (lane, now, many(sorted(partitions)), limit))

    async def under_way(self, partitions: Collection[int], lane: str, now: Micros, leased_until: Micros, limit: int) -> int:
        """Return how many rows of *lane*, *limit* at most, were taken up and not settled."""
        query = (
            "SELECT count(*) FROM (SELECT 1 FROM ledger WHERE lane = ? AND due_at > ? AND due_at <= ? AND state = 'pending' "
            "AND partition IN (SELECT value FROM json_each(?)) LIMIT ?)"
        )
        return int((await self._read(query, (lane, now, leased_until, many(sorted(partitions)), limit)))[0][0])

    async def take_up(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write state, attempt and due time of each (old, new) whose state and attempt are still the old one's."""
        query = (
            "UPDATE ledger SET state = json_extract(new.value, '$[0]'), attempt = json_extract(new.value, '$[1]'), "
            "due_at = json_extract(new.value, '$[2]') FROM json_each(?) AS new WHERE alert_id = json_extract(new.value, '$[3]') "
            "AND state = json_extract(new.value, '$[4]') AND attempt = json_extract(new.value, '$[5]')"
        )
        if changes:
            marks = many((new.state, new.attempt, new.due_at, old.alert_id, old.state, old.attempt) for old, new in changes)
            await self._database.write(lambda connection: connection.execute(query, (marks,)))

    async def restore(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write what is rebuilt of each (old, new) whose state and attempt are still the old one's."""
        await self._write_all(_REPLACE, [_replacement(old, new) for old, new in changes])

    async def told_in(self, letters: Collection[str]) -> Sequence[Row]:
        """Return the rows whose last message was one of *letters*."""
        return await self._rows("WHERE letter IN (SELECT value FROM json_each(?))", (many(letters),))

    async def report(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Replace each (old, new) whose state and attempt are still the old one's."""

        def change(connection: sqlite3.Connection) -> int:
            return sum(
                not connection.execute(_REPLACE, _replacement(old, new)).rowcount and not _is_written(connection, new)
                for old, new in changes
            )

        if missed := await self._database.write(change):
            raise Fenced(f"{missed} rows of the ledger were written by another worker")

    async def expire(self, partitions: Collection[int], leased_until: Micros, due_at: Micros) -> None:
        """Make due at *due_at* those rows of *partitions* that are held, and the pending ones that would be due by *leased_until*."""
        owned = many(sorted(partitions))

        def change(connection: sqlite3.Connection) -> None:
            update = "UPDATE ledger SET due_at = ? WHERE partition IN (SELECT value FROM json_each(?))"
            connection.execute(f"{update} AND due_at > ? AND due_at <= ? AND state = 'pending'", (due_at, owned, due_at, leased_until))
            connection.execute(f"{update} AND due_at = ?", (due_at, owned, HELD))

        await self._database.write(change)

    async def wake(self, wakes: Sequence[Wake]) -> None:
        """Make unreachable rows due."""
        await self._write_all(
            "UPDATE ledger SET state = 'deferred', due_at = ? "
            "WHERE person IN (SELECT value FROM json_each(?)) AND state = 'unreachable' AND created_at >= ?",
            [(wake.due_at, many(wake.person_ids), wake.made_since) for wake in wakes],
        )

    async def _rows(self, where: str, parameters: tuple[Any, ...]) -> list[Row]:
        found = await self._read(f"{_SELECT_ROWS} {where}", parameters)
        return [row_from(_document(values), orjson.loads(alert), orjson.loads(history)) for *values, alert, history in found]


def _progress(row: Row) -> tuple[Any, ...]:
    return (
        row.state, row.attempt, row.due_at, row.trying, row.failures, row.first_failed_at,
        row.channel, row.letter, " ".join(row.failed_channels), row.doubted,
    )  # fmt: skip


def _settlement(old: Row, new: Row) -> tuple[Any, ...]:
    wanted_sequence = old.wanted_sequence if new.state == "suppressed" else None
    return (*_progress(new), orjson.dumps(history_body(new)).decode(), old.alert_id, old.attempt, wanted_sequence)


def _replacement(old: Row, new: Row) -> tuple[Any, ...]:
    return (*_progress(new), orjson.dumps(history_body(new)), old.alert_id, old.state, old.attempt)


def _row_values(row: Row) -> tuple[Any, ...]:
    alert = row.alert
    return (
        row.alert_id, board_key(alert.workspace, alert.board), row.sequence, row.ordinal, alert.person_id, row.partition, row.wanted,
        row.wanted_sequence, row.lane, alert.created_at, orjson.dumps(alert_body(alert)), *_progress(row), orjson.dumps(history_body(row)),
    )  # fmt: skip


def _document(values: Sequence[Any]) -> dict[str, Any]:
    document = dict(zip(_ROW_COLUMNS, values, strict=True))
    return {**document, "failed_channels": document["failed_channels"].split()}


def _is_written(connection: sqlite3.Connection, row: Row) -> bool:
    """Tell whether the row has *row*'s last verdict already: this settlement, whose reply was lost."""
    found = connection.execute("SELECT history FROM ledger WHERE alert_id = ?", (row.alert_id,)).fetchone()
    return found is not None and history_body(row)[-1] in orjson.loads(found[0])
