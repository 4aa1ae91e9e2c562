"""``people.events``, the one order for a person, and ``accounts``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from services.common.clock import Micros

PersonEventType: TypeAlias = Literal[
    "unknown",
    "profile",
    "alias",
    "contact",
    "activity",
    "answer",
    "preference",
    "joined",
    "separated",
    "erased",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonEvent:
    """One thing that became known of a person. Written by ingest, read by segmenter and notifier.

    - profile: ``account_id``, ``traits_json`` (an object of scalars), ``name``, ``language``; replaces the profile that is older.
    - alias: ``alias`` (``email:ann@example.com``, ``slack:U123``, ``crm:42``).
    - contact: ``channel`` and ``address``.
    - activity: ``name``, ``amount`` (1 where the producer gives none).
    - answer: ``name``, ``answer_json`` (a scalar), ``confidence`` 0-1.
    - preference: ``opted_out`` of ``channel`` and ``idea_id``; absent means all of them; how they want to hear; ``address``, which
      a contact of its own brings as well.
    - joined, separated: ``other_person_id``, whose pointer this person now follows, or no longer.
    - erased: what was known of the person up to then is to be forgotten; with ``other_person_id``, which was that person, it is about the
      stand-in of one of its aliases.
    """

    TOPIC: ClassVar[str] = "people.events"

    event_id: str
    type: PersonEventType
    workspace: str
    person_id: str
    source: str
    occurred_at: Micros
    """When it happened or, for states (profile, contact, preference), its ``updated_at``: an older one never overwrites."""
    ingested_at: Micros
    origin: str
    other_person_id: str | None = None
    account_id: str | None = None
    name: str | None = None
    language: str | None = None
    alias: str | None = None
    channel: str | None = None
    address: str | None = None
    amount: float | None = None
    traits_json: str | None = None
    answer_json: str | None = None
    confidence: float | None = None
    idea_id: str | None = None
    opted_out: bool | None = None
    subject: str | None = None
    """What the raw record spoke of; with *digest*, 96 bits of what it said, it tells a repeat from a conflict."""
    digest: str | None = None
    has_address: bool = False
    """Whether the raw record named an e-mail address of the person."""
    brings_contact: bool = False
    """Whether a ``contact`` event goes with it."""
    named_person_id: str | None = None
    """joined, separated: the pair that the command named, whose roots *person_id* and *other_person_id* are or were."""
    named_other_person_id: str | None = None
    boards_json: str | None = None
    """joined, separated: an array of the boards that are told."""
    change: int = 0
    """joined, separated: which change of the person's pointer it is, 1, 2, 3, …"""
    revision: int = 0
    """answer: of the piece of feedback that is nothing but a rating."""
    digest_rhythm: str | None = None
    """preference: ``off``, ``daily`` or ``weekly``."""
    quiet_hours: str | None = None
    """preference: ``22:00-08:00`` of the person's day, or ``off``."""
    time_zone: str | None = None
    """preference: of the IANA database."""
    channels_json: str | None = None
    """preference: an array of channels in the order in which they are tried."""

    def key(self) -> str:
        """Return the record's id."""
        return self.event_id

    def partition_key(self) -> str:
        """Return the person's id."""
        return self.person_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The present state of a company. Written by ingest, read by segmenter and notifier."""

    TOPIC: ClassVar[str] = "accounts"

    account_id: str
    workspace: str
    external_id: str
    version: int
    """Grows with every accepted change: the record's ``updated_at`` in microseconds."""
    updated_at: Micros
    ingested_at: Micros
    origin: str
    name: str | None = None
    plan: str | None = None
    mrr_cents: int = 0
    """Monthly recurring revenue in hundredths of the workspace's one currency."""
    employees: int | None = None
    industry: str | None = None
    region: str | None = None
    owner: str | None = None
    traits_json: str | None = None
    digest: str | None = None
    """96 bits of what the raw record said."""

    def key(self) -> str:
        """Return the account's id."""
        return self.account_id

    def partition_key(self) -> str:
        """Return the account's id."""
        return self.account_id
