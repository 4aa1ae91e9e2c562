"""How the notifier's tables are read and written, by all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from services.common.sqlite import Database


def many(values: Iterable[Any]) -> str:
    """Return *values* as one JSON parameter: a list of any length for ``IN (SELECT value FROM json_each(?))``."""
    return orjson.dumps(list(values)).decode()


class SqliteTables:
    """Queries and changes of one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _read(self, query: str, parameters: tuple[Any, ...]) -> list[Any]:
        return await self._database.read(lambda connection: connection.execute(query, parameters).fetchall())

    async def _write_all(self, query: str, parameters: Sequence[tuple[Any, ...]]) -> None:
        await self._database.write(lambda connection: connection.executemany(query, parameters))
