"""Whatever the order across people, and however often things are told: the same memberships, changes and demand.

With all that makes order matter elsewhere: hysteresis, dwell, a state machine, windows that move with time, activity that is told late.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.events import Account, Decision, PersonEvent, SegmentTransition
from services.common.ids import account_id
from services.segmenter.domain.definition import Definition
from tests.unit.segmenter_laws_test import present
from tests.unit.segmenter_world import DAY, START, WORKSPACE, Board, Segmenter, account, define, person_event

PEOPLE = tuple(f"{WORKSPACE}:person:{letter}" for letter in "abcd")
DEFINITION = """
version: "1"
schemes:
  - name: use
    dwell: days(3)
    rules:
      - {segment: power, when: 'activity.count("export", days(9)) >= 3', stay: 'activity.count("export", days(9)) >= 2'}
      - {segment: active, when: 'activity.count("export", days(9)) >= 1'}
    default: quiet
  - name: life
    rules:
      - {segment: won_back, when: 'activity.since_last("*") < 6', after: [gone, won_back]}
      - {segment: gone, when: 'activity.since_last("*") >= 6'}
      - {segment: here, when: 'activity.since_last("*") < 6'}
    default: never_seen
  - name: likes
    tags:
      - {segment: dark, when: 'answer("theme", days(5)) == "dark"'}
"""
OF_WHAT_IS_KNOWN = """
version: "1"
schemes:
  - name: use
    rules:
      - {segment: power, when: 'activity.count("export", days(9)) >= 3'}
      - {segment: active, when: 'activity.since_last("export") < 6'}
    default: quiet
  - name: plan
    rules:
      - {segment: paying, when: account.mrr > 0}
      - {segment: known, when: has(account.plan)}
    default: none
  - name: likes
    tags:
      - {segment: dark, when: 'answer("theme", days(5)) == "dark"'}
"""
"""Without a memory: what a person was, before another one was joined into it, is told by notes, and those come in any order."""
ACCOUNTS = tuple(account_id(WORKSPACE, name) for name in ("acme", "bolt"))
Told = PersonEvent | Decision | Account


@pytest.fixture(scope="module")
def of_what_is_known(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("definition"), OF_WHAT_IS_KNOWN)


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return define(tmp_path_factory.mktemp("definition"), DEFINITION)


def history(chance: random.Random, length: int, pointers: dict[str, str] | None = None) -> list[tuple[int, list[Told]]]:
    """Return stretches of time: each one's end, and what is told in it; people, accounts and boards each in their order.

    With *pointers* people are joined and parted, too, and belong to accounts; who was joined into whom in the end is left there.
    """
    board, now, number, stretches = Board(), START, 0, list[tuple[int, list[Told]]]()
    for _ in range(length):
        now += chance.choice([0, 3_600_000_000, DAY, 4 * DAY])
        told: list[Told] = []
        for _ in range(chance.randrange(1, 6)):
            number += 1
            now += chance.choice([0, 1_000_000])
            who = chance.choice(PEOPLE)
            late = chance.choice([0, 0, 2 * DAY, 15 * DAY])
            if pointers is not None and chance.random() < 0.4:
                told.append(joined_or_of_an_account(chance, number, now, pointers))
                continue
            match chance.randrange(6):
                case 0:
                    told.append(person_event(number, "profile", who, now))
                case 1:
                    answer = chance.choice(['"dark"', '"light"'])
                    told.append(person_event(number, "answer", who, now, name="theme", answer_json=answer))
                case 2:
                    told.append(board.link(f"f{number}", who, f"i{chance.randrange(3)}", now))
                case _:
                    told.append(person_event(number, "activity", who, now, name="export", occurred_at=now - late))
        stretches.append((now, told))
    return stretches


def joined_or_of_an_account(chance: random.Random, number: int, now: int, pointers: dict[str, str]) -> Told:
    """Return news of who is whom, of who belongs to which account, or of an account; *pointers* follow."""
    who = chance.choice(PEOPLE)
    match chance.randrange(4):
        case 0:
            into, person = sorted((human(chance.choice(PEOPLE), pointers), human(who, pointers)))
            if into != person:
                pointers[person] = into
                return person_event(number, "joined", person, now, other_person_id=into)
        case 1 if pointers:
            person = chance.choice(sorted(pointers))
            return person_event(number, "separated", person, now, other_person_id=pointers.pop(person))
        case 2:
            name, plan = chance.choice(("acme", "bolt")), chance.choice([None, "team"])
            return account(name, now, now, plan=plan, mrr_cents=chance.choice([0, 500]))
    return person_event(number, "profile", who, now, account_id=chance.choice([None, *ACCOUNTS]))


def human(person: str, pointers: Mapping[str, str]) -> str:
    """Return whom a person was joined into, or itself."""
    while person in pointers:
        person = pointers[person]
    return person


def mixed(told: list[Told], chance: random.Random) -> Iterator[Told]:
    """Yield *told* in another order that keeps that of each key."""
    lanes: dict[str, list[Told]] = defaultdict(list)
    for event in told:
        lanes[event.partition_key()].append(event)
    while lanes:
        key = chance.choice(sorted(lanes))
        yield lanes[key].pop(0)
        if not lanes[key]:
            del lanes[key]


async def lived(stretches: list[tuple[int, list[Told]]], definition: Definition, chance: random.Random) -> Segmenter:
    """Return a segmenter that heard all of it in some order and some batches, some of it again, and looked at the clock now and then."""
    segmenter = Segmenter(definition)
    for end, told in stretches:
        segmenter.publish(*mixed(told, chance))
        await segmenter.drain(chance)
        if chance.random() < 0.3:
            segmenter.clock.moment = end
            await segmenter.ticks()
            await segmenter.drain(chance)
    segmenter.clock.moment = stretches[-1][0] + 30 * DAY
    await segmenter.ticks()
    await segmenter.drain(chance)
    return segmenter


def changes(segmenter: Segmenter) -> dict[str, list[Any]]:
    """Return each person's transitions in the order in which they were published first."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for change in segmenter.events(SegmentTransition):
        fields = (change.scheme, change.previous_segment, change.segment, change.cause, change.occurred_at, change.evaluated_at)
        found[change.person_id].setdefault(change.transition_id, fields)
    return {person: list(rows.values()) for person, rows in found.items()}


def recounted(
    stretches: list[tuple[int, list[Told]]], memberships: dict[str, dict[str, str]], schemes: tuple[str, ...], pointers: Mapping[str, str]
) -> dict[str, Any]:
    """Return people and mentions by idea, scheme and segment, counted from the links and the memberships alone."""
    found: dict[str, Any] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for link in [event for _, told in stretches for event in told if isinstance(event, Decision)]:
        for scheme in schemes:
            asks = human(link.person_id or "", pointers)
            found[link.idea_id or ""][scheme][memberships.get(asks, {}).get(scheme, "unknown")].append(asks)
    return {
        idea: {scheme: {segment: [len(set(people)), len(people)] for segment, people in cells.items()} for scheme, cells in schemes.items()}
        for idea, schemes in found.items()
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), length=st.integers(1, 15))
async def test_any_order_and_repetition_across_people_gives_the_same(definition: Definition, seed: int, length: int) -> None:
    chance = random.Random(seed)
    stretches = history(chance, length)
    one = await lived(stretches, definition, random.Random(seed + 1))
    other = await lived(stretches, definition, random.Random(seed + 2))
    assert present(one) == present(other)
    assert changes(one) == changes(other)
    for segmenter in (one, other):
        assert counted(segmenter) == recounted(stretches, present(segmenter), ("use", "life", "likes.dark"), {})


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), length=st.integers(1, 15))
async def test_any_order_of_joins_separations_and_accounts_beside_all_that_gives_the_same(
    of_what_is_known: Definition, seed: int, length: int
) -> None:
    chance, pointers = random.Random(seed), dict[str, str]()
    stretches = history(chance, length, pointers)
    one = await lived(stretches, of_what_is_known, random.Random(seed + 1))
    other = await lived(stretches, of_what_is_known, random.Random(seed + 2))
    assert present(one) == present(other)
    assert one.demand() == other.demand()
    for segmenter in (one, other):
        assert counted(segmenter) == recounted(stretches, present(segmenter), ("use", "plan", "likes.dark"), pointers)
        assert led_to(segmenter) == present(segmenter)


def counted(segmenter: Segmenter) -> dict[str, Any]:
    """Return people and mentions by idea, scheme and segment, as the demand tells them."""
    return {
        idea: {s: {g: [c["people"], c["mentions"]] for g, c in cells.items()} for s, cells in row["segments"].items()}
        for idea, row in segmenter.demand().items()
    }


def led_to(segmenter: Segmenter) -> dict[str, dict[str, str]]:
    """Return where each person's transitions led to, one after another, of those who have a row."""
    where: dict[str, dict[str, str]] = defaultdict(dict)
    for person, rows in changes(segmenter).items():
        for scheme, previous, segment, *_ in rows:
            assert where[person].get(scheme) == previous
            where[person][scheme] = segment
    return {person: where[person] for person in present(segmenter)}
