"""What came from outside, read and checked, before anyone looked at what is known already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from services.common.clock import Micros
from services.common.deadletter import original_timestamp
from services.common.records import Record
from services.ingest.domain.aliases import Author

_DIGEST_BYTES = 12


@dataclass(frozen=True, slots=True)
class Arrival:
    """When and where a raw record lies on the broker; the same when it is read again.

    A replayed dead letter arrived when its original did.
    """

    origin: str
    at: Micros

    @classmethod
    def of(cls, record: Record) -> Arrival:
        """Return the arrival of *record*; a record without a timestamp counts as the epoch."""
        return cls(record.origin, max(original_timestamp(record), 0) * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Input:
    """What all inputs have.

    *subject* is what is spoken of, an id that is a pure function of the record; *order* ranks what is said of it (a revision, or
    ``updated_at`` in microseconds); *digest* tells equal contents from different ones.
    """

    workspace: str
    source: str
    """The channel's name, or the topic."""
    subject: str
    order: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback(_Input):
    """A piece of feedback, an edit of one, or the news that it was taken back. *subject* is the feedback's id, *order* its revision."""

    board: str
    external_id: str
    deleted: bool
    author: Author
    agent: str | None = None
    """The id of who wrote it down for *author*: that of the person first seen under the agent's first alias."""
    text: str | None = None
    """Absent where *deleted*, or where there is nothing but a *rating*."""
    occurred_at: Micros | None = None
    rating: float | None = None
    url: str | None = None
    language: str | None = None
    is_language_open: bool = False
    """Whether *language* is still to be told from what was said."""
    parent_id: str | None = None
    """The piece of feedback in whose thread it was said."""
    further: tuple[str, ...] = ()
    """The second request in it, and those after it; *text* is the first."""
    original: str | None = None
    """The whole text, where *text* is less."""
    is_praise: bool = False
    """Whether it asks for nothing by itself: "+1", "thanks!"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored(_Input):
    """What the operator's own rule in ``channels.yaml`` says is no feedback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(_Input):
    """What a CRM or CDP says of a person. *order* is ``updated_at``."""

    person: Author
    account_id: str | None = None
    traits_json: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Company(_Input):
    """What a CRM says of an account. *subject* is the account's id, *order* its ``updated_at``."""

    external_id: str
    name: str | None = None
    plan: str | None = None
    mrr_cents: int = 0
    employees: int | None = None
    industry: str | None = None
    region: str | None = None
    owner: str | None = None
    traits_json: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity(_Input):
    """Something that a person did in the product, or answered in a survey."""

    person: Author
    name: str
    """Of the activity, or of the question."""
    amount: float = 1.0
    occurred_at: Micros | None = None
    answer_json: str | None = None
    """A scalar; None where nothing was asked."""
    confidence: float | None = None
    """0-1; None: the person said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference(_Input):
    """A person wants, or no longer wants, to hear. *order* is ``updated_at``."""

    person: Author
    opted_out: bool
    channel: str | None = None
    idea_id: str | None = None
    address: str | None = None
    """Where the person is reached by *channel*."""
    wishes: Mapping[str, str] = field(default_factory=dict)
    """How they want to hear: fields of the event, those that were said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdeaCommand(_Input):
    """What a human wants done to ideas."""

    board: str
    command: str
    actor: str
    idea_id: str
    other_idea_id: str | None = None
    feedback_id: str | None = None
    title: str | None = None
    undone_event_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdeaStatus(_Input):
    """What a roadmap tool says of an idea. *order* is ``updated_at``, for each idea and release."""

    board: str
    idea_id: str
    status: str
    reason: str | None = None
    release_id: str | None = None
    release_name: str | None = None
    release_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonCommand(_Input):
    """Two persons are one human, or are not after all."""

    separate: bool
    person_id: str
    other_person_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure(_Input):
    """What is known of a person up to this moment is to be forgotten."""

    person_id: str


Deciding: TypeAlias = Feedback | Profile | Company | Activity | Preference | IdeaCommand | IdeaStatus | PersonCommand | Erasure
Input: TypeAlias = Deciding | Ignored


def author_of(given: Input) -> Author:
    """Return the author of feedback, or the person that a record is about; nobody for the rest."""
    if isinstance(given, Feedback):  # what comes most
        return given.author
    match given:
        case Profile(person=person) | Activity(person=person) | Preference(person=person):
            return person
        case _:
            return _NOBODY


_NOBODY = Author()


def digest_of(*content: Any) -> str:
    """Return 96 bits that tell contents apart, in hexadecimal."""
    return hashlib.blake2b(orjson.dumps(content), digest_size=_DIGEST_BYTES).hexdigest()
