"""A person who is to be forgotten: what was known goes, and what comes again of it says nothing.

Aliases are personal, so they go as well; that they were erased is remembered under their stand-ins, the ids that persons first seen under
them would have. What arrives later than the erasure is news, of a person who is not known yet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import orjson

from services.common import ids
from services.common.events import BoardEvent, Event, PersonEvent
from services.common.outcome import Drop, Reject
from services.ingest.domain.inputs import Arrival, Erasure, Feedback, Input, author_of
from services.ingest.domain.ledger import Ledger
from services.ingest.domain.rows import Entry, Person, binding_key
from services.ingest.domain.verdict import Verdict, earlier

ERASED: Literal["erased"] = "erased"
_GONE = Drop(ERASED)


def stand_in(workspace: str, alias: str) -> str:
    """Return the id that remembers of *alias* that it was erased; it is that of the person first seen under it, if there is one."""
    return ids.person_id(workspace, alias)


def was_erased(ledger: Ledger, given: Input, arrival: Arrival) -> Drop | None:
    """Return why nothing comes of *given*, where its person was erased after it had arrived; None where that is not so.

    That feedback was taken back goes through while its id is known: it holds no word.
    """
    entries = ledger.subject(given.subject).entries
    if isinstance(given, Feedback) and given.deleted and entries:
        return None
    at, known = arrival.at, [entry.person_id for entry in entries]
    for person in _concerned(ledger, given, known):
        if person.erased_at >= at:
            return _GONE
    return None


def _concerned(ledger: Ledger, given: Input, known: list[str | None]) -> list[Person]:
    author = author_of(given)
    found = [] if author.person_id is None else [ledger.person(author.person_id)]
    for alias in author.aliases:
        found.append(ledger.person(stand_in(given.workspace, alias)))
        bound = ledger.binding(binding_key(given.workspace, alias))
        if bound is not None:
            found.append(ledger.person(bound.person_id))
    if known and author.is_named:
        found += [ledger.person(person_id) for person_id in known if person_id is not None]
    return found


def decide_erasure(ledger: Ledger, given: Erasure, arrival: Arrival) -> Verdict:
    """Forget a person; return the news for the person, the stand-ins of its aliases, and every board on which it wrote."""
    known = earlier(ledger.subject(given.subject), given, arrival)
    if isinstance(known, Drop | Reject):
        return known
    person = ledger.person(given.person_id)
    entry = known
    if entry is None:
        aliases = [key.partition("/")[2] for key in ledger.bound_to(given.person_id)]
        marks = {stand_in(given.workspace, alias) for alias in aliases} - {given.person_id}
        links = tuple((mark, given.person_id) for mark in sorted(marks))
        entry = Entry(given.order, arrival.origin, given.digest, ERASED, person_id=given.person_id, links=links)
        entry = replace(entry, boards=tuple(sorted(person.boards)))
        ledger.accept(given.subject, entry)
    if person.erased_at < arrival.at:  # else all of this is stored, and what was bound since is news
        forget(ledger, person, arrival.at)
        for mark, _ in entry.links:
            remember_stand_in(ledger, mark, arrival.at)
    return _events(given, entry, arrival)


def forget(ledger: Ledger, person: Person, at: int) -> None:
    """Let go of what is known of *person*, as of *at*; pointers and boards stay, for the counts that rest on them."""
    for key in ledger.bound_to(person.person_id):
        ledger.unbind(key)
    ledger.put(replace(person, contact=None, contact_at=-1, profile_at=-1, preferences=(), erased_at=at))


def remember_stand_in(ledger: Ledger, mark: str, at: int) -> None:
    """Remember that an alias was erased at *at*."""
    person = ledger.person(mark)
    if person.erased_at < at:
        ledger.put(replace(person, erased_at=at))


def _events(given: Erasure, entry: Entry, arrival: Arrival) -> tuple[Event, ...]:
    common = {"workspace": given.workspace, "source": given.source, "occurred_at": arrival.at, "ingested_at": arrival.at}
    about: dict[str, object] = {**common, "origin": arrival.origin}
    person = PersonEvent(
        event_id=ids.event_id(given.workspace, given.subject),
        type=ERASED,
        person_id=given.person_id,
        subject=given.subject,
        digest=given.digest,
        boards_json=orjson.dumps(entry.boards).decode(),
        **about,  # type: ignore[arg-type]
    )
    marks = (
        PersonEvent(
            event_id=ids.event_id(given.workspace, given.subject, mark),
            type=ERASED,
            person_id=mark,
            other_person_id=given.person_id,
            **about,  # type: ignore[arg-type]
        )
        for mark, _ in entry.links
    )
    boards = (
        BoardEvent(
            event_id=ids.event_id(given.workspace, given.subject, board),
            type="commanded",
            board=board,
            command="erase",
            person_id=given.person_id,
            subject=given.subject,
            digest=given.digest,
            **about,  # type: ignore[arg-type]
        )
        for board in entry.boards
    )
    return (person, *marks, *boards)
