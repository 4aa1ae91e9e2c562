"""A memory that was lost, out of what ingest published: who is who, what was accepted, what follows a person.

Taking an event in twice, or the events of one topic before another's, makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

import orjson

from services.common.clock import Micros
from services.common.events import Account, BoardEvent, PersonEvent
from services.ingest.domain.aliases import email_alias
from services.ingest.domain.erasing import ERASED, forget, remember_stand_in
from services.ingest.domain.identity import EMAIL
from services.ingest.domain.joining import PEOPLE_COMMANDS
from services.ingest.domain.ledger import ENTRIES_KEPT, Ledger
from services.ingest.domain.people import scope_of
from services.ingest.domain.rows import Binding, Entry, Link, binding_key

Published: TypeAlias = BoardEvent | PersonEvent | Account


def recall(ledger: Ledger, event: Published) -> None:
    """Note in *ledger* what *event* says of the memory that it came out of."""
    match event:
        case Account():
            ledger.restore(event.account_id, Entry(event.version, event.origin, event.digest or "", "account"))
        case BoardEvent():
            _recall_board(ledger, event)
        case PersonEvent():
            _recall_person(ledger, event)


def bindings_named(events: Iterable[Published]) -> set[str]:
    """Return the keys of the aliases that *events* speak of."""
    return {binding_key(event.workspace, event.alias) for event in events if isinstance(event, PersonEvent) and event.alias is not None}


def erased_by(events: Iterable[Published]) -> set[str]:
    """Return the persons whom *events* erase: all their aliases are needed."""
    return {event.person_id for event in events if isinstance(event, PersonEvent) and event.type == ERASED}


def subjects_named(events: Iterable[Published]) -> set[str]:
    """Return the subjects of *events*."""
    found = {event.account_id if isinstance(event, Account) else event.subject for event in events}
    return {subject for subject in found if subject is not None}


def persons_named(events: Iterable[Published]) -> set[str]:
    """Return the persons whom *events* speak of."""
    named = [event for event in events if not isinstance(event, Account)]
    found = {person for event in named for person in (event.person_id, event.other_person_id)}
    return {person for person in found if person is not None}


def _recall_board(ledger: Ledger, event: BoardEvent) -> None:
    subject, digest, person_id = event.subject, event.digest or "", event.person_id
    if subject is None:
        return
    match event.type:
        case "submitted" | "revised" | "retracted":
            if event.part == 0:  # said first of all parts
                ledger.restore(subject, _feedback_entry(event))
            if person_id is not None:
                _recall_writer(ledger, event, person_id)
        case "commanded" if event.source != PEOPLE_COMMANDS:  # an erasure's own event says more
            ledger.restore(subject, Entry(0, event.origin, digest, event.type))
        case "status_changed":
            ledger.restore(subject, Entry(event.occurred_at, event.origin, digest, event.type))
        case "persons_joined" if event.source != PEOPLE_COMMANDS:  # told to a board on which one of them writes for the first time
            for person in (person_id, event.other_person_id):
                if person is not None:
                    _writes_on(ledger, person, (event.board,))


def _recall_writer(ledger: Ledger, event: BoardEvent, person_id: str) -> None:
    _writes_on(ledger, person_id, () if event.type == "retracted" else (event.board,))
    if event.ingested_at > ledger.person(person_id).erased_at:
        _addressed(ledger, person_id, event.has_address, event.occurred_at)


def _feedback_entry(event: BoardEvent) -> Entry:
    return Entry(
        event.revision,
        event.origin,
        event.digest or "",
        event.type,
        event.board,
        event.person_id,
        event.brings_contact,
        parts=event.parts,
        authors=tuple((event.authors or "").split()),
    )


def _recall_person(ledger: Ledger, event: PersonEvent) -> None:
    match event.type:
        case "alias":
            key = binding_key(event.workspace, event.alias or "")
            if ledger.binding(key) is None and event.ingested_at > ledger.person(event.person_id).erased_at:
                ledger.bind(Binding(key, event.person_id, event.origin))
        case "contact" if event.channel == EMAIL:
            _recall_contact(ledger, event)
        case "profile" | "preference" | "activity" | "answer":
            _recall_news(ledger, event)
        case "joined" | "separated":
            _recall_pointer(ledger, event)
        case "erased":
            _recall_erasure(ledger, event)


def _recall_erasure(ledger: Ledger, event: PersonEvent) -> None:
    """Forget what the events before this one said; those that are read twice are not news then."""
    at = event.occurred_at
    if event.other_person_id is not None:
        remember_stand_in(ledger, event.person_id, at)
        return
    if event.subject is not None:
        boards = tuple(orjson.loads(event.boards_json or "[]"))
        entry = Entry(0, event.origin, event.digest or "", ERASED, person_id=event.person_id, boards=boards)
        ledger.restore(event.subject, entry)
    person = ledger.person(event.person_id)
    if person.erased_at < at:
        forget(ledger, person, at)


def _recall_contact(ledger: Ledger, event: PersonEvent) -> None:
    person = ledger.person(event.person_id)
    if event.ingested_at <= person.erased_at:
        return
    if person.contact is None or event.occurred_at > person.contact_at:
        at = max(event.occurred_at, person.contact_at)
        ledger.put(replace(person, contact=email_alias(event.address or ""), contact_at=at))


def _recall_news(ledger: Ledger, event: PersonEvent) -> None:
    person, at = ledger.person(event.person_id), event.occurred_at
    if event.subject is not None:
        kind, order = _entered(event, event.subject)
        entry = Entry(order, event.origin, event.digest or "", kind, person_id=event.person_id, contact=event.brings_contact)
        ledger.restore(event.subject, entry)
    if event.ingested_at <= person.erased_at:
        return
    if event.type == "profile" and at > person.profile_at:
        ledger.put(replace(person, profile_at=at))
    elif event.type == "preference":
        about, known = scope_of(event.channel, event.idea_id, event.address), dict(person.preferences)
        if at > known.get(about, -1):
            ledger.put(replace(person, preferences=tuple(sorted((known | {about: at}).items()))))
    _addressed(ledger, event.person_id, event.has_address, at)


def _entered(event: PersonEvent, subject: str) -> tuple[str, int]:
    """Return the kind and order of the entry that *event* came of: a survey's answer is an activity's, a rating a piece of feedback's."""
    if event.type in ("answer", "activity") and subject.startswith(f"{event.workspace}:feedback:"):
        return "answer" if event.type == "answer" else "praise", event.revision
    return ("activity", 0) if event.type in ("activity", "answer") else (event.type, event.occurred_at)


def _recall_pointer(ledger: Ledger, event: PersonEvent) -> None:
    is_joined, person, into = event.type == "joined", ledger.person(event.person_id), event.other_person_id or ""
    boards = tuple(orjson.loads(event.boards_json or "[]"))
    if event.subject is not None:
        entry = Entry(0, event.origin, event.digest or "", event.type, person_id=event.person_id, change=event.change)
        ledger.restore(event.subject, replace(entry, links=((event.person_id, into),), boards=boards))
    if all(link.origin != event.origin for link in person.links):
        pair = (event.named_person_id or "", event.named_other_person_id or "") if is_joined else None
        link = Link(event.origin, into if is_joined else None, pair, event.change)
        links = tuple(sorted((*person.links, link), key=lambda one: one.number))[-ENTRIES_KEPT:]
        if links != person.links:
            ledger.put(replace(person, links=links))
    if is_joined:
        _writes_on(ledger, into, boards)


def _writes_on(ledger: Ledger, person_id: str, boards: Iterable[str]) -> None:
    person = ledger.person(person_id)
    if not person.boards.issuperset(boards):
        ledger.put(replace(person, boards=person.boards.union(boards)))


def _addressed(ledger: Ledger, person_id: str, has_address: bool, at: Micros) -> None:
    person = ledger.person(person_id)
    if has_address and at > person.contact_at:
        ledger.put(replace(person, contact_at=at))
