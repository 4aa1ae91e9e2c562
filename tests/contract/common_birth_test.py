"""Whether a store is complete: one suite over memory, SQLite and MongoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.common.mongo import MongoBirth
from services.common.ports import Birth
from services.common.sqlite import SqliteBirth
from tests.support.memory import MemoryBirth
from tests.support.stores import KINDS, mongo_store, sqlite_database


@pytest.fixture(params=KINDS)
async def birth(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Birth]:
    match request.param:
        case "memory":
            yield MemoryBirth()
        case "sqlite":
            async with sqlite_database(tmp_path) as database:
                yield SqliteBirth(database)
        case _:
            async with mongo_store() as store:
                yield MongoBirth(store)


async def test_a_store_is_born_once(birth: Birth) -> None:
    assert not await birth.is_born()
    for _ in range(2):
        await birth.mark_born()
        assert await birth.is_born()
