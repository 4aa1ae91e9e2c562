"""The notifier's store in one SQLite file; only one worker can have it open."""

from __future__ import annotations

import sqlite3

from services.notifier.adapters.sqlite_boards import SqliteBoards
from services.notifier.adapters.sqlite_erasing import SqliteWords
from services.notifier.adapters.sqlite_ledger import SqliteLedger
from services.notifier.adapters.sqlite_people import SqlitePeople

SCHEMA = """
CREATE TABLE IF NOT EXISTS board_log (
    board TEXT NOT NULL, sequence INTEGER NOT NULL, origin TEXT NOT NULL, body BLOB NOT NULL, quote TEXT,
    PRIMARY KEY (board, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unions (absorbed TEXT PRIMARY KEY, into_idea TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS joins (
    board TEXT PRIMARY KEY, sequence INTEGER NOT NULL, workspace TEXT NOT NULL, name TEXT NOT NULL, partition INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (
    alert_id TEXT PRIMARY KEY, board TEXT NOT NULL, sequence INTEGER NOT NULL, ordinal INTEGER NOT NULL, person TEXT NOT NULL,
    partition INTEGER NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL, wanted INTEGER NOT NULL,
    wanted_sequence INTEGER NOT NULL, due_at INTEGER, trying INTEGER NOT NULL, failures INTEGER NOT NULL, first_failed_at INTEGER,
    created_at INTEGER NOT NULL, alert BLOB NOT NULL, history BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS ledger_by_person ON ledger (person);
CREATE INDEX IF NOT EXISTS ledger_by_cause ON ledger (board, sequence, ordinal);
CREATE TABLE IF NOT EXISTS persons (
    person TEXT PRIMARY KEY, version INTEGER NOT NULL, into_person TEXT, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS persons_by_pointer ON persons (into_person) WHERE into_person IS NOT NULL;
"""

_LATER_COLUMNS = {
    "lane": "TEXT NOT NULL DEFAULT ''",
    "channel": "TEXT",
    "letter": "TEXT",
    "failed_channels": "TEXT NOT NULL DEFAULT ''",
    "doubted": "INTEGER NOT NULL DEFAULT 0",
}


class SqliteStore(SqliteBoards, SqliteLedger, SqlitePeople, SqliteWords):
    """The port on a SQLite file."""

    async def prepare(self) -> None:
        """Add what a file of an earlier release lacks; repeating the call changes nothing."""

        def change(connection: sqlite3.Connection) -> None:
            present = {name for _, name, *_ in connection.execute("PRAGMA table_info(ledger)")}
            for column, declared in _LATER_COLUMNS.items():
                if column not in present:
                    connection.execute(f"ALTER TABLE ledger ADD COLUMN {column} {declared}")
            connection.execute("DROP INDEX IF EXISTS ledger_by_due")
            connection.execute("CREATE INDEX IF NOT EXISTS ledger_by_lane ON ledger (lane, due_at) WHERE due_at IS NOT NULL")
            connection.execute("CREATE INDEX IF NOT EXISTS ledger_by_letter ON ledger (letter) WHERE letter IS NOT NULL")

        await self._database.write(change)
