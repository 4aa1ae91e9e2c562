"""One suite over every store of the segmenter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from services.common.errors import Fenced
from services.segmenter.adapters.mongo import MongoBoardLog, mongo_stores
from services.segmenter.adapters.sqlite import SCHEMA, sqlite_stores
from services.segmenter.ports import BoardEntry, Change, Document, Documents, Entry, Stores
from tests.fakes_segmenter import memory_stores
from tests.support.stores import KINDS, mongo_store, sqlite_database

_ALL = frozenset(range(4))


@pytest.fixture(params=KINDS)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """A store with nothing in it."""
    match request.param:
        case "memory":
            yield memory_stores()
        case "sqlite":
            async with sqlite_database(tmp_path, SCHEMA) as database:
                yield sqlite_stores(database)
        case _:
            async with mongo_store() as store:
                ports = mongo_stores(store)
                for _ in range(2):  # repeating the call changes nothing
                    await ports.prepare()
                yield ports


def _document(position: int = 1, name: str = "ann", due_at: int | None = None, definition: str = "1", partition: int = 1) -> Document:
    state = f'{{"at":{position}}}'.encode()
    return Document(name, position, state, b"card" + bytes([position]), partition, due_at, definition)


def _entries(*positions: int) -> list[Entry]:
    return [Entry(f"event:{position}", f"people.events/0/{position}", position, f"[{position}]".encode()) for position in positions]


async def _saved(documents: Documents, *positions: int) -> Document:
    """Save one document up to the last of *positions*, one save each, and return it as loaded."""
    for position in positions:
        before = (await documents.load(["ann"])).get("ann")
        await documents.save([Change(before, _document(position), _entries(position))])
    return (await documents.load(["ann"]))["ann"]


async def test_a_saved_document_is_loaded_as_it_was(stores: Stores) -> None:
    document = _document(due_at=7)
    await stores.people.save([Change(None, document, _entries(1))])
    loaded = await stores.people.load(["ann", "bob"])
    assert {"ann": document} == {name: replace(found, recent=()) for name, found in loaded.items()}


async def test_the_card_is_that_of_the_last_save(stores: Stores) -> None:
    await _saved(stores.people, 1, 2)
    assert await stores.people.cards(["ann", "bob"]) == {"ann": b"card\x02"}


async def test_people_and_accounts_are_apart(stores: Stores) -> None:
    await _saved(stores.people, 1)
    assert await stores.accounts.load(["ann"]) == {}
    assert await stores.accounts.find([("ann", "event:1")]) == {}


async def test_an_input_is_found_however_long_ago_it_was(stores: Stores) -> None:
    await _saved(stores.people, 1, 2, 3)
    wanted = [("ann", "event:1"), ("ann", "event:3"), ("ann", "event:4"), ("bob", "event:1")]
    first, third = _entries(1, 3)
    assert {("ann", "event:1"): first, ("ann", "event:3"): third} == await stores.people.find(wanted)


async def test_a_document_that_another_has_written_is_fenced(stores: Stores) -> None:
    old = await _saved(stores.people, 1)
    await _saved(stores.people, 2)
    with pytest.raises(Fenced):
        await stores.people.save([Change(old, _document(2), [Entry("event:x", "o", 2, b"[]")])])
    assert await stores.people.find([("ann", "event:x")]) == {}
    assert (await stores.people.load(["ann"]))["ann"].state == b'{"at":2}'


async def test_a_document_that_another_has_made_is_fenced(stores: Stores) -> None:
    await _saved(stores.people, 1)
    with pytest.raises(Fenced):
        await stores.people.save([Change(None, _document(1), [Entry("event:x", "o", 1, b"[]")])])
    assert await stores.people.find([("ann", "event:x")]) == {}


async def test_several_documents_are_saved_at_once(stores: Stores) -> None:
    ann = await _saved(stores.people, 1)
    await stores.people.save([Change(ann, _document(3), _entries(2, 3)), Change(None, _document(1, "bob"), _entries(1))])
    loaded = await stores.people.load(["ann", "bob"])
    assert {name: document.position for name, document in loaded.items()} == {"ann": 3, "bob": 1}
    assert len(await stores.people.find([("ann", "event:2"), ("bob", "event:1")])) == 2


async def test_inputs_are_listed_by_prefix_and_position(stores: Stores) -> None:
    entries = [Entry(name, "o", place, b"[]") for place, name in enumerate(["member:b", "version:1", "member:a"], 1)]
    await stores.accounts.save([Change(None, _document(3), entries)])
    acme = (await stores.accounts.load(["ann"]))["ann"]
    await stores.accounts.save([Change(acme, _document(4), [Entry("member:c", "o", 4, b"[]")])])
    assert await stores.accounts.inputs("ann", "member:", 5) == ["member:a", "member:b", "member:c"]
    assert await stores.accounts.inputs("ann", "member:", 3) == ["member:b"]
    assert await stores.accounts.inputs("bob", "member:", 5) == []


async def test_due_are_those_of_ones_own_partitions_by_time_and_by_definition(stores: Stores) -> None:
    rows = [
        _document(name="late", due_at=10),
        _document(name="later", due_at=11),
        _document(name="never"),
        _document(name="elsewhere", due_at=1, partition=2),
        _document(name="old", definition="0"),
        _document(name="both", due_at=1, definition="0"),
    ]
    await stores.people.save([Change(None, row, ()) for row in rows])
    assert sorted(await stores.people.due(frozenset({1, 3}), 10, "1", 10)) == ["both", "late", "old"]
    assert sorted(await stores.people.due(_ALL, 10, "1", 3)) == ["both", "elsewhere", "late"]
    assert await stores.people.outdated(_ALL, "1") == 2
    assert await stores.people.outdated(_ALL, "0") == 4


def _log_entry(position: int, board: str = "lumora/product") -> BoardEntry:
    origin = f"board.decisions/0/{position}"
    return BoardEntry(board, position, f"decision:{position}", origin, f"[{position}]".encode(), f'["{position}"]'.encode())


async def test_a_log_is_read_in_its_order_page_by_page(stores: Stores) -> None:
    await stores.boards.append([_log_entry(1), _log_entry(1, "lumora/mobile"), _log_entry(2)])
    await stores.boards.append([_log_entry(3)])
    assert await stores.boards.read("lumora/product", 0, 2) == [b"[1]", b"[2]"]
    assert await stores.boards.read("lumora/product", 2, 2) == [b"[3]"]
    assert await stores.boards.read("lumora/product", 3, 2) == []


async def test_an_input_may_repeat_all_that_a_person_wrote(stores: Stores) -> None:
    """A first profile enriches again all that waited for it: 50,000 rows are more than a document of MongoDB holds."""
    facts = orjson.dumps(
        [["feedback.enriched", {"feedback_id": f"lumora:feedback:{n}", "text": "Dark mode, please " * 20}] for n in range(50_000)]
    )
    assert len(facts) > 16 * 1024 * 1024
    await stores.boards.append([replace(_log_entry(1), facts=facts)])
    assert await stores.boards.facts("lumora/product", [1]) == {1: facts}
    assert (await stores.boards.find("lumora/product", ["decision:1"]))["decision:1"].facts == facts
    if isinstance(stores.boards, MongoBoardLog):  # MongoDB refuses larger documents; FerretDB takes them
        [row] = await stores.boards._log.find({}).to_list(None)
        assert len(row["facts"]) < 15 * 1024 * 1024
    entries = [replace(_entries(1)[0], facts=facts)]
    await stores.people.save([Change(None, _document(1), entries)])
    for position in (2, 3):  # beside the document first, then on its own
        assert (await stores.people.find([("ann", "event:1")]))[("ann", "event:1")].facts == facts
        before = (await stores.people.load(["ann"]))["ann"]
        await stores.people.save([Change(before, _document(position), _entries(position))])


async def test_entries_are_found_by_input_and_facts_by_position(stores: Stores) -> None:
    await stores.boards.append([_log_entry(1), _log_entry(2), _log_entry(1, "lumora/mobile")])
    found = await stores.boards.find("lumora/product", ["decision:2", "decision:9"])
    assert {"decision:2": replace(_log_entry(2), operations=b"")} == {name: replace(entry, operations=b"") for name, entry in found.items()}
    assert await stores.boards.facts("lumora/product", [1, 2, 9]) == {1: b'["1"]', 2: b'["2"]'}


async def test_a_position_that_another_has_written_is_fenced(stores: Stores) -> None:
    await stores.boards.append([_log_entry(1)])
    with pytest.raises(Fenced):
        await stores.boards.append([replace(_log_entry(1), input_id="other")])
    assert await stores.boards.find("lumora/product", ["other"]) == {}


async def test_what_was_said_is_kept_replaced_and_dropped(stores: Stores) -> None:
    await stores.said.put({"a": b"1", "b": b"2"})
    await stores.said.put({"b": b"3"})
    await stores.said.put({"b": b"3"})
    assert await stores.said.get(["a", "b", "c"]) == {"a": b"1", "b": b"3"}
    await stores.said.drop(["a", "c"])
    await stores.said.drop(["a"])
    await stores.said.put({})
    assert await stores.said.get(["a", "b"]) == {"b": b"3"}


async def test_as_much_as_a_batch_says_is_kept_at_once(stores: Stores) -> None:
    values = {f"key{number}": bytes([number % 256]) * 100 for number in range(450)}
    await stores.said.put(values)
    assert await stores.said.get(values) == values
    await stores.said.drop(list(values)[:-1])
    assert list(await stores.said.get(values)) == ["key449"]
