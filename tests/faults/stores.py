"""What lies in the services' stores, read through the drivers alone: tables or collections, columns or fields, and JSON in them.

Nothing of the services' code is used; ``docs/`` and the schemas of the stores are all that this rests on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pymongo

Plain: TypeAlias = Mapping[str, Any]
Read: TypeAlias = Callable[[str, str], Sequence[Plain]]
"""Gives all rows of one table or collection (service, name), its key under ``_id``."""


@dataclass(frozen=True, slots=True)
class Stores:
    """All four stores at one moment, after the topics had been read."""

    accepted: Sequence[Plain] = ()
    """Ingest: what it accepted, an entry a record: ``subject``, ``order``, ``origin``, ``kind``."""
    entries: Sequence[Plain] = ()
    """Dedup: a board's log: ``board``, ``position``, ``event_id``, ``decisions``, ``ideas``."""
    operations: Sequence[Plain] = ()
    """Segmenter: a board's log: ``board``, ``position``, ``input_id``, ``operations``, ``facts``."""
    cards: Mapping[str, int] | None = None
    """Segmenter: the version of what it tells of each person; None where it keeps nobody."""
    told: Sequence[Plain] = ()
    """Notifier: a board's decisions: ``board``, ``sequence``, and what it keeps of each."""
    ledger: Sequence[Plain] = ()
    """Notifier: a row an alert: ``alert_id``, ``state``, ``attempt``, ``alert``, ``history``."""


def read_sqlite(folder: Path) -> Stores:
    """Return what the files ``<service>.db`` in *folder* hold."""

    def read(service: str, table: str) -> Sequence[Plain]:
        with closing(sqlite3.connect(f"file:{folder / f'{service}.db'}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]

    return _stores(read)


def read_mongo(url: str, database_of: Callable[[str], str]) -> Stores:
    """Return what the databases, by service, at *url* hold."""
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        return _stores(lambda service, collection: list(client[database_of(service)][collection].find()))


def _stores(read: Read) -> Stores:
    return Stores(
        accepted=[{"subject": _key(row), **entry} for row in read("ingest", "subjects") for entry in _plain(row["entries"])],
        entries=[{**row, **_plain(row["body"])} for row in read("dedup", "board_log")],
        operations=[{**row, **_decoded(row, ("operations", "facts"))} for row in read("segmenter", "board_log")],
        cards={_key(row): _plain(row["card"])["version"] for row in read("segmenter", "people")},
        told=[{**row, **_plain(row["body"])} for row in read("notifier", "board_log")],
        ledger=[{"alert_id": _key(row), **row, **_decoded(row, ("alert", "history"))} for row in read("notifier", "ledger")],
    )


def _key(row: Plain) -> str:
    """Return the key of *row*, whatever its kind of store calls it."""
    return str(next(row[name] for name in ("_id", "key", "id", "alert_id") if name in row))


def _decoded(row: Plain, names: Iterable[str]) -> dict[str, Any]:
    return {name: _plain(row[name]) for name in names}


def _plain(value: Any) -> Any:
    """Return a value that lies as JSON, or as it is, as it is."""
    return json.loads(value) if isinstance(value, bytes | str) else value
