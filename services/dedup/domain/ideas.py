"""An idea as its board knows it, its links, and what they count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.common.clock import Micros
from services.dedup.domain.portrait import Places, Portrait


@dataclass(slots=True)
class Link:
    """One piece of feedback in its idea. *row* is its text's in the board's index; -1 where the text was erased."""

    feedback_id: str
    person_id: str
    idea_id: str
    row: int
    event_id: str
    occurred_at: Micros


_WEEK: Micros = 7 * 24 * 3600 * 1_000_000
_SPAN = 4


def week_of(at: Micros) -> int:
    """Return the week of *at*, counted from the epoch."""
    return at // _WEEK


class Tally:
    """What a set of links counts: mentions, distinct persons, first and last moment."""

    __slots__ = ("_before", "_now", "_this_week", "first", "last", "mentions", "people", "weeks")

    def __init__(self) -> None:
        self.mentions = 0
        self.people: set[str] = set()
        self.weeks: dict[int, set[str]] = {}
        """Who spoke in each week since the epoch."""
        self._this_week: int | None = None
        self._now: set[str] = set()
        self._before = 0
        self.first: Micros | None = None
        self.last: Micros | None = None

    def add(self, person: str, at: Micros) -> None:
        """Count one link of *person*, the root of the author's pointers."""
        self.mentions += 1
        self.people.add(person)
        week, told = at // _WEEK, self._this_week
        spoken = self.weeks.get(week)
        if spoken is None:
            self.weeks[week] = {person}
        else:
            spoken.add(person)
        if told is not None and week <= told:
            if told - _SPAN < week:
                self._now.add(person)
            else:
                self._this_week = None
        if self.first is None or at < self.first:
            self.first = at
        if self.last is None or at > self.last:
            self.last = at

    def trend(self, this_week: int) -> tuple[str, int, int]:
        """Return ``new``, ``growing``, ``steady`` or ``fading``, and the people of the four weeks up to *this_week* and of those before.

        They are counted anew when the week changes or something comes late; else an idea of thousands would cost as much with each text.
        """
        if self._this_week != this_week:
            self._this_week = this_week
            self._now, self._before = self._within(this_week), len(self._within(this_week - _SPAN))
        now = len(self._now)
        if self.first is not None and week_of(self.first) > this_week - _SPAN:
            return "new", now, self._before
        return ("growing" if now > self._before else "fading" if now < self._before else "steady"), now, self._before

    def told(self, this_week: int) -> Told:
        """Return what readers are told of it in *this_week*."""
        return Told(len(self.people), self.mentions, self.first, self.last, *self.trend(this_week))

    def _within(self, last_week: int) -> set[str]:
        """Return who spoke in the four weeks that end with *last_week*."""
        spoken = [people for week in range(last_week - _SPAN + 1, last_week + 1) if (people := self.weeks.get(week)) is not None]
        return set().union(*spoken)


class Standing(NamedTuple):
    """How far the team is with an idea."""

    status: str = "open"
    reason: str | None = None
    release_id: str | None = None
    release_name: str | None = None
    release_url: str | None = None


OPEN = Standing()
_NO_LINKS: Mapping[str, Link] = {}


@dataclass(slots=True)
class IdeaState:
    """What a board knows of one idea beside its vectors. Most have one link, and never get more: theirs takes no dictionary."""

    idea_id: str
    slot: int
    title: str
    opened_at: Micros
    said_by: str | None = None
    """Who wrote what led to the state that was published last; None where nobody did."""
    titled_by: str | None = None
    """The person whose words the title is; empty where a human gave it."""
    standing: Standing = OPEN
    version: int = 0
    portrait: Portrait | Places | None = None
    """As it was last published."""
    _links: Link | dict[str, Link] | None = None

    @property
    def links(self) -> Mapping[str, Link]:
        """Return its links by feedback id, in the order of linking."""
        kept = self._links
        if kept is None:
            return _NO_LINKS
        return {kept.feedback_id: kept} if type(kept) is Link else kept  # type: ignore[return-value]

    @property
    def only(self) -> Link | None:
        """Return its link if it never had more than this one."""
        return self._links if type(self._links) is Link else None

    def name(self, person_id: str, text: str | None, at: Micros) -> None:
        """Let the title be of *person_id*, who linked *text* first. Out of a log what is equal comes twice: one is enough."""
        self.titled_by = person_id
        if self.title == text:
            self.title = text
        if self.opened_at == at:
            self.opened_at = at

    def put(self, link: Link) -> None:
        """Add *link*."""
        kept = self._links
        if kept is None:
            self._links = link
        elif type(kept) is Link:
            self._links = {kept.feedback_id: kept, link.feedback_id: link}
        else:
            kept[link.feedback_id] = link  # type: ignore[index]

    def drop(self, feedback_id: str) -> None:
        """Take the link of *feedback_id*, which is one of its, out."""
        if type(self._links) is dict:
            del self._links[feedback_id]
        else:
            self._links = None


class Told(NamedTuple):
    """What readers are told of a set of links."""

    people: int
    mentions: int
    first: Micros | None
    last: Micros | None
    trend: str
    recent: int
    earlier: int


def told_of_one(link: Link, this_week: int) -> Told:
    """Return what a ``Tally`` of *link* alone comes to."""
    at, weeks = link.occurred_at, this_week - week_of(link.occurred_at)
    now, before = int(0 <= weeks < _SPAN), int(_SPAN <= weeks < 2 * _SPAN)
    return Told(1, 1, at, at, "new" if weeks < _SPAN else "fading" if before else "steady", now, before)


_KEPT_FROM = 16
"""Smaller sets of links are counted again each time: a tally kept for each of a million ideas would cost more than it saves."""


class Tallies:
    """Counts of large sets of links, kept while links are only added."""

    def __init__(self, root_of: Callable[[str], str]) -> None:
        self._root_of = root_of
        self._kept: dict[str, Tally] = {}

    def of(self, name: str, links: Iterable[Link]) -> Tally:
        """Return the tally of *links*, known as *name* until it is forgotten."""
        tally = self._kept.get(name)
        if tally is None:
            tally = Tally()
            for link in links:
                tally.add(self._root_of(link.person_id), link.occurred_at)
            if tally.mentions >= _KEPT_FROM:
                self._kept[name] = tally
        return tally

    def add(self, name: str, link: Link) -> None:
        """Count *link*, new in the set *name*."""
        tally = self._kept.get(name)
        if tally is not None:
            tally.add(self._root_of(link.person_id), link.occurred_at)

    def forget(self, name: str) -> None:
        """Count the set *name* again when it is asked for next."""
        self._kept.pop(name, None)
