"""What a preview foresees is what happens then."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from services.common.events import Decision, NotificationOutcome, PersonEvent
from services.notifier.definition import Notifications
from services.notifier.domain.telling import Send
from services.notifier.offline import TOPICS, Forecast, Foreseen, Release
from tests.fakes_notifier import MemoryStore, RecordingChannel
from tests.unit.notifier_world import CODEC, World

DEFINITION = Notifications(version=1, product="Lumora")
PEOPLE = ("ann", "bob", "cem")


async def foreseen(world: World, name: str, status: str = "shipped") -> list[Foreseen]:
    records = {Decision.TOPIC: world.decided, NotificationOutcome.TOPIC: world.said, PersonEvent.TOPIC: world.records[PersonEvent.TOPIC]}
    assert set(records) == set(TOPICS)
    channel = RecordingChannel()
    forecast = Forecast(MemoryStore(), CODEC, DEFINITION, {channel.name: channel})
    return await forecast.foresee(records, name, Release(status), world.clock.time)


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
