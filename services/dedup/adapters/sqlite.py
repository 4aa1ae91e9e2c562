"""The boards' log in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import orjson

from services.common.errors import Fenced
from services.common.events import Decision
from services.common.sqlite import Database
from services.dedup.domain.entry import Entry, decision_body, read_decision, read_entry

SCHEMA = """
CREATE TABLE IF NOT EXISTS board_log (
    board TEXT NOT NULL, position INTEGER NOT NULL, body BLOB NOT NULL, vector BLOB,
    PRIMARY KEY (board, position)
);
CREATE TABLE IF NOT EXISTS said (
    board TEXT NOT NULL, sequence INTEGER NOT NULL, event_id TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (board, sequence)
);
CREATE INDEX IF NOT EXISTS said_events ON said (event_id, sequence);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


_Row: TypeAlias = tuple[str, int, bytes, bytes | None]


class SqliteBoardLog:
    """See ``services.dedup.ports.BoardLog``; here nothing of ``append`` is written after an error."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def adopt_model(self, model: str) -> str:
        """Record *model* unless one is recorded; return the recorded one."""

        def adopt(connection: sqlite3.Connection) -> str:
            connection.execute("INSERT OR IGNORE INTO facts VALUES ('model', ?)", (model,))
            return str(connection.execute("SELECT value FROM facts WHERE name = 'model'").fetchone()[0])

        return await self._database.write(adopt)

    async def noted(self, fact: str) -> str | None:
        """Return what was noted of the whole store as *fact*."""
        row = await self._database.read(lambda c: c.execute("SELECT value FROM facts WHERE name = ?", (fact,)).fetchone())
        return None if row is None else str(row[0])

    async def note(self, fact: str, value: str | None) -> None:
        """Note *value* as *fact*, or nothing."""
        if value is None:
            await self._database.write(lambda c: c.execute("DELETE FROM facts WHERE name = ?", (fact,)))
        else:
            await self._database.write(lambda c: c.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (fact, value)))

    async def boards(self) -> Mapping[str, int]:
        """Return the last position of every board."""
        query = "SELECT board, max(position) FROM board_log GROUP BY board"
        return dict(await self._database.read(lambda c: c.execute(query).fetchall()))

    async def load(self, board: str, *, after: int, limit: int) -> Sequence[Entry]:
        """Return the entries of *board* beyond *after* in order, at most *limit*."""
        query = "SELECT position, body, vector FROM board_log WHERE board = ? AND position > ? ORDER BY position LIMIT ?"
        rows = await self._database.read(lambda c: c.execute(query, (board, after, limit)).fetchall())
        return [read_entry(board, *row) for row in rows]

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write *entries* in one transaction."""
        if not entries:
            return
        boards: dict[str, list[_Row]] = {}
        for entry in entries:
            boards.setdefault(entry.board, []).append((entry.board, entry.position, entry.body(), entry.vector))

        def write(connection: sqlite3.Connection) -> None:
            for board, rows in boards.items():
                _write(connection, board, rows)

        await self._database.write(write)

    async def rewrite(self, entries: Sequence[Entry]) -> None:
        """Put *entries* in place of those at their positions, of which nothing is left."""
        rows = [(entry.body(), entry.vector, entry.board, entry.position) for entry in entries]
        if rows:
            await self._database.write(
                lambda c: c.executemany("UPDATE board_log SET body = ?, vector = ? WHERE board = ? AND position = ?", rows)
            )
        await self._database.scrub()


class SqliteSaidLog:
    """See ``services.dedup.ports.SaidLog``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember(self, decisions: Sequence[Decision]) -> None:
        """Keep *decisions*."""
        rows = [(decision.partition_key(), decision.sequence, decision.event_id, decision_body(decision)) for decision in decisions]
        if rows:
            await self._database.write(lambda c: c.executemany("INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?)", rows))

    async def last(self, board: str) -> Decision | None:
        """Return the decision of *board* with the highest sequence."""
        query = "SELECT body FROM said WHERE board = ? ORDER BY sequence DESC LIMIT 1"
        row = await self._database.read(lambda c: c.execute(query, (board,)).fetchone())
        return None if row is None else read_decision(row[0])

    async def places(self, events: Collection[str]) -> Mapping[str, int]:
        """Return the highest sequence that each of *events* established."""
        query = "SELECT event_id, max(sequence) FROM said WHERE event_id IN (SELECT value FROM json_each(?)) GROUP BY event_id"
        wanted = orjson.dumps(list(events)).decode()
        return dict(await self._database.read(lambda c: c.execute(query, (wanted,)).fetchall()))

    async def load(self, board: str, *, after: int, upto: int) -> Sequence[Decision]:
        """Return what is left of *board* beyond *after* up to *upto*."""
        query = "SELECT body FROM said WHERE board = ? AND sequence > ? AND sequence <= ? ORDER BY sequence"
        rows = await self._database.read(lambda c: c.execute(query, (board, after, upto)).fetchall())
        return [read_decision(row[0]) for row in rows]

    async def forget(self, board: str, *, upto: int) -> None:
        """Let go of what was said of *board* up to *upto*."""
        await self._database.write(lambda c: c.execute("DELETE FROM said WHERE board = ? AND sequence <= ?", (board, upto)))


def _write(connection: sqlite3.Connection, board: str, rows: Sequence[_Row]) -> None:
    """Write *rows*, all of *board*, in order: those that follow its last, after those that are there already."""
    last = connection.execute("SELECT coalesce(max(position), 0) FROM board_log WHERE board = ?", (board,)).fetchone()[0]
    known = [row for row in rows if row[1] <= last]
    for _, position, body, vector in known:
        there = connection.execute("SELECT body, vector FROM board_log WHERE board = ? AND position = ?", (board, position)).fetchone()
        if there != (body, vector):
            raise Fenced(f"position {position} of a board's log does not follow its last, {last}")
    fresh = rows[len(known) :]
    for place, row in enumerate(fresh):
        if row[1] != last + 1 + place:
            raise Fenced(f"position {row[1]} of a board's log does not follow its last, {last + place}")
    connection.executemany("INSERT INTO board_log VALUES (?, ?, ?, ?)", fresh)
