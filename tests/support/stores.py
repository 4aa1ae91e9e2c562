"""Stores with nothing in them, of every kind that a contract suite runs over."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from services.common.mongo import MongoStore
from services.common.sqlite import Database
from tests.conftest import MONGO_URL

KINDS = ("memory", "sqlite", pytest.param("mongo", marks=pytest.mark.mongo))
"""The params of a suite's fixture."""


@asynccontextmanager
async def sqlite_database(folder: Path, schema: str = "") -> AsyncIterator[Database]:
    """Open a database with *schema* in a file of its own."""
    database = Database(folder / f"{uuid4().hex[:12]}.db", schema)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def mongo_store() -> AsyncIterator[MongoStore]:
    """Connect to a database of one's own; it is gone afterwards."""
    store = MongoStore(f"{os.environ[MONGO_URL].rstrip('/')}/test_{uuid4().hex[:12]}")
    try:
        yield store
    finally:
        await store.client.drop_database(store.database.name)
        store.close()
