"""Persons found to be one: in whatever order that is said, the same humans come of it, each under its smallest id; it can be undone."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common import ids
from tests.fakes_ingest import WORKSPACE, FakeMemory, Front, feedback, join

_PERSONS = [ids.person_id(WORKSPACE, f"slack:U{number}") for number in range(6)]
_PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda pair: pair[0] != pair[1]), max_size=8, unique=True)


def _joined(pairs: Sequence[tuple[int, int]]) -> tuple[Front, FakeMemory]:
    memory = FakeMemory()
    front = Front(memory)
    for number, (one, other) in enumerate(pairs):
        front.events(join(number, _PERSONS[one], _PERSONS[other], number=number))
    return front, memory


def _human(memory: FakeMemory, person: str) -> str:
    passed = {person}
    while (row := memory.people.get(person)) is not None and row.into is not None:
        person = row.into
        assert person not in passed
        passed.add(person)
    return person


def _humans(memory: FakeMemory) -> list[str]:
    return [_human(memory, person) for person in _PERSONS]


def _expected(pairs: Sequence[tuple[int, int]]) -> list[str]:
    groups = [{number} for number in range(6)]
    for one, other in pairs:
        both = next(group for group in groups if one in group) | next(group for group in groups if other in group)
        groups = [group for group in groups if group.isdisjoint(both)] + [both]
    return [min(_PERSONS[member] for group in groups if number in group for member in group) for number in range(6)]


@settings(max_examples=40, deadline=None)
@given(pairs=_PAIRS, order=st.randoms(use_true_random=False))
def test_the_order_of_joins_makes_no_difference(pairs: list[tuple[int, int]], order: random.Random) -> None:
    shuffled = [pair if order.random() < 0.5 else pair[::-1] for pair in pairs]
    order.shuffle(shuffled)
    assert _humans(_joined(pairs)[1]) == _humans(_joined(shuffled)[1]) == _expected(pairs)


@settings(max_examples=40, deadline=None)
@given(pairs=_PAIRS)
def test_joins_that_are_separated_last_first_leave_everybody_alone(pairs: list[tuple[int, int]]) -> None:
    front, memory = _joined(pairs)
    did = [number for number in range(len(pairs)) if _humans(_joined(pairs[:number])[1]) != _humans(_joined(pairs[: number + 1])[1])]
    for offset, number in enumerate(reversed(did), start=100):
        one, other = pairs[number]
        front.events(join(offset, _PERSONS[one], _PERSONS[other], number=offset, command="separate"))
        assert _humans(memory) == _expected([pairs[before] for before in did if before < number])


@settings(max_examples=40, deadline=None)
@given(pairs=_PAIRS, writers=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b"]), st.integers(0, 8)), max_size=6))
def test_every_board_knows_of_all_joins_of_those_who_write_on_it(pairs: list[tuple[int, int]], writers: list[tuple[int, str, int]]) -> None:
    """Whether a join comes before or after what they wrote: by the board's own events, its writers are the humans that they are."""
    front, memory = Front(written := FakeMemory()), written
    told: list[tuple[str, str, str]] = []
    for place in range(9):
        records = [
            feedback(10 * place + number, id=f"f-{place}-{number}", board=board, author={"alias": f"slack:U{who}"})
            for number, (who, board, at) in enumerate(writers)
            if at == place
        ]
        if place < len(pairs):
            one, other = pairs[place]
            records.append(join(place, _PERSONS[one], _PERSONS[other], number=place))
        for record in records:
            events = [event for event in front.events(record) if event.TOPIC == "board.events" and event.type == "persons_joined"]
            told += [(event.board, event.person_id, event.other_person_id) for event in events]
    for who, board, _ in writers:
        person, pointers = _PERSONS[who], {one: other for name, one, other in told if name == board}
        while person in pointers:
            person = pointers[person]
        assert person == _human(memory, _PERSONS[who])
