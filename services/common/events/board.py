"""``board.events``: the one order in which anything happens on a board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from services.common.clock import Micros
from services.common.ids import board_key

BoardEventType: TypeAlias = Literal[
    "unknown",
    "submitted",
    "revised",
    "retracted",
    "commanded",
    "status_changed",
    "persons_joined",
    "persons_separated",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardEvent:
    """One thing that happened on a board. Written by ingest, read by dedup.

    - submitted, revised: ``feedback_id``, ``revision`` (0 first, each edit higher), ``external_id``, ``person_id``, ``text``; a
      revision replaces all that the earlier ones said. What asks for several things comes as several parts, ``part`` 0, 1, 2, …; a mere
      "+1" in a thread is a vote (``is_vote``) for what ``parent_id`` wants.
    - retracted: ``feedback_id``, ``revision``.
    - commanded: ``command`` (merge, unmerge, move, split, rename, accept, dismiss, undo), ``actor``, ``idea_id`` and, as the command
      needs, ``other_idea_id`` (merge: *idea_id* goes into *other_idea_id*), ``feedback_id``, ``title``, ``undone_event_id``. Of
      ``people.commands``: erase, of ``person_id``.
    - status_changed: ``idea_id``, ``status``, ``reason``, ``release_*``.
    - persons_joined, persons_separated: ``person_id`` into ``other_person_id``.
    """

    TOPIC: ClassVar[str] = "board.events"

    event_id: str
    type: BoardEventType
    workspace: str
    board: str
    source: str
    """The channel's name, or ``ideas.commands`` / ``ideas.status``."""
    occurred_at: Micros
    ingested_at: Micros
    """The raw record's own timestamp on the broker, so that a redelivery repeats it."""
    origin: str
    """``topic/partition/offset`` of the raw record."""
    feedback_id: str | None = None
    revision: int = 0
    external_id: str | None = None
    person_id: str | None = None
    other_person_id: str | None = None
    text: str | None = None
    language: str | None = None
    url: str | None = None
    rating: float | None = None
    """As the channel gives it: stars 1-5, NPS 0-10."""
    command: str | None = None
    actor: str | None = None
    idea_id: str | None = None
    other_idea_id: str | None = None
    title: str | None = None
    status: str | None = None
    reason: str | None = None
    release_id: str | None = None
    release_name: str | None = None
    release_url: str | None = None
    subject: str | None = None
    """What the raw record spoke of; with *digest*, 96 bits of what it said, it tells a repeat from a conflict."""
    digest: str | None = None
    has_address: bool = False
    """Whether the raw record named an e-mail address of its author."""
    brings_contact: bool = False
    """Whether a ``contact`` event goes with it."""
    parent_id: str | None = None
    """The piece of feedback that this is a part of, or in whose thread it was said."""
    part: int = 0
    """0: the piece itself, or the first request in it; 1, 2, …: its further ones, each under an id of its own."""
    parts: int = 1
    """How many parts of the piece the board was ever told of."""
    is_vote: bool = False
    """It says no more than that its author wants what ``parent_id`` wants."""
    original: str | None = None
    """The whole text, where ``text`` is a part of it or was cut."""
    authors: str | None = None
    """Digests of what its author is called, with blanks between: a revision shares one of them."""
    undone_event_id: str | None = None
    """The event of the command that an ``undo`` takes back."""

    def key(self) -> str:
        """Return the event's id."""
        return self.event_id

    def partition_key(self) -> str:
        """Return the board's key."""
        return board_key(self.workspace, self.board)
