"""One SQLite file a service: one writer thread, durable commits, one process at a time."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple
from itertools import chain
from pathlib import Path
from typing import IO, TypeVar

from services.common.crash import CrashMark
from services.common.errors import ConfigurationError, TransientError

T = TypeVar("T")

_TRANSIENT = ("database is locked", "disk I/O error", "database or disk is full", "unable to open database file")

_CACHE_KIB = 32 * 1024
"""Keys of ours are hashes, so that each insert goes to another page of an index: with SQLite's own 2 MiB most are read again each time."""
_BUSY_MS = 5_000
"""How long a reader from outside may hold up what has to wait for it."""
_PARAMETERS = 32_766
"""Of one statement, at most: what SQLite is built with."""
_LOG_BYTES = 4 * 1024 * 1024
"""Of the write-ahead log, from which on it is written back: as much as SQLite itself lets it grow."""


class Database:
    """A SQLite file that this process alone works on.

    All calls run one after another on a thread of their own; ``write`` is one durable transaction (WAL, ``synchronous=FULL``).
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._connection: sqlite3.Connection | None = None
        self._lock: IO[bytes] | None = None
        self._log = path.with_name(f"{path.name}-wal")
        self._written_back: Future[None] | None = None

    async def open(self) -> None:
        """Create the file and its tables where they are missing.

        Raises:
            ConfigurationError: Another worker has the file: SQLite stores allow one worker a service. Or nobody may write there.
            TransientError: The disk is full or away.
        """
        await self._call(self._open)

    async def close(self) -> None:
        """Close the file and let another worker have it."""
        self._written_back = None  # closing writes back what is left
        await self._call(self._close)
        self._thread.shutdown()

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run *query* and return what it returns."""
        return await self._call(lambda: query(self._opened()))

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run *change* in one transaction, durable when this returns; an exception rolls it back. A cursor comes back closed.

        That the log is written back is not waited for: whoever wrote goes on, and what is asked for meanwhile comes behind it.
        """

        def transaction() -> T:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = change(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            if isinstance(result, sqlite3.Cursor):
                result.close()  # dying open on another thread, it would reset its statement, whoever runs that by then
            return result

        result = await self._call(transaction)
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES and (self._written_back is None or self._written_back.done()):
            self._written_back = self._thread.submit(self._write_back)
        return result

    async def scrub(self) -> None:
        """Leave no trace of what was deleted or overwritten before: what the write-ahead log still holds is written and cut off."""
        await self._call(lambda: self._opened().execute("PRAGMA wal_checkpoint(TRUNCATE)").close())

    def _write_back(self) -> None:
        connection = self._opened()
        connection.execute("PRAGMA busy_timeout=0")  # whoever reads the file from outside, a backup, is not waited for
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        finally:
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            if self._written_back is not None and self._written_back.done():
                written_back, self._written_back = self._written_back, None
                written_back.result()  # or what kept it from that, to whoever comes next
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.OperationalError as error:
            if any(sign in str(error) for sign in _TRANSIENT):
                raise TransientError(f"SQLite {self._path.name}: {error}") from error
            raise

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = self._path.with_suffix(".lock").open("wb")
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be written ({error.strerror}); set GROUNDSWELL_DATA_DIR") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._close()
            raise ConfigurationError(
                f"{self._path} is in use by another worker; a SQLite store allows one worker a service: "
                "stop it, or set GROUNDSWELL_STORE_URL to a MongoDB for more"
            ) from None
        connection = sqlite3.connect(self._path, _BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # see ``write``
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute("PRAGMA secure_delete=ON")  # what is erased must not be left in free pages
        connection.executescript(self._schema)
        connection.executescript(_COMMON_SCHEMA)
        self._connection = connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError(f"{self._path} is not open")
        return self._connection


def insert_all(connection: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    """Insert whole *rows* into *table*, by as few statements as SQLite takes.

    A statement runs without the interpreter's lock, and has to get it back behind each: with one a row, that is a wait a row wherever
    another thread is at work meanwhile (``services.common.beside``).
    """
    if not rows:
        return
    width, most = len(rows[0]), _PARAMETERS // len(rows[0])
    for start in range(0, len(rows), most):
        part = rows[start : start + most]
        values = ", ".join([f"({', '.join('?' * width)})"] * len(part))
        connection.execute(f"INSERT INTO {table} VALUES {values}", list(chain.from_iterable(part))).close()  # noqa: S608 - placeholders


_COMMON_SCHEMA = """
CREATE TABLE IF NOT EXISTS held (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, worker TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS birth (id INTEGER PRIMARY KEY CHECK (id = 1));

CREATE TABLE IF NOT EXISTS suspects (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, suspect INTEGER NOT NULL, "end" INTEGER NOT NULL, until INTEGER NOT NULL,
    deaths INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
"""


class SqliteCrashMarks:
    """Crash marks beside the service's own tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, partitions: Iterable[tuple[str, int]]) -> Sequence[CrashMark]:
        """Return the marks of *partitions*."""
        rows = await self._database.read(
            lambda c: c.execute('SELECT topic, partition, suspect, "end", until, deaths FROM suspects').fetchall()
        )
        wanted = set(partitions)
        return [mark for mark in (CrashMark(*row) for row in rows) if (mark.topic, mark.partition) in wanted]

    async def put(self, marks: Sequence[CrashMark]) -> None:
        """Insert or replace the mark of each one's partition."""
        rows = [astuple(mark) for mark in marks]
        await self._database.write(lambda c: c.executemany("INSERT OR REPLACE INTO suspects VALUES (?, ?, ?, ?, ?, ?)", rows))

    async def clear(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Forget the marks of *partitions*."""
        await self._database.write(lambda c: c.executemany("DELETE FROM suspects WHERE topic = ? AND partition = ?", partitions))

    async def hold(self, worker: str, positions: Mapping[tuple[str, int], int]) -> frozenset[tuple[str, int]]:
        """Note that *worker* takes up partitions at *positions*; return those that another took up there and never let go of."""
        rows = [(topic, partition, worker, position) for (topic, partition), position in positions.items()]

        def take_up(connection: sqlite3.Connection) -> frozenset[tuple[str, int]]:
            held = connection.execute("SELECT topic, partition, position FROM held WHERE worker <> ?", (worker,)).fetchall()
            connection.executemany("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)", rows)
            return frozenset((topic, partition) for topic, partition, position in held if positions.get((topic, partition)) == position)

        return await self._database.write(take_up)

    async def let_go(self, worker: str) -> None:
        """Forget what *worker* holds."""
        await self._database.write(lambda c: c.execute("DELETE FROM held WHERE worker = ?", (worker,)))


class SqliteBirth:
    """The one row of ``birth``, beside the service's own tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_born(self) -> bool:
        """Tell whether ``mark_born`` was called on this store."""
        return bool(await self._database.read(lambda c: c.execute("SELECT count(*) FROM birth").fetchone()[0]))

    async def mark_born(self) -> None:
        """Note that the store lacks nothing of what its service has said."""
        await self._database.write(lambda c: c.execute("INSERT OR IGNORE INTO birth VALUES (1)"))
