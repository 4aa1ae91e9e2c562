"""Channels, fallback, digests, quiet hours, caps and rates, story by story."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.clock import Micros
from services.common.events import Alert, Decision, DeliveryReport, PersonEvent
from services.common.outcome import Reject
from services.common.records import Output, Received
from services.notifier.domain.letter import Letter
from services.notifier.domain.manners import WEEK, Manners, Past, Quiet, digest_moment, hold
from services.notifier.domain.pace import Limits, Pace
from services.notifier.domain.telling import SECOND, WEBHOOK_STEPS
from services.notifier.ports import Accepted, Disabled, Message, Refused, Unrenderable
from tests.fakes_notifier import POSTPONED, RecordingChannel
from tests.unit.notifier_world import CODEC, Crash, World

ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca"]
MOMENTS = st.integers(1_500_000_000, 1_900_000_000).map(lambda second: second * SECOND)


def at(text: str, zone: str = "UTC") -> Micros:
    """Return the moment of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def local(moment: Micros, zone: str) -> datetime:
    return datetime.fromtimestamp(moment / SECOND, UTC).astimezone(ZoneInfo(zone))


def world_of(*channels: RecordingChannel, manners: Manners | None = None, limits: Limits | None = None) -> World:
    world = World(channels=channels, manners=manners or Manners(), limits=limits or Limits())
    for idea in ("a", "b", "c"):
        world.decide("opened", idea_id=idea, title=f"Idea {idea}")
    return world


def reached(world: World, person: str, *channels: str) -> None:
    for channel in channels:
        world.know("contact", person, channel=channel, address=f"{person}@{channel}.example")


def ask(world: World, person: str, *ideas: str) -> None:
    for idea in ideas:
        world.link(f"f-{person}-{idea}", idea, person)


async def read(world: World) -> None:
    for topic in (PersonEvent.TOPIC, Decision.TOPIC, Alert.TOPIC):
        await world.pump(topic, 1000)


@given(since=MOMENTS, zone=st.sampled_from(ZONES), minute=st.integers(0, 1439), weekday=st.integers(0, 6))
def test_a_digest_leaves_at_its_hour_within_its_rhythm(since: Micros, zone: str, minute: int, weekday: int) -> None:
    for rhythm, longest in (("daily", 1), ("weekly", 7)):
        manners = Manners(digest=rhythm, digest_minute=minute, digest_weekday=weekday, zone=zone)  # type: ignore[arg-type]
        moment = digest_moment(since, manners)
        assert since < moment <= since + (longest * 24 + 2) * 3600 * SECOND
        shown = local(moment, zone)
        if shown.hour * 60 + shown.minute != minute:  # the clocks are put forward over it
            assert local(moment - 3 * 3600 * SECOND, zone).utcoffset() != local(moment + 3 * 3600 * SECOND, zone).utcoffset()
        elif rhythm == "weekly":
            assert shown.weekday() == weekday


@given(now=MOMENTS, zone=st.sampled_from(ZONES), start=st.integers(0, 1439), end=st.integers(0, 1439))
def test_quiet_hours_end_and_nothing_else_is_quiet(now: Micros, zone: str, start: int, end: int) -> None:
    manners = Manners(quiet=Quiet(start, end), zone=zone)
    shown = local(now, zone)
    minute = shown.hour * 60 + shown.minute
    is_quiet = start <= minute < end if start <= end else minute >= start or minute < end
    held = hold(manners, Past(now), now)
    assert (held is not None) == is_quiet
    for _ in range(3):  # an hour may repeat, or be left out
        if held is not None:
            assert now < held.until <= now + 26 * 3600 * SECOND
            held = hold(manners, Past(now), held.until)
    assert held is None


@given(times=st.lists(st.integers(0, 3 * WEEK // SECOND), max_size=8), cap=st.integers(1, 4))
def test_a_cap_ends_when_enough_messages_are_a_week_old(times: Sequence[int], cap: int) -> None:
    now = 1_700_000_000 * SECOND
    told = [now - seconds * SECOND for seconds in times]
    held = hold(Manners(cap=cap), Past(now, told), now)
    assert (held is not None) == (sum(moment > now - WEEK for moment in told) >= cap)
    if held is not None:
        assert sum(moment > held.until - WEEK for moment in told) == cap - 1 or len(set(told)) < len(told)
        assert hold(Manners(cap=cap), Past(now, told), held.until) is None


@given(gaps=st.lists(st.integers(0, 20), min_size=1, max_size=200), rate=st.sampled_from([6.0, 60.0, 600.0]))
def test_no_minute_sees_more_than_its_limit_and_one_more_burst(gaps: Sequence[int], rate: float) -> None:
    pace, now, left = Pace(Limits({"email": rate})), 0, list[Micros]()
    for gap in gaps:
        now += gap * SECOND // 10
        if pace.ask("email", "ann@example.com", now) is None:
            left.append(now)
    for moment in left:
        assert sum(moment <= other < moment + 60 * SECOND for other in left) <= rate + rate / 60 + 2


def test_what_must_wait_for_its_place_gets_one_after_the_other_and_domains_do_not_hold_up_each_other() -> None:
    pace = Pace(Limits({}, {"slow.example": 60, "*": 6000}))
    pace.share(0.5)
    holds = [pace.ask("email", "ann@Slow.example", 0) for _ in range(6)]
    waits = [held.until for held in holds if held is not None]
    assert len(waits) >= 4
    assert [later - earlier for earlier, later in pairwise(waits)] == [2 * SECOND] * (len(waits) - 1)
    assert pace.ask("email", "bob@quick.example", 0) is None
    assert pace.ask("webhook", "https://slow.example/hook", 0) is None


async def test_a_daily_digest_is_one_message_of_all_that_waits_and_each_row_says_so() -> None:
    email = RecordingChannel()
    world = world_of(email, manners=Manners(digest="daily"))
    reached(world, "ann", "email")
    ask(world, "ann", "a", "b", "c")
    for number, idea in enumerate("abc"):
        world.ship(idea, f"r{number}")
    await read(world)
    assert email.accepted == []
    assert {row.history[-1].reason for row in world.store.ledger.values()} == {"kept for their daily digest"}
    await world.settle()
    assert len(email.accepted) == 1
    rows = list(world.store.ledger.values())
    assert {row.state for row in rows} == {"sent"}
    assert {row.history[-1].message_id for row in rows} == {email.accepted[0].message_id}
    sent_at = local(rows[0].history[-1].at, "UTC")
    assert (sent_at.hour, sent_at.minute) == (9, 0)


async def test_a_digest_whose_answer_a_crash_lost_is_sent_again_with_the_same_alerts_under_its_id() -> None:
    class Dying(RecordingChannel):
        letters: list[Letter]

        def compose(self, letter: Letter) -> Message:
            self.letters.append(letter)
            return super().compose(letter)

    email = Dying()
    email.letters = []
    world = world_of(email, manners=Manners(digest="daily"))
    reached(world, "ann", "email")
    ask(world, "ann", "a", "b")
    for idea in "ab":
        world.ship(idea, f"r-{idea}")
    await read(world)
    world.clock.time = max(row.due_at or 0 for row in world.store.ledger.values())
    await world.tick()
    settle, world.store.settle = world.store.settle, _dies  # type: ignore[method-assign, assignment]
    await world.pump(Alert.TOPIC, 1)
    world.store.settle = settle  # type: ignore[method-assign]
    assert {row.trying for row in world.store.ledger.values()} == {True}
    ask(world, "ann", "c")
    world.ship("c", "r-c")
    await world.settle()
    assert [len(letter.alerts) for letter in email.letters] == [2, 2, 1]
    assert [mail.message_id for mail in email.accepted[:2]] == [email.accepted[0].message_id] * 2
    assert {row.state for row in world.store.ledger.values()} == {"sent"}


async def _dies(_: object) -> None:
    raise Crash


async def test_who_has_had_enough_this_week_gets_the_rest_together_when_it_is_over() -> None:
    email = RecordingChannel()
    world = world_of(email, manners=Manners(cap=1))
    reached(world, "ann", "email")
    ask(world, "ann", "a", "b", "c")
    world.ship("a", "r1")
    await read(world)
    for idea in "bc":
        world.ship(idea, f"r-{idea}")
    await read(world)
    assert len(email.accepted) == 1
    assert "1 messages within seven days" in world.row("b", "ann").history[-1].reason
    began = world.clock.time
    await world.settle()
    assert len(email.accepted) == 2
    assert world.row("b", "ann").history[-1].message_id == world.row("c", "ann").history[-1].message_id
    assert world.clock.time >= began + WEEK - 100 * SECOND


async def test_what_a_person_wishes_goes_before_what_is_usual() -> None:
    email, slack = RecordingChannel(), RecordingChannel("slack")
    world = world_of(email, slack, manners=Manners(quiet=Quiet(0, 1439)))
    for person in ("ann", "bob"):
        reached(world, person, "email", "slack")
        ask(world, person, "a")
    world.know("preference", "ann", opted_out=False, quiet_hours="off", channels_json='["slack","email"]')
    world.know("preference", "ann", channel="email", opted_out=False, digest_rhythm="weekly")
    world.know("preference", "bob", opted_out=False, quiet_hours="12:00-11:59", time_zone="Asia/Tokyo")
    world.ship("a")
    await read(world)
    assert [message.recipient for message in slack.accepted] == ["ann@slack.example"]
    assert world.row("a", "bob").history[-1].reason == "these are their quiet hours"
    ended = local(world.row("a", "bob").due_at or 0, "Asia/Tokyo")
    assert (ended.hour, ended.minute) == (11, 59)


async def test_what_is_refused_by_one_channel_goes_by_the_next_and_the_row_tells_both() -> None:
    email, slack = RecordingChannel(), RecordingChannel("slack")
    email.verdict = lambda _: Refused("the mail server said 550 no")
    world = world_of(email, slack, manners=Manners(channels=("email", "slack")))
    reached(world, "ann", "email", "slack")
    reached(world, "bob", "email")
    ask(world, "ann", "a")
    ask(world, "bob", "a")
    world.ship("a")
    await world.settle()
    ann = world.row("a", "ann")
    assert [(verdict.outcome, verdict.channel) for verdict in ann.history[1:]] == [("deferred", "email"), ("sent", "slack")]
    assert world.row("a", "bob").state == "failed"
    assert [outcome.outcome for outcome in world.log if outcome.person_id == "ann"] == ["pending", "deferred", "sent"]


async def test_what_may_have_gone_out_by_one_channel_goes_by_no_other() -> None:
    email, slack = RecordingChannel(), RecordingChannel("slack")
    world = world_of(email, slack, manners=Manners(channels=("email", "slack")))
    reached(world, "ann", "email", "slack")
    ask(world, "ann", "a")
    world.ship("a")
    for topic in (PersonEvent.TOPIC, Decision.TOPIC):
        await world.pump(topic, 100)
    settle, world.store.settle = world.store.settle, _dies  # type: ignore[method-assign, assignment]
    await world.pump(Alert.TOPIC, 1)
    world.store.settle = settle  # type: ignore[method-assign]
    email.verdict = lambda _: Refused("the mail server said 550 no")
    world.know("preference", "ann", opted_out=False, channels_json='["slack"]')
    await world.settle()
    assert (len(email.accepted), slack.accepted) == (1, [])
    assert world.row("a", "ann").state == "failed"


async def test_a_server_that_stays_away_makes_way_for_the_next_channel() -> None:
    email, slack = RecordingChannel(), RecordingChannel("slack")
    email.verdict = lambda _: POSTPONED
    world = world_of(email, slack, manners=Manners(channels=("email", "slack")))
    reached(world, "ann", "email", "slack")
    ask(world, "ann", "a")
    world.ship("a")
    await world.settle()
    assert [message.recipient for message in slack.accepted] == ["ann@slack.example"]
    assert "given up after 50 attempts" in world.row("a", "ann").history[-2].reason


async def test_an_address_that_is_gone_is_not_written_to_again_until_they_give_one_anew() -> None:
    email = RecordingChannel()
    email.verdict = lambda _: Disabled("410 Gone")
    world = world_of(email)
    reached(world, "ann", "email")
    ask(world, "ann", "a", "b", "c")
    world.ship("a", "r1")
    await world.settle()
    email.verdict = lambda _: Accepted()
    world.ship("b", "r2")
    await world.settle()
    assert (world.row("a", "ann").state, world.row("b", "ann").state) == ("failed", "unreachable")
    assert world.row("b", "ann").history[-1].reason == "the e-mail address on file does not exist any more"
    world.lose(compacted=True)
    world.ship("c", "r3")
    await world.settle()
    assert world.row("c", "ann").state == "unreachable"
    reached(world, "ann", "email")
    await world.settle()
    assert {idea: world.row(idea, "ann").state for idea in "abc"} == {"a": "sent", "b": "sent", "c": "sent"}


async def test_a_channel_without_addresses_publishes_what_it_says_and_a_redelivery_publishes_it_again() -> None:
    class InApp(RecordingChannel):
        def outputs(self, message: Message, letter: Letter) -> Sequence[Output]:
            return (Output("notifications.inbox", letter.id.encode(), b"hello", letter.address.encode()),)

    inapp = InApp("in_app", needs_address=False)
    world = world_of(inapp, manners=Manners(channels=("in_app",), quiet=Quiet(0, 1439), cap=1))
    ask(world, "ann", "a")
    world.ship("a")
    published: list[Output] = []
    world._publish_other = published.append  # type: ignore[method-assign, assignment]
    for topic in (PersonEvent.TOPIC, Decision.TOPIC):
        await world.pump(topic, 100)
    await world.pump(Alert.TOPIC, 10, publish=False, commit=False)
    await world.pump(Alert.TOPIC, 10, commit=False)
    await world.pump(Alert.TOPIC, 10)
    assert len(inapp.accepted) == 1
    assert len(published) == 2
    assert len(set(published)) == 1


async def test_a_digest_that_no_template_tells_of_leaves_each_alert_to_itself() -> None:
    class Single(RecordingChannel):
        def compose(self, letter: Letter) -> Message:
            if letter.is_digest:
                raise Unrenderable("the template digest.txt fails at line 3: UndefinedError")
            return super().compose(letter)

    email = Single()
    world = world_of(email, manners=Manners(digest="daily"))
    reached(world, "ann", "email")
    ask(world, "ann", "a", "b")
    for idea in "ab":
        world.ship(idea, f"r-{idea}")
    await world.settle()
    assert len(email.accepted) == 2
    assert {row.state for row in world.store.ledger.values()} == {"sent"}


async def test_rates_put_messages_off_and_lose_none() -> None:
    email = RecordingChannel()
    world = world_of(email, limits=Limits({"email": 6}))
    people = [f"p{number}" for number in range(30)]
    for person in people:
        reached(world, person, "email")
        ask(world, person, "a")
    world.ship("a")
    began = world.clock.time
    await world.settle()
    assert sorted(message.recipient for message in email.accepted) == sorted(f"{person}@email.example" for person in people)
    assert world.clock.time >= began + 200 * SECOND
    assert {row.history[1].reason for row in world.store.ledger.values()} >= {"no more messages a minute leave by email"}


async def test_an_alert_of_another_idea_is_not_stuck_behind_very_many() -> None:
    email = RecordingChannel()
    world = world_of(email)
    world._due._limit = 40
    crowd = [f"p{number}" for number in range(900)]
    for person in [*crowd, "zoe"]:
        reached(world, person, "email")
        ask(world, person, "b" if person == "zoe" else "a")
    world.ship("a", "r1")
    await world.pump(PersonEvent.TOPIC, 10_000)
    await world.pump(Decision.TOPIC, 10_000)
    world.ship("b", "r2")
    email.verdict = lambda message: POSTPONED if message.recipient.startswith("zoe") else Accepted()
    for _ in range(3):
        await read(world)
        await world.tick()
        world.clock.time += 10 * SECOND
    email.verdict = lambda _: Accepted()
    world.clock.time += 100 * SECOND  # the longest that a failed attempt is put off
    for _ in range(2):
        await read(world)
        await world.tick()
    await read(world)
    assert "zoe@email.example" in {message.recipient for message in email.accepted}
    assert len(email.accepted) < 750
    await world.settle()
    assert len(email.accepted) == 901


@pytest.mark.parametrize("taken", [False, True])
async def test_what_waits_in_the_outbox_bounds_what_is_taken_up(taken: bool) -> None:
    world = world_of(RecordingChannel())
    world._due._limit = 50
    for number in range(700):
        reached(world, f"p{number}", "email")
        ask(world, f"p{number}", "a")
    world.ship("a")
    await world.pump(PersonEvent.TOPIC, 10_000)
    await world.pump(Decision.TOPIC, 10_000)
    counts = []
    for _ in range(3):
        counts.append(await world.tick())
        if taken:
            await world.pump(Alert.TOPIC, 10_000)
    assert counts == ([50, 50, 50] if taken else [50, 0, 0])


async def test_a_bounce_is_written_down_once_and_the_next_channel_is_tried() -> None:
    email, slack = RecordingChannel(), RecordingChannel("slack")
    world = world_of(email, slack, manners=Manners(channels=("email", "slack")))
    reached(world, "ann", "email", "slack")
    reached(world, "bob", "email")
    for person in ("ann", "bob"):
        ask(world, person, "a", "b")
    world.ship("a", "r1")
    await world.settle()
    ids = {mail.recipient: mail.message_id for mail in email.accepted}
    world.report(ids["ann@email.example"], "delivered")
    for message_id in ids.values():
        world.report(message_id, "bounced", address_gone=True)
        world.report(message_id, "bounced", address_gone=True)
    await world.pump(DeliveryReport.TOPIC, 2, commit=False)
    await world.settle()
    ann, bob = world.row("a", "ann"), world.row("a", "bob")
    assert [verdict.outcome for verdict in ann.history] == ["pending", "sent", "delivered", "deferred", "sent"]
    assert [verdict.outcome for verdict in bob.history] == ["pending", "sent", "bounced"]
    assert [message.recipient for message in slack.accepted] == ["ann@slack.example"]
    in_order = list(dict.fromkeys((outcome.outcome_id, outcome.outcome) for outcome in world.log if outcome.person_id == "ann"))
    assert [outcome for _, outcome in in_order] == ["pending", "sent", "delivered", "deferred", "sent"]
    world.ship("b", "r2")
    await world.settle()
    assert {mail.recipient for mail in email.accepted[2:]} == set()
    assert (world.row("b", "ann").state, world.row("b", "bob").state) == ("sent", "unreachable")


async def test_a_bounce_of_a_digest_concerns_all_its_alerts_though_the_store_was_lost() -> None:
    email = RecordingChannel()
    world = world_of(email, manners=Manners(digest="daily"))
    reached(world, "ann", "email")
    ask(world, "ann", "a", "b")
    for idea in "ab":
        world.ship(idea, f"r-{idea}")
    await world.settle()
    world.lose(compacted=True)
    world.report(email.accepted[0].message_id, "bounced")
    await world.settle()
    assert {row.state for row in world.store.ledger.values()} == {"bounced"}


async def test_a_report_of_an_unknown_message_is_dead_lettered() -> None:
    world = world_of(RecordingChannel())
    world.report("<abcdefghijklmnopqrstuvwx@test.example>", "bounced")
    record = world.records[DeliveryReport.TOPIC][0]
    (outcome,) = await world._handle[DeliveryReport.TOPIC]([Received(record, CODEC.decoder(DeliveryReport)(record))])
    assert isinstance(outcome, Reject)
    assert outcome.reason == "unknown_letter"


def test_a_webhook_is_tried_for_three_days() -> None:
    waits = [WEBHOOK_STEPS.next(failures, 0, 0, 0.0) for failures in range(1, 11)]
    assert [None if wait is None else wait // SECOND for wait in waits] == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, None]
