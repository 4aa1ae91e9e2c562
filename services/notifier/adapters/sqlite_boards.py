"""The logs of boards, and the families of their ideas, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

import orjson

from services.common.errors import Fenced
from services.notifier.adapters.documents import entry_body, entry_from
from services.notifier.adapters.sqlite_reading import SqliteTables, many
from services.notifier.domain.entry import Entry
from services.notifier.domain.families import Union
from services.notifier.ports import Join


class SqliteBoards(SqliteTables):
    """``BoardStore`` on SQLite."""

    async def entries(self, board: str, after: int, limit: int) -> Sequence[Entry]:
        """Return the first *limit* entries of the log whose sequence is above *after*, by sequence, without the quotes."""
        query = "SELECT sequence, origin, body FROM board_log WHERE board = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        rows = await self._read(query, (board, after, limit))
        return [entry_from(sequence, origin, orjson.loads(body)) for sequence, origin, body in rows]

    async def origins(self, board: str, sequences: Collection[int]) -> Mapping[int, str]:
        """Return the origin of each entry of *sequences* that exists."""
        query = "SELECT sequence, origin FROM board_log WHERE board = ? AND sequence IN (SELECT value FROM json_each(?))"
        return dict(await self._read(query, (board, many(sequences))))

    async def quotes(self, board: str, sequences: Collection[int]) -> Mapping[int, str]:
        """Return the words that each entry of *sequences* holds; those without any are left out."""
        query = (
            "SELECT sequence, quote FROM board_log WHERE board = ? AND sequence IN (SELECT value FROM json_each(?)) AND quote IS NOT NULL"
        )
        return dict(await self._read(query, (board, many(sequences))))

    async def append(self, board: str, entries: Sequence[Entry]) -> None:
        """Write *entries*; repeating the call changes nothing."""
        new = [(board, entry.sequence, entry.origin, orjson.dumps(entry_body(entry)), entry.quote) for entry in entries]

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT INTO board_log VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", new)
            query = "SELECT sequence, origin FROM board_log WHERE board = ? AND sequence IN (SELECT value FROM json_each(?))"
            written = dict(connection.execute(query, (board, many(entry.sequence for entry in entries))))
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

    async def begin_joins(self, joins: Sequence[Join]) -> None:
        """Remember *joins*, each unless an earlier one of its board is remembered."""
        rows = [(join.board, join.sequence, join.workspace, join.name, join.partition) for join in joins]
        await self._write_all("INSERT INTO joins VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)

    async def joins(self, boards: Collection[str] | None = None) -> Sequence[Join]:
        """Return the joins of *boards*, or of all, whose rows may not all be there."""
        query = "SELECT board, sequence, workspace, name, partition FROM joins"
        if boards is None:
            return [Join(*row) for row in await self._read(f"{query} ORDER BY board", ())]
        where = "WHERE board IN (SELECT value FROM json_each(?)) ORDER BY board"
        return [Join(*row) for row in await self._read(f"{query} {where}", (many(boards),))]

    async def end_join(self, board: str) -> None:
        """Forget the join of *board*."""
        await self._write_all("DELETE FROM joins WHERE board = ?", [(board,)])

    async def unions(self, ideas: Collection[str]) -> Mapping[str, str]:
        """Return, of *ideas*, those that were absorbed, each with the idea that stands for it since."""
        query = "SELECT absorbed, into_idea FROM unions WHERE absorbed IN (SELECT value FROM json_each(?))"
        return dict(await self._read(query, (many(ideas),)))
