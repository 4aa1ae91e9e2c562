"""What the notifier's SQLite file lets go of when a person is erased; nothing is left in free pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from typing import Any

import orjson

from services.notifier.adapters.sqlite_reading import SqliteTables


class SqliteWords(SqliteTables):
    """See ``services.notifier.ports.WordStore``."""

    async def forget_words(self, board: str, quotes: Collection[int], titles: Collection[int]) -> Collection[str]:
        """Let the entries at *quotes* hold no quote, those at *titles* no title; return the titles that they held."""

        def change(connection: sqlite3.Connection) -> set[str]:
            blank = "UPDATE board_log SET quote = '' WHERE board = ? AND sequence = ? AND quote <> ''"
            connection.executemany(blank, [(board, sequence) for sequence in quotes])
            held = set()
            for sequence in titles:
                row = connection.execute("SELECT body FROM board_log WHERE board = ? AND sequence = ?", (board, sequence)).fetchone()
                body = {} if row is None else orjson.loads(row[0])
                if title := body.pop("title", None):
                    held.add(title)
                    update = "UPDATE board_log SET body = ? WHERE board = ? AND sequence = ?"
                    connection.execute(update, (orjson.dumps(body), board, sequence))
            return held

        held = await self._database.write(change)
        await self._database.scrub()
        return held

    async def forget_quotes(self, person_ids: Collection[str]) -> None:
        """Let no row of *person_ids* quote them."""
        await self._change_alerts("person", person_ids, lambda alert: {**alert, "quote": ""})

    async def retitle(self, board: str, former: Collection[str], title: str) -> None:
        """Let the rows of *board* whose idea has one of the *former* titles say *title*."""
        await self._change_alerts("board", [board], lambda alert: {**alert, "title": title} if alert["title"] in former else alert)

    async def _change_alerts(self, column: str, values: Collection[str], changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        def change(connection: sqlite3.Connection) -> None:
            query = f"SELECT alert_id, alert FROM ledger WHERE {column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - one of two names
            for alert_id, raw in connection.execute(query, (orjson.dumps(list(values)).decode(),)).fetchall():
                after = orjson.dumps(changed(orjson.loads(raw)))
                if after != raw:
                    connection.execute("UPDATE ledger SET alert = ? WHERE alert_id = ?", (after, alert_id))

        await self._database.write(change)
        await self._database.scrub()
