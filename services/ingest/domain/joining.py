"""Two persons who are one human, and who are not after all: a pointer from the larger id to the smaller one, and back."""

from __future__ import annotations

from dataclasses import replace

import orjson

from services.common import ids
from services.common.events import BoardEvent, Event, PersonEvent
from services.common.outcome import Drop, Reject
from services.ingest.domain.inputs import Arrival, PersonCommand
from services.ingest.domain.ledger import ENTRIES_KEPT, Ledger
from services.ingest.domain.rows import Entry, Link, Person
from services.ingest.domain.verdict import Verdict, earlier

PEOPLE_COMMANDS = "people.commands"
"""The source of what commands say of persons."""
_JOINED, _SEPARATED, _UNCHANGED, _NOT_JOINED = "joined", "separated", "unchanged", "not_joined"


def decide_person_command(ledger: Ledger, given: PersonCommand, arrival: Arrival) -> Verdict:
    """Return the news for the person who points now, or no longer, and for every board on which either side wrote."""
    known = earlier(ledger.subject(given.subject), given, arrival)
    if isinstance(known, Drop | Reject):
        return known
    entry = known
    if entry is None and _was_overtaken(ledger, given, arrival):
        ledger.accept(given.subject, Entry(given.order, arrival.origin, given.digest, _UNCHANGED))  # its id is taken, as it was then
        return Drop("decided")
    if entry is None:
        entry = _separation(ledger, given, arrival) if given.separate else _junction(ledger, given, arrival)
        ledger.accept(given.subject, entry)
    if entry.kind == _UNCHANGED:
        return Drop("unchanged")
    if entry.kind == _NOT_JOINED:
        return Reject("not_joined", "person_id, other_person_id: no join of these two is in force; name the pair of the join")
    _point(ledger, given, entry)
    return _events(given, entry, arrival)


def _was_overtaken(ledger: Ledger, given: PersonCommand, arrival: Arrival) -> bool:
    """Tell whether a later command has moved a pointer of these persons already.

    That is so only where a store was lost and this command, which nothing was said of, is read again: it changed nothing then.
    """
    partition, _, offset = arrival.origin.rpartition("/")
    for start in (given.person_id, given.other_person_id):
        for person in ledger.chain(start):
            for link in person.links:
                of_link, _, later = link.origin.rpartition("/")
                if of_link == partition and int(later) > int(offset):
                    return True
    return False


def _junction(ledger: Ledger, given: PersonCommand, arrival: Arrival) -> Entry:
    entry = Entry(given.order, arrival.origin, given.digest, _UNCHANGED)
    into, person = sorted((_root(ledger, given.person_id), _root(ledger, given.other_person_id)), key=lambda one: one.person_id)
    if into == person:
        return entry
    return _about(entry, _JOINED, person, into)


def _separation(ledger: Ledger, given: PersonCommand, arrival: Arrival) -> Entry:
    """Undo the join that named this pair, wherever its pointer lies, or the pointer between the two."""
    entry = Entry(given.order, arrival.origin, given.digest, _NOT_JOINED)
    pair = {given.person_id, given.other_person_id}
    for start in sorted(pair):
        for person in ledger.chain(start):
            if person.into is not None and ({person.person_id, person.into} == pair or set(person.links[-1].pair or ()) == pair):
                return _about(entry, _SEPARATED, person, ledger.person(person.into))
    return entry


def _about(entry: Entry, kind: str, person: Person, into: Person) -> Entry:
    boards, pointer = tuple(sorted(person.boards | into.boards)), (person.person_id, into.person_id)
    return replace(entry, kind=kind, person_id=person.person_id, links=(pointer,), boards=boards, change=person.changes + 1)


def _root(ledger: Ledger, person_id: str) -> Person:
    *_, root = ledger.chain(person_id)
    return root


def _point(ledger: Ledger, given: PersonCommand, entry: Entry) -> None:
    """Set or remove the pointer, once: a redelivery must not undo what later commands did."""
    ((person_id, into_id),) = entry.links
    person = ledger.person(person_id)
    if all(link.origin != entry.origin for link in person.links):
        pair = (given.person_id, given.other_person_id)
        link = Link(entry.origin, into_id, pair, entry.change) if entry.kind == _JOINED else Link(entry.origin, None, None, entry.change)
        ledger.put(replace(person, links=(*person.links, link)[-ENTRIES_KEPT:]))
    if ledger.person(person_id).into == into_id:
        # Boards are shared up the chain: whoever is joined further up must be announced there too.
        for above in ledger.chain(into_id):
            if not person.boards <= above.boards:
                ledger.put(replace(above, boards=above.boards | person.boards))


def _events(given: PersonCommand, entry: Entry, arrival: Arrival) -> tuple[Event, ...]:
    ((person_id, into_id),) = entry.links
    joined = entry.kind == _JOINED
    person = PersonEvent(
        event_id=ids.event_id(given.workspace, given.subject),
        type="joined" if joined else "separated",
        workspace=given.workspace,
        person_id=person_id,
        source=given.source,
        occurred_at=arrival.at,
        ingested_at=arrival.at,
        origin=arrival.origin,
        other_person_id=into_id,
        subject=given.subject,
        digest=given.digest,
        named_person_id=given.person_id,
        named_other_person_id=given.other_person_id,
        boards_json=orjson.dumps(entry.boards).decode(),
        change=entry.change,
    )
    boards = (
        BoardEvent(
            event_id=ids.event_id(given.workspace, given.subject, board),
            type="persons_joined" if joined else "persons_separated",
            workspace=given.workspace,
            board=board,
            source=given.source,
            occurred_at=arrival.at,
            ingested_at=arrival.at,
            origin=arrival.origin,
            person_id=person_id,
            other_person_id=into_id,
            subject=given.subject,
            digest=given.digest,
        )
        for board in entry.boards
    )
    return (person, *boards)
