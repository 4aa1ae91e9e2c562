"""The segmenter's store in one SQLite file: every save and every append is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import orjson

from services.common.clock import Micros
from services.common.errors import Fenced
from services.common.sqlite import Database, insert_all
from services.segmenter.ports import BoardEntry, Change, Document, Entry, Stores

Kind: TypeAlias = Literal["people", "accounts"]

_DOCUMENTS = """
CREATE TABLE IF NOT EXISTS {kind} (
    id TEXT PRIMARY KEY, position INTEGER NOT NULL, state BLOB NOT NULL, card BLOB NOT NULL, partition INTEGER NOT NULL,
    due_at INTEGER, definition TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS {kind}_due ON {kind} (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {kind}_definition ON {kind} (definition);
CREATE TABLE IF NOT EXISTS {kind}_inputs (
    id TEXT NOT NULL, input_id TEXT NOT NULL, origin TEXT NOT NULL, position INTEGER NOT NULL, facts BLOB NOT NULL,
    PRIMARY KEY (id, input_id)
);
"""

SCHEMA = (
    _DOCUMENTS.format(kind="people")
    + _DOCUMENTS.format(kind="accounts")
    + """
CREATE TABLE IF NOT EXISTS board_log (
    board TEXT NOT NULL, position INTEGER NOT NULL, input_id TEXT NOT NULL, origin TEXT NOT NULL, operations BLOB NOT NULL,
    facts BLOB NOT NULL, PRIMARY KEY (board, position)
);
CREATE UNIQUE INDEX IF NOT EXISTS board_log_input ON board_log (board, input_id);
CREATE TABLE IF NOT EXISTS said (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
)
"""The service's tables."""


def sqlite_stores(database: Database) -> Stores:
    """Return the ports on *database*, which was opened with ``SCHEMA``."""

    async def nothing() -> None:
        """The schema was applied when the file was opened."""

    people, accounts = SqliteDocuments(database, "people"), SqliteDocuments(database, "accounts")
    return Stores(people, accounts, SqliteBoardLog(database), SqliteSaid(database), nothing)


def _json(values: Sequence[object]) -> tuple[str]:
    """Return *values* as the one parameter of ``json_each``: one statement for all of them, at half the cost of one each."""
    return (orjson.dumps(values).decode(),)


class SqliteDocuments:
    """Documents of one kind, each with the inputs that it has seen in a table beside it."""

    def __init__(self, database: Database, kind: Kind) -> None:
        self._database = database
        columns = "id, position, state, card, partition, due_at, definition"
        wanted = f"FROM json_each(?) AS wanted CROSS JOIN {kind} ON {kind}.id = wanted.value"
        self._select = f"SELECT {kind}.id, position, state, card, partition, due_at, definition {wanted}"
        self._select_cards = f"SELECT {kind}.id, card {wanted}"
        self._select_found = (
            f"SELECT wanted.key, input_id, origin, position, facts FROM json_each(?) AS wanted CROSS JOIN {kind}_inputs AS known "  # noqa: S608
            "ON known.id = json_extract(wanted.value, '$[0]') AND input_id = json_extract(wanted.value, '$[1]')"
        )
        self._select_inputs = (
            f"SELECT input_id FROM {kind}_inputs WHERE id = ? AND input_id >= ? AND input_id < ? AND position < ? ORDER BY input_id"  # noqa: S608
        )
        self._select_all = f"SELECT input_id, origin, position, facts FROM {kind}_inputs WHERE id = ? ORDER BY position"  # noqa: S608
        self._rewrite = f"UPDATE {kind}_inputs SET facts = ? WHERE id = ? AND input_id = ?"  # noqa: S608
        self._select_ids = f"SELECT id FROM {kind} WHERE"  # noqa: S608
        self._count_outdated = f"SELECT count(*) FROM {kind} WHERE definition < ? OR definition > ?"  # noqa: S608
        self._insert = f"INSERT INTO {kind} ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        self._update = (
            f"UPDATE {kind} SET position = ?, state = ?, card = ?, partition = ?, due_at = ?, definition = ? WHERE id = ? AND position = ?"  # noqa: S608
        )
        self._insert_input = f"INSERT INTO {kind}_inputs (id, input_id, origin, position, facts) VALUES (?, ?, ?, ?, ?)"  # noqa: S608

    async def load(self, ids: Iterable[str]) -> Mapping[str, Document]:
        """Return those of *ids* that exist."""
        wanted = _json(list(ids))
        return {row[0]: Document(*row) for row in await self._database.read(lambda c: c.execute(self._select, wanted).fetchall())}

    async def cards(self, ids: Iterable[str]) -> Mapping[str, bytes]:
        """Return the cards of those of *ids* that exist."""
        wanted = _json(list(ids))
        return dict(await self._database.read(lambda c: c.execute(self._select_cards, wanted).fetchall()))

    async def find(self, inputs: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Entry]:
        """Return the entries of those (document id, input id) that have been applied."""
        wanted = list(inputs)
        rows = await self._database.read(lambda c: c.execute(self._select_found, _json(wanted)).fetchall())
        return {wanted[place]: Entry(*row) for place, *row in rows}

    async def inputs(self, id: str, prefix: str, before: int) -> Sequence[str]:  # noqa: A002 - the document's id
        """Return the ids, sorted, that begin with *prefix*, of the inputs that were applied before position *before*."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        rows = await self._database.read(lambda c: c.execute(self._select_inputs, (id, prefix, end, before)).fetchall())
        return [row[0] for row in rows]

    async def save(self, changes: Sequence[Change]) -> None:
        """Put each document's next state, with its entries, in place of exactly the one before; all of them or none."""
        await self._database.write(lambda c: self._save(c, changes))

    async def history(self, id: str) -> Sequence[Entry]:  # noqa: A002 - the document's id
        """Return all inputs that a document has seen, by position."""
        return [Entry(*row) for row in await self._database.read(lambda c: c.execute(self._select_all, (id,)).fetchall())]

    async def rewrite(self, id: str, entries: Sequence[Entry]) -> None:  # noqa: A002
        """Put the facts of *entries* in place of those that a document has of their inputs, of which nothing is left."""
        rows = [(entry.facts, id, entry.input_id) for entry in entries]
        await self._database.write(lambda c: c.executemany(self._rewrite, rows))
        await self._database.scrub()

    async def due(self, partitions: frozenset[int], now: Micros, definition: str, limit: int) -> Sequence[str]:
        """Return at most *limit* ids, owned by *partitions*, that are due by *now* or were evaluated by another definition."""
        owned = f"AND partition IN ({','.join('?' * len(partitions))}) LIMIT ?"

        def find(connection: sqlite3.Connection) -> dict[str, None]:
            found: dict[str, None] = {}
            for condition, value in (("due_at <= ?", now), ("definition < ?", definition), ("definition > ?", definition)):
                query = f"{self._select_ids} {condition} {owned}"  # a range of one index each: it ends with the last that is wanted
                found |= dict.fromkeys(row[0] for row in connection.execute(query, (value, *partitions, limit)))
            return found

        return list(await self._database.read(find))[:limit]

    async def outdated(self, partitions: frozenset[int], definition: str) -> int:  # noqa: ARG002 - one worker owns them all
        """Return how many were evaluated by another definition."""
        row = await self._database.read(lambda c: c.execute(self._count_outdated, (definition, definition)).fetchone())
        return int(row[0])

    def _save(self, connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
        for change in changes:
            after = change.after
            values: tuple[Any, ...] = (after.position, after.state, after.card, after.partition, after.due_at, after.definition)
            if change.before is None:
                saved = connection.execute(self._insert.replace("INSERT", "INSERT OR IGNORE", 1), (after.id, *values))
            else:
                saved = connection.execute(self._update, (*values, after.id, change.before.position))
            if saved.rowcount != 1:
                raise Fenced(f"a document is not at position {0 if change.before is None else change.before.position} any more")
            rows = [(after.id, entry.input_id, entry.origin, entry.position, entry.facts) for entry in change.entries]
            connection.executemany(self._insert_input, rows)


class SqliteBoardLog:
    """The logs of all boards in one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, board: str, after: int, limit: int) -> Sequence[bytes]:
        """Return the operations of at most *limit* entries after position *after*, in their order."""
        query = "SELECT operations FROM board_log WHERE board = ? AND position > ? ORDER BY position LIMIT ?"
        return [row[0] for row in await self._database.read(lambda c: c.execute(query, (board, after, limit)).fetchall())]

    async def find(self, board: str, input_ids: Iterable[str]) -> Mapping[str, BoardEntry]:
        """Return the entries of those inputs that the log holds."""
        query = (
            "SELECT board, position, input_id, origin, operations, facts FROM json_each(?) AS wanted "
            "CROSS JOIN board_log ON board = ? AND input_id = wanted.value"
        )
        wanted = (*_json(list(input_ids)), board)
        return {row[2]: BoardEntry(*row) for row in await self._database.read(lambda c: c.execute(query, wanted).fetchall())}

    async def facts(self, board: str, positions: Iterable[int]) -> Mapping[int, bytes]:
        """Return the facts of the entries at *positions*."""
        query = "SELECT position, facts FROM json_each(?) AS wanted CROSS JOIN board_log ON board = ? AND position = wanted.value"
        wanted = (*_json(list(positions)), board)
        return dict(await self._database.read(lambda c: c.execute(query, wanted).fetchall()))

    async def page(self, board: str, after: int, limit: int) -> Sequence[BoardEntry]:
        """Return at most *limit* whole entries after position *after*, in their order."""
        query = (
            "SELECT board, position, input_id, origin, operations, facts FROM board_log WHERE board = ? AND position > ? "
            "ORDER BY position LIMIT ?"
        )
        return [BoardEntry(*row) for row in await self._database.read(lambda c: c.execute(query, (board, after, limit)).fetchall())]

    async def rewrite(self, entries: Sequence[BoardEntry]) -> None:
        """Put operations and facts of *entries* in place of those at their positions, of which nothing is left."""
        rows = [(e.operations, e.facts, e.board, e.position) for e in entries]
        update = "UPDATE board_log SET operations = ?, facts = ? WHERE board = ? AND position = ?"
        await self._database.write(lambda c: c.executemany(update, rows))
        await self._database.scrub()

    async def append(self, entries: Sequence[BoardEntry]) -> None:
        """Append *entries*, all of them or none."""
        rows = [(e.board, e.position, e.input_id, e.origin, e.operations, e.facts) for e in entries]
        try:
            await self._database.write(lambda c: insert_all(c, "board_log", rows))
        except sqlite3.IntegrityError as error:
            raise Fenced("a position or an input of a board's log is taken") from error


class SqliteSaid:
    """What was published out of a store that is lost, in one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, keys: Iterable[str]) -> Mapping[str, bytes]:
        """Return the values of those of *keys* that exist."""
        query = "SELECT said.key, said.value FROM json_each(?) AS wanted CROSS JOIN said ON said.key = wanted.value"
        wanted = _json(list(keys))
        return dict(await self._database.read(lambda c: c.execute(query, wanted).fetchall()))

    async def put(self, values: Mapping[str, bytes]) -> None:
        """Keep each value, in place of any before."""
        rows = list(values.items())
        await self._database.write(lambda c: c.executemany("INSERT OR REPLACE INTO said VALUES (?, ?)", rows))

    async def drop(self, keys: Iterable[str]) -> None:
        """Let go of *keys*, whether or not they exist."""
        rows = [(key,) for key in keys]
        await self._database.write(lambda c: c.executemany("DELETE FROM said WHERE key = ?", rows))
