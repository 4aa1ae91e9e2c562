"""One entry of a board's log: all that one event established, enough to fold the board and to say it again byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from services.common.events import Decision, Idea
from services.dedup.domain.calibration import Census
from services.dedup.domain.votes import Vote


class Seen(NamedTuple):
    """From now on *revision* of *feedback_id* is known, which is *vote* or none: older ones establish nothing."""

    feedback_id: str
    revision: int
    vote: Vote | None = None


@dataclass(frozen=True, slots=True)
class PersonPointer:
    """*person_id* counts as *other_person_id* from now on, or, not *joined*, as a person of its own again."""

    person_id: str
    other_person_id: str
    joined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the event at *position* (1, 2, 3, …) of a board's log established."""

    board: str
    """``workspace/board``."""
    position: int
    event_id: str
    origin: str
    """Where the event was read: ``topic/partition/offset``."""
    decisions: tuple[Decision, ...] = ()
    ideas: tuple[Idea, ...] = ()
    """The states that were published with the decisions."""
    seen: Seen | None = None
    persons: PersonPointer | None = None
    census: Census | None = None
    """What was counted on the board after the event, where one was due: the thresholds of the events that follow go by it."""
    erased: str | None = None
    """The person whose words are gone from here on, and out of the entries before."""
    undone: str | None = None
    """The command, by its event's id, that the event undid."""
    vector: bytes | None = None
    """The text's vector, little-endian float32; None where no decision needs one."""

    @property
    def author(self) -> str | None:
        """Return who said what it is about; None where nobody did. Votes that followed are others'."""
        of = None if self.seen is None else self.seen.feedback_id
        for one in reversed(self.decisions):
            if one.feedback_id == of and one.type in ("linked", "unlinked"):
                return one.person_id
        return None

    def body(self) -> bytes:
        """Return everything but the vector and the place in the log as canonical JSON."""
        return orjson.dumps(
            {
                "event_id": self.event_id,
                "origin": self.origin,
                "decisions": [_filled(decision) for decision in self.decisions],
                "ideas": [_filled(idea) for idea in self.ideas],
                "seen": None if self.seen is None else _seen(self.seen),
                "persons": None if self.persons is None else [self.persons.person_id, self.persons.other_person_id, self.persons.joined],
                **({} if self.census is None else {"census": astuple(self.census)}),
                **({} if self.erased is None else {"erased": self.erased}),
                **({} if self.undone is None else {"undone": self.undone}),
            }
        )


def read_entry(board: str, position: int, body: bytes, vector: bytes | None) -> Entry:
    """Return the entry whose ``body`` and vector these are."""
    value = orjson.loads(body)
    return Entry(
        board=board,
        position=position,
        event_id=value["event_id"],
        origin=value["origin"],
        decisions=tuple(Decision(**decision) for decision in value["decisions"]),
        ideas=tuple(Idea(**idea) for idea in value["ideas"]),
        seen=None if value["seen"] is None else _read_seen(*value["seen"]),
        persons=None if value["persons"] is None else PersonPointer(*value["persons"]),
        census=None if value.get("census") is None else Census(*value["census"]),
        erased=value.get("erased"),
        undone=value.get("undone"),
        vector=vector,
    )


def _seen(seen: Seen) -> list[Any]:
    voted = [] if seen.vote is None else [seen.vote.parent_id, seen.vote.said]
    return [seen.feedback_id, seen.revision, *voted]


def _read_seen(feedback_id: str, revision: int, parent_id: str | None = None, said: Mapping[str, Any] | None = None) -> Seen:
    return Seen(feedback_id, revision, None if parent_id is None or said is None else Vote(parent_id, said))


def decision_body(decision: Decision) -> bytes:
    """Return *decision* as canonical JSON."""
    return orjson.dumps(_filled(decision))


def read_decision(body: bytes) -> Decision:
    """Return the decision whose ``decision_body`` this is."""
    return Decision(**orjson.loads(body))


def _filled(event: Decision | Idea) -> dict[str, Any]:
    """Return the fields that say more than their default."""
    names, defaults, values = _SHAPES[type(event)]
    said = zip(names, values(event), defaults, strict=True)
    return {name: value for name, value, default in said if value is not default and value != default}


def _shape(event: type[Decision] | type[Idea]) -> tuple[Sequence[str], Sequence[Any], Callable[[Any], tuple[Any, ...]]]:
    """Return the names and defaults of an *event*'s fields, and what gives their values; no value equals a default that is missing."""
    names = [field.name for field in fields(event)]
    return names, [field.default for field in fields(event)], attrgetter(*names)


_SHAPES = {event: _shape(event) for event in (Decision, Idea)}
