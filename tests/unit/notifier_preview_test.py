"""What a preview foresees is what happens then."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from services.common.events import Decision, NotificationOutcome, PersonEvent, PersonSegments
from services.common.records import Received, Record
from services.notifier.definition import Notifications
from services.notifier.domain.letter import Letter
from services.notifier.domain.telling import Send
from services.notifier.handler.segments import SegmentsHandler
from services.notifier.offline import TOPICS, Forecast, Foreseen, Release
from services.notifier.ports import Channel, Message
from services.notifier.rehearsal import REHEARSED, Rehearsal
from tests.fakes_notifier import MemoryStore, RecordingChannel
from tests.unit.notifier_world import CODEC, World

DEFINITION = Notifications(version=1, product="Lumora")
PEOPLE = ("ann", "bob", "cem")


async def foreseen(world: World, name: str, status: str = "shipped") -> list[Foreseen]:
    channel = RecordingChannel()
    forecast = Forecast(MemoryStore(), CODEC, DEFINITION, {channel.name: channel})
    return await forecast.foresee(records_of(world), name, Release(status), world.clock.time)


def records_of(world: World) -> dict[str, list[Record]]:
    read = {topic: world.records[topic] for topic in (PersonEvent.TOPIC, PersonSegments.TOPIC)}
    records = {Decision.TOPIC: world.decided, NotificationOutcome.TOPIC: world.said, **read}
    assert set(records) == set(TOPICS)
    return records


async def test_everyone_who_asked_is_listed_with_what_would_become_of_them() -> None:
    world = World()
    world.decide("opened", idea_id="a", title="Idea a")
    world.contact("ann")
    world.contact("bob")
    world.know("preference", "bob", opted_out=True)
    for person in PEOPLE:
        world.link(f"f-{person}", "a", person)
    await world.settle()
    found = {one.row.alert.person_id: (one.outcome, one.reason) for one in await foreseen(world, "a")}
    assert found == {
        "ann": ("would be told", "by email"),
        "bob": ("opted_out", "opted out of all messages"),
        "cem": ("unreachable", "no e-mail address is known"),
    }


async def test_where_people_were_told_already_that_is_what_is_shown() -> None:
    world = World()
    world.decide("opened", idea_id="a", title="Idea a")
    world.contact("ann")
    world.link("f1", "a", "ann")
    world.ship("a")
    await world.settle()
    [one] = await foreseen(world, "a")
    assert (one.outcome, one.step) == ("sent", None)


async def test_looking_says_nothing_to_anybody() -> None:
    world = World()
    world.decide("opened", idea_id="a", title="Idea a")
    world.contact("ann")
    world.link("f1", "a", "ann")
    before = {topic: list(records) for topic, records in world.records.items()}
    [one] = await foreseen(world, "a")
    assert isinstance(one.step, Send)
    assert before == {topic: list(records) for topic, records in world.records.items()}
    assert world.mailer.accepted == []


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("link"), st.sampled_from(PEOPLE), st.sampled_from("ab")),
        st.tuples(st.just("opt out"), st.sampled_from(PEOPLE), st.sampled_from("ab")),
        st.tuples(st.just("contact"), st.sampled_from(PEOPLE), st.just("a")),
        st.tuples(st.just("join"), st.sampled_from(PEOPLE[:2]), st.just("a")),
        st.tuples(st.just("merge"), st.just("ann"), st.just("a")),
    ),
    max_size=12,
)


async def _holds(steps: list[tuple[str, str, str]]) -> None:
    world = World()
    for name in "ab":
        world.decide("opened", idea_id=name, title=f"Idea {name}")
    merged = False
    for number, (step, person, name) in enumerate(steps):
        if step == "link":
            world.link(f"f{number}", name, person)
        elif step == "opt out":
            world.know("preference", person, opted_out=True, idea_id=name)
        elif step == "contact":
            world.contact(person)
        elif step == "join":
            world.know("joined", person, other_person_id="cem")
        elif not merged:
            merged = True
            world.decide("merged", idea_id="b", other_idea_id="a", root_id="a")
    await world.settle()
    before = {(one.row.alert.person_id, one.row.alert.idea_id): one.outcome for one in await foreseen(world, "a")}
    world.ship("a")
    await world.settle()
    after = {(row.alert.person_id, row.alert.idea_id): row.state for row in world.store.ledger.values()}
    assert before.keys() == after.keys()
    for place, state in after.items():
        if state == "already_told":  # by another of their own rows, whatever else kept this one silent
            assert before[place] != "would be told"
        else:
            assert state == {"would be told": "sent"}.get(before[place], before[place])


@given(_STEPS)
def test_what_is_foreseen_is_what_happens(steps: list[tuple[str, str, str]]) -> None:
    asyncio.run(_holds(steps))


async def test_a_dry_run_renders_everything_sends_nothing_and_its_rows_say_so() -> None:
    world = World()
    world.decide("opened", idea_id="a", title="Idea a")
    world.know("profile", "cem", traits_json='{"timezone": "Asia/Tokyo"}')
    for person in PEOPLE:
        world.contact(person)
        world.link(f"f-{person}", "a", person)
    world.know("preference", "bob", opted_out=True)
    world.know("preference", "cem", opted_out=False, quiet_hours="00:00-23:59")
    await world.settle()
    channel, store = RecordingChannel(), MemoryStore()
    channels: dict[str, Channel] = {channel.name: channel}
    rows = await Forecast(store, CODEC, DEFINITION, channels).foresee(records_of(world), "a", Release("shipped"), world.clock.time)
    rehearsal = Rehearsal(store, CODEC, world.clock, DEFINITION, channels)
    after = {row.alert.person_id: row for row in await rehearsal.run([one.row for one in rows])}
    assert channel.accepted == []
    assert [message.recipient for message in rehearsal.channels["email"].messages] == ["ann@example.com"]
    assert {who: (row.state, row.history[-1].reason) for who, row in after.items()} == {
        "ann": ("sent", REHEARSED),
        "bob": ("opted_out", "opted out of all messages"),
        "cem": ("deferred", "these are their quiet hours"),
    }


async def test_words_are_by_the_segments_that_people_are_in() -> None:
    class Attentive(RecordingChannel):
        def compose(self, letter: Letter) -> Message:
            return Message(letter.address, f"<{letter.id}@test.example>", " ".join(letter.segments).encode())

    email = Attentive()
    world = World(channels=(email,))
    for person in (*PEOPLE, "cam"):
        world.contact(person)
    world.segment("ann", 2, plan="enterprise", lifecycle="active")
    world.segment("ann", 1, plan="free")
    world.segment("bob", 1, plan="free")
    world.segment("cam", 1, plan="team")
    world.know("joined", "cam", other_person_id="cem")
    for person in PEOPLE:
        world.link(f"f-{person}", "a", person)
    world.ship("a")
    await world.settle()
    said = {mail.recipient: mail.body.decode() for mail in email.accepted}
    assert said["ann@example.com"] == "lifecycle=active plan=enterprise"
    assert said["cem@example.com"] == "plan=team"
    assert said["bob@example.com"] == "plan=free"
    world.lose(compacted=True)
    assert await world.complete()
    assert world.store.people["ann"].segments == ("lifecycle=active", "plan=enterprise")


async def test_who_is_erased_is_in_no_segment() -> None:
    world = World()
    world.segment("ann", 1, plan="free")
    world.segment("bob", 1, plan="free")
    await world.settle()
    world.know("erased", "bob")
    await world.settle()
    assert (world.store.people["ann"].segments, world.store.people["bob"].segments) == (("plan=free",), ())
    handler, tombstone = SegmentsHandler(world.store), Record(PersonSegments.TOPIC, 0, 9, 0, b"ann", None)
    await handler.handle([Received(tombstone, None)])
    assert world.store.people["ann"].segments == ()
