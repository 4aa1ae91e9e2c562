"""What ``maker`` makes is what the constructor makes."""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, fields
from typing import Any

import pytest

from services.common.events import ALL_EVENTS
from services.common.events.base import Event
from services.common.values import filler, maker, placer
from services.ingest.domain.inputs import Feedback


@pytest.mark.parametrize("event", [*ALL_EVENTS, Feedback])
def test_what_is_made_is_what_the_constructor_makes(event: type[Event]) -> None:
    needed: dict[str, Any] = {of.name: f"a {of.name}" for of in fields(event) if of.default is MISSING}
    every = {of.name: f"a {of.name}" for of in fields(event)}

    for values in (needed, every):
        made, expected = maker(event)(**values), event(**values)
        assert type(made) is event
        assert (made, hash(made), repr(made)) == (expected, hash(expected), repr(expected))
        with pytest.raises(FrozenInstanceError):
            setattr(made, next(iter(needed)), "another")


def test_fields_that_are_missing_or_unknown_are_refused() -> None:
    event = ALL_EVENTS[0]
    needed: dict[str, Any] = {of.name: "x" for of in fields(event) if of.default is MISSING}

    with pytest.raises(TypeError, match="unexpected"):
        maker(event)(**needed, nobody_knows="x")
    needed.popitem()
    with pytest.raises(TypeError, match="missing"):
        maker(event)(**needed)


@pytest.mark.parametrize("event", [*ALL_EVENTS, Feedback])
def test_what_is_made_by_place_or_out_of_another_is_what_the_constructor_makes(event: type[Event]) -> None:
    needed = [of.name for of in fields(event) if of.default is MISSING]
    values: dict[str, Any] = {name: f"a {name}" for name in needed}
    every: dict[str, Any] = {of.name: f"a {of.name}" for of in fields(event)}
    given, taken = list(every)[::2], list(every)[1::2]

    assert event(**values) == placer(event, needed[::-1])(*[values[name] for name in needed[::-1]])
    assert event(**every) == filler(event, taken, given)(event(**every), *[every[name] for name in given])
    with pytest.raises(TypeError, match=needed[0]):
        placer(event, needed[1:])
