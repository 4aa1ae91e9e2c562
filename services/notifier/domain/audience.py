"""Everyone who turned out to be one human: where they are reached, what they do not want to hear, how they want to be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.common.clock import Micros
from services.notifier.domain.manners import Manners, Wishes
from services.notifier.domain.person import Contact, Person, Preference, Profile, Stamp


class Reach(Protocol):
    """What the domain needs to know of a channel."""

    @property
    def name(self) -> str:
        """Return what contacts and preferences call it."""

    @property
    def needs_address(self) -> bool:
        """Tell whether people must have given an address; without one the person's id is the address."""

    def usable(self, address: str) -> bool:
        """Tell whether *address* can be written to at all."""


@dataclass(frozen=True, slots=True)
class Audience:
    """All the persons that turned out to be one human; *root* is where their pointers end."""

    root: str
    persons: Sequence[Person]

    def contact(self, channel: str, person_id: str, road: Reach, gone: Mapping[str, Micros]) -> tuple[str, Contact] | None:
        """Return whose contact reaches them, and it: the root's, else that of *person_id*, else what was said last.

        What is usable goes before what is not.

        Args:
            channel: To be reached by.
            person_id: As whom they are told.
            road: Tells what is usable.
            gone: Until when, by person, addresses that were given turned out not to exist.
        """
        if len(self.persons) == 1 and not gone:  # as nearly always
            contact = self.persons[0].contacts.get(channel)
            return (self.persons[0].person_id, contact) if contact is not None and contact.address else None
        known = {
            person.person_id: contact
            for person in self.persons
            if (contact := person.contacts.get(channel)) and contact.address and contact.stamp[1] > gone.get(person.person_id, -1)
        }
        written_to = {who: contact for who, contact in known.items() if road.usable(contact.address or "")}
        candidates = written_to or known
        for preferred in (self.root, person_id):
            if preferred in candidates:
                return preferred, candidates[preferred]
        return max(candidates.items(), key=lambda item: item[1].stamp, default=None)

    def manners(self, ours: Manners, channel: str | None = None) -> Manners:
        """Return how they want to be told by *channel*: what they said of it, else of all channels, else their profile, else *ours*."""
        if not any(person.profile is not None or person.preferences for person in self.persons):
            return ours
        profiled = max((p.profile for p in self.persons if p.profile is not None and p.profile.zone), key=_stamp_of, default=None)
        last = self._last_preferences()
        scopes = {None, channel}
        said = sorted((p for (of, idea), p in last.items() if idea is None and of in scopes), key=lambda p: p.channel is not None)
        if profiled is None and not said:
            return ours
        zone = Wishes(zone=None if profiled is None else profiled.zone)
        return ours.wished((zone, *(preference.wishes for preference in said)))

    @property
    def language(self) -> str | None:
        """Return what language to speak to them, as far as it is known."""
        profiled = max((p.profile for p in self.persons if p.profile is not None and p.profile.language), key=_stamp_of, default=None)
        return None if profiled is None else profiled.language

    @property
    def segments(self) -> Sequence[str]:
        """Return the segments that they are in: the root's, else those that were said last."""
        known = [person for person in self.persons if person.segments]
        mine = next((person for person in known if person.person_id == self.root), None)
        found = mine or max(known, key=lambda person: (person.segments_version, person.person_id), default=None)
        return () if found is None else found.segments

    def opted_out(self, channel: str, ideas: Iterable[str]) -> str | None:
        """Return why they do not want to hear of *ideas* on *channel*, or None; what they said last of a scope holds."""
        if not any(person.preferences for person in self.persons):
            return None
        concerned = {None, *ideas}
        for (of_channel, of_idea), preference in sorted(self._last_preferences().items(), key=lambda item: item[1].stamp):
            if preference.opted_out and of_channel in (None, channel) and of_idea in concerned:
                return _scope_words(of_channel, of_idea)
        return None

    def _last_preferences(self) -> Mapping[tuple[str | None, str | None], Preference]:
        last: dict[tuple[str | None, str | None], Preference] = {}
        for person in self.persons:
            for preference in person.preferences:
                scope = (preference.channel, preference.idea)
                if scope not in last or last[scope].stamp < preference.stamp:
                    last[scope] = preference
        return last

    @property
    def erased(self) -> bool:
        """Tell whether any of them asked to be forgotten and has not been heard of since."""
        return any(person.erased is not None and not person.contacts for person in self.persons)


def _stamp_of(profile: Profile) -> Stamp:
    return profile.stamp


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
