"""Facts as they are stored beside their input, and as they are published: the same bytes each time.

Of a state, an idea's demand, only that it changed is stored: what it is follows from the board whenever it has to be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import orjson

from services.common.events import ALL_EVENTS, EnrichedFeedback, Event, IdeaDemand
from services.common.outcome import Drop, Emit, Outcome
from services.common.records import Output
from services.segmenter.domain.changes import Fact, Tombstone
from services.segmenter.domain.decide import Changed, Kept

_CLASSES = {event.TOPIC: event for event in ALL_EVENTS}
_KEPT = "kept"
_CHANGED = "changed"

Stored: TypeAlias = Fact | Kept | Changed
"""What is stored beside an input."""


def plain(facts: Iterable[Stored]) -> list[Any]:
    """Return *facts* as values of JSON: pairs of topic and fields, a tombstone without a topic of its own."""
    return [_pair(fact) for fact in facts]


def _pair(fact: Stored) -> list[Any]:
    if isinstance(fact, Kept):
        return [_KEPT, fact.row]
    if isinstance(fact, Changed):
        return [_CHANGED, fact]
    return ["" if isinstance(fact, Tombstone) else fact.TOPIC, fact]


def dump(facts: Iterable[Stored]) -> bytes:
    """Return *facts* as they are stored."""
    return orjson.dumps(plain(facts))


def restored(pairs: Iterable[Any]) -> list[Fact]:
    """Return the facts that ``plain`` made values of JSON, as far as they are to be published as they are."""
    return [
        _CLASSES[topic](**fields) if topic else Tombstone(**fields)
        for topic, fields in pairs
        if topic not in (_KEPT, _CHANGED, IdeaDemand.TOPIC)
    ]


def changed_ideas(facts: bytes) -> list[str]:
    """Return the ideas whose demand is another one by an input, of its stored *facts*."""
    named = (_CHANGED, IdeaDemand.TOPIC)  # earlier releases stored whole demands
    return [said["idea_id"] for topic, said in orjson.loads(facts) if topic in named]


def enriched(facts: bytes, feedback_id: str) -> EnrichedFeedback:
    """Return the enriched record of *feedback_id* among stored *facts*."""
    topics = (EnrichedFeedback.TOPIC, _KEPT)
    rows = [fields for topic, fields in orjson.loads(facts) if topic in topics and fields["feedback_id"] == feedback_id]
    return EnrichedFeedback(**rows[-1])


def _as_it_was(fact: Fact) -> Fact:
    return fact


class Publisher:
    """Turns facts into outputs."""

    def __init__(self, output: Callable[[Event], Output]) -> None:
        self._output = output

    def output(self, event: Event) -> Output:
        """Return the record of *event*."""
        return self._output(event)

    def outputs(self, facts: Iterable[Stored]) -> list[Output]:
        """Return what is to be published for *facts*, but for states, which are told apart from them."""
        return [
            self._tombstone(fact) if isinstance(fact, Tombstone) else self._output(fact)
            for fact in facts
            if not isinstance(fact, Kept | Changed)
        ]

    def emit(self, facts: Sequence[Stored]) -> Emit:
        """Return the outcome that publishes *facts*."""
        return Emit(tuple(self.outputs(facts)))

    def again(self, origin: str, stored_origin: str, facts: bytes, present: Callable[[Fact], Fact | None] = _as_it_was) -> Outcome:
        """Return the outcome of an input that was applied before: the same outputs for a redelivery, none for a repeat.

        *present* gives the state that holds now for one that held then, or None where that has been published since: inputs of several
        topics come again in another order than they came first, and the last record of a key must be its newest state.
        What was applied before it was delivered, by a store that was completed, has no origin.
        """
        if stored_origin not in ("", origin):
            return Drop("repeat")
        return self.emit([now for fact in restored(orjson.loads(facts)) if (now := present(fact)) is not None])

    def _tombstone(self, fact: Tombstone) -> Output:
        return Output(fact.topic, fact.record_key.encode(), None, fact.partition.encode())
