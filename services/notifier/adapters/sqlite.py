"""The notifier's store in one SQLite file. Documents lie as JSON beside the columns that are searched or compared."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson

from services.common.clock import Micros
from services.common.errors import Fenced
from services.common.ids import board_key
from services.common.sqlite import Database
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
from services.notifier.domain.ledger import DIRECT_ALERTS, HELD, Row
from services.notifier.domain.person import Person
from services.notifier.ports import Wake

SCHEMA = """
CREATE TABLE IF NOT EXISTS board_log (
    board TEXT NOT NULL, sequence INTEGER NOT NULL, origin TEXT NOT NULL, body BLOB NOT NULL, quote TEXT,
    PRIMARY KEY (board, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unions (absorbed TEXT PRIMARY KEY, into_idea TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (
    alert_id TEXT PRIMARY KEY, board TEXT NOT NULL, sequence INTEGER NOT NULL, ordinal INTEGER NOT NULL, person TEXT NOT NULL,
    partition INTEGER NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL, wanted INTEGER NOT NULL,
    wanted_sequence INTEGER NOT NULL, due_at INTEGER, trying INTEGER NOT NULL, failures INTEGER NOT NULL, first_failed_at INTEGER,
    created_at INTEGER NOT NULL, alert BLOB NOT NULL, history BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS ledger_by_person ON ledger (person);
CREATE INDEX IF NOT EXISTS ledger_by_cause ON ledger (board, sequence, ordinal);
CREATE INDEX IF NOT EXISTS ledger_by_due ON ledger (due_at, partition) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS persons (
    person TEXT PRIMARY KEY, version INTEGER NOT NULL, into_person TEXT, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS persons_by_pointer ON persons (into_person) WHERE into_person IS NOT NULL;
"""

_ROW_COLUMNS = (
    "sequence", "ordinal", "partition", "state", "attempt", "wanted", "wanted_sequence", "due_at", "trying", "failures", "first_failed_at",
)  # fmt: skip
_SELECT_ROWS = f"SELECT {', '.join(_ROW_COLUMNS)}, alert, history FROM ledger"  # noqa: S608 - constants


def _many(values: Iterable[Any]) -> str:
    """Return *values* as one JSON parameter: a list of any length for ``IN (SELECT value FROM json_each(?))``."""
    return orjson.dumps(list(values)).decode()


class SqliteStore:
    """The port on a SQLite file; only one worker can have it open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prepare(self) -> None:
        """Do nothing: ``SCHEMA`` was applied when the file was opened."""

    async def entries(self, board: str) -> Sequence[Entry]:
        """Return the whole log, by sequence, without the quotes."""
        query = "SELECT sequence, origin, body FROM board_log WHERE board = ? ORDER BY sequence"
        rows = await self._read(query, (board,))
        return [entry_from(sequence, origin, orjson.loads(body)) for sequence, origin, body in rows]

    async def origins(self, board: str, sequences: Collection[int]) -> Mapping[int, str]:
        """Return the origin of each entry of *sequences* that exists."""
        query = "SELECT sequence, origin FROM board_log WHERE board = ? AND sequence IN (SELECT value FROM json_each(?))"
        return dict(await self._read(query, (board, _many(sequences))))

    async def quotes(self, board: str, sequences: Collection[int]) -> Mapping[int, str]:
        """Return the words that each entry of *sequences* holds; those without any are left out."""
        query = (
            "SELECT sequence, quote FROM board_log WHERE board = ? AND sequence IN (SELECT value FROM json_each(?)) AND quote IS NOT NULL"
        )
        return dict(await self._read(query, (board, _many(sequences))))

    async def append(self, board: str, entries: Sequence[Entry]) -> None:
        """Write *entries*; repeating the call changes nothing."""
        new = [(board, entry.sequence, entry.origin, orjson.dumps(entry_body(entry)), entry.quote) for entry in entries]

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT INTO board_log VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", new)
            query = "SELECT sequence, origin FROM board_log WHERE board = ? AND sequence IN (SELECT value FROM json_each(?))"
            written = dict(connection.execute(query, (board, _many(entry.sequence for entry in entries))))
            if any(written[entry.sequence] != entry.origin for entry in entries):
                raise Fenced("the board's log was written by another worker")

        await self._database.write(change)

    async def collect(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """Write those of *entries* whose places are free."""
        new = [
            (board, entry.sequence, entry.origin, orjson.dumps(entry_body(entry)), entry.quote)
            for board, some in entries.items()
            for entry in some
        ]
        await self._write_all("INSERT INTO board_log VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", new)

    async def unite(self, unions: Sequence[Union]) -> None:
        """Remember *unions*; repeating the call changes nothing."""
        pairs = [(union.absorbed, union.into) for union in unions]
        if pairs:
            await self._write_all("INSERT OR REPLACE INTO unions VALUES (?, ?)", pairs)

    async def unions(self, ideas: Collection[str]) -> Mapping[str, str]:
        """Return, of *ideas*, those that were absorbed, each with the idea that stands for it since."""
        query = "SELECT absorbed, into_idea FROM unions WHERE absorbed IN (SELECT value FROM json_each(?))"
        return dict(await self._read(query, (_many(ideas),)))

    async def add(self, rows: Sequence[Row]) -> None:
        """Insert those of *rows* that do not exist; the others stay as they are."""
        if rows:
            await self._write_all(
                "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [_row_values(row) for row in rows],
            )

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
        found = await self._rows("WHERE alert_id IN (SELECT value FROM json_each(?))", (_many(alert_ids),))
        return {row.alert_id: row for row in found}

    async def rows_of(self, person_ids: Collection[str]) -> Sequence[Row]:
        """Return all rows of *person_ids*."""
        return await self._rows("WHERE person IN (SELECT value FROM json_each(?))", (_many(person_ids),))

    async def unread(self, board: str, sequences: Collection[int]) -> Sequence[Row]:
        """Return the rows that were published with a board's decisions and not been acted on, in the order in which they were made."""
        where = (
            "WHERE board = ? AND sequence IN (SELECT value FROM json_each(?)) AND ordinal < ? AND state = 'pending' AND attempt = 1 "
            "ORDER BY sequence, ordinal"
        )
        return await self._rows(where, (board, _many(sequences), DIRECT_ALERTS))

    async def begin(self, rows: Sequence[Row]) -> None:
        """Mark *rows* as being tried."""

        def change(connection: sqlite3.Connection) -> int:
            query = "UPDATE ledger SET trying = 1 WHERE alert_id = ? AND state = 'pending' AND attempt = ?"
            return connection.executemany(query, [(row.alert_id, row.attempt) for row in rows]).rowcount

        if await self._database.write(change) < len(rows):
            raise Fenced("rows of the ledger were written by another worker")

    async def settle(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Replace each (old, new) that is still pending at the old one's attempt."""

        def change(connection: sqlite3.Connection) -> list[str]:
            missed = []
            for old, new in changes:
                wanted_sequence = old.wanted_sequence if new.state == "suppressed" else None
                cursor = connection.execute(
                    "UPDATE ledger SET state = ?, attempt = ?, due_at = ?, trying = ?, failures = ?, first_failed_at = ?, history = ? "
                    "WHERE alert_id = ? AND state = 'pending' AND attempt = ? AND wanted_sequence = coalesce(?, wanted_sequence)",
                    (*_progress(new), orjson.dumps(history_body(new)), old.alert_id, old.attempt, wanted_sequence),
                )
                if not cursor.rowcount and not _is_written(connection, new):
                    missed.append(old.alert_id)
            return missed

        if missed := await self._database.write(change):
            raise Fenced(f"{len(missed)} rows of the ledger were written by another worker")

    async def due(self, partitions: Collection[int], now: Micros, limit: int) -> Sequence[Row]:
        """Return at most *limit* rows of *partitions* that are due at *now*, longest due first."""
        where = "WHERE due_at <= ? AND partition IN (SELECT value FROM json_each(?)) ORDER BY due_at, alert_id LIMIT ?"
        return await self._rows(where, (now, _many(sorted(partitions)), limit))

    async def take_up(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write state, attempt and due time of each (old, new) whose state and attempt are still the old one's."""
        if changes:
            await self._write_all(
                "UPDATE ledger SET state = ?, attempt = ?, due_at = ? WHERE alert_id = ? AND state = ? AND attempt = ?",
                [(new.state, new.attempt, new.due_at, old.alert_id, old.state, old.attempt) for old, new in changes],
            )

    async def restore(self, changes: Sequence[tuple[Row, Row]]) -> None:
        """Write state, attempt, due time and history of each (old, new) whose state and attempt are still the old one's."""
        await self._write_all(
            "UPDATE ledger SET state = ?, attempt = ?, due_at = ?, history = ? WHERE alert_id = ? AND state = ? AND attempt = ?",
            [
                (new.state, new.attempt, new.due_at, orjson.dumps(history_body(new)), old.alert_id, old.state, old.attempt)
                for old, new in changes
            ],
        )

    async def expire(self, partitions: Collection[int], leased_until: Micros, due_at: Micros) -> None:
        """Make due at *due_at* those rows of *partitions* that are held, and the pending ones that would be due by *leased_until*."""
        owned = _many(sorted(partitions))

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
            [(wake.due_at, _many(wake.person_ids), wake.made_since) for wake in wakes],
        )

    async def persons(self, person_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those of *person_ids* of whom anything is known."""
        found = await self._persons("WHERE person IN (SELECT value FROM json_each(?))", (_many(person_ids),))
        return {person.person_id: person for person in found}

    async def followers(self, person_ids: Collection[str]) -> Sequence[Person]:
        """Return everyone whose pointer names one of *person_ids*."""
        return await self._persons("WHERE into_person IN (SELECT value FROM json_each(?)) ORDER BY person", (_many(person_ids),))

    async def put(self, changes: Sequence[tuple[Person, Person]]) -> None:
        """Replace each (old, new)."""

        def change(connection: sqlite3.Connection) -> None:
            for old, new in changes:
                values = (new.version, pointer_end(new), orjson.dumps(person_body(new)), new.person_id)
                if old.version:
                    query = "UPDATE persons SET version = ?, into_person = ?, body = ? WHERE person = ? AND version = ?"
                    written = connection.execute(query, (*values, old.version)).rowcount
                else:
                    query = "INSERT INTO persons (version, into_person, body, person) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
                    written = connection.execute(query, values).rowcount
                if not written:
                    raise Fenced("a person was written by another worker")

        if changes:
            await self._database.write(change)

    async def _read(self, query: str, parameters: tuple[Any, ...]) -> list[Any]:
        return await self._database.read(lambda connection: connection.execute(query, parameters).fetchall())

    async def _write_all(self, query: str, parameters: Sequence[tuple[Any, ...]]) -> None:
        await self._database.write(lambda connection: connection.executemany(query, parameters))

    async def _rows(self, where: str, parameters: tuple[Any, ...]) -> list[Row]:
        found = await self._read(f"{_SELECT_ROWS} {where}", parameters)
        return [
            row_from(dict(zip(_ROW_COLUMNS, values, strict=True)), orjson.loads(alert), orjson.loads(history))
            for *values, alert, history in found
        ]

    async def _persons(self, where: str, parameters: tuple[Any, ...]) -> list[Person]:
        found = await self._read(f"SELECT person, version, into_person, body FROM persons {where}", parameters)  # noqa: S608 - constants
        return [person_from(person, version, into, orjson.loads(body)) for person, version, into, body in found]


def _progress(row: Row) -> tuple[Any, ...]:
    return (row.state, row.attempt, row.due_at, row.trying, row.failures, row.first_failed_at)


def _row_values(row: Row) -> tuple[Any, ...]:
    alert = row.alert
    return (
        row.alert_id, board_key(alert.workspace, alert.board), row.sequence, row.ordinal, alert.person_id, row.partition, row.state,
        row.attempt, row.wanted, row.wanted_sequence, row.due_at, row.trying, row.failures,
        row.first_failed_at, alert.created_at,
        orjson.dumps(alert_body(alert)), orjson.dumps(history_body(row)),
    )  # fmt: skip


def _is_written(connection: sqlite3.Connection, row: Row) -> bool:
    """Tell whether the row has *row*'s last verdict already: this settlement, whose reply was lost."""
    found = connection.execute("SELECT history FROM ledger WHERE alert_id = ?", (row.alert_id,)).fetchone()
    return found is not None and history_body(row)[-1] in orjson.loads(found[0])
