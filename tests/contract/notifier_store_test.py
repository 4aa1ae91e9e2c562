"""One suite over every store of the notifier: what the port promises, each adapter keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.common.errors import Fenced
from services.notifier.adapters.mongo import MongoNotifierStore
from services.notifier.adapters.sqlite import SCHEMA, SqliteStore
from services.notifier.domain.board import Want
from services.notifier.domain.entry import Entry
from services.notifier.domain.families import Union
from services.notifier.domain.ledger import begun, deferred, fallen_back, rebuilt, reported, settled, taken_up
from services.notifier.domain.manners import Quiet, Wishes
from services.notifier.domain.person import Contact, Person, Pointer, Preference, Profile
from services.notifier.domain.row import DIRECT_ALERTS, HELD, Row, Verdict
from services.notifier.ports import Join, Store, Wake
from tests.fakes_notifier import MemoryStore
from tests.support.alerts import sample_alert
from tests.support.stores import KINDS, mongo_store, sqlite_database

BOARD = "lumora/product"


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    match request.param:
        case "memory":
            yield MemoryStore()
        case "sqlite":
            async with sqlite_database(tmp_path, SCHEMA) as database:
                sqlite = SqliteStore(database)
                await sqlite.prepare()
                yield sqlite
        case _:
            async with mongo_store() as mongo:
                adapter = MongoNotifierStore(mongo)
                await adapter.prepare()
                yield adapter


def entry(sequence: int, origin: str | None = None, **fields: Any) -> Entry:
    return Entry(sequence=sequence, origin=origin or f"board.decisions/0/{sequence}", type="linked", at=sequence * 10, **fields)


def row(name: str = "a", **fields: Any) -> Row:
    alert = sample_alert(
        name,
        person_id=fields.pop("person", "ann"),
        quote="bitte — пожалуйста 🙏",
        created_at=fields.pop("created_at", 1_700_000_000_000_000),
    )
    defaults: dict[str, Any] = {
        "sequence": 5, "ordinal": 0, "partition": 2, "state": "pending", "attempt": 1, "wanted_sequence": 5,
    }  # fmt: skip
    return Row(alert=alert, **(defaults | fields))


def verdict(**fields: Any) -> Verdict:
    defaults: dict[str, Any] = {"outcome": "sent", "reason": "accepted", "attempt": 1, "at": 7, "origin": "notifications.outbox/0/1"}
    return Verdict(**(defaults | fields))


async def only(store: Store, name: str = "a") -> Row:
    return (await store.rows([f"lumora:alert:{name}"]))[f"lumora:alert:{name}"]


async def test_log_comes_back_in_order_without_quotes(store: Store) -> None:
    second = entry(2, feedback_id="f", person_id="p", idea_id="i", quote="words")
    third = entry(3, status="shipped", tells=True, release_id="r", release_name="n", release_url="u")
    await store.append(BOARD, [third])
    await store.append(BOARD, [second])
    await store.append("lumora/other", [entry(1)])
    assert await store.entries(BOARD, 0, 100) == [replace(second, quote=None), third]
    assert await store.quotes(BOARD, [2, 3, 4]) == {2: "words"}
    assert await store.origins(BOARD, [1, 2]) == {2: second.origin}


async def test_words_and_titles_are_let_go(store: Store) -> None:
    opened = Entry(sequence=1, origin="o/0/1", type="opened", at=10, idea_id="i", title="her words")
    await store.append(BOARD, [opened, entry(2, person_id="p", quote="her words"), entry(3, quote="others")])
    await store.append("lumora/other", [opened, entry(2, quote="her words")])
    for titles in ({"her words"}, set()):
        assert set(await store.forget_words(BOARD, [2, 9], [1, 9])) == titles
    assert await store.quotes(BOARD, [1, 2, 3]) == {2: "", 3: "others"}
    assert await store.entries(BOARD, 0, 100) == [replace(opened, title=None), entry(2, person_id="p"), entry(3)]
    assert await store.entries("lumora/other", 0, 100) == [opened, entry(2)]


async def test_rows_stop_quoting_and_are_renamed(store: Store) -> None:
    await store.add([row("a"), row("b", person="bob")])
    await store.forget_quotes(["ann", "nobody"])
    await store.retitle("lumora/other", ["Dark mode"], "x")
    assert {(r.alert.quote, r.alert.title) for r in await store.rows_of(["ann"])} == {("", "Dark mode")}
    await store.retitle(BOARD, ["Dark mode"], "(erased)")
    assert {(r.alert.quote, r.alert.title) for r in await store.rows_of(["bob"])} == {(row().alert.quote, "(erased)")}


async def test_appending_again_changes_nothing(store: Store) -> None:
    await store.append(BOARD, [entry(1, quote="first")])
    await store.append(BOARD, [entry(1, quote="first"), entry(2)])
    assert [e.sequence for e in await store.entries(BOARD, 0, 100)] == [1, 2]


async def test_a_log_is_read_in_portions(store: Store) -> None:
    await store.append(BOARD, [entry(sequence) for sequence in (1, 2, 4, 5)])
    await store.append("lumora/other", [entry(3)])
    assert [e.sequence for e in await store.entries(BOARD, 0, 2)] == [1, 2]
    assert [e.sequence for e in await store.entries(BOARD, 2, 2)] == [4, 5]
    assert await store.entries(BOARD, 5, 2) == []


async def test_entries_are_collected_where_there_are_none(store: Store) -> None:
    await store.collect({BOARD: [entry(2, quote="words"), entry(1)], "lumora/other": [entry(1)]})
    await store.collect({BOARD: [entry(2, "board.decisions/0/99"), entry(3)]})
    assert await store.entries(BOARD, 0, 100) == [entry(1), entry(2), entry(3)]
    assert await store.entries("lumora/other", 0, 100) == [entry(1)]
    assert await store.quotes(BOARD, [1, 2]) == {2: "words"}


async def test_a_sequence_of_another_origin_fences(store: Store) -> None:
    await store.append(BOARD, [entry(1)])
    with pytest.raises(Fenced):
        await store.append(BOARD, [entry(1, "board.decisions/0/99")])
    assert await store.origins(BOARD, [1]) == {1: entry(1).origin}


async def test_unions_are_followed_one_step(store: Store) -> None:
    await store.unite([])
    await store.unite([Union("a", "b"), Union("b", "c")])
    await store.unite([Union("a", "b")])
    assert await store.unions(["a", "b", "c"]) == {"a": "b", "b": "c"}


async def test_rows_are_inserted_once(store: Store) -> None:
    await store.add([])
    first = row()
    await store.add([first, row("b", person="bob", state="deferred", attempt=0, due_at=9, ordinal=DIRECT_ALERTS)])
    await store.settle([(first, settled(first, verdict()))])
    await store.add([first])
    assert (await only(store)).state == "sent"
    assert [r.alert_id for r in await store.rows_of(["bob", "zoe"])] == ["lumora:alert:b"]
    assert await store.rows(["lumora:alert:none"]) == {}


async def test_rows_of_a_decision_come_in_the_order_in_which_they_were_made(store: Store) -> None:
    await store.add([row("z", ordinal=0), row("a", ordinal=1), row("late", ordinal=DIRECT_ALERTS), row("other", sequence=6)])
    await store.add([row("acted on", ordinal=2, state="sent"), row("again", ordinal=3, attempt=2), row("elsewhere", sequence=7)])
    assert [(r.sequence, r.ordinal) for r in await store.made_with(BOARD, {5, 6})] == [(5, 0), (5, 1), (5, 2), (5, 3), (6, 0)]
    assert await store.made_with("lumora/other", {5}) == []


async def test_the_earliest_join_of_a_board_is_remembered_until_it_ends(store: Store) -> None:
    first, other = Join(BOARD, 5, "lumora", "product", 2), Join("lumora/other", 1, "lumora", "other", 0)
    await store.begin_joins([first])
    await store.begin_joins([first, replace(first, sequence=9), other])
    assert await store.joins() == [other, first]
    assert await store.joins([BOARD]) == [first]
    await store.end_join(BOARD)
    await store.end_join(BOARD)
    assert await store.joins() == [other]
    assert await store.joins([BOARD]) == []


async def test_settling_keeps_history_and_progress(store: Store) -> None:
    first = row()
    await store.add([first])
    await store.begin([first])
    assert (await only(store)).trying
    later = deferred(first, verdict(outcome="deferred", channel="email"), 99, failed=True)
    await store.settle([(first, later)])
    assert await only(store) == later
    assert (later.trying, later.doubted, later.failures, later.first_failed_at) == (False, False, 1, 7)


async def test_a_doubt_is_kept_until_an_answer_ends_it(store: Store) -> None:
    begun_by_a_dead_process = row(trying=True, channel="email", letter="l")
    await store.add([begun_by_a_dead_process])
    later = deferred(begun_by_a_dead_process, verdict(outcome="deferred", channel="email"), 99, failed=True)
    await store.settle([(begun_by_a_dead_process, later)])
    kept = await only(store)
    assert kept == later
    assert (kept.trying, kept.doubted, kept.history[-1].may_have_arrived) == (False, True, True)
    again = taken_up(kept, 200)
    await store.take_up([(kept, again)])
    await store.settle([(again, settled(again, verdict(attempt=2)))])
    assert not (await only(store)).doubted


async def test_settling_again_changes_nothing(store: Store) -> None:
    first = row()
    await store.add([first])
    change = (first, settled(first, verdict()))
    await store.settle([change])
    await store.settle([change])
    assert (await only(store)).history == (verdict(),)


@pytest.mark.parametrize("stale", [{"attempt": 2}, {"state": "sent"}])
async def test_settling_what_another_worker_took_on_fences(store: Store, stale: dict[str, Any]) -> None:
    await store.add([row(**stale), row("b")])
    with pytest.raises(Fenced):
        await store.settle([(row(), settled(row(), verdict())), (row("b"), settled(row("b"), verdict()))])
    assert (await only(store)).history == ()
    assert (await only(store, "b")).state == "sent"


async def test_beginning_what_another_worker_took_on_fences(store: Store) -> None:
    await store.add([row(state="sent"), row("b")])
    with pytest.raises(Fenced):
        await store.begin([row(), row("b")])
    await store.begin([row("b")])
    await store.begin([row("b")])
    assert not (await only(store)).trying


async def test_suppressing_is_refused_when_the_board_has_spoken_since(store: Store) -> None:
    first = row(wanted=False, wanted_sequence=6)
    await store.add([first])
    await store.want([Want(first.alert_id, True, 7, 70)])
    silence = verdict(outcome="suppressed")
    with pytest.raises(Fenced):
        await store.settle([(first, settled(first, silence))])
    await store.settle([(first, settled(first, verdict()))])
    assert (await only(store)).state == "sent"


async def test_only_a_later_decision_changes_what_is_wanted(store: Store) -> None:
    await store.add([row()])
    await store.want([Want("lumora:alert:a", False, 8, 80), Want("lumora:alert:unknown", False, 8, 80)])
    await store.want([Want("lumora:alert:a", True, 7, 70)])
    assert (await only(store)).wanted is False
    assert (await only(store)).wanted_sequence == 8


async def test_a_suppressed_row_that_is_wanted_again_becomes_due(store: Store) -> None:
    first = row(wanted=False)
    await store.add([first])
    await store.settle([(first, settled(first, verdict(outcome="suppressed")))])
    for _ in range(2):
        await store.want([Want(first.alert_id, True, 9, 90)])
        found = await only(store)
        assert (found.state, found.due_at, found.attempt) == ("deferred", 90, 1)


async def test_due_rows_come_oldest_first_from_the_partitions_asked_for(store: Store) -> None:
    waiting = [("a", 30, 2), ("b", 10, 2), ("c", 20, 1), ("d", 40, 2), ("e", 5, 0)]
    await store.add([row(name, state="deferred", due_at=due, partition=partition) for name, due, partition in waiting])
    await store.add([row("never", partition=2)])
    assert [r.due_at for r in await store.due({1, 2}, 30, "", 10)] == [10, 20, 30]
    assert [r.due_at for r in await store.due({1, 2}, 30, "", 2)] == [10, 20]


async def test_a_due_row_is_taken_up_once(store: Store) -> None:
    waiting = row(state="deferred", due_at=10, attempt=1)
    await store.add([waiting])
    await store.take_up([(waiting, taken_up(waiting, 500))])
    await store.take_up([(waiting, taken_up(waiting, 900))])
    found = await only(store)
    assert (found.state, found.attempt, found.due_at) == ("pending", 2, 500)
    await store.take_up([(found, taken_up(found, 1000))])
    again = await only(store)
    assert (again.state, again.attempt, again.due_at) == ("pending", 2, 1000)
    await store.take_up([])


async def test_what_was_taken_up_is_due_again_at_once_when_it_may_be_lost(store: Store) -> None:
    taken, held = row("taken", due_at=900), row("untold", state="deferred", attempt=0, due_at=HELD)
    await store.add([taken, held, row("direct", due_at=901), row("elsewhere", due_at=900, partition=0)])
    await store.add([row("waiting", state="deferred", due_at=900), row("held elsewhere", due_at=HELD, partition=0)])
    for _ in range(2):
        await store.expire({1, 2}, 900, 50)
        assert await store.due({0, 1, 2}, 50, "", 10) == [replace(taken, due_at=50), replace(held, due_at=50)]


async def test_a_row_is_restored_unless_it_was_taken_on_since(store: Store) -> None:
    first, other = rebuilt(row()), rebuilt(row("b"))
    await store.add([first, other])
    said = replace(first, state="sent", attempt=2, due_at=None, history=(verdict(attempt=2, message_id="<m@x>"),))
    for _ in range(2):
        await store.restore([(first, said), (replace(other, attempt=1), replace(other, state="failed"))])
        assert (await only(store), await only(store, "b")) == (said, other)
    await store.restore([])


async def test_waking_concerns_young_unreachable_rows(store: Store) -> None:
    young, old, sent, other = row("young"), row("old", created_at=50), row("sent"), row("other", person="bob")
    await store.add([young, old, sent, other])
    silence = verdict(outcome="unreachable")
    await store.settle([(r, settled(r, silence)) for r in (young, old, other)] + [(sent, settled(sent, verdict()))])
    await store.wake([Wake(["zoe"], 0, 5), Wake(["ann", "zoe"], 100, 77)])
    states = {name: (await only(store, name)).state for name in ("young", "old", "sent", "other")}
    assert states == {"young": "deferred", "old": "unreachable", "sent": "sent", "other": "unreachable"}
    assert (await only(store, "young")).due_at == 77


async def test_persons_come_back_as_they_were_put(store: Store) -> None:
    ann = Person(
        person_id="ann",
        version=1,
        contacts={"email": Contact("ann@example.com", (3, 4, "e1")), "sms.de": Contact(None, (5, 6, "e2"))},
        preferences=(Preference(None, None, False, (1, 1, "e3")), Preference("email", "idea", True, (2, 2, "e4"))),
        pointer=Pointer("bob", (7, 7, "e5")),
    )
    zoe = Person(person_id="zoe", version=3, erased=(9, 9, "e6"), pointer=Pointer(None, (8, 8, "e7")))
    await store.put([])
    await store.put([(Person(person_id="ann"), ann), (Person(person_id="zoe"), zoe)])
    assert await store.persons(["ann", "zoe", "nobody"]) == {"ann": ann, "zoe": zoe}
    assert await store.followers(["bob"]) == [ann]
    assert await store.followers(["ann"]) == []


async def test_a_person_of_another_version_fences(store: Store) -> None:
    nobody, first = Person(person_id="ann"), Person(person_id="ann", version=1, erased=(1, 1, "e1"))
    second = replace(first, version=2, erased=(2, 2, "e2"))
    await store.put([(nobody, first)])
    await store.put([(first, second)])
    with pytest.raises(Fenced):
        await store.put([(first, replace(first, version=2, erased=(3, 3, "e3")))])
    with pytest.raises(Fenced):
        await store.put([(nobody, first)])
    assert await store.persons(["ann"]) == {"ann": second}


async def test_lanes_take_turns_and_what_is_under_way_counts_against_its_own(store: Store) -> None:
    waiting = [("a", "", 10), ("b", "r1", 5), ("c", "r1", 6), ("d", "r2", 99), ("e", "", 7)]
    await store.add([row(name, state="deferred", attempt=0, due_at=due, lane=lane) for name, lane, due in waiting])
    assert set(await store.lanes({2}, 50)) == {"", "r1"}
    assert [r.alert_id[-1] for r in await store.due({2}, 50, "", 10)] == ["e", "a"]
    (first,) = await store.due({2}, 50, "r1", 1)
    await store.take_up([(first, taken_up(first, 500))])
    assert [await store.under_way({2}, lane, 50, 500, 10) for lane in ("", "r1", "r2")] == [0, 1, 0]
    assert await store.under_way({1}, "r1", 50, 500, 10) == 0
    assert await store.under_way({2}, "r1", 50, 499, 10) == 0


async def test_what_is_tried_says_by_what_and_in_which_message(store: Store) -> None:
    first, other = row(), row("b")
    await store.add([first, other])
    await store.begin([begun(first, "slack", "letter1"), begun(other, "slack", "letter1")])
    assert await only(store) == begun(first, "slack", "letter1")
    failed = fallen_back(
        begun(first, "slack", "letter1"), verdict(outcome="deferred", channel="slack", contact_of="ann", is_gone=True), "slack"
    )
    await store.settle([(first, failed)])
    assert await only(store) == failed
    assert {r.alert_id for r in await store.told_in(["letter1", "letter2"])} == {first.alert_id, other.alert_id}


async def test_what_is_heard_later_is_written_once_and_only_over_what_it_was_said_of(store: Store) -> None:
    first = row()
    sent = settled(begun(first, "email", "letter1"), verdict())
    await store.add([sent])
    bounced = reported(sent, verdict(outcome="bounced", attempt=2))
    for _ in range(2):
        await store.report([(sent, bounced)])
        assert await only(store) == bounced
    with pytest.raises(Fenced):
        await store.report([(sent, reported(sent, verdict(outcome="delivered", attempt=2)))])
    assert await only(store) == bounced


async def test_wishes_and_profiles_of_persons_come_back(store: Store) -> None:
    wishes = Wishes("weekly", Quiet(1320, 480), "Europe/Berlin", ("slack", "email"))
    ann = Person(
        person_id="ann",
        version=1,
        preferences=(Preference(None, None, False, (1, 1, "e1"), wishes), Preference("email", None, False, (2, 2, "e2"), Wishes("off"))),
        profile=Profile((3, 3, "e3"), "pt-BR", "America/Sao_Paulo", "acme"),
    )
    await store.put([(Person(person_id="ann"), ann)])
    assert await store.persons(["ann"]) == {"ann": ann}
