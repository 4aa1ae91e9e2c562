"""What the notifier knows of persons: where to reach them, what they do not want to hear, whom they turned out to be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.errors import MessageError
from email.headerregistry import Address
from typing import TypeAlias

from services.common.clock import Micros
from services.common.events import PersonEvent, PersonSegments
from services.common.hours import read_hours, zone_of
from services.notifier.domain.manners import DIGESTS, Quiet, Wishes

EMAIL = "email"

_PLAIN = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
"""Most addresses, known at a glance; the others are parsed."""

Stamp: TypeAlias = tuple[Micros, Micros, str]
"""``occurred_at``, ``ingested_at``, event id: the greatest holds, in whatever order the events are read."""


_NO_WISHES = Wishes()
_ZONE_TRAITS = ("time_zone", "timezone", "timeZone")


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
    wishes: Wishes = _NO_WISHES
    """How they want to hear, by *channel*; of one idea, nobody is asked."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of how to speak to a person."""

    stamp: Stamp
    language: str | None = None
    zone: str | None = None
    account: str | None = None


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
    profile: Profile | None = None
    pointer: Pointer | None = None
    erased: Stamp | None = None
    segments: tuple[str, ...] = ()
    """``scheme=segment``, by scheme."""
    segments_version: int = 0
    """Of the state that said so; an older one changes nothing."""


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
            changed = _with_preference(person, Preference(event.channel, event.idea_id, event.opted_out, stamp, wishes_of(event)))
        case "profile":
            changed = _with_profile(person, event, stamp)
        case "joined" | "separated":
            into = event.other_person_id if event.type == "joined" else None
            if into == person.person_id or (person.pointer is not None and person.pointer.stamp >= stamp):
                return person
            changed = replace(person, pointer=Pointer(into, stamp))
        case "erased":
            changed = replace(person, contacts={}, preferences=(), profile=None, erased=stamp, segments=())
        case _:
            return person
    return person if changed is person else replace(changed, version=person.version + 1)


def segmented(person: Person, state: PersonSegments) -> Person:
    """Return *person* in the segments that *state* says; *person* itself where it is older than what is known."""
    if state.version <= person.segments_version:
        return person
    said = json.loads(state.segments_json)
    found = tuple(f"{scheme}={segment}" for scheme, segment in sorted(said.items())) if isinstance(said, dict) else ()
    return replace(person, segments=found, segments_version=state.version, version=person.version + 1)


def unsegmented(person: Person) -> Person:
    """Return *person* in no segment: what was said of them is erased."""
    return replace(person, segments=(), version=person.version + 1) if person.segments else person


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


def _with_profile(person: Person, event: PersonEvent, stamp: Stamp) -> Person:
    """Return *person* with the profile that *event* brings; one that says nothing to us leaves no trace."""
    if person.profile is not None and person.profile.stamp >= stamp:
        return person
    profile = Profile(stamp, event.language, _zone_in(event.traits_json), event.account_id)
    if person.profile is None and profile == Profile(stamp):
        return person
    return replace(person, profile=profile)


def _zone_in(traits_json: str | None) -> str | None:
    """Return the time zone among a person's traits, under the names that CRMs use."""
    if traits_json is None or "zone" not in traits_json.lower():
        return None
    traits = json.loads(traits_json)
    named = (traits.get(name) for name in _ZONE_TRAITS) if isinstance(traits, dict) else ()
    return next((zone for zone in named if isinstance(zone, str) and zone_of(zone)), None)


def wishes_of(event: PersonEvent) -> Wishes:
    """Return how the person of a preference wants to hear. What cannot be understood counts as not said: ingest lets none of it in."""
    channels = json.loads(event.channels_json) if event.channels_json else []
    try:
        quiet = None if event.quiet_hours is None else Quiet(*read_hours(event.quiet_hours))
    except ValueError:
        quiet = None
    return Wishes(
        digest=next((rhythm for rhythm in DIGESTS if rhythm == event.digest_rhythm), None),
        quiet=quiet,
        zone=event.time_zone if event.time_zone and zone_of(event.time_zone) else None,
        channels=tuple(channel for channel in channels if isinstance(channel, str)) if isinstance(channels, list) else (),
    )


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
