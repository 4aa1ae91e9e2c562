"""Messages of which nobody knows whether they arrived, and decisions that make more rows than are written at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.events import Alert, Decision, PersonEvent
from services.common.values import altered, made_of, named
from services.notifier.domain import row as row_module
from services.notifier.domain.manners import Manners
from services.notifier.domain.row import Row, Verdict
from services.notifier.ports import Accepted, Delivery, Postponed, Refused
from tests.fakes_notifier import RecordingChannel
from tests.unit.notifier_world import World

NO_ANSWER = Postponed("the connection to the mail server broke", unknown=True)


def world_of(email: RecordingChannel, slack: RecordingChannel) -> World:
    world = World(channels=(email, slack), manners=Manners(channels=("email", "slack")))
    for channel in ("email", "slack"):
        world.know("contact", "ann", channel=channel, address=f"ann@{channel}.example")
    world.link("f1", "a", "ann")
    return world


async def first_attempt(world: World) -> None:
    for topic in (PersonEvent.TOPIC, Decision.TOPIC, Alert.TOPIC):
        await world.pump(topic, 100)


async def test_who_may_have_a_mail_is_told_by_no_other_channel() -> None:
    email, slack = RecordingChannel(), RecordingChannel("slack")
    email.verdict = lambda _: NO_ANSWER
    world = world_of(email, slack)
    world.ship("a")
    await world.settle()
    row = world.row("a", "ann")
    assert (row.state, row.doubted, slack.accepted) == ("failed", True, [])
    assert row.history[-1].reason.startswith("given up after 50 attempts, and one of them may have reached them: ")
    last = world.log[-1]
    assert (last.outcome, last.may_have_arrived) == ("failed", True)


async def test_a_later_refusal_does_not_end_the_doubt_and_a_later_answer_does() -> None:
    email, slack = RecordingChannel(), RecordingChannel("slack")
    answers: list[Delivery] = [NO_ANSWER, Refused("the mail server said 550 no")]
    email.verdict = lambda _: answers.pop(0) if answers else Accepted()
    world = world_of(email, slack)
    world.link("f2", "b", "ann")
    world.decide("merged", idea_id="a", other_idea_id="b", root_id="b")
    world.ship("b")
    await world.settle()
    assert sorted(row.state for row in world.store.ledger.values()) == ["already_told", "failed"]
    assert slack.accepted == []
    answers[:] = [NO_ANSWER]
    world.link("f3", "c", "ann")
    world.ship("c", "r3")
    await world.settle()
    assert (world.row("c", "ann").state, world.row("c", "ann").doubted) == ("sent", False)


async def test_who_opts_out_gets_no_second_attempt_though_the_first_may_have_arrived() -> None:
    email, slack = RecordingChannel(), RecordingChannel("slack")
    email.verdict = lambda _: NO_ANSWER
    world = world_of(email, slack)
    world.ship("a")
    await first_attempt(world)
    assert world.row("a", "ann").doubted
    world.know("preference", "ann", opted_out=True)
    email.verdict = lambda _: Accepted()
    await world.settle()
    assert (world.row("a", "ann").state, email.accepted, slack.accepted) == ("opted_out", [], [])


async def test_a_doubt_survives_the_store() -> None:
    email, slack = RecordingChannel(), RecordingChannel("slack")
    email.verdict = lambda _: NO_ANSWER
    world = world_of(email, slack)
    world.ship("a")
    await first_attempt(world)
    world.lose(compacted=True)
    email.verdict = lambda _: Refused("the mail server said 550 no")
    await world.settle()
    assert (world.row("a", "ann").state, world.row("a", "ann").doubted, slack.accepted) == ("failed", True, [])


async def test_what_failed_at_an_address_goes_to_the_one_that_is_given_anew_once() -> None:
    email, slack = RecordingChannel(), RecordingChannel("slack")
    email.verdict = lambda mail: Accepted() if mail.recipient == "new@email.example" else Refused("the mail server said 550 no")
    world = World(channels=(email, slack), manners=Manners(channels=("email", "slack")))
    for person in ("ann", "bob"):
        world.know("contact", person, channel="email", address=f"{person}@email.example")
        world.link(f"f-{person}", "a", person)
    world.ship("a")
    await world.settle()
    world.know("contact", "ann", channel="email", address="new@email.example")
    await world.settle()
    assert {person: world.row("a", person).state for person in ("ann", "bob")} == {"ann": "sent", "bob": "failed"}
    world.know("contact", "bob", channel="slack", address="bob@slack.example")
    await world.settle()
    assert world.row("a", "bob").state == "failed", "slack had not failed them, and email is the same"
    world.restart()
    world.positions = dict.fromkeys(world.positions, 0)
    tried = len(world.row("a", "bob").history)
    await world.settle()
    assert len(world.row("a", "bob").history) == tried, "reading it again tries nothing again"


async def test_what_failed_at_the_address_of_whom_they_turned_out_not_to_be_stays_so_however_often_it_is_read() -> None:
    email = RecordingChannel()
    email.verdict = lambda _: Refused("the mail server said 550 no")
    world = World(channels=(email,))
    world.contact("ann")
    world.contact("bob")
    world.know("joined", "bob", other_person_id="ann")
    world.link("f1", "a", "bob")
    world.ship("a")
    await world.settle()
    world.know("separated", "bob", other_person_id="ann")
    await world.settle()
    assert world.row("a", "bob").history[-1].contact_of == "ann"
    email.verdict = lambda _: Accepted()
    world.restart()
    world.positions = dict.fromkeys(world.positions, 0)
    await world.settle()
    assert (world.row("a", "bob").state, email.accepted) == ("failed", [])


@pytest.mark.parametrize("gone", [True, False])
async def test_what_bounced_goes_to_the_next_address_unless_it_is_too_late(gone: bool) -> None:
    email = RecordingChannel()
    world = World(channels=(email,))
    world.know("contact", "ann", channel="email", address="ann@email.example")
    world.link("f1", "a", "ann")
    world.ship("a")
    await world.settle()
    world.report(email.accepted[0].message_id, "bounced", address_gone=gone)
    await world.settle()
    assert world.row("a", "ann").state == "bounced"
    world.clock.time += 29 * 86_400_000_000
    world.know("contact", "ann", channel="email", address="new@email.example")
    await world.settle()
    assert (world.row("a", "ann").state, email.accepted[-1].recipient) == ("sent", "new@email.example")
    world.report(email.accepted[-1].message_id, "bounced", address_gone=gone)
    world.clock.time += 2 * 86_400_000_000
    world.know("contact", "ann", channel="email", address="third@email.example")
    await world.settle()
    assert world.row("a", "ann").state == "bounced"


async def test_one_message_to_two_who_are_separated_before_its_word_is_out_is_said_of_both() -> None:
    email = RecordingChannel()
    world = World(channels=(email,), manners=Manners(channels=("email",), cap=5))
    world.know("contact", "ann", channel="email", address="ann@email.example")
    world.know("joined", "bob", other_person_id="ann")
    world.link("f1", "a", "ann")
    world.link("f2", "b", "bob")
    world.ship("a")
    world.ship("b", "r2")
    await world.pump(PersonEvent.TOPIC, 10)
    await world.pump(Decision.TOPIC, 10)
    await world.pump(Alert.TOPIC, 1, publish=False, commit=False)
    assert len(email.accepted) == 1
    world.know("separated", "bob", other_person_id="ann")
    await world.settle()
    assert len(email.accepted) == 1
    last = {outcome.alert_id: outcome.outcome for outcome in world.log}
    assert last == {row.alert_id: row.state for row in world.store.ledger.values()}
    assert set(last.values()) == {"sent"}


async def _crowd(world: World, count: int) -> None:
    for number in range(count):
        world.know("contact", f"p{number}", channel="email", address=f"p{number}@email.example")
        world.link(f"f{number}", "a", f"p{number}")
    world.ship("a")
    await world.pump(PersonEvent.TOPIC, 10_000)


async def test_a_decision_that_makes_very_many_rows_is_done_before_they_are_all_there() -> None:
    email = RecordingChannel()
    world = World(channels=(email,))
    await _crowd(world, 1_700)
    await world.pump(Decision.TOPIC, 10_000)
    assert len(world.store.ledger) == 500
    world.link("late", "b", "p1699")
    world.ship("b", "r2")
    world.decide("unlinked", feedback_id="f1600", idea_id="a", reason="retraction")
    await world.pump(Decision.TOPIC, 10_000)
    assert len(world.store.ledger) == 501, "another idea does not wait"
    await world.tick()
    assert len(world.store.ledger) == 1_501
    world.restart()
    await world.settle()
    assert len(world.store.ledger) == 1_701
    assert world.row("a", "p1600").state == "suppressed"
    assert len({mail.recipient for mail in email.accepted}) == 1_699
    assert world.store.unfinished == {}
    said = [outcome for outcome in world.log if outcome.outcome == "pending"]
    assert {outcome.alert_id for outcome in said} == set(world.store.ledger)


async def test_a_piece_whose_words_were_lost_with_the_process_says_them_again() -> None:
    world = World()
    with patch.object(row_module, "DIRECT_ALERTS", 2):
        await _crowd(world, 6)
        await world.pump(Decision.TOPIC, 10_000)
        await world.tick(publish=False)
        await world.settle()
    assert [outcome.outcome for outcome in world.log].count("pending") == 6
    for row in world.store.ledger.values():
        assert [o.outcome for o in world.log if o.alert_id == row.alert_id][-1] == row.state == "sent"


_CHANGES: dict[str, Any] = {"reason": "x", "attempt": 7, "channel": "slack", "is_gone": True}


@given(names=st.sets(st.sampled_from(sorted(_CHANGES))))
def test_altered_is_replace(names: set[str]) -> None:
    verdict = Verdict(outcome="sent", reason="accepted", attempt=1, at=7, origin="o")
    changes = {name: _CHANGES[name] for name in names}
    assert altered(verdict, **changes) == replace(verdict, **changes)
    assert made_of(Verdict, named(altered(verdict, **changes))) == replace(verdict, **changes)


def test_what_has_no_such_field_is_refused() -> None:
    with pytest.raises(KeyError):
        altered(Verdict(outcome="sent", reason="", attempt=1, at=7, origin="o"), colour="red")
    with pytest.raises(KeyError):
        made_of(Row, {"sequence": 1})


@pytest.mark.parametrize("published", [True, False])
async def test_what_is_told_along_before_its_first_word_is_out_is_said_whole(published: bool) -> None:
    email = RecordingChannel()
    email.verdict = lambda _: Postponed("the mail server is away")
    world = World(channels=(email,), manners=Manners(cap=5))
    world.contact("ann")
    for feedback, idea in (("f1", "a"), ("f2", "b")):
        world.link(feedback, idea, "ann")
    world.ship("b")
    await first_attempt(world)
    world.ship("a")
    await world.pump(Decision.TOPIC, 20, publish=False, commit=False)
    email.verdict = lambda _: Accepted()
    world.clock.time += 3_600_000_000
    await world.tick()
    await world.pump(Alert.TOPIC, 20, publish=published, commit=published)
    alert_id = world.row("a", "ann").alert_id
    assert (world.row("a", "ann").state, len(email.accepted)) == ("sent", 1)
    await world.settle()
    assert list(dict.fromkeys(said.outcome for said in world.log if said.alert_id == alert_id)) == ["pending", "sent"]
