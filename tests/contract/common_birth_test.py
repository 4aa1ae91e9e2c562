"""Whether a store is complete: one suite over memory, SQLite and MongoDB."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.common.mongo import MongoBirth, MongoStore
from services.common.ports import Birth
from services.common.sqlite import Database, SqliteBirth
from tests.support.memory import MemoryBirth


@pytest.fixture(params=["memory", "sqlite", pytest.param("mongo", marks=pytest.mark.mongo)])
async def birth(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Birth]:
    match request.param:
        case "memory":
            yield MemoryBirth()
        case "sqlite":
            database = Database(tmp_path / "birth.db", "")
            await database.open()
            yield SqliteBirth(database)
            await database.close()
        case _:
            url = os.environ["GROUNDSWELL_TEST_MONGO_URL"].rstrip("/")
            store = MongoStore(f"{url}/birth-{uuid4().hex[:12]}")
            yield MongoBirth(store)
            await store.client.drop_database(store.database.name)
            store.close()


async def test_a_store_is_born_once(birth: Birth) -> None:
    assert not await birth.is_born()
    for _ in range(2):
        await birth.mark_born()
        assert await birth.is_born()
