"""Ingest's memory in SQLite: everything of a batch in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from services.common.sqlite import Database
from services.ingest.adapters.shapes import entry_of, entry_to_plain, person_of, person_to_plain
from services.ingest.domain.rows import Binding, Changes, Person, Subject
from services.ingest.ports import Contended

SCHEMA = """
CREATE TABLE IF NOT EXISTS bindings (key TEXT PRIMARY KEY, person_id TEXT NOT NULL, origin TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bindings_of ON bindings (person_id);
CREATE TABLE IF NOT EXISTS subjects (key TEXT PRIMARY KEY, version INTEGER NOT NULL, entries BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS persons (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
"""

_BINDINGS = "SELECT key, person_id, origin FROM bindings WHERE key IN (SELECT value FROM json_each(?))"
_BINDINGS_OF = "SELECT key, person_id, origin FROM bindings WHERE person_id IN (SELECT value FROM json_each(?))"
_UNBIND = "DELETE FROM bindings WHERE key = ?"
_SUBJECTS = "SELECT key, version, entries FROM subjects WHERE key IN (SELECT value FROM json_each(?))"
_PERSONS = "SELECT key, version, body FROM persons WHERE key IN (SELECT value FROM json_each(?))"
_BIND = "INSERT INTO bindings VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_FIRST_SUBJECT = "INSERT INTO subjects (key, version, entries) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
_NEXT_SUBJECT = "UPDATE subjects SET version = ?2, entries = ?3 WHERE key = ?1 AND version = ?2 - 1"
_FIRST_PERSON = "INSERT INTO persons (key, version, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
_NEXT_PERSON = "UPDATE persons SET version = ?2, body = ?3 WHERE key = ?1 AND version = ?2 - 1"


class SqliteMemory:
    """See ``services.ingest.ports.Memory``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bindings(self, keys: Collection[str]) -> Mapping[str, Binding]:
        """Return those of *keys* that are bound."""
        rows = await self._rows(_BINDINGS, keys)
        return {row[0]: Binding(*row) for row in rows}

    async def bindings_of(self, person_ids: Collection[str]) -> Sequence[Binding]:
        """Return every alias that is one of *person_ids*'s."""
        return [Binding(*row) for row in await self._rows(_BINDINGS_OF, person_ids)]

    async def subjects(self, keys: Collection[str]) -> Mapping[str, Subject]:
        """Return those of *keys* of which something was accepted."""
        rows = await self._rows(_SUBJECTS, keys)
        return {key: Subject(key, version, tuple(map(entry_of, orjson.loads(entries)))) for key, version, entries in rows}

    async def persons(self, keys: Collection[str]) -> Mapping[str, Person]:
        """Return those of *keys* whom something is known of."""
        rows = await self._rows(_PERSONS, keys)
        return {key: person_of(key, version, orjson.loads(body)) for key, version, body in rows}

    async def save(self, changes: Changes) -> None:
        """Write all of *changes*, or nothing."""
        bindings = [(row.key, row.person_id, row.origin) for row in changes.bindings]
        subjects = [(row.key, row.version, orjson.dumps([entry_to_plain(entry) for entry in row.entries])) for row in changes.subjects]
        persons = [(row.person_id, row.version, orjson.dumps(person_to_plain(row))) for row in changes.persons]
        statements = (
            (_BIND, bindings),
            (_FIRST_SUBJECT, [row for row in subjects if row[1] == 1]),
            (_NEXT_SUBJECT, [row for row in subjects if row[1] > 1]),
            (_FIRST_PERSON, [row for row in persons if row[1] == 1]),
            (_NEXT_PERSON, [row for row in persons if row[1] > 1]),
        )
        if any(rows for _, rows in statements) or changes.unbound:
            await self._database.write(lambda connection: _write(connection, statements, changes.unbound))
        if changes.unbound:
            await self._database.scrub()

    async def _rows(self, query: str, keys: Collection[str]) -> list[tuple[Any, ...]]:
        if not keys:
            return []
        wanted = orjson.dumps(list(keys)).decode()
        return await self._database.read(lambda c: c.execute(query, (wanted,)).fetchall())


def _write(connection: sqlite3.Connection, statements: Sequence[tuple[str, Sequence[tuple[Any, ...]]]], unbound: Collection[str]) -> None:
    for statement, rows in statements:
        if rows and connection.executemany(statement, rows).rowcount != len(rows):
            raise Contended("SQLite: a row was written by another worker")
    connection.executemany(_UNBIND, [(key,) for key in unbound])
