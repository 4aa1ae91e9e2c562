"""A lost store, story by story: who was told, who was not, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from services.common.events import Alert, Decision, NotificationOutcome, PersonEvent
from services.common.ids import decision_id
from services.common.records import Record
from services.common.topics import load_topics
from services.notifier.domain.row import HELD, OUTBOX_KEEPS
from services.notifier.domain.telling import SECOND
from services.notifier.handler.recall import CompletedBirth
from services.notifier.ports import Accepted
from tests.fakes_notifier import POSTPONED
from tests.unit.notifier_world import BOARD, CODEC, WORKSPACE, World, partition_of

DAY = 86_400 * SECOND


def told(world: World) -> list[str]:
    """Return who was mailed, in order."""
    return [mail.recipient.partition("@")[0] for mail in world.mailer.accepted]


@pytest.fixture(params=[False, True], ids=["whole", "compacted"])
def compacted(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def world() -> World:
    world = World()
    for person in ("ann", "bob"):
        world.contact(person)
    for idea in ("a", "b"):
        world.decide("opened", idea_id=idea, title=f"Idea {idea}")
    return world


async def read(world: World, *topics: str) -> None:
    """Take what lies in *topics* through."""
    for topic in topics:
        await world.pump(topic, 10_000)


async def test_who_was_told_is_not_told_again_and_the_row_says_how(world: World, compacted: bool) -> None:
    world.link("f1", "a", "ann", "I want it")
    world.ship("a")
    await world.settle()
    before = world.row("a", "ann")
    world.lose(compacted=compacted)
    await world.settle()
    after = world.row("a", "ann")
    assert told(world) == ["ann"]
    assert (after.alert, after.state, after.attempt) == (before.alert, before.state, before.attempt)
    assert after.history[-1].message_id == before.history[-1].message_id is not None


async def test_who_was_not_told_yet_is_told_although_the_outbox_has_expired(world: World, compacted: bool) -> None:
    for person in ("ann", "bob"):
        world.link(f"f-{person}", "a", person)
    world.ship("a")
    await read(world, PersonEvent.TOPIC, Decision.TOPIC)
    await world.pump(Alert.TOPIC, 1)
    world.lose(compacted=compacted, outbox_kept=0)
    await world.settle()
    assert sorted(told(world)) == ["ann", "bob"]


async def test_an_alert_whose_outbox_record_expired_unread_is_told(world: World) -> None:
    world.link("f1", "a", "ann")
    world.ship("a")
    await read(world, PersonEvent.TOPIC, Decision.TOPIC)
    world.records[Alert.TOPIC].clear()
    world.clock.time += OUTBOX_KEEPS
    assert await world.tick() == 1
    await world.settle()
    assert told(world) == ["ann"]


def test_the_outbox_keeps_what_the_ledger_counts_on() -> None:
    hours = load_topics()[Alert.TOPIC].retention_hours
    assert hours is not None
    assert hours * 3_600 * SECOND <= OUTBOX_KEEPS


async def test_a_mail_of_which_nothing_was_said_is_repeated_under_its_id(world: World) -> None:
    world.link("f1", "a", "ann")
    world.ship("a")
    await read(world, PersonEvent.TOPIC, Decision.TOPIC)
    await world.pump(Alert.TOPIC, 1, publish=False, commit=False)
    world.lose()
    await world.settle()
    assert told(world) == ["ann", "ann"]
    assert len({mail.message_id for mail in world.mailer.accepted}) == 1


async def test_ideas_that_ever_shared_a_root_still_count_as_one(world: World, compacted: bool) -> None:
    world.link("f1", "a", "ann")
    world.decide("merged", idea_id="a", other_idea_id="b")
    world.ship("b")
    await world.settle()
    world.decide("unmerged", idea_id="a", other_idea_id="b")
    world.link("f2", "b", "ann")
    world.lose(compacted=compacted)
    await world.settle()
    assert told(world) == ["ann"]
    assert world.states() == {("a", "ann"): "sent", ("b", "ann"): "already_told"}


async def postponed(world: World, *people: str) -> None:
    """Let *people* wait for their mail: the server takes none now, and will later."""
    world.mailer.verdict = lambda _: POSTPONED
    for person in people:
        world.link(f"f-{person}", "a", person)
    world.ship("a")
    await read(world, PersonEvent.TOPIC, Decision.TOPIC, Alert.TOPIC)
    assert {row.state for row in world.store.ledger.values()} == {"deferred"}
    world.mailer.verdict = lambda _: Accepted()


@pytest.mark.parametrize(
    ("known", "heard"),
    [
        ([("preference", "ann", {"opted_out": True})], ["bob"]),
        ([("joined", "ann", {"other_person_id": "bob"})], ["bob"]),
        ([("joined", "ann", {"other_person_id": "bob"}), ("separated", "ann", {"other_person_id": "bob"})], ["ann", "bob"]),
        ([("erased", "bob", {})], ["ann"]),
        ([("contact", "ann", {"channel": "email", "address": "new@example.com"})], ["bob", "new"]),
    ],
)
async def test_all_that_is_known_of_people_is_known_before_anyone_is_told(
    world: World, known: Sequence[tuple[Any, str, dict[str, Any]]], heard: list[str], compacted: bool
) -> None:
    await postponed(world, "ann", "bob")
    for type_, person, fields in known:
        world.know(type_, person, **fields)
    await read(world, PersonEvent.TOPIC)
    world.lose(compacted=compacted)
    for _ in range(3):  # before any input is read again
        world.clock.time += 1000 * SECOND
        await world.tick()
        await read(world, Alert.TOPIC)
    assert sorted(told(world)) == heard
    await world.settle()
    assert sorted(told(world)) == heard


async def test_nobody_waits_for_a_row_that_is_held_for_another_worker(world: World) -> None:
    world.know("joined", "ann", other_person_id="bob")
    await read(world, PersonEvent.TOPIC)
    for person in ("ann", "bob"):
        world.link(f"f-{person}", "a", person)
    world.ship("a")
    await read(world, Decision.TOPIC)
    world.lose(outbox_kept=0)
    assert await world.complete()
    await world._due.assigned(frozenset({partition_of("bob")}))
    world._publish(await world._due.due(frozenset({partition_of("bob")})))
    await read(world, Alert.TOPIC)
    rows = {row.alert.person_id: row for row in world.store.ledger.values()}
    assert rows["ann"].due_at == HELD
    assert rows["bob"].history[-1].reason == "another message to them about it is on its way"
    assert (rows["bob"].due_at or HELD) < world.clock.time + 10 * SECOND


async def test_the_last_word_of_an_alert_is_the_last_in_its_log_whatever_is_read_again(world: World) -> None:
    await postponed(world, "ann")
    await world.settle()
    assert [outcome.outcome for outcome in world.log] == ["pending", "deferred", "sent"]
    world.restart()
    world.positions[Alert.TOPIC] = 0
    await world.pump(Alert.TOPIC, 1)
    assert [outcome.outcome for outcome in world.log] == ["pending", *["deferred", "sent"] * 2]


async def test_a_postponed_alert_goes_on_with_its_next_attempt(world: World) -> None:
    await postponed(world, "ann")
    world.lose(compacted=True)
    await world.settle()
    assert [outcome.attempt for outcome in world.log] == [0, 1, 2]
    assert len({outcome.outcome_id for outcome in world.log}) == 3


async def test_a_request_that_was_taken_back_and_made_again_is_answered(world: World) -> None:
    world.link("f1", "a", "ann")
    world.ship("a")
    world.decide("unlinked", feedback_id="f1", idea_id="a")
    await world.settle()
    world.link("f1", "a", "ann")
    await read(world, Decision.TOPIC)
    world.lose()
    await world.settle()
    assert told(world) == ["ann"]


async def test_who_was_erased_is_not_looked_at_again(world: World) -> None:
    world.know("erased", "ann")
    world.link("f1", "a", "ann")
    world.ship("a")
    await world.settle()
    outcomes = len(world.log)
    world.lose()
    await world.settle()
    assert world.row("a", "ann").state == "suppressed"
    assert len(world.log) == outcomes


async def test_an_address_that_came_too_late_stays_too_late(world: World) -> None:
    world.contact("eve")
    world.know("contact", "eve", channel="email", address="")
    world.link("f1", "a", "eve")
    world.ship("a")
    await world.settle()
    world.clock.time += 31 * DAY
    world.contact("eve")
    await world.settle()
    world.lose()
    world.recall_records = 1
    await world.settle()
    assert told(world) == []
    assert world.row("a", "eve").state == "unreachable"


async def test_an_address_that_came_in_time_and_was_not_read_yet_is_used(world: World) -> None:
    world.link("f1", "a", "eve")
    world.ship("a")
    await world.settle()
    world.contact("eve")
    world.lose()
    await world.settle()
    assert told(world) == ["eve"]


async def test_decisions_that_compaction_left_in_another_order_are_folded_in_their_own(world: World) -> None:
    world.link("f1", "a", "ann")
    world.ship("a")
    world.link("f2", "b", "bob")
    world.decide("merged", idea_id="b", other_idea_id="a")
    await world.settle()
    for place in range(3):
        world.publish_again(Decision.TOPIC, place)
    world.lose(compacted=True)
    assert [CODEC.decoder(Decision)(record).sequence for record in world.records[Decision.TOPIC]] == [4, 5, 6, 1, 2, 3]
    world.recall_records = 2
    await world.settle()
    assert world.states() == {("a", "ann"): "sent", ("b", "bob"): "sent"}
    assert sorted(told(world)) == ["ann", "bob"]


async def test_nothing_is_published_again_for_what_is_over(world: World) -> None:
    world.link("f1", "a", "ann")
    world.ship("a")
    await world.settle()
    alerts, outcomes = len(world.records[Alert.TOPIC]), len(world.log)
    world.lose()
    await world.settle()
    assert (len(world.records[Alert.TOPIC]), len(world.log)) == (alerts, outcomes)


async def test_a_store_that_was_never_complete_keeps_what_it_knows(world: World) -> None:
    await postponed(world, "ann")
    world.mailer.verdict = lambda _: POSTPONED
    world.clock.time += 200 * SECOND
    await world.tick()
    before = dict(world.store.ledger)
    for topic in world._recall.topics:
        await world._recall.recall(topic, world.said if topic == NotificationOutcome.TOPIC else world.records[topic])
    await world._recall.fold()
    assert world.store.ledger == before


async def test_tombstones_garbage_and_the_outcomes_of_strangers_are_passed_over(world: World) -> None:
    stranger = NotificationOutcome(
        outcome_id="o", alert_id="lumora:alert:x", workspace=WORKSPACE, board=BOARD, person_id="p", idea_id="i", root_id="i",
        release_id="r", outcome="sent", reason="", attempt=1, occurred_at=1,
    )  # fmt: skip
    for topic in world._recall.topics:
        await world._recall.recall(topic, [Record(topic, 0, 0, 0, b"k", None), Record(topic, 0, 1, 0, b"k", b"garbage")])
    output = CODEC.output(stranger)
    await world._recall.recall(output.topic, [Record(output.topic, 0, 2, 0, output.key, output.value)])
    assert not world.store.ledger


class _Birth:
    """Whether a store is complete, in memory."""

    born = False

    async def is_born(self) -> bool:
        return self.born

    async def mark_born(self) -> None:
        self.born = True


async def test_a_store_is_born_once_its_boards_are_folded(world: World) -> None:
    world.link("f1", "a", "ann")
    world.ship("a")
    await world._recall.recall(Decision.TOPIC, world.records[Decision.TOPIC])
    assert not world.store.ledger
    birth = CompletedBirth(_Birth(), world._recall)
    assert not await birth.is_born()
    await birth.mark_born()
    assert await birth.is_born()
    assert world.states() == {("a", "ann"): "deferred"}
    assert world.decided[0].key == decision_id(WORKSPACE, BOARD, 1).encode()
