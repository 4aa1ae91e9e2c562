"""The join and the ledger, story by story."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.common.events import Alert, Decision, PersonEvent
from services.common.outcome import Drop, Emit, Reject
from services.common.records import Received, Record
from services.notifier.domain.letter import Letter
from services.notifier.domain.row import DIRECT_ALERTS
from services.notifier.domain.telling import SECOND, Schedule
from services.notifier.ports import Accepted, Delivery, Message, Refused, Unrenderable
from tests.fakes_notifier import POSTPONED, RecordingChannel
from tests.unit.notifier_world import CODEC, Crash, World

DAY = 86_400 * SECOND


def told(world: World) -> list[str]:
    """Return who was mailed, in order."""
    return [mail.recipient.partition("@")[0] for mail in world.mailer.accepted]


@pytest.fixture
def world() -> World:
    world = World()
    for person in ("ann", "bob"):
        world.contact(person)
    for idea in ("a", "b"):
        world.decide("opened", idea_id=idea, title=f"Idea {idea}")
    return world


async def test_who_asked_before_or_after_is_told_once(world: World) -> None:
    world.link("f1", "a", "ann", "  I want it ")
    world.ship("a", release_name="Winter", release_url="https://x.example")
    await world.settle()
    world.link("f2", "a", "bob")
    world.link("f3", "a", "ann", "me again")
    await world.settle()
    assert told(world) == ["ann", "bob"]
    alert = world.row("a", "ann").alert
    assert (alert.title, alert.quote, alert.feedback_id, alert.release_name) == ("Idea a", "I want it", "f1", "Winter")


async def test_a_merge_into_what_shipped_tells_the_merged_people(world: World) -> None:
    world.link("f1", "a", "ann")
    world.link("f2", "b", "bob")
    world.link("f3", "b", "ann")
    world.ship("a")
    await world.settle()
    world.decide("merged", idea_id="b", other_idea_id="a")
    await world.settle()
    assert told(world) == ["ann", "bob"]
    assert world.states() == {("a", "ann"): "sent", ("b", "bob"): "sent", ("b", "ann"): "already_told"}
    assert world.row("b", "bob").alert.title == "Idea a"
    assert world.row("b", "bob").alert.root_id == "a"


async def test_what_had_shipped_before_it_was_merged_stays_shipped_until_the_root_says_otherwise(world: World) -> None:
    world.ship("a")
    world.decide("merged", idea_id="a", other_idea_id="b")
    world.link("f1", "a", "ann")
    world.link("f2", "b", "bob")
    await world.settle()
    assert told(world) == ["ann"]
    world.decide("status_changed", idea_id="b", status="planned")
    world.link("f3", "a", "bob")
    await world.settle()
    assert told(world) == ["ann"]


async def test_a_status_bounce_tells_nobody_twice(world: World) -> None:
    world.link("f1", "a", "ann")
    world.ship("a")
    await world.settle()
    world.decide("status_changed", idea_id="a", status="open")
    world.link("f2", "a", "bob")
    await world.settle()
    assert told(world) == ["ann"]
    world.ship("a")
    await world.settle()
    assert told(world) == ["ann", "bob"]


async def test_without_a_release_id_it_is_told_once(world: World) -> None:
    world.link("f1", "a", "ann")
    for _ in range(2):
        world.ship("a", None)
        world.decide("status_changed", idea_id="a", status="open")
        await world.settle()
    assert len(world.store.ledger) == 1
    assert world.row("a", "ann").alert.release_id.startswith("lumora:release:")


@pytest.mark.parametrize(("tell_again", "mails"), [(False, 1), (True, 2)])
async def test_a_further_release_tells_again_by_setting_only(tell_again: bool, mails: int) -> None:
    world = World(tell_again=tell_again)
    world.contact("ann")
    world.link("f1", "a", "ann")
    for release in ("r1", "r2"):
        world.ship("a", release)
        await world.settle()
    assert len(told(world)) == mails
    assert {row.state for row in world.store.ledger.values()} == ({"sent"} if tell_again else {"sent", "already_told"})


async def test_each_telling_status_is_told(world: World) -> None:
    world = World(statuses=("planned", "shipped"))
    world.contact("ann")
    world.link("f1", "a", "ann")
    for status in ("planned", "shipped", "closed"):
        world.decide("status_changed", idea_id="a", status=status, release_id="r1")
        await world.settle()
    assert sorted(row.alert.status for row in world.store.ledger.values() if row.state == "sent") == ["planned", "shipped"]


async def test_a_request_that_is_taken_back_before_the_mail_is_not_answered(world: World) -> None:
    world.link("f1", "a", "ann")
    world.ship("a")
    world.decide("unlinked", feedback_id="f1", idea_id="a", reason="retraction")
    await world.settle()
    assert told(world) == []
    row = world.row("a", "ann")
    assert (row.state, row.history[-1].reason.startswith("the request was taken back")) == ("suppressed", True)
    world.link("f1", "a", "ann")
    await world.settle()
    assert told(world) == ["ann"]


async def test_an_unmerge_takes_back_what_was_not_told_yet(world: World) -> None:
    world.mailer.verdict = lambda _: POSTPONED
    world.link("f1", "b", "ann")
    world.decide("merged", idea_id="b", other_idea_id="a")
    world.ship("a")
    await world.pump(Decision.TOPIC, 100)
    await world.pump(PersonEvent.TOPIC, 100)
    await world.pump(Alert.TOPIC, 100)
    assert world.row("b", "ann").state == "deferred"
    world.decide("unmerged", idea_id="b", other_idea_id="a")
    world.mailer.verdict = lambda _: Accepted()
    await world.settle()
    assert world.row("b", "ann").state == "suppressed"


async def test_joined_persons_are_told_once_by_one_sender(world: World) -> None:
    world.know("joined", "eve", other_person_id="ann")
    world.know("joined", "ann", other_person_id="bob")
    for number, person in enumerate(("eve", "ann", "bob")):
        world.link(f"f{number}", "a", person)
    world.ship("a")
    await world.settle()
    assert told(world) == ["bob"]
    assert sorted(world.states().values()) == ["already_told", "already_told", "sent"]


async def test_a_contact_that_comes_later_is_used(world: World) -> None:
    world.link("f1", "a", "eve")
    world.ship("a")
    await world.settle()
    assert world.row("a", "eve").state == "unreachable"
    world.clock.time += 29 * DAY
    world.contact("eve", "not an address")
    await world.settle()
    assert world.row("a", "eve").state == "unreachable"
    assert [verdict.outcome for verdict in world.row("a", "eve").history] == ["pending", "unreachable"]
    world.contact("eve")
    await world.settle()
    assert told(world) == ["eve"]


async def test_a_contact_that_comes_too_late_is_not(world: World) -> None:
    world.link("f1", "a", "eve")
    world.ship("a")
    await world.settle()
    world.clock.time += 31 * DAY
    world.contact("eve")
    await world.settle()
    assert told(world) == []


@pytest.mark.parametrize(
    ("preference", "reason"),
    [
        ({}, "opted out of all messages"),
        ({"channel": "email"}, "opted out of all messages by email"),
        ({"idea_id": "a"}, "opted out of this idea"),
        ({"idea_id": "root", "channel": "email"}, "opted out of this idea by email"),
        ({"channel": "slack"}, None),
        ({"idea_id": "b"}, None),
    ],
)
async def test_opt_outs(world: World, preference: dict[str, str], reason: str | None) -> None:
    world.know("preference", "ann", opted_out=True, **preference)
    world.link("f1", "a", "ann")
    world.decide("merged", idea_id="a", other_idea_id="root")
    world.ship("root")
    await world.settle()
    row = world.row("a", "ann")
    assert (row.state, row.history[-1].reason) == (("sent", "accepted by the mail server") if reason is None else ("opted_out", reason))


async def test_the_last_word_of_a_preference_holds_whenever_it_is_read(world: World) -> None:
    out = world.know("preference", "ann", opted_out=True)
    world.know("preference", "ann", opted_out=False)
    world._append(CODEC.output(out), 0)
    world.link("f1", "a", "ann")
    world.ship("a")
    await world.settle()
    assert told(world) == ["ann"]


async def test_an_erased_person_is_not_written_to(world: World) -> None:
    world.know("erased", "ann")
    world.link("f1", "a", "ann")
    world.ship("a")
    await world.settle()
    assert (told(world), world.row("a", "ann").state) == ([], "suppressed")


async def test_of_an_erased_person_no_word_is_kept(world: World) -> None:
    opened = world.decide("opened", idea_id="a", title="zyx mode")
    world.link("f1", "a", "ann", "zyx mode")
    linked = world.decide("linked", feedback_id="f2", idea_id="a", person_id="bob", text="dark mode")
    world.contact("ann")
    world.contact("bob")
    world.ship("a")
    await world.settle()
    world.know("erased", "ann")
    hers = next(d for d in world.decisions() if d.feedback_id == "f1")
    for decision in (replace(opened, title=""), replace(hers, text="")):
        world.say_again(decision)
    world.decide("renamed", idea_id="a", title="dark mode")
    await world.settle()
    assert "zyx" not in repr((world.store.log, world.store.ledger, world.store.people))
    assert (world.row("a", "bob").alert.quote, world.row("a", "bob").alert.title) == ("dark mode", "(erased)")
    assert world.row("a", "bob").state == "sent"
    assert linked.text == "dark mode"
    world.contact("cid")
    world.link("f3", "a", "cid")
    await world.settle()
    assert told(world) == ["ann", "bob", "cid"]
    assert world.row("a", "cid").alert.title == "dark mode"


async def test_a_waiting_row_does_not_wait_for_the_lease_of_the_one_before(world: World) -> None:
    world.mailer.verdict = lambda _: POSTPONED
    world.link("f1", "a", "ann")
    world.ship("a")
    for topic in (PersonEvent.TOPIC, Decision.TOPIC, Alert.TOPIC):
        await world.pump(topic, 100)
    world.clock.time += 100 * SECOND
    await world.tick(publish=False)  # taken up, and lost with the process
    world.link("f2", "b", "ann")
    world.decide("merged", idea_id="b", other_idea_id="a")
    await world.pump(Decision.TOPIC, 100)
    await world.pump(Alert.TOPIC, 100)
    due_at = world.row("b", "ann").due_at
    assert due_at is not None
    assert due_at <= world.clock.time + 5 * SECOND


async def test_a_mail_that_may_have_gone_out_comes_before_any_other_though_the_server_has_gone_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(tell_again=False)
    world.contact("ann")
    world.link("f1", "a", "ann")
    world.ship("a", "r1")
    for topic in (PersonEvent.TOPIC, Decision.TOPIC):
        await world.pump(topic, 100)

    async def die(_: object) -> None:
        raise Crash

    monkeypatch.setattr(world.store, "settle", die)
    await world.pump(Alert.TOPIC, 1)
    monkeypatch.undo()
    world.mailer.verdict = lambda _: POSTPONED
    await world.pump(Alert.TOPIC, 1)
    world.mailer.verdict = lambda _: Accepted()
    world.ship("a", "r2")
    await world.settle()
    assert len({mail.message_id for mail in world.mailer.accepted}) == 1
    assert sorted(row.state for row in world.store.ledger.values()) == ["already_told", "sent"]


async def test_a_server_that_stays_away_ends_in_failure_with_its_reason(world: World) -> None:
    world.mailer.verdict = lambda _: POSTPONED
    world.link("f1", "a", "ann")
    world.ship("a")
    await world.settle()
    row = world.row("a", "ann")
    assert row.state == "failed"
    assert row.history[-1].reason == "given up after 50 attempts: the mail server said 451 later"


async def test_a_refusal_and_a_broken_template_concern_one_alert_only() -> None:
    class Moody(RecordingChannel):
        def compose(self, letter: Letter) -> Message:
            if letter.alerts[0].person_id == "bob":
                raise Unrenderable("the template shipped.txt fails at line 3: UndefinedError")
            return super().compose(letter)

    def moody(mail: Message) -> Delivery:
        return Refused("the mail server said 550 no") if mail.recipient.startswith("ann") else Accepted()

    world = World(mailer=Moody())
    world.mailer.verdict = moody
    for person in ("ann", "bob", "eve"):
        world.contact(person)
        world.link(f"f-{person}", "a", person)
    world.ship("a")
    await world.settle()
    assert world.states() == {("a", "ann"): "failed", ("a", "bob"): "failed", ("a", "eve"): "sent"}
    assert world.row("a", "bob").history[-1].reason == "the template shipped.txt fails at line 3: UndefinedError"


async def test_very_many_requesters_go_out_in_portions() -> None:
    world = World()
    people = [f"person{number}" for number in range(DIRECT_ALERTS + 300)]
    for person in people:
        world.contact(person)
        world.link(f"f-{person}", "a", person)
    world.ship("a")
    await world.pump(PersonEvent.TOPIC, 10_000)
    await world.pump(Decision.TOPIC, 10_000, commit=False)
    assert len(world.records[Alert.TOPIC]) == DIRECT_ALERTS
    await world.settle()
    assert sorted(told(world)) == sorted(people)


async def test_a_redelivered_decision_publishes_the_same_bytes_and_a_repeated_one_none(world: World) -> None:
    world.link("f1", "a", "ann")
    world.link("f2", "a", "bob")
    world.ship("a")
    await world.pump(Decision.TOPIC, 100, commit=False)
    first = [record.value for record in world.records[Alert.TOPIC]]
    await world.pump(Decision.TOPIC, 2)
    await world.pump(Decision.TOPIC, 100)
    assert [record.value for record in world.records[Alert.TOPIC]] == first * 2
    world.publish_again(Decision.TOPIC, 4)
    await world.pump(Decision.TOPIC, 1)
    assert world.outcomes[-1] == Drop("repeat")


async def test_an_alert_that_the_ledger_does_not_know_is_dead_lettered(world: World) -> None:
    world.link("f1", "a", "ann")
    world.ship("a")
    await world.pump(Decision.TOPIC, 100)
    other = World()
    record = world.records[Alert.TOPIC][0]
    (outcome,) = await other._handle[Alert.TOPIC]([Received(record, CODEC.decoder(Alert)(record))])
    assert isinstance(outcome, Reject)
    assert outcome.reason == "unknown_alert"


async def test_tombstones_are_passed_over(world: World) -> None:
    for topic in (Decision.TOPIC, PersonEvent.TOPIC):
        (outcome,) = await world._handle[topic]([Received(Record(topic, 0, 0, 0, b"k", None), None)])
        assert isinstance(outcome, Drop)


async def test_an_alert_goes_to_the_partition_of_whom_the_person_turned_out_to_be(world: World) -> None:
    world.know("joined", "eve", other_person_id="bob")
    world.link("f1", "a", "eve")
    world.ship("a")
    for topic in (PersonEvent.TOPIC, Decision.TOPIC, Alert.TOPIC):
        await world.pump(topic, 100)
    assert isinstance(world.outcomes[-1], Emit)
    assert [record.partition for record in world.records[Alert.TOPIC]] == [sum(b"eve") % 3, sum(b"bob") % 3]


def test_waits_double_up_to_the_longest_and_end() -> None:
    schedule = Schedule(base_seconds=30, longest_seconds=100, attempts=5, hours=1)
    waits = [schedule.next(failures, 0, 0, 0.999999) for failures in range(1, 6)]
    assert [None if wait is None else round(wait / SECOND) for wait in waits] == [30, 60, 100, 100, None]
    assert schedule.next(1, 0, 3600 * SECOND, 0.5) is None
    assert schedule.next(4, 0, 0, 0.0) == 0


async def test_an_address_that_can_be_used_goes_before_one_that_cannot(world: World) -> None:
    world.contact("zoe", "not an address")
    world.know("joined", "ann", other_person_id="zoe")
    world.link("f1", "a", "zoe")
    world.ship("a")
    await world.settle()
    assert told(world) == ["ann"]


async def test_what_a_dead_worker_took_up_goes_on_as_soon_as_its_partition_is_owned_again(world: World) -> None:
    world.mailer.verdict = lambda _: POSTPONED
    world.link("f1", "a", "ann")
    world.ship("a")
    for topic in (PersonEvent.TOPIC, Decision.TOPIC, Alert.TOPIC):
        await world.pump(topic, 100)
    world.clock.time += 100 * SECOND
    assert await world.tick(publish=False) == 1
    assert await world.tick() == 1
    assert await world.tick() == 0
    world.mailer.verdict = lambda _: Accepted()
    await world.pump(Alert.TOPIC, 100)
    assert (world.row("a", "ann").state, world.row("a", "ann").attempt) == ("sent", 2)


async def test_what_shipped_while_it_was_merged_away_is_news_to_those_who_come_to_it_once_it_is_parted() -> None:
    world = World()
    for person, idea in (("ann", "a"), ("bob", "b"), ("cora", "c")):
        world.know("contact", person, channel="email", address=f"{person}@example.com")
        world.link(f"f-{person}", idea, person)
    world.decide("merged", idea_id="a", other_idea_id="b", root_id="b")
    world.ship("a", "r1")
    await world.settle()
    assert (world.row("a", "ann").state, world.row("b", "bob").state) == ("sent", "sent")

    world.decide("unmerged", idea_id="a", other_idea_id="b", root_id="a")
    world.decide("merged", idea_id="c", other_idea_id="a", root_id="a")
    await world.settle()

    assert world.row("c", "cora").state == "sent"
    assert len([row for row in world.store.ledger.values() if row.state == "sent"]) == 3
