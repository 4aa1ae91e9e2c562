"""The boards' log in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from services.common.errors import Fenced
from services.common.sqlite import Database
from services.dedup.domain.entry import Entry, read_entry

SCHEMA = """
CREATE TABLE IF NOT EXISTS board_log (
    board TEXT NOT NULL, position INTEGER NOT NULL, body BLOB NOT NULL, vector BLOB,
    PRIMARY KEY (board, position)
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


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

    async def load(self, board: str, *, after: int, limit: int) -> Sequence[Entry]:
        """Return the entries of *board* beyond *after* in order, at most *limit*."""
        query = "SELECT position, body, vector FROM board_log WHERE board = ? AND position > ? ORDER BY position LIMIT ?"
        rows = await self._database.read(lambda c: c.execute(query, (board, after, limit)).fetchall())
        return [read_entry(board, *row) for row in rows]

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write *entries* in one transaction."""
        if not entries:
            return
        rows = [(entry.board, entry.position, entry.body(), entry.vector) for entry in entries]

        def write(connection: sqlite3.Connection) -> None:
            for row in rows:
                _write(connection, row)

        await self._database.write(write)


def _write(connection: sqlite3.Connection, row: tuple[str, int, bytes, bytes | None]) -> None:
    board, position, body, vector = row
    last = connection.execute("SELECT coalesce(max(position), 0) FROM board_log WHERE board = ?", (board,)).fetchone()[0]
    if position == last + 1:
        connection.execute("INSERT INTO board_log VALUES (?, ?, ?, ?)", row)
        return
    there = connection.execute("SELECT body, vector FROM board_log WHERE board = ? AND position = ?", (board, position)).fetchone()
    if there != (body, vector):
        raise Fenced(f"position {position} of a board's log does not follow its last, {last}")
