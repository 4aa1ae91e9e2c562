"""The SQLite file of a service under its one thread."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from services.common.errors import TransientError
from services.common.sqlite import Database, insert_all


async def test_what_a_write_returned_may_die_while_the_next_one_runs(tmp_path: Path) -> None:
    """A cursor that lived on would reset its statement when it dies, on another thread, in the middle of the next write's."""
    database = Database(tmp_path / "some.db", "CREATE TABLE IF NOT EXISTS numbers (one INTEGER)")
    await database.open()
    try:
        for _ in range(30):
            returned = [await database.write(lambda c: c.executemany("INSERT INTO numbers VALUES (?)", [(0,)]))]
            running = asyncio.create_task(
                database.write(lambda c: c.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(20_000)]))
            )
            await asyncio.sleep(0.002)
            returned.clear()
            await running
        count = await database.read(lambda c: c.execute("SELECT count(*) FROM numbers").fetchone()[0])
    finally:
        await database.close()
    assert count == 30 * 20_001


async def test_the_log_is_written_back_beside_what_goes_on(tmp_path: Path) -> None:
    database = Database(tmp_path / "some.db", "CREATE TABLE IF NOT EXISTS texts (one BLOB)")
    log = tmp_path / "some.db-wal"
    await database.open()
    try:
        for _ in range(12):
            await database.write(lambda c: c.execute("INSERT INTO texts VALUES (zeroblob(1000000))"))
        await database.read(lambda c: c.execute("SELECT 1").fetchone())  # comes behind what is written back
        assert log.stat().st_size < 6_000_000
        assert (tmp_path / "some.db").stat().st_size > 6_000_000
        count = await database.read(lambda c: c.execute("SELECT count(*) FROM texts").fetchone()[0])
    finally:
        await database.close()
    assert count == 12
    assert not log.exists()


async def test_what_kept_the_log_from_being_written_back_is_told_to_whoever_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path / "some.db", "CREATE TABLE IF NOT EXISTS texts (one BLOB)")
    await database.open()

    def fails() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    try:
        with monkeypatch.context() as full:
            full.setattr(database, "_write_back", fails)
            await database.write(lambda c: c.execute("INSERT INTO texts VALUES (zeroblob(6000000))"))
            assert database._written_back is not None
            with pytest.raises(sqlite3.OperationalError):
                await asyncio.wrap_future(database._written_back)
            with pytest.raises(TransientError, match="full"):
                await database.read(lambda c: c.execute("SELECT 1").fetchone())
        assert await database.read(lambda c: c.execute("SELECT count(*) FROM texts").fetchone()[0]) == 1
    finally:
        await database.close()


async def test_a_reader_from_outside_holds_nothing_up(tmp_path: Path) -> None:
    database = Database(tmp_path / "some.db", "CREATE TABLE IF NOT EXISTS texts (one BLOB)")
    await database.open()
    other = sqlite3.connect(tmp_path / "some.db", isolation_level=None)
    try:
        await database.write(lambda c: c.execute("INSERT INTO texts VALUES (zeroblob(10))"))
        other.execute("BEGIN")
        before = other.execute("SELECT count(*) FROM texts").fetchone()[0]
        async with asyncio.timeout(40):  # to wait for the reader would take five seconds each time
            for _ in range(20):
                await database.write(lambda c: c.execute("INSERT INTO texts VALUES (zeroblob(3000000))"))
            count = await database.read(lambda c: c.execute("SELECT count(*) FROM texts").fetchone()[0])
        assert (before, other.execute("SELECT count(*) FROM texts").fetchone()[0], count) == (1, 1, 21)
    finally:
        other.close()
        await database.close()


async def test_a_store_that_could_not_write_its_log_back_closes_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(tmp_path / "some.db", "CREATE TABLE IF NOT EXISTS texts (one BLOB)")
    await database.open()

    def fails() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(database, "_write_back", fails)
    await database.write(lambda c: c.execute("INSERT INTO texts VALUES (zeroblob(6000000))"))
    assert database._written_back is not None
    with pytest.raises(sqlite3.OperationalError):
        await asyncio.wrap_future(database._written_back)
    await database.close()

    again = Database(tmp_path / "some.db", "")
    await again.open()
    assert await again.read(lambda c: c.execute("SELECT count(*) FROM texts").fetchone()[0]) == 1
    await again.close()


@pytest.mark.parametrize("count", [0, 1, 16_383, 16_384, 40_000])
async def test_all_rows_go_in_however_many_statements_that_takes(count: int, tmp_path: Path) -> None:
    database = Database(tmp_path / "some.db", "CREATE TABLE IF NOT EXISTS pairs (one INTEGER PRIMARY KEY, other TEXT)")
    rows = [(number, f"'{number}") for number in range(count)]
    await database.open()
    try:
        await database.write(lambda c: insert_all(c, "pairs", rows))
        assert await database.read(lambda c: c.execute("SELECT one, other FROM pairs ORDER BY one").fetchall()) == rows
    finally:
        await database.close()


async def test_of_rows_one_of_which_is_there_already_none_goes_in(tmp_path: Path) -> None:
    database = Database(tmp_path / "some.db", "CREATE TABLE IF NOT EXISTS pairs (one INTEGER PRIMARY KEY, other TEXT)")
    await database.open()
    try:
        await database.write(lambda c: insert_all(c, "pairs", [(39_999, "")]))
        with pytest.raises(sqlite3.IntegrityError):
            await database.write(lambda c: insert_all(c, "pairs", [(number, "") for number in range(40_000)]))
        assert await database.read(lambda c: c.execute("SELECT count(*) FROM pairs").fetchone()) == (1,)
    finally:
        await database.close()
