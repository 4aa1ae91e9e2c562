"""What ingest remembers: who an alias is, what was accepted of a subject, what follows a person."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.clock import Micros


@dataclass(frozen=True, slots=True)
class Binding:
    """An alias and the person behind it. Bound once and never again: persons that prove to be one are joined by a pointer."""

    key: str
    """``WORKSPACE/ALIAS``."""
    person_id: str
    origin: str
    """The raw record that bound it, and that announces it."""


def binding_key(workspace: str, alias: str) -> str:
    """Return the key of *alias* in *workspace*; a workspace has no slash in it."""
    return f"{workspace}/{alias}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was accepted of a subject, with all that its outputs need beside the raw record itself."""

    order: int
    origin: str
    digest: str
    kind: str
    """What it became: an event's type, or why it became none."""
    place: str = ""
    """The board of feedback."""
    person_id: str | None = None
    contact: bool = False
    """Whether it brought a newer address."""
    links: tuple[tuple[str, str], ...] = ()
    """Pointers from person to person: the ones that its board had to be told first, or the one that a command is about."""
    boards: tuple[str, ...] = ()
    """Where a command of persons is told."""
    change: int = 0
    """Which change of the person's pointer a command is."""
    parts: int = 1
    """How many parts of a piece of feedback its board was told of by then."""
    authors: tuple[str, ...] = ()
    """Digests of the aliases that a piece of feedback was signed with."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A piece of feedback, a profile, a command …: its accepted entries by ascending order. *version* counts writes; 0 is unwritten."""

    key: str
    version: int = 0
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """Change *number* (1, 2, 3, …) of a person's pointer: *into* another person, or, as None, to nobody.

    *pair* is whom a join named.
    """

    origin: str
    into: str | None
    pair: tuple[str, str] | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """What follows a person around. *version* counts writes; 0 is unwritten."""

    person_id: str
    version: int = 0
    boards: frozenset[str] = frozenset()
    """Where this person, or one who points at it, wrote."""
    contact: str | None = None
    """The e-mail alias of the newest address."""
    contact_at: Micros = -1
    profile_at: Micros = -1
    preferences: tuple[tuple[str, Micros], ...] = ()
    """When each preference was last changed, by ``channel/idea``."""
    links: tuple[Link, ...] = ()
    """Every change of the pointer, the last one holds."""
    erased_at: Micros = -1
    """What arrived up to this moment was erased. Also of the stand-in of each alias that was the person's, see ``erasing``."""

    @property
    def into(self) -> str | None:
        """The person that this one points at."""
        return self.links[-1].into if self.links else None

    @property
    def changes(self) -> int:
        """How often the pointer was changed."""
        return self.links[-1].number if self.links else 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What a batch leaves to be stored; versions are those after the write."""

    bindings: tuple[Binding, ...]
    subjects: tuple[Subject, ...]
    persons: tuple[Person, ...]
    unbound: tuple[str, ...] = ()
    """Aliases that are nobody's any more."""
