"""What the notifier knows of persons: where to reach them, what they do not want to hear, whom they turned out to be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.errors import MessageError
from email.headerregistry import Address
from typing import TypeAlias

from services.common.clock import Micros
from services.common.events import PersonEvent

EMAIL = "email"

_PLAIN = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
"""Most addresses, known at a glance; the others are parsed."""

Stamp: TypeAlias = tuple[Micros, Micros, str]
"""``occurred_at``, ``ingested_at``, event id: the greatest holds, in whatever order the events are read."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a person is reached; None where they are no longer."""

    address: str | None
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Preference:
    """Whether a person has opted out, of *channel* and *idea*; None means all of them."""

    channel: str | None
    idea: str | None
    opted_out: bool
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Pointer:
    """The person that this one turned out to be, or None where they were separated again."""

    into: str | None
    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person. *version* grows with every change."""

    person_id: str
    version: int = 0
    contacts: Mapping[str, Contact] = field(default_factory=dict)
    """By channel."""
    preferences: tuple[Preference, ...] = ()
    pointer: Pointer | None = None
    erased: Stamp | None = None


def stamp_of(event: PersonEvent) -> Stamp:
    """Return what orders *event* among those of its kind."""
    return (event.occurred_at, event.ingested_at, event.event_id)


def folded(person: Person, event: PersonEvent) -> Person:
    """Return *person* with *event* taken in; *person* itself where the event is older than what is known, or says nothing to us."""
    stamp = stamp_of(event)
    if person.erased is not None and stamp <= person.erased:
        return person
    match event.type:
        case "contact":
            changed = _with_contact(person, event.channel or EMAIL, Contact(event.address or None, stamp))
        case "preference" if event.opted_out is not None:
            changed = _with_preference(person, Preference(event.channel, event.idea_id, event.opted_out, stamp))
        case "joined" | "separated":
            into = event.other_person_id if event.type == "joined" else None
            if into == person.person_id or (person.pointer is not None and person.pointer.stamp >= stamp):
                return person
            changed = replace(person, pointer=Pointer(into, stamp))
        case "erased":
            changed = replace(person, contacts={}, preferences=(), erased=stamp)
        case _:
            return person
    return person if changed is person else replace(changed, version=person.version + 1)


def _with_contact(person: Person, channel: str, contact: Contact) -> Person:
    known = person.contacts.get(channel)
    if known is not None and known.stamp >= contact.stamp:
        return person
    return replace(person, contacts={**person.contacts, channel: contact})


def _with_preference(person: Person, preference: Preference) -> Person:
    scope = (preference.channel, preference.idea)
    for known in person.preferences:
        if (known.channel, known.idea) == scope and known.stamp >= preference.stamp:
            return person
    others = tuple(known for known in person.preferences if (known.channel, known.idea) != scope)
    return replace(person, preferences=(*others, preference))


@dataclass(frozen=True, slots=True)
class Audience:
    """All the persons that turned out to be one human; *root* is where their pointers end."""

    root: str
    persons: Sequence[Person]

    def address(self, channel: str, person_id: str) -> str | None:
        """Return where to reach them: as the root, else as *person_id*, else by what was said last; what is usable before what is not."""
        known = {person.person_id: contact for person in self.persons if (contact := person.contacts.get(channel)) and contact.address}
        written_to = {who: contact for who, contact in known.items() if usable(contact.address or "")}
        candidates = written_to or known
        for preferred in (self.root, person_id):
            if preferred in candidates:
                return candidates[preferred].address
        newest = max(candidates.values(), key=lambda contact: contact.stamp, default=None)
        return None if newest is None else newest.address

    def opted_out(self, channel: str, ideas: Iterable[str]) -> str | None:
        """Return why they do not want to hear of *ideas* on *channel*, or None; what they said last of a scope holds."""
        last: dict[tuple[str | None, str | None], Preference] = {}
        for person in self.persons:
            for preference in person.preferences:
                scope = (preference.channel, preference.idea)
                if scope not in last or last[scope].stamp < preference.stamp:
                    last[scope] = preference
        concerned = {None, *ideas}
        for (of_channel, of_idea), preference in sorted(last.items(), key=lambda item: item[1].stamp):
            if preference.opted_out and of_channel in (None, channel) and of_idea in concerned:
                return _scope_words(of_channel, of_idea)
        return None

    @property
    def erased(self) -> bool:
        """Tell whether any of them asked to be forgotten and has not been heard of since."""
        return any(person.erased is not None and not person.contacts for person in self.persons)


def _scope_words(channel: str | None, idea: str | None) -> str:
    what = "this idea" if idea is not None else "all messages"
    return f"opted out of {what}" + ("" if channel is None else f" by {channel}")


def root_of(person_id: str, persons: Mapping[str, Person]) -> str:
    """Follow the pointers in *persons* from *person_id*; of a circle, its smallest id."""
    seen = [person_id]
    while True:
        person = persons.get(seen[-1])
        into = person.pointer.into if person is not None and person.pointer is not None else None
        if into is None:
            return seen[-1]
        if into in seen:
            return min(seen[seen.index(into) :])
        seen.append(into)


def usable(address: str) -> bool:
    """Tell whether *address* can stand in a header and an envelope: one ``local@domain``, no space, no line break, no list.

    Letters beyond ASCII are allowed on both sides (RFC 6531).
    """
    if _PLAIN.fullmatch(address):
        return True
    if any(not character.isprintable() or character.isspace() for character in address):
        return False
    plain = "".join(character if character.isascii() else "x" for character in address)
    try:
        return Address(addr_spec=plain).addr_spec == plain
    except (ValueError, IndexError, MessageError):
        return False
