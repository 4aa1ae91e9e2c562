"""One suite over every board log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.common.errors import Fenced
from services.common.events import Decision, Idea
from services.dedup.adapters.mongo import MongoBoardLog, MongoSaidLog
from services.dedup.adapters.sqlite import SCHEMA, SqliteBoardLog, SqliteSaidLog
from services.dedup.domain.entry import Entry, PersonPointer, Seen
from services.dedup.ports import BoardLog, SaidLog
from tests.fakes_dedup import MemoryBoardLog, MemorySaidLog
from tests.support.stores import KINDS, mongo_store, sqlite_database


@pytest.fixture(params=KINDS)
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BoardLog]:
    """A log with nothing in it."""
    match request.param:
        case "memory":
            yield MemoryBoardLog()
        case "sqlite":
            async with sqlite_database(tmp_path, SCHEMA) as database:
                yield SqliteBoardLog(database)
        case _:
            async with mongo_store() as store:
                yield MongoBoardLog(store)


def _entry(position: int, *, board: str = "lumora/product", origin: str = "board.events/0/0") -> Entry:
    decision = Decision(
        decision_id=f"d{position}",
        type="linked",
        workspace="lumora",
        board="product",
        sequence=position,
        event_id=f"e{position}",
        occurred_at=1_700_000_000_000_001,
        ingested_at=2,
        text="Größe\u2028 \x00 ✓",
        score=0.123457,
        rating=4.5,
        candidates_json='[{"score":0.1}]',
    )
    idea = Idea(
        idea_id="i",
        workspace="lumora",
        board="product",
        version=position,
        root_id="i",
        title="t",
        status="open",
        people=1,
        mentions=1,
        first_seen=1,
        last_seen=2,
        updated_at=3,
    )
    return Entry(
        board=board,
        position=position,
        event_id=f"e{position}",
        origin=origin,
        decisions=(decision,),
        ideas=(idea,),
        seen=Seen("f", 3),
        persons=PersonPointer("a", "b", joined=True),
        vector=bytes(range(256)),
    )


async def test_what_was_appended_is_loaded(log: BoardLog) -> None:
    bare = Entry(board="lumora/product", position=2, event_id="x", origin="o")
    await log.append([_entry(1), bare])
    await log.append([_entry(3)])

    assert [_entry(1), bare, _entry(3)] == list(await log.load("lumora/product", after=0, limit=100))


async def test_a_range_is_loaded(log: BoardLog) -> None:
    await log.append([_entry(position) for position in range(1, 14)])

    assert [_entry(9), _entry(10), _entry(11)] == list(await log.load("lumora/product", after=8, limit=3))
    assert [_entry(13)] == list(await log.load("lumora/product", after=12, limit=100))
    assert list(await log.load("lumora/product", after=13, limit=100)) == []


async def test_boards_are_apart(log: BoardLog) -> None:
    boards = ["lumora/product", "lumora/product.2", "lumora/product-2", "lumora/product0", "lumora2/product", "lumora/p"]
    await log.append([_entry(1, board=board) for board in boards])

    for board in boards:
        assert [_entry(1, board=board)] == list(await log.load(board, after=0, limit=100))
    assert list(await log.load("lumora/prod", after=0, limit=100)) == []


async def test_appending_again_changes_nothing(log: BoardLog) -> None:
    entries = [_entry(1), _entry(2), _entry(3)]
    await log.append(entries[:2])

    await log.append(entries)
    await log.append(entries)

    assert entries == list(await log.load("lumora/product", after=0, limit=100))


@pytest.mark.parametrize(
    "late", [replace(_entry(2), origin="board.events/0/9"), replace(_entry(2), vector=None), replace(_entry(2), vector=b"other")]
)
async def test_another_workers_position_is_not_overwritten(log: BoardLog, late: Entry) -> None:
    await log.append([_entry(1), _entry(2)])

    with pytest.raises(Fenced):
        await log.append([late, replace(_entry(3), origin="late")])

    assert [_entry(1), _entry(2)] == list(await log.load("lumora/product", after=0, limit=100))


async def test_a_gap_is_refused(log: BoardLog) -> None:
    await log.append([_entry(1)])

    with pytest.raises(Fenced):
        await log.append([_entry(3)])

    assert [_entry(1)] == list(await log.load("lumora/product", after=0, limit=100))


async def test_an_empty_append_is_nothing(log: BoardLog) -> None:
    await log.append([])

    assert list(await log.load("lumora/product", after=0, limit=1)) == []


async def test_the_first_model_stays(log: BoardLog) -> None:
    assert await log.adopt_model("one") == "one"
    assert await log.adopt_model("one") == "one"
    assert await log.adopt_model("two") == "one"


async def test_what_is_noted_is_kept_until_it_is_noted_otherwise(log: BoardLog) -> None:
    assert await log.noted("reembedding") is None
    await log.note("reembedding", "half")
    await log.note("reembedding", "done")
    assert await log.noted("reembedding") == "done"
    await log.note("reembedding", None)
    await log.note("reembedding", None)
    assert await log.noted("reembedding") is None

    await log.adopt_model("one")
    assert await log.noted("model") == "one"
    await log.note("model", "two")
    assert await log.adopt_model("one") == "two"


async def test_boards_are_listed_with_their_ends(log: BoardLog) -> None:
    assert await log.boards() == {}
    await log.append([_entry(1), _entry(2), _entry(1, board="lumora/a")])

    assert await log.boards() == {"lumora/product": 2, "lumora/a": 1}


@pytest.fixture(params=KINDS)
async def said(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SaidLog]:
    """Nothing said yet."""
    match request.param:
        case "memory":
            yield MemorySaidLog()
        case "sqlite":
            async with sqlite_database(tmp_path, SCHEMA) as database:
                yield SqliteSaidLog(database)
        case _:
            async with mongo_store() as store:
                on_mongo = MongoSaidLog(store)
                await on_mongo.prepare()
                yield on_mongo


def _decision(sequence: int, *, event: str | None = None, board: str = "product") -> Decision:
    (decision,) = _entry(sequence).decisions
    return replace(decision, board=board, event_id=event or decision.event_id)


async def test_what_was_said_is_loaded_in_its_sequence(said: SaidLog) -> None:
    await said.remember([_decision(3), _decision(12), _decision(1)])
    await said.remember([_decision(2), _decision(3)])

    assert [_decision(n) for n in (1, 2, 3, 12)] == list(await said.load("lumora/product", after=0, upto=99))
    assert [_decision(n) for n in (2, 3)] == list(await said.load("lumora/product", after=1, upto=3))
    assert await said.last("lumora/product") == _decision(12)


async def test_nothing_was_said(said: SaidLog) -> None:
    await said.remember([])

    assert await said.last("lumora/product") is None
    assert list(await said.load("lumora/product", after=0, upto=9)) == []
    assert await said.places(["e1"]) == {}
    assert await said.places([]) == {}


async def test_an_events_last_decision_is_its_place(said: SaidLog) -> None:
    await said.remember([_decision(2, event="a"), _decision(10, event="a"), _decision(1, event="b"), _decision(11, event="c")])

    assert await said.places(["a", "b", "nobody's"]) == {"a": 10, "b": 1}


async def test_what_the_log_holds_is_forgotten(said: SaidLog) -> None:
    await said.remember([_decision(n) for n in (1, 2, 3)] + [_decision(1, board="product-2")])

    await said.forget("lumora/product", upto=2)
    await said.forget("lumora/product", upto=2)

    assert [_decision(3)] == list(await said.load("lumora/product", after=0, upto=9))
    assert await said.last("lumora/product-2") == _decision(1, board="product-2")
    assert await said.places(["e1"]) == {"e1": 1}
    await said.forget("lumora/product", upto=3)
    assert await said.last("lumora/product") is None
