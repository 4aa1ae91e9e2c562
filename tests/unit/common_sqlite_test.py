"""The SQLite file of a service under its one thread."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.common.sqlite import Database


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
