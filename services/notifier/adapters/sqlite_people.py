"""What is known of persons in SQLite: one row a person."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from services.common.errors import Fenced
from services.notifier.adapters.documents import person_body, person_from, pointer_end
from services.notifier.adapters.sqlite_reading import SqliteTables, many
from services.notifier.domain.person import Person


class SqlitePeople(SqliteTables):
    """``PersonStore`` on SQLite."""

    async def persons(self, person_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those of *person_ids* of whom anything is known."""
        found = await self._persons("WHERE person IN (SELECT value FROM json_each(?))", (many(person_ids),))
        return {person.person_id: person for person in found}

    async def followers(self, person_ids: Collection[str]) -> Sequence[Person]:
        """Return everyone whose pointer names one of *person_ids*."""
        return await self._persons("WHERE into_person IN (SELECT value FROM json_each(?)) ORDER BY person", (many(person_ids),))

    async def put(self, changes: Sequence[tuple[Person, Person]]) -> None:
        """Replace each (old, new)."""

        def change(connection: sqlite3.Connection) -> None:
            for old, new in changes:
                values = (new.version, pointer_end(new), orjson.dumps(person_body(new)), new.person_id)
                if old.version:
                    query = "UPDATE persons SET version = ?, into_person = ?, body = ? WHERE person = ? AND version = ?"
                    written = connection.execute(query, (*values, old.version)).rowcount
                else:
                    query = "INSERT INTO persons (version, into_person, body, person) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
                    written = connection.execute(query, values).rowcount
                if not written:
                    raise Fenced("a person was written by another worker")

        if changes:
            await self._database.write(change)

    async def _persons(self, where: str, parameters: tuple[Any, ...]) -> list[Person]:
        found = await self._read(f"SELECT person, version, into_person, body FROM persons {where}", parameters)  # noqa: S608 - constants
        return [person_from(person, version, into, orjson.loads(body)) for person, version, into, body in found]
