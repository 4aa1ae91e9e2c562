"""Who someone is: aliases to persons, and what follows from a newly known alias or address."""

from __future__ import annotations

from dataclasses import replace

from services.common import ids
from services.common.clock import Micros
from services.common.events import PersonEvent
from services.common.values import maker
from services.ingest.domain.aliases import Author
from services.ingest.domain.inputs import Arrival, Input, author_of
from services.ingest.domain.ledger import Ledger
from services.ingest.domain.rows import Binding, Entry, Person, binding_key

EMAIL = "email"
_PERSON_EVENT = maker(PersonEvent)


def new_person_id(workspace: str, author: Author) -> str | None:
    """Return the id that *author* would get as a new person, a pure function of the first alias; None for nobody."""
    first = author.first_alias
    return None if first is None else ids.person_id(workspace, first)


def resolve(ledger: Ledger, workspace: str, author: Author, arrival: Arrival) -> str:
    """Return the person behind *author*, who is named, and bind the aliases that are nobody's yet.

    Our own id decides, where it is given back to us; else the first known alias, in the order CRM id, e-mail, alias of the channel. An
    alias that is someone else's stays so: that two persons are one is for a human, or a rule of later, to say.
    """
    person_id = author.person_id
    unknown = []
    for alias in author.aliases:
        key = binding_key(workspace, alias)
        known = ledger.binding(key)
        if known is None:
            unknown.append(key)
        elif person_id is None:
            person_id = known.person_id
    person_id = person_id or new_person_id(workspace, author)
    if person_id is None:
        raise ValueError("an author without an alias cannot be resolved")
    for key in unknown:
        ledger.bind(Binding(key, person_id, arrival.origin))
    return person_id


def bind_rest(ledger: Ledger, workspace: str, author: Author, person_id: str, arrival: Arrival) -> None:
    """Bind those aliases of *author* that are nobody's to *person_id*, whom a record at *arrival* was given to before.

    All are bound already, unless the store was lost before they were announced.
    """
    for alias in author.aliases:
        key = binding_key(workspace, alias)
        if ledger.binding(key) is None:
            ledger.bind(Binding(key, person_id, arrival.origin))


def has_address(author: Author) -> bool:
    """Tell whether a mail could be sent to *author*."""
    return author.address is not None and any(alias.startswith("email:") for alias in author.aliases)


def note_contact(ledger: Ledger, person_id: str, author: Author, at: Micros) -> bool:
    """Remember the address of *author* unless a newer one is known; tell whether it is news."""
    email = next((alias for alias in author.aliases if alias.startswith("email:")), None)
    if email is None or author.address is None:
        return False
    person = ledger.person(person_id)
    if at <= person.contact_at:
        return False
    ledger.put(replace(person, contact=email, contact_at=at))
    return email != person.contact


def unannounced(ledger: Ledger, given: Input, arrival: Arrival, at: Micros) -> tuple[PersonEvent, ...]:
    """Return the ``alias`` events of the aliases that this very record bound."""
    events = []
    for alias in author_of(given).aliases:
        bound = ledger.binding(binding_key(given.workspace, alias))
        if bound is not None and bound.origin == arrival.origin:
            events.append(
                _PERSON_EVENT(
                    event_id=ids.event_id(given.workspace, "alias", alias, bound.person_id),
                    type="alias",
                    workspace=given.workspace,
                    person_id=bound.person_id,
                    source=given.source,
                    occurred_at=at,
                    ingested_at=arrival.at,
                    origin=arrival.origin,
                    alias=alias,
                )
            )
    return tuple(events)


def introduction(ledger: Ledger, given: Input, entry: Entry, arrival: Arrival, at: Micros) -> tuple[PersonEvent, ...]:
    """Return what became known of the author of *given* beside its own news: aliases, and a newer address."""
    events = unannounced(ledger, given, arrival, at)
    if not entry.contact or entry.person_id is None:
        return events
    author = author_of(given)
    contact = _PERSON_EVENT(
        event_id=ids.event_id(given.workspace, "contact", entry.person_id, given.subject, str(given.order)),
        type="contact",
        workspace=given.workspace,
        person_id=entry.person_id,
        source=given.source,
        occurred_at=at,
        ingested_at=arrival.at,
        origin=arrival.origin,
        name=author.name,
        channel=EMAIL,
        address=author.address,
    )
    return (*events, contact)


def tell_board(ledger: Ledger, person: Person, board: str) -> tuple[tuple[str, str], ...]:
    """Note that *person* writes on *board*; return the pointers that the board does not know yet.

    Whoever points at someone shares its boards with it, so the walk ends at the first who was there before.
    """
    links = []
    for one in ledger.chain(person.person_id):
        if board in one.boards:
            break
        ledger.put(replace(one, boards=one.boards | {board}))
        if one.into is not None:
            links.append((one.person_id, one.into))
    return tuple(links)
