"""Crash marks: one suite over memory, SQLite and MongoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.common.crash import CrashMark, CrashMarks
from services.common.mongo import MongoCrashMarks
from services.common.sqlite import SqliteCrashMarks
from tests.support.memory import MemoryMarks
from tests.support.stores import KINDS, mongo_store, sqlite_database

_MARK = CrashMark("board.events", 3, 17, 25, 40, 0)


@pytest.fixture(params=KINDS)
async def marks(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CrashMarks]:
    match request.param:
        case "memory":
            yield MemoryMarks()
        case "sqlite":
            async with sqlite_database(tmp_path) as database:
                yield SqliteCrashMarks(database)
        case _:
            async with mongo_store() as store:
                yield MongoCrashMarks(store)


async def test_nothing_is_marked_at_first(marks: CrashMarks) -> None:
    assert list(await marks.load([("board.events", 3)])) == []


async def test_a_mark_is_kept_replaced_and_forgotten_however_often(marks: CrashMarks) -> None:
    later = CrashMark("board.events", 3, 20, 20, 40, 2)
    for mark in (_MARK, _MARK, later, later):
        await marks.put([mark])
    assert list(await marks.load([("board.events", 3)])) == [later]
    for _ in range(2):
        await marks.clear([("board.events", 3)])
        assert list(await marks.load([("board.events", 3)])) == []


async def test_only_the_partitions_asked_for_are_answered(marks: CrashMarks) -> None:
    others = [CrashMark("board.events", 4, 1, 1, 1, 1), CrashMark("people.events", 3, 2, 2, 2, 1)]
    await marks.put([_MARK, *others])
    assert set(await marks.load([("board.events", 3), ("people.events", 3), ("people.events", 9)])) == {_MARK, others[1]}
    await marks.clear([("board.events", 3), ("people.events", 9)])
    assert set(await marks.load([("board.events", 4), ("people.events", 3)])) == set(others)
    await marks.clear([("board.events", 4), ("people.events", 3)])
    assert list(await marks.load([("board.events", 4), ("people.events", 3)])) == []


async def test_what_was_never_let_go_of_at_the_same_position_is_told(marks: CrashMarks) -> None:
    here, there = ("board.events", 3), ("board.events", 4)
    assert await marks.hold("first", {here: 17, there: 5}) == frozenset()
    assert await marks.hold("first", {here: 17}) == frozenset(), "repeating the call changes nothing"
    assert await marks.hold("second", {here: 17, there: 6}) == {here}, "the first one got on in the other"
    assert await marks.hold("third", {here: 17, ("people.events", 3): 17}) == {here}
    for _ in range(2):
        await marks.let_go("third")
    assert await marks.hold("fourth", {here: 17, there: 6}) == {there}
