"""Whatever happens in whatever order, everyone who asked hears once, and every silence has a reason."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.clock import Micros
from services.common.events import Alert, Decision, PersonEvent, PersonSegments
from services.notifier.domain import row as row_module
from services.notifier.domain.manners import WEEK, Manners, Quiet
from services.notifier.domain.pace import Limits
from services.notifier.domain.row import Row
from services.notifier.ports import Accepted, Delivery, Message, Postponed, Refused
from tests.fakes_notifier import POSTPONED, RecordingChannel
from tests.unit.notifier_world import CODEC, TOPICS, Crash, World, without_attempts

IDEAS = [f"idea{n}" for n in range(4)]
PEOPLE = [f"person{n}" for n in range(3)]

_idea, _person = st.sampled_from(IDEAS), st.sampled_from(PEOPLE)
_small = st.integers(0, 12)
_topic = st.sampled_from([topic for topic in TOPICS if topic != PersonSegments.TOPIC])
_OPERATIONS = st.one_of(
    st.tuples(st.just("link"), _idea, _person),
    st.tuples(st.just("link"), _idea, _person),
    st.tuples(st.just("unlink"), _small),
    st.tuples(st.just("move"), _small, _idea),
    st.tuples(st.just("merge"), _idea, _idea),
    st.tuples(st.just("unmerge"), _idea),
    st.tuples(st.just("ship"), _idea, st.sampled_from(["r1", "r1", "r2", None])),
    st.tuples(st.just("ship"), _idea, st.just("r1")),
    st.tuples(st.just("reopen"), _idea),
    st.tuples(st.just("contact"), _person, st.sampled_from(["", "broken\naddress", None, None])),
    st.tuples(st.just("prefer"), _person, st.sampled_from([*IDEAS, None, None]), st.booleans()),
    st.tuples(st.just("join"), _person, _person),
    st.tuples(st.just("separate"), _person),
    st.tuples(st.just("again"), _topic, _small),
    st.tuples(st.just("pump"), _topic, st.integers(1, 6)),
    st.tuples(st.just("pump"), _topic, st.integers(1, 6)),
    st.tuples(st.just("die"), _topic, st.integers(1, 6), st.booleans()),
    st.tuples(st.just("die_writing"), _topic, st.integers(1, 6), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("die_sending"), st.integers(1, 6), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("tick"), st.integers(0, 200), st.booleans()),
    st.tuples(st.just("server"), st.sampled_from(["up", "up", "down", "mute", "refuses"])),
)
_WISHES = st.fixed_dictionaries(
    {},
    optional={
        "digest_rhythm": st.sampled_from(["off", "daily", "weekly"]),
        "quiet_hours": st.sampled_from(["off", "22:00-08:00", "09:00-17:00"]),
        "time_zone": st.sampled_from(["Europe/Berlin", "Pacific/Auckland", "America/St_Johns"]),
        "channels_json": st.sampled_from(['["slack"]', '["slack","email"]', '["in_app"]', '["pigeon"]']),
    },
)
_MANNERLY = st.one_of(
    _OPERATIONS,
    _OPERATIONS,
    st.tuples(st.just("wish"), _person, st.sampled_from([None, None, "email", "slack"]), _WISHES),
    st.tuples(st.just("contact"), _person, st.sampled_from(["", None, None]), st.just("slack")),
    st.tuples(st.just("wait"), st.integers(1, 50)),
)
"""What people do who say how they want to hear, and by what."""
_MANNERS = st.builds(
    Manners,
    channels=st.sampled_from([("email",), ("email", "slack"), ("slack", "email"), ("email", "slack", "in_app")]),
    digest=st.sampled_from(["off", "off", "daily", "weekly"]),
    quiet=st.sampled_from([None, Quiet(22 * 60, 8 * 60), Quiet(0, 12 * 60)]),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu"]),
    cap=st.sampled_from([None, None, 1, 2]),
)
_DIRECT = st.sampled_from([500, 1, 2])
_LIMITS = st.sampled_from([Limits(), Limits({"email": 1}, {"*": 0.5}), Limits({}, {"example.com": 2})])
_BEGINNINGS = st.permutations(
    [("contact", PEOPLE[0], None), ("contact", PEOPLE[1], None), *[("link", idea, person) for idea in IDEAS[:3] for person in PEOPLE[:2]]]
)
_LOSSES = st.tuples(
    st.just("lose"),
    st.booleans(),
    st.sampled_from([None, 0, 3]),
    st.integers(1, 20),
    st.sampled_from([0, 0, 1, 2, 3, 5, 8]),
    st.booleans(),
)


def _histories(operations: st.SearchStrategy[tuple[Any, ...]]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    return st.builds(lambda beginning, rest: [*beginning, *rest], _BEGINNINGS, st.lists(operations, min_size=25, max_size=60))


HISTORIES = _histories(_OPERATIONS)
"""Histories with something to tell in them: left to chance alone, most would ship nothing that anyone asked for."""
_AFTER_LOSSES = st.sampled_from([[], [("tick", 200, True), ("pump", Alert.TOPIC, 6)], [("tick", 200, True), ("pump", Alert.TOPIC, 6)]])
"""Often what is due goes on before the inputs have been read again."""
HISTORIES_WITH_LOSSES = st.builds(
    lambda history, losses: [*history, *(step for loss in losses for step in loss)],
    _histories(_OPERATIONS),
    st.lists(
        st.builds(lambda loss, after, rest: [loss, *after, *rest], _LOSSES, _AFTER_LOSSES, st.lists(_OPERATIONS, max_size=15)),
        min_size=1,
        max_size=3,
    ),
)


def component(of: str, edges: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return everything that *edges* connect *of* with."""
    found = {of}
    edges = list(edges)
    while True:
        more = {end for edge in edges if found & set(edge) for end in edge} - found
        if not more:
            return frozenset(found)
        found |= more


_WRITES = (
    "append", "collect", "unite", "begin_joins", "end_join", "add", "want",
    "begin", "settle", "restore", "take_up", "expire", "wake", "put",
)  # fmt: skip


class Story:
    """Turns operations into a board's valid decisions, and knows what should come of them without asking the notifier."""

    def __init__(self, *, tell_again: bool, manners: Manners | None = None, limits: Limits | None = None) -> None:
        channels = (RecordingChannel(), RecordingChannel("slack"), RecordingChannel("in_app", needs_address=False))
        self.world = World(tell_again=tell_again, channels=channels, manners=manners or Manners(), limits=limits or Limits())
        for channel in channels:
            channel.verdict = self._receive
        self.wished: set[str] = set()
        self.moments: dict[str, set[Micros]] = {}
        """When each person's messages were taken, those that a crash repeated once."""
        self.links: dict[str, tuple[str, str]] = {}
        self.pointers: dict[str, str] = {}
        self.status: dict[str, bool] = {}
        self.server = "up"
        self.refused = False
        self.opted: set[str] = set()
        self.separated = False
        self.told: list[Row] = []
        self.crashes: Counter[str] = Counter()
        self.deaths = 0
        self._writes_to_live: int | None = None
        self._dies_after = False
        self._unrecorded: list[str] = []
        self._tellings: list[Row] = []
        self._watch()

    def _watch(self) -> None:
        """Look at what is written to the world's store, and let the process die there."""
        for write in _WRITES:
            setattr(self.world.store, write, self._mortal(getattr(self.world.store, write)))

    async def run(self, operations: Sequence[tuple[Any, ...]]) -> None:
        for name, *arguments in operations:
            result = getattr(self, f"do_{name}")(*arguments)
            if result is not None:
                await result
        self.server = "up"
        await self.world.settle()

    def root(self, idea: str) -> str:
        while idea in self.pointers:
            idea = self.pointers[idea]
        return idea

    def do_link(self, idea: str, person: str) -> None:
        feedback = f"f{self.world.sequence}"
        self.links[feedback] = (idea, person)
        self.world.link(feedback, idea, person)

    def do_unlink(self, place: int) -> None:
        if self.links:
            feedback = sorted(self.links)[place % len(self.links)]
            idea, _ = self.links.pop(feedback)
            self.world.decide("unlinked", feedback_id=feedback, idea_id=idea, reason="retraction")

    def do_move(self, place: int, idea: str) -> None:
        if self.links:
            feedback = sorted(self.links)[place % len(self.links)]
            old, person = self.links[feedback]
            self.links[feedback] = (idea, person)
            self.world.decide("moved", feedback_id=feedback, idea_id=idea, other_idea_id=old, person_id=person)

    def do_merge(self, idea: str, into: str) -> None:
        if idea not in self.pointers and self.root(into) != idea:
            self.pointers[idea] = into
            self.world.decide("merged", idea_id=idea, other_idea_id=into, root_id=self.root(into))

    def do_unmerge(self, idea: str) -> None:
        if idea in self.pointers:
            self.world.decide("unmerged", idea_id=idea, other_idea_id=self.pointers.pop(idea), root_id=idea)

    def do_ship(self, idea: str, release: str | None) -> None:
        self.status[idea] = self.status[self.root(idea)] = True
        self.world.ship(idea, release)

    def do_reopen(self, idea: str) -> None:
        self.status[idea] = self.status[self.root(idea)] = False
        self.world.decide("status_changed", idea_id=idea, status="open")

    def do_contact(self, person: str, address: str | None, channel: str = "email") -> None:
        self.world.know("contact", person, channel=channel, address=f"{person}@example.com" if address is None else address)

    def do_wish(self, person: str, channel: str | None, wishes: Mapping[str, str]) -> None:
        self.wished.add(person)
        self.world.know("preference", person, channel=channel, opted_out=False, **wishes)

    async def do_wait(self, hours: int) -> None:
        await self.do_tick(hours * 3600, published=True)
        await self.world.pump(Alert.TOPIC, 20)

    def do_prefer(self, person: str, idea: str | None, opted_out: bool) -> None:
        self.opted |= {person} if opted_out else set()
        self.world.know("preference", person, idea_id=idea, opted_out=opted_out)

    def do_join(self, person: str, other: str) -> None:
        self.world.know("joined", person, other_person_id=other)

    def do_separate(self, person: str) -> None:
        self.separated = True
        self.world.know("separated", person, other_person_id="?")

    def do_again(self, topic: str, place: int) -> None:
        if self.world.records[topic] and topic != PersonEvent.TOPIC:
            self.world.publish_again(topic, place % len(self.world.records[topic]))

    def do_pump(self, topic: str, count: int) -> Any:
        return self.world.pump(topic, count)

    def do_die(self, topic: str, count: int, published: bool) -> Any:
        return self.world.pump(topic, count, publish=published, commit=False)

    async def do_die_writing(self, topic: str, count: int, writes: int, after: bool) -> None:
        """Let the process die at its *writes*-th write to the store, with that write done or not."""
        self._writes_to_live, self._dies_after = writes, after
        await self.world.pump(topic, count)
        self._writes_to_live = None

    async def do_die_sending(self, count: int, writes: int, after: bool) -> None:
        await self.world.pump(Decision.TOPIC, 20)
        await self.do_die_writing(Alert.TOPIC, count, writes, after)

    async def do_tick(self, seconds: int, published: bool) -> None:
        self.world.clock.time += seconds * 1_000_000
        await self.world.tick(publish=published)

    async def do_lose(self, compacted: bool, outbox_kept: int | None, records: int, writes: int, after: bool) -> None:
        """Lose the store; the process may die at its *writes*-th write to the new one. What was told and not said is forgotten."""
        self.world.lose(compacted=compacted, outbox_kept=outbox_kept)
        self.world.recall_records = records
        self._watch()
        said = {outcome.alert_id for outcome in self.world.log if outcome.outcome == "sent" or outcome.may_have_arrived}
        self.told = [row for row in self.told if row.alert_id in said]
        self._unrecorded.clear()
        self._writes_to_live, self._dies_after = writes or None, after
        await self.world.complete()
        self._writes_to_live = None

    def do_server(self, state: str) -> None:
        self.server = state
        self.refused |= state == "refuses"

    def _receive(self, mail: Message) -> Delivery:
        if self.server == "down":
            return POSTPONED
        rows = self.world.rows_of_mail(mail.message_id)
        assert rows, "the server is asked before the ledger says so"
        if self.server == "refuses":
            return Refused("the mail server said 550 no")
        for row in rows:
            former = next((other for other in self.told if other.alert_id == row.alert_id), None)
            if former is not None:
                assert self.crashes[row.alert_id], "told twice without a crash or a lost answer between the mail server and the ledger"
                assert (former.channel, former.letter) == (row.channel, row.letter), "nobody could recognize the repetition"
                self.crashes[row.alert_id] -= 1
            else:
                self._assert_manners(row)
            self.told.append(row)
            self._tellings.append(row)
            self._unrecorded.append(row.alert_id)
        if self.server == "mute":
            self.crashes.update(row.alert_id for row in rows)
            return Postponed("the connection to the mail server broke", unknown=True)
        return Accepted()

    def _assert_manners(self, row: Row) -> None:
        """Check that nobody who asked for nothing else is disturbed in their quiet hours, or too often."""
        manners, now = self.world.manners, self.world.clock.time
        if row.channel == "in_app" or self.wished or self.deaths:  # what a process had begun when it died is sent again at once
            return
        if manners.quiet is not None:
            local = datetime.fromtimestamp(now / 1_000_000, ZoneInfo(manners.zone))
            minute = local.hour * 60 + local.minute
            quiet = manners.quiet
            is_quiet = quiet.start <= minute < quiet.end if quiet.start < quiet.end else not quiet.end <= minute < quiet.start
            assert not is_quiet, f"a message at {local}"
        moments = self.moments.setdefault(row.alert.person_id, set())
        moments.add(now)
        if manners.cap is not None:
            assert len([at for at in moments if at > now - WEEK]) <= manners.cap

    def _assert_news(self, rows: Sequence[Row]) -> None:
        """Check that nobody whom *rows* are about to tell has been told; one that a dead process had begun was checked then."""
        for row in rows:
            if not self.world.store.ledger[row.alert_id].may_have_left:
                told_before = [other for other in self.told if other.alert_id != row.alert_id and self._same(row, other)]
                assert not told_before, f"{row.alert} tells again of {told_before}"

    def _mortal(self, write: Any) -> Any:
        async def write_or_die(*arguments: Any) -> None:
            if write.__name__ == "begin":
                self._assert_news(*arguments)
            if self._writes_to_live is not None:
                self._writes_to_live -= 1
                if self._writes_to_live == 0 and not self._dies_after:
                    self.crashes.update(self._unrecorded)
                    self.deaths += 1
                    self._unrecorded.clear()
                    raise Crash
            await write(*arguments)
            if write.__name__ == "settle":
                self._unrecorded.clear()
            if self._writes_to_live == 0:
                self.deaths += 1
                raise Crash

        return write_or_die

    def _same(self, row: Row, other: Row) -> bool:
        """Tell whether two alerts are of one thing to one human, as far as what was handled by now can tell."""
        ideas = component(row.alert.idea_id, self._handled_merges())
        humans = component(row.alert.person_id, self.handled_joins(self.known).items())
        humans &= component(row.alert.person_id, self.handled_joins(self.world.attempted).items())
        release = not self.world.tell_again or other.alert.release_id == row.alert.release_id
        return other.alert.idea_id in ideas and other.alert.person_id in humans and release

    @property
    def known(self) -> Mapping[str, int]:
        """Return how much of each topic the service has taken in."""
        return {topic: max(position, self.world.recalled[topic]) for topic, position in self.world.positions.items()}

    def _handled_merges(self) -> list[tuple[str, str]]:
        decisions = self._handled(Decision.TOPIC, Decision, self.known)
        return [(d.idea_id, d.other_idea_id) for d in decisions if d.type == "merged"]

    def handled_joins(self, positions: Mapping[str, int]) -> Mapping[str, str]:
        pointers: dict[str, str] = {}
        for event in self._handled(PersonEvent.TOPIC, PersonEvent, positions):
            if event.type == "joined" and event.other_person_id != event.person_id:
                pointers[event.person_id] = event.other_person_id
            elif event.type == "separated":
                pointers.pop(event.person_id, None)
        return pointers

    def _handled(self, topic: str, kind: Any, positions: Mapping[str, int]) -> list[Any]:
        return [CODEC.decoder(kind)(record) for record in self.world.records[topic][: positions[topic]]]


def _address_of(story: Story, person: str) -> bool:
    """Tell whether the human behind *person* has an address that can be used."""
    last: dict[tuple[str, str], str | None] = {}
    for record in story.world.records[PersonEvent.TOPIC]:
        event = CODEC.decoder(PersonEvent)(record)
        if event.type == "contact" and event.channel in story.world.manners.channels:
            last[event.person_id, event.channel or ""] = event.address
    humans = component(person, story.handled_joins(story.known).items())
    known = [address for (who, _), address in last.items() if who in humans and address]
    return bool(known) and all(address is not None and "\n" not in address for address in known)


def _run(
    operations: Sequence[tuple[Any, ...]],
    *,
    tell_again: bool = False,
    manners: Manners | None = None,
    limits: Limits | None = None,
    direct: int = 500,
) -> Story:
    """Run *operations*; *direct* alerts of a decision are published with it, the others piece by piece."""
    story = Story(tell_again=tell_again, manners=manners, limits=limits)
    with patch.object(row_module, "DIRECT_ALERTS", direct):
        asyncio.run(story.run(operations))
    return story


@given(operations=HISTORIES, tell_again=st.booleans(), direct=_DIRECT)
@settings(max_examples=200, deadline=None)
def test_everyone_linked_to_a_shipped_root_hears_or_there_is_a_reason(
    operations: Sequence[tuple[Any, ...]], tell_again: bool, direct: int
) -> None:
    _assert_all_hear(_run(operations, tell_again=tell_again, direct=direct))


@given(operations=_histories(_MANNERLY), tell_again=st.booleans(), manners=_MANNERS, limits=_LIMITS)
@settings(max_examples=150, deadline=None)
def test_manners_lose_nothing_and_double_nothing(
    operations: Sequence[tuple[Any, ...]], tell_again: bool, manners: Manners, limits: Limits
) -> None:
    story = _run(operations, tell_again=tell_again, manners=manners, limits=limits)
    _assert_all_hear(story)
    _assert_the_log_tells_all(story)


@given(operations=HISTORIES_WITH_LOSSES, tell_again=st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_lost_store_makes_nobody_hear_twice_and_nobody_wait(operations: Sequence[tuple[Any, ...]], tell_again: bool) -> None:
    story = _run(operations, tell_again=tell_again)
    _assert_all_hear(story)
    for row in story.world.store.ledger.values():
        assert next(outcome for outcome in reversed(story.world.log) if outcome.alert_id == row.alert_id).outcome == row.state


def _assert_all_hear(story: Story) -> None:
    rows = story.world.store.ledger.values()
    for idea, person in set(story.links.values()):
        if not story.status.get(story.root(idea)):
            continue
        mine = [row for row in rows if (row.alert.idea_id, row.alert.person_id) == (idea, person) and row.wanted]
        assert mine, f"no row for {person} of {idea}"
        for row in mine:
            assert row.state in ("sent", "opted_out", "unreachable", "already_told", "failed")
            assert row.history[-1].outcome == row.state
            assert row.history[-1].reason
            humans = component(person, story.handled_joins(story.known).items())
            if row.state == "unreachable" and not story.wished and not row.doubted:
                assert not _address_of(story, person)
            if row.state == "failed":
                assert story.refused
            if row.state == "opted_out" and not story.separated:
                assert humans & story.opted
            if row.state == "already_told" and not story.separated:
                doubts = [other for other in rows if other.doubted]
                assert any(story._same(row, told) for told in (*story._tellings, *doubts))


@given(operations=st.one_of(HISTORIES, HISTORIES_WITH_LOSSES), direct=_DIRECT)
@settings(max_examples=100, deadline=None)
def test_what_the_board_decides_does_not_depend_on_batches_crashes_or_losses(operations: Sequence[tuple[Any, ...]], direct: int) -> None:
    story = _run(operations, direct=direct)
    other = story.world.fresh_copy()
    with patch.object(row_module, "DIRECT_ALERTS", direct):
        asyncio.run(_join_all(other))
    decided = {alert_id: without_attempts(row) for alert_id, row in story.world.store.ledger.items()}
    assert {alert_id: without_attempts(row) for alert_id, row in other.store.ledger.items()} == decided
    assert other.store.into == story.world.store.into


async def _join_all(world: World) -> None:
    await world.pump(Decision.TOPIC, 10_000)
    while world.store.unfinished:
        await world.tick()


@given(operations=HISTORIES, direct=_DIRECT)
@settings(max_examples=100, deadline=None)
def test_the_log_tells_all_that_the_ledger_knows(operations: Sequence[tuple[Any, ...]], direct: int) -> None:
    _assert_the_log_tells_all(_run(operations, direct=direct))


def _assert_the_log_tells_all(story: Story) -> None:
    for row in story.world.store.ledger.values():
        logged = [outcome for outcome in story.world.log if outcome.alert_id == row.alert_id]
        by_id = {outcome.outcome_id: outcome for outcome in logged}
        assert all(by_id[outcome.outcome_id] == outcome for outcome in logged), "an outcome was published twice, differently"
        in_order = list(dict.fromkeys(outcome.outcome_id for outcome in logged))
        assert [by_id[outcome_id].outcome for outcome_id in in_order] == [verdict.outcome for verdict in row.history]
        assert logged[-1].outcome == row.state


@given(operations=HISTORIES)
@settings(max_examples=100, deadline=None)
def test_handling_everything_again_sends_nothing(operations: Sequence[tuple[Any, ...]]) -> None:
    story = _run(operations)
    world = story.world
    mails, ledger = len(world.mailer.accepted), dict(world.store.ledger)
    world.restart()
    world.positions = dict.fromkeys(TOPICS, 0)
    asyncio.run(world.settle())
    assert len(world.mailer.accepted) == mails
    assert world.store.ledger == ledger


@given(operations=HISTORIES, compacted=st.booleans(), records=st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_a_rebuilt_ledger_knows_what_the_lost_one_knew(operations: Sequence[tuple[Any, ...]], compacted: bool, records: int) -> None:
    story = _run(operations)
    world = story.world
    mails, outcomes, ledger = len(world.mailer.accepted), len(world.log), dict(world.store.ledger)
    world.recall_records = records
    world.lose(compacted=compacted)
    asyncio.run(world.settle())
    assert len(world.mailer.accepted) == mails
    assert {alert_id: row.state for alert_id, row in world.store.ledger.items()} == {
        alert_id: row.state for alert_id, row in ledger.items()
    }
    assert len(world.log) == outcomes
