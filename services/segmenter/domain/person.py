"""A person's state: a pure function of the person's own order of events, and of notes whose versions only grow.

A person who was joined into another follows a pointer: it sends what is known of it (and of those who follow it) to that person,
where all of it counts as one; itself it is not evaluated and has no row in ``people.segments`` until it is separated again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from services.common.clock import Micros
from services.common.events import TransitionCause
from services.segmenter.domain.cards import AccountBrief, AccountCard, PersonCard, account_card, person_card
from services.segmenter.domain.facts import Facts, together

Members = dict[str, tuple[int, Facts]]
"""Persons with the version of what is known of each."""


@dataclass(slots=True)
class Sent:
    """What one follower sent last: itself and those who follow it."""

    version: int
    members: Members


@dataclass(frozen=True, slots=True)
class Why:
    """What an evaluation follows from."""

    cause: TransitionCause
    cause_id: str | None
    occurred_at: Micros
    as_of: Micros


@dataclass(slots=True)
class Said:
    """What was published of a person out of a store that is lost, and whether the present state is something else."""

    segments: dict[str, str] = field(default_factory=dict)
    """Where the transitions led to, by scheme, as far as they are kept."""
    since: dict[str, Micros] = field(default_factory=dict)
    """When each of those transitions was."""
    last_transition: str = ""
    """Its id."""
    row: tuple[str | None, str] | None = None
    """Account and definition of the row in ``people.segments``; None where there is none."""
    row_segments: dict[str, str] = field(default_factory=dict)
    version: int = 0
    """The highest of a row."""
    why: Why | None = None
    """What the present state follows from."""
    differs: bool = False
    is_trimmed: bool = False
    """Whether the first transitions may have been removed: then the row tells where a scheme stands of which none is left."""

    def memberships(self) -> dict[str, str]:
        """Return where the transitions led to, by scheme."""
        return {**self.row_segments, **self.segments} if self.is_trimmed else self.segments

    def highest(self, as_of: Micros) -> int:
        """Return a version that no row had which was published before *as_of*.

        A tombstone takes the version with it. Persons change less often than once a microsecond, so the moment is higher.
        """
        return as_of if self.row is None and self.last_transition else self.version


@dataclass(slots=True)
class PersonState:
    """Everything that the segmenter keeps of a person."""

    person_id: str
    workspace: str
    position: int = 0
    """How many inputs have been applied."""
    own: Facts = field(default_factory=Facts)
    own_version: int = 0
    """The position at which ``own`` last changed."""
    followers: dict[str, Sent] = field(default_factory=dict)
    pointer: str | None = None
    """Whom this person was joined into."""
    pointer_since: Micros | None = None
    card: PersonCard = field(default_factory=lambda: PersonCard(""))
    account: AccountCard | None = None
    row: tuple[str | None, str] | None = None
    """Account and definition of the row in ``people.segments``; None where there is none."""
    segments: Mapping[str, str] | None = None
    """The memberships that the transitions have led to; None before the first profile."""
    since: dict[str, Micros] = field(default_factory=dict)
    """When the segments of schemes with a memory were entered."""
    evaluated_at: Micros = 0
    next_check_at: Micros | None = None
    """When time alone could change a membership."""
    unsent: list[Any] = field(default_factory=list)
    """Facts that a tick established and that are not yet known to be on the broker."""
    said: Said | None = None
    """Until the first input after a store was lost."""
    epoch: str = ""
    """The last transition that was published out of a store that is lost: ids after it are other ones than before."""

    def family(self) -> Members:
        """Return this person and all who follow it, directly or through others; of what is known twice, the newer."""
        found: Members = {self.person_id: (self.own_version, self.own)}
        for sent in self.followers.values():
            for name, (version, facts) in sent.members.items():
                if name != self.person_id and (name not in found or found[name][0] < version):
                    found[name] = (version, facts)
        return found

    def together(self) -> Facts:
        """Return what is known of the whole family, as one person."""
        return together((name, facts) for name, (_, facts) in self.family().items())

    def account_ids(self) -> Iterator[str]:
        """Yield the accounts that the family's profiles name: any of them may be the newest after the next input."""
        for _, facts in self.family().values():
            if facts.profile is not None and facts.profile.account_id is not None:
                yield facts.profile.account_id

    def brief(self, facts: Facts) -> AccountBrief | None:
        """Return what boards have to know of the account that *facts* name."""
        if facts.profile is None or facts.profile.account_id is None:
            return None
        if self.account is None:
            return AccountBrief(facts.profile.account_id)
        card = self.account
        return AccountBrief(card.account_id, card.version, card.name, card.plan, card.mrr_cents)

    def due_at(self) -> Micros | None:
        """Return when a tick has to look at this person; 0 while something is unsent."""
        return 0 if self.unsent or (self.said is not None and self.said.differs) else self.next_check_at

    def dump(self) -> bytes:
        """Return the state as it is stored."""
        return orjson.dumps(self)


def new_person(person_id: str, workspace: str) -> PersonState:
    """Return the state of a person of whom nothing is known."""
    return PersonState(person_id, workspace, card=PersonCard(person_id))


def load_person(raw: bytes) -> PersonState:
    """Return the state that ``dump`` stored."""
    fields: dict[str, Any] = orjson.loads(raw)
    row, said = fields["row"], fields.get("said")
    return PersonState(
        **{
            **fields,
            "own": Facts.load(fields["own"]),
            "followers": {name: Sent(sent["version"], _stored(sent["members"])) for name, sent in fields["followers"].items()},
            "card": person_card(fields["card"]),
            "account": None if fields["account"] is None else account_card(fields["account"]),
            "row": None if row is None else (row[0], row[1]),
            "said": None if said is None else _said(said),
        }
    )


def _said(raw: Mapping[str, Any]) -> Said:
    row, why = raw["row"], raw["why"]
    return Said(**{**raw, "row": None if row is None else (row[0], row[1]), "why": None if why is None else Why(**why)})


def _stored(raw: Mapping[str, Any]) -> Members:
    return {name: (pair[0], Facts.load(pair[1])) for name, pair in raw.items()}


def next_card(state: PersonState, facts: Facts, definition: str) -> PersonCard:
    """Return the card that follows from *state*, with the next version if it says anything new."""
    card = replace(
        state.card,
        known=facts.profile is not None,
        known_since=facts.known_since,
        pointer=state.pointer,
        pointer_since=state.pointer_since,
        segments=dict(state.segments or {}) if facts.profile is not None else {},
        definition=definition if facts.profile is not None else "",
        account=state.brief(facts),
    )
    if card == state.card:
        return card
    return replace(card, version=card.version + 1)
